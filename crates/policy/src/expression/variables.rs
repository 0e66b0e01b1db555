//! The variables there are, where, and how each is read from the facts. What the product that policies
//! come from has besides, and we have no data for, is refused by name: a rule that protects something
//! must not be loaded and then compare with nothing.

mod read;

use super::scope::{Namespace, Scope};
use super::{Failure, suggest};
use crate::facts::Facts;
use crate::value::{Key, Map, Value};

/// Something to know, under a name with dots.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: &'static str,
    pub(super) namespace: Namespace,
    /// Whether it is a map, so that more names may follow.
    pub(super) open: bool,
    pub(super) read: Read,
}

pub(super) type Read = fn(&Facts<'_>) -> Result<Value, Failure>;

/// All variables whose names begin with a name and a dot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Group(&'static str);

/// What a chain of names means, with the number of names that say it.
pub(super) enum Resolved {
    Variable(&'static Variable, usize),
    Group(Group, usize),
}

/// What a chain of names means that means nothing.
pub(super) struct Unknown {
    pub(super) message: String,
    pub(super) suggestion: Option<String>,
    /// How many names of the chain are to blame.
    pub(super) names: usize,
}

const fn scalar(name: &'static str, namespace: Namespace, read: Read) -> Variable {
    Variable { name, namespace, open: false, read }
}

const fn open(name: &'static str, namespace: Namespace, read: Read) -> Variable {
    Variable { name, namespace, open: true, read }
}

use Namespace::{Actions, Connection, Endpoint, Keys, Models, Request, Response, Retry, Time, Vars};

pub(super) static REQUEST_HEADERS: &str = "req.headers";
pub(super) static RESPONSE_HEADERS: &str = "res.headers";

static VARIABLES: &[Variable] = &[
    scalar("conn.client_ip", Connection, read::client_ip),
    scalar("conn.client_port", Connection, read::client_port),
    scalar("conn.server_ip", Connection, read::server_ip),
    scalar("conn.server_port", Connection, read::server_port),
    scalar("conn.ts.start", Connection, read::connection_started),
    scalar("conn.tls.sni", Connection, read::tls_sni),
    scalar("conn.tls.version", Connection, read::tls_version),
    scalar("conn.tls.cipher_suite", Connection, read::tls_cipher_suite),
    scalar("conn.tls.negotiated_alpn", Connection, read::tls_alpn),
    scalar("endpoint.id", Endpoint, read::endpoint_id),
    scalar("endpoint.url", Endpoint, read::endpoint_url),
    scalar("endpoint.host", Endpoint, read::endpoint_host),
    scalar("endpoint.port", Endpoint, read::endpoint_port),
    scalar("endpoint.addr", Endpoint, read::endpoint_address),
    scalar("endpoint.protocol", Endpoint, read::endpoint_protocol),
    scalar("time.now", Time, read::now),
    open("vars", Vars, read::vars),
    open("actions.ngrok", Actions, read::actions),
    scalar("req.id", Request, read::request_id),
    scalar("req.method", Request, read::method),
    scalar("req.host", Request, read::host),
    scalar("req.version", Request, read::version),
    scalar("req.location", Request, read::request_location),
    open("req.headers", Request, read::request_headers),
    open("req.cookies", Request, read::request_cookies),
    scalar("req.content_length", Request, read::request_content_length),
    scalar("req.content_type", Request, read::request_content_type),
    scalar("req.content_type.raw", Request, read::request_content_type_raw),
    open("req.content_type.parameters", Request, read::request_content_type_parameters),
    open("req.content_encoding", Request, read::request_content_encoding),
    scalar("req.user_agent", Request, read::user_agent),
    scalar("req.user_agent.name", Request, |facts| read::of_user_agent(facts, "name")),
    scalar("req.user_agent.version", Request, |facts| read::of_user_agent(facts, "version")),
    scalar("req.user_agent.os", Request, |facts| read::of_user_agent(facts, "os")),
    scalar("req.user_agent.os_version", Request, |facts| read::of_user_agent(facts, "os_version")),
    scalar("req.user_agent.device", Request, |facts| read::of_user_agent(facts, "device")),
    scalar("req.user_agent.is_mobile", Request, |facts| read::of_user_agent(facts, "is_mobile")),
    scalar("req.user_agent.is_tablet", Request, |facts| read::of_user_agent(facts, "is_tablet")),
    scalar("req.user_agent.is_desktop", Request, |facts| read::of_user_agent(facts, "is_desktop")),
    scalar("req.user_agent.is_bot", Request, |facts| read::of_user_agent(facts, "is_bot")),
    scalar("req.user_agent.url", Request, |facts| read::of_user_agent(facts, "url")),
    scalar("req.url.authority", Request, read::url_authority),
    scalar("req.url.host", Request, read::url_host),
    scalar("req.url.path", Request, read::url_path),
    scalar("req.url.port", Request, read::url_port),
    scalar("req.url.query", Request, read::url_query),
    open("req.url.query_params", Request, read::url_query_params),
    scalar("req.url.raw", Request, read::url_raw),
    scalar("req.url.raw_path", Request, read::url_raw_path),
    scalar("req.url.scheme", Request, read::url_scheme),
    scalar("req.url.uri", Request, read::url_uri),
    scalar("req.ts.header_received", Request, read::header_received),
    scalar("req.ts.body_received", Request, read::body_received),
    scalar("res.status_code", Response, read::status_code),
    open("res.headers", Response, read::response_headers),
    open("res.cookies", Response, read::response_cookies),
    scalar("res.content_length", Response, read::response_content_length),
    scalar("res.content_type", Response, read::response_content_type),
    scalar("res.content_type.raw", Response, read::response_content_type_raw),
    open("res.content_type.parameters", Response, read::response_content_type_parameters),
    open("res.content_encoding", Response, read::response_content_encoding),
    scalar("res.location", Response, read::response_location),
    open("ai.models", Models, read::models),
    open("ai.providers", Models, read::providers),
    open("ai.authors", Models, read::authors),
    open("ai.keys", Keys, read::keys),
    scalar("attempts", Retry, read::attempts),
    open("last_attempt", Retry, read::last_attempt),
];

/// What has a name elsewhere and no data here.
static WITHOUT_DATA: &[(&str, &str)] = &[
    ("conn.geo", "there is no data here on where addresses are"),
    ("conn.client_ip.geo", "there is no data here on where addresses are"),
    ("conn.server_ip.geo", "there is no data here on where addresses are"),
    ("conn.client_ip.categories", "there is no data here on kinds of addresses"),
    ("conn.server_ip.categories", "there is no data here on kinds of addresses"),
    ("conn.client_ip.is_on_blocklist", "there is no list of blocked addresses here"),
    ("conn.server_ip.is_on_blocklist", "there is no list of blocked addresses here"),
    ("conn.client_ip.is_tor_node", "there is no list of Tor's nodes here"),
    ("conn.server_ip.is_tor_node", "there is no list of Tor's nodes here"),
    ("conn.client_ip.as", "there is no data here on whose networks addresses belong to"),
    ("conn.server_ip.as", "there is no data here on whose networks addresses belong to"),
    ("conn.server_region", "regions are not known here"),
    ("conn.bytes_in", "bytes are not counted before the connection ends"),
    ("conn.bytes_out", "bytes are not counted before the connection ends"),
    ("conn.tls.client", "certificates of clients are not asked for here"),
    ("conn.tls.server", "the certificate is not known here"),
    ("conn.tls.session_resumed", "whether a session was resumed is not known here"),
    ("conn.tls.ja4_fingerprint", "handshakes are not fingerprinted here"),
    ("req.trailers", "trailers come after policies have decided"),
    ("res.trailers", "trailers come after policies have decided"),
    ("req.url.user_password", "credentials in addresses are not taken"),
    ("req.body", "bodies are not read by expressions"),
    ("res.body", "bodies are not read by expressions"),
];

/// Whether something begins with a name, so that it is no variable of a loop.
pub(super) fn is_root(name: &str) -> bool {
    VARIABLES.iter().any(|variable| variable.name.split('.').next() == Some(name))
}

/// What a chain of names means where the expression stands.
pub(super) fn resolve(chain: &[&str], scope: Scope) -> Result<Resolved, Unknown> {
    let known = VARIABLES.iter().filter_map(|variable| Some((variable, leads(variable.name, chain)?)));
    if let Some((variable, names)) = known.max_by_key(|(_, names)| *names) {
        if !scope.knows(variable.namespace) {
            let message = format!("`{}` is not known {}", variable.name, scope.place());
            return Err(Unknown { message, suggestion: None, names });
        }
        return match chain.get(names) {
            Some(_) if !variable.open => Err(unknown(chain, scope)),
            _ => Ok(Resolved::Variable(variable, names)),
        };
    }
    let name = chain.join(".");
    let member = VARIABLES.iter().find(|variable| below(variable.name, &name).is_some());
    match member {
        Some(variable) if !scope.knows(variable.namespace) => {
            let message = format!("`{name}` is not known {}", scope.place());
            Err(Unknown { message, suggestion: None, names: chain.len() })
        }
        Some(variable) => Ok(Resolved::Group(Group(&variable.name[..name.len()]), chain.len())),
        None => Err(unknown(chain, scope)),
    }
}

fn unknown(chain: &[&str], scope: Scope) -> Unknown {
    for (name, reason) in WITHOUT_DATA {
        if let Some(names) = leads(name, chain) {
            let (name, message) = (chain[..names].join("."), reason);
            return Unknown {
                message: format!("`{name}` is not offered: {message}"),
                suggestion: None,
                names,
            };
        }
    }
    let (name, suggestion) = (chain.join("."), nearest(chain, scope));
    // A group that exists is not to blame for a member that does not.
    let grouped = (1..chain.len())
        .take_while(|names| {
            let start = chain[..*names].join(".");
            VARIABLES.iter().any(|v| v.name == start || below(v.name, &start).is_some())
        })
        .count();
    Unknown { message: format!("there is no `{name}`"), suggestion, names: (grouped + 1).min(chain.len()) }
}

/// The variable that was probably meant.
pub(super) fn nearest(chain: &[&str], scope: Scope) -> Option<String> {
    let known = VARIABLES.iter().filter(|variable| scope.knows(variable.namespace));
    suggest::nearest(&chain.join("."), known.map(|variable| variable.name))
}

/// How many names a name with dots has, if the chain begins with them.
fn leads(name: &str, chain: &[&str]) -> Option<usize> {
    let mut names = 0;
    for part in name.split('.') {
        if chain.get(names) != Some(&part) {
            return None;
        }
        names += 1;
    }
    Some(names)
}

/// What a name has behind a start and a dot.
fn below<'n>(name: &'n str, start: &str) -> Option<&'n str> {
    name.strip_prefix(start)?.strip_prefix('.')
}

