//! What a policy's checking must know of the installation that it is for.

use std::collections::BTreeSet;
use std::time::Duration;

/// The operator's word on what policies may name, and on what they leave open.
#[derive(Debug, Clone)]
pub struct Operator {
    /// The providers that need no `base_url`.
    pub providers: Vec<KnownProvider>,
    /// Hosts (`localhost`, or with a port `localhost:11434`) that may be called without TLS.
    pub plain_hosts: Vec<String>,
    /// Names under `.internal`, such as `ollama.internal`, and the base URLs that stand for them.
    pub internal_hosts: Vec<(String, String)>,
    /// Whether it is not known here which hosts these are, so that none is refused: where a policy is looked at
    /// before it goes to those who know.
    pub hosts_unknown: bool,
    /// The ids of IP policies that `restrict-ips` may name; where it is not known which there are, any.
    pub ip_policies: Option<BTreeSet<String>>,
    /// How long one attempt at a provider may take, unless the policy says.
    pub per_request_timeout: Duration,
    /// How long all attempts may take together, unless the policy says.
    pub total_timeout: Duration,
}

/// Knows no provider and allows nothing. The vendor documents two pairs of timeouts; these are the later ones,
/// and the better for models that think.
impl Default for Operator {
    fn default() -> Self {
        Self {
            providers: Vec::new(),
            plain_hosts: Vec::new(),
            internal_hosts: Vec::new(),
            hosts_unknown: false,
            ip_policies: Some(BTreeSet::new()),
            per_request_timeout: Duration::from_mins(3),
            total_timeout: Duration::from_mins(6),
        }
    }
}

/// A provider of the catalogue.
#[derive(Debug, Clone)]
pub struct KnownProvider {
    /// Its id.
    pub id: String,
    /// Its other names.
    pub aliases: Vec<String>,
}

impl Operator {
    /// Knows these providers, each by its id and all its names, and allows nothing.
    pub fn of<'a, Names>(providers: impl IntoIterator<Item = (&'a str, Names)>) -> Self
    where
        Names: IntoIterator<Item = &'a str>,
    {
        let known = |(id, names): (&str, Names)| KnownProvider {
            id: id.to_owned(),
            aliases: names.into_iter().map(str::to_owned).collect(),
        };
        Self { providers: providers.into_iter().map(known).collect(), ..Self::default() }
    }

    /// The same, where these hosts may be called without TLS, and these addresses stand for these names under
    /// `.internal`.
    pub fn trusting<'a>(
        self,
        plain: &[String],
        internal: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let owned = |(name, url): (&str, &str)| (name.to_owned(), url.to_owned());
        let internal_hosts = internal.into_iter().map(owned).collect();
        Self { plain_hosts: plain.to_vec(), internal_hosts, ..self }
    }

    /// The provider of the catalogue with this id or alias; case does not matter.
    pub(crate) fn provider(&self, name: &str) -> Option<&KnownProvider> {
        self.providers.iter().find(|provider| {
            std::iter::once(&provider.id)
                .chain(&provider.aliases)
                .any(|known| known.eq_ignore_ascii_case(name))
        })
    }

    /// Whether this host, or this host with this port, may be called without TLS.
    pub(crate) fn allows_plain(&self, host: &str, port: Option<u16>) -> bool {
        let with_port = port.map(|port| format!("{host}:{port}"));
        self.hosts_unknown
            || self.plain_hosts.iter().any(|allowed| {
                allowed.eq_ignore_ascii_case(host)
                    || with_port.as_ref().is_some_and(|with| allowed.eq_ignore_ascii_case(with))
            })
    }

    /// What stands for a name under `.internal`.
    pub(crate) fn internal<'a>(&'a self, host: &str, written: &'a str) -> Option<&'a str> {
        let found = self.internal_hosts.iter().find(|(name, _)| name.eq_ignore_ascii_case(host));
        found.map(|(_, base)| base.as_str()).or(self.hosts_unknown.then_some(written))
    }
}
