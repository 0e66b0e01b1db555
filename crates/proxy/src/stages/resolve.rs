//! Which gateway is addressed: by the path, or by the host.

mod target;

use std::sync::Arc;

use http::header::HOST;
use http::request::Parts;
use http::{Method, Uri};
use model::AccountId;
use model::resource::Endpoint as Bound;
use providers::catalog::{self, Dialect, custom};
use providers::{Endpoint, path};

use crate::interests::{Answer, Interests};
use crate::refusal::Refusal;
use crate::snapshot::{AccountState, GatewayState, Snapshot, SnapshotHandle};
pub use target::{Address, Target, target};

/// A gateway, and how it was addressed.
#[derive(Debug, Clone)]
pub struct Place {
    /// Whose it is.
    pub account_id: AccountId,
    /// What is known of the account.
    pub account: Arc<AccountState>,
    /// The gateway.
    pub gateway: Arc<GatewayState>,
    /// The endpoint whose host addressed it; nothing if the path did.
    pub endpoint: Option<Arc<Bound>>,
    /// Whether what is unknown here is known to nobody.
    pub is_current: bool,
}

/// What stands below that which names the gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Below {
    /// The path named it: the provider, and the path at it.
    Path(String),
    /// The host named it: the whole path.
    Host(String),
}

impl Below {
    /// The text, whatever named the gateway.
    pub fn text(&self) -> &str {
        match self {
            Self::Path(text) | Self::Host(text) => text,
        }
    }
}

/// The gateway that a request addresses, and what stands below it. A path that names one goes before the
/// host, so that both kinds of clients can be sent to one address.
pub fn place(snapshot: &Snapshot, head: &Parts) -> Result<(Place, Below), Refusal> {
    let is_current = snapshot.is_current();
    let unknown = || if is_current { Refusal::UnknownGateway } else { Refusal::NotInSync };
    let path = head.uri.path();
    if let Some((account_id, slug, rest)) = named(path) {
        let account = snapshot.account(account_id).ok_or_else(unknown)?;
        let gateway = account.gateway(slug).ok_or_else(unknown)?;
        let (account, gateway) = (Arc::clone(account), Arc::clone(gateway));
        return Ok((
            Place { account_id, account, gateway, endpoint: None, is_current },
            Below::Path(rest.to_owned()),
        ));
    }
    let Some(endpoint) = host(head).and_then(|host| snapshot.endpoint(&host)) else {
        return Err(match addressed(path) {
            // The host may be one that was bound a moment ago.
            Some(_) if !is_current && snapshot.has_endpoints() => Refusal::NotInSync,
            Some((first, ..)) if OPERATIONS.contains(&first) => Refusal::UnboundHost,
            Some(_) => Refusal::UnknownGateway,
            None => Refusal::NoSuchAddress,
        });
    };
    let account = snapshot.account(endpoint.account).ok_or_else(unknown)?;
    let gateway = account.gateway_by_internal_id(endpoint.gateway).ok_or_else(unknown)?;
    let (account, gateway) = (Arc::clone(account), Arc::clone(gateway));
    let endpoint = Arc::clone(endpoint);
    let below = Below::Host(path.to_owned());
    let account_id = endpoint.account;
    Ok((Place { account_id, account, gateway, endpoint: Some(endpoint), is_current }, below))
}

/// What stands behind `/v1/` where clients mean a gateway of its own host.
const OPERATIONS: [&str; 9] =
    ["chat", "completions", "responses", "embeddings", "messages", "models", "images", "audio", "files"];

/// The same where only accounts in use are known: one that is not is asked for, and waited for.
pub async fn place_in_use(
    interests: &Interests,
    snapshot: &SnapshotHandle,
    head: &Parts,
    now_ms: u64,
) -> Result<(Place, Below), Refusal> {
    let mut found = place(&snapshot.load(), head);
    if matches!(found, Err(Refusal::UnknownGateway))
        && let Some(account) = whose(&snapshot.load(), head)
    {
        found = match interests.ask(snapshot, account).await {
            Answer::Known | Answer::Nonexistent => place(&snapshot.load(), head),
            Answer::Unanswered => Err(Refusal::NotInSync),
        };
    }
    if let Ok((place, _)) = &found {
        place.account.used(now_ms / HOUR_MS);
    }
    found
}

const HOUR_MS: u64 = 3_600_000;

/// The account that a request is meant for, known or not.
fn whose(snapshot: &Snapshot, head: &Parts) -> Option<AccountId> {
    let by_host = || Some(snapshot.endpoint(&host(head)?)?.account);
    named(head.uri.path()).map(|(account, ..)| account).or_else(by_host)
}

/// The host that a request was sent to, in lower case, without a port and without the dot that some
/// resolvers leave at its end.
fn host(head: &Parts) -> Option<String> {
    let said = || head.headers.get(HOST)?.to_str().ok();
    let authority = head.uri.authority().map(|authority| authority.as_str()).or_else(said)?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    Some(host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase())
}