impl Group {
    /// Everything in it that is known in a scope.
    pub(super) fn read(self, scope: Scope, facts: &Facts<'_>) -> Result<Value, Failure> {
        let mut map = Map::default();
        let members = VARIABLES.iter().filter(|variable| scope.knows(variable.namespace));
        for (variable, name) in members.filter_map(|v| Some((v, below(v.name, self.0)?))) {
            match name.split_once('.') {
                None => map.insert(name, (variable.read)(facts)?),
                // What is itself a string as well cannot be a map at the same time.
                Some((group, _)) if map.get(&Key::from(group)).is_none() => {
                    let group = Group(&variable.name[..self.0.len() + 1 + group.len()]);
                    map.insert(&group.0[self.0.len() + 1..], group.read(scope, facts)?);
                }
                Some(_) => {}
            }
        }
        Ok(Value::Map(map.into()))
    }
}

impl Group {
    /// The namespaces of its members, for what an expression uses.
    pub(super) fn namespaces(self) -> impl Iterator<Item = Namespace> {
        VARIABLES.iter().filter(move |v| below(v.name, self.0).is_some()).map(|variable| variable.namespace)
    }
}

/// What variables begin with in a scope.
pub(super) fn roots(scope: Scope) -> impl Iterator<Item = &'static str> {
    let known = VARIABLES.iter().filter(move |variable| scope.knows(variable.namespace));
    known.filter_map(|variable| variable.name.split('.').next())
}

/// What is missing when the facts have not what the scope promises.
pub(super) mod missing {
    use super::Failure;

    pub(in crate::expression) const REQUEST: Failure = Failure::NotKnown("req");
    pub(in crate::expression) const RESPONSE: Failure = Failure::NotKnown("res");
}