/// What callers of an address speak, and read errors in.
pub fn dialect(method: &Method, uri: &Uri) -> Dialect {
    let Some((_, _, rest)) = named(uri.path()) else {
        let operation = uri.path().trim_start_matches('/').trim_start_matches("v1/");
        return Endpoint::of(method, operation).dialect().unwrap_or(Dialect::OpenAi);
    };
    let (slug, path) = rest.split_once('/').unwrap_or((rest, ""));
    // Whoever is not in the catalogue may be a gateway's own.
    let native = path::native(catalog::find(slug).unwrap_or(&custom::SPEAKS_OPENAI), path);
    Endpoint::of(method, native.operation).dialect().unwrap_or(native.dialect)
}

/// The account and the gateway that a path names, and the rest of it.
fn named(path: &str) -> Option<(AccountId, &str, &str)> {
    let (account, gateway, rest) = addressed(path)?;
    Some((account.parse().ok()?, gateway, rest))
}

/// `/v1/{account}/{gateway}/{rest}`, with the slash before the rest left out where there is none.
fn addressed(path: &str) -> Option<(&str, &str, &str)> {
    let below = path.strip_prefix("/v1/")?;
    let (account, below) = below.split_once('/')?;
    let (gateway, rest) = below.split_once('/').unwrap_or((below, ""));
    Some((account, gateway, rest.trim_start_matches('/')))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use model::Revision;
    use model::gateway::GatewaySettings;
    use model::id::GatewayInternalId;
    use model::resource::{Body, Gateway, Resource};
    use providers::path::BaseUrls;
    use uuid::Uuid;

    use super::*;
    use crate::origins::Origins;
    use crate::upstream::Connector;

    const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0xabc));

    fn snapshot() -> Snapshot {
        let id = GatewayInternalId(Uuid::from_u128(1));
        let gateway = Gateway::of(id, "demo".parse().unwrap(), &GatewaySettings::default());
        let resource = Resource { account: ACCOUNT, body: Body::Gateway(gateway) };
        Snapshot::of(Revision { timeline: Uuid::nil(), number: 1 }, vec![resource])
    }

    fn head(host: &str, path: &str) -> Parts {
        http::Request::post(path).header(HOST, host).body(()).unwrap().into_parts().0
    }

    fn rest(path: &str) -> Result<String, Refusal> {
        place(&snapshot(), &head("localhost", path)).map(|(_, below)| below.text().to_owned())
    }

    #[test]
    fn a_gateway_is_found_by_account_and_slug() {
        assert_eq!(rest(&format!("/v1/{ACCOUNT}/demo/openai/models")).unwrap(), "openai/models");
        assert_eq!(rest(&format!("/v1/{ACCOUNT}/demo//openai/models?a=b")).unwrap(), "openai/models");
        assert_eq!(rest(&format!("/v1/{ACCOUNT}/demo")).unwrap(), "");
        assert!(matches!(rest(&format!("/v1/{ACCOUNT}/other/openai")), Err(Refusal::UnknownGateway)));
        assert!(matches!(rest("/v1/abc/demo/openai"), Err(Refusal::UnknownGateway)));
        assert!(matches!(rest("/v2/abc/demo/openai"), Err(Refusal::NoSuchAddress)));
    }

    #[test]
    fn callers_are_told_in_what_they_speak() {
        let dialect = |path: &str| {
            let uri: Uri = format!("/v1/{ACCOUNT}/demo/{path}").parse().unwrap();
            super::dialect(&Method::POST, &uri)
        };
        let anthropic = [
            "anthropic/v1/messages",
            "anthropic/messages",
            "anthropic/v1/files",
            "grok/v1/messages",
            "box/v1/messages",
        ];
        assert_eq!(anthropic.map(dialect), [Dialect::Anthropic; 5]);
        let openai = ["openai/responses", "anthropic/v1/chat/completions", "compat/chat/completions", ""];
        assert_eq!(openai.map(dialect), [Dialect::OpenAi; 4]);
    }

    #[test]
    fn versions_are_inserted_and_collapsed_and_compat_takes_them_too() {
        let connections = prometheus::IntGauge::new("c", "c").unwrap();
        let connector = Connector::new(Duration::from_secs(1), connections);
        let origins = Origins::new(BaseUrls::default(), &connector).unwrap();
        let target = |method, rest: &str| {
            let head = http::Request::builder().method(method).uri("/?a=b").body(()).unwrap().into_parts().0;
            target(&origins, None, &head, &Below::Path(rest.to_owned()))
        };
        for rest in ["openai/chat/completions", "openai/v1/chat/completions", "openai/v1/v1/chat/completions"]
        {
            let found = target(Method::POST, rest).unwrap();
            assert_eq!(found.endpoint, Endpoint::ChatCompletions);
            let Address::Native { upstream, .. } = found.address else { panic!("a native address") };
            assert_eq!(upstream, "/v1/chat/completions?a=b");
        }
        for rest in
            ["compat/chat/completions", "compat/v1/chat/completions", "compat/v1//v1/chat/completions"]
        {
            let found = target(Method::POST, rest).unwrap();
            assert_eq!(
                (found.endpoint, found.path.as_str()),
                (Endpoint::ChatCompletions, "chat/completions")
            );
        }
        assert!(matches!(target(Method::GET, "compat/chat/completions"), Err(Refusal::NotCompat)));
        assert!(matches!(target(Method::POST, "openai/../x"), Err(Refusal::InvalidPath(_))));
        assert!(matches!(target(Method::POST, "nobody/x"), Err(Refusal::UnknownProvider(_))));
    }
}
