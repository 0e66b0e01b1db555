//! A gateway's traffic policy, compiled once for as long as its text is the same.

mod selection;

use std::fmt;
use std::sync::{Arc, OnceLock};

use egress::{Egress, EgressConfig, TrustedHosts};
use policy::actions::ai_gateway::Provider;
use policy::{Operator, Phase, Policy, Problems};
use providers::catalog;
use providers::models::{ConfiguredProvider, Host, InvalidSelection, Selection};
use tracing::error;

use crate::servers::Server;
use crate::strategies::Strategies;
use crate::upstream::Connector;

/// A policy, ready to be obeyed.
#[derive(Debug)]
pub struct Compiled {
    /// Its rules.
    pub policy: Arc<Policy>,
    /// Whom and what its `ai-gateway` action lets callers choose from; the whole catalogue if it has none.
    pub selection: Selection,
    /// Whether answers are to be shown to it.
    pub looks_at_answers: bool,
    /// How it chooses among models and keys.
    pub strategies: Strategies,
    /// By their places in the policy, those whose address it gives.
    servers: Vec<Option<Server>>,
}

/// Why a policy cannot be obeyed.
#[derive(Debug)]
pub enum Unusable {
    /// It has mistakes.
    Problems(Problems),
    /// It names providers or models twice.
    Selection(InvalidSelection),
    /// The address of a provider cannot stand in a request.
    Address,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problems(problems) => write!(f, "the traffic policy has mistakes: {problems}"),
            Self::Selection(invalid) => write!(f, "the traffic policy cannot be used: {invalid}"),
            Self::Address => write!(f, "the traffic policy has an address that cannot be called"),
        }
    }
}

impl Unusable {
    /// What is wrong, without a word of the policy's.
    fn kind(&self) -> &'static str {
        match self {
            Self::Problems(_) => "it has mistakes",
            Self::Selection(_) => "its providers or models contradict each other",
            Self::Address => "one of its addresses cannot be called",
        }
    }
}

impl Compiled {
    /// Compiles a policy's text.
    pub fn new(text: &str, compiler: &Compiler) -> Result<Self, Unusable> {
        let policy = Policy::parse(text, &compiler.operator).map_err(Unusable::Problems)?;
        let selection = selection::of(policy.ai_gateway()).map_err(Unusable::Selection)?;
        let looks_at_answers = !policy.rules(Phase::Response).is_empty() || policy.reads_messages();
        let servers = compiler.servers(&policy, &selection).map_err(|_| Unusable::Address)?;
        let strategies = Strategies::of(policy.ai_gateway());
        Ok(Self { policy: Arc::new(policy), selection, looks_at_answers, strategies, servers })
    }

    /// Whether it names servers of its own.
    pub fn has_servers(&self) -> bool {
        self.servers.iter().any(Option::is_some)
    }

    /// A policy under which nobody is asked, to show how it chooses.
    pub fn to_show(policy: Arc<Policy>) -> Result<Self, Unusable> {
        let selection = selection::of(policy.ai_gateway()).map_err(Unusable::Selection)?;
        let strategies = Strategies::of(policy.ai_gateway());
        Ok(Self { policy, selection, looks_at_answers: false, strategies, servers: Vec::new() })
    }

    /// Whoever is asked for what a provider of the policy's, or of the catalogue, serves.
    pub fn server(&self, host: Host<'_>) -> Option<Server> {
        let own = host.configured.and_then(|(place, _)| self.servers.get(place)?.clone());
        own.or_else(|| host.built_in.map(Server::of))
    }
}

/// What policies are compiled with: what they may name, and how servers are reached at addresses of theirs.
#[derive(Debug)]
pub struct Compiler {
    operator: Operator,
    /// To wherever the operator lets them.
    connector: Connector,
    /// To wherever anybody may go.
    egress: Egress,
}

impl Compiler {
    /// Policies may name the providers of the catalogue, hosts that the operator trusts, and whoever may be
    /// reached by anybody.
    pub fn new(trusted: &TrustedHosts, egress: &EgressConfig, connector: &Connector) -> Self {
        let known = catalog::all().iter().map(|provider| (provider.id, provider.names()));
        let internal = trusted.internal.iter().map(|host| (&*host.name, &*host.url));
        let operator = Operator::of(known).trusting(&trusted.plain, internal);
        Self { operator, connector: connector.clone(), egress: Egress::new(egress) }
    }

    fn servers(&self, policy: &Policy, selection: &Selection) -> Result<Vec<Option<Server>>, http::Error> {
        let said = policy.ai_gateway().map_or(&[][..], |gateway| &gateway.providers);
        let guarded = self.connector.guarded(self.egress.clone());
        let server = |(place, (configured, said)): (usize, (&ConfiguredProvider, &Provider))| {
            let (Some(base), Some(url)) = (&configured.base, &said.base_url) else { return Ok(None) };
            let host = Host { built_in: configured.built_in(), configured: Some((place, configured)) };
            let connector = if url.is_operators { &self.connector } else { &guarded };
            Server::at(base.clone(), host, connector.clone()).map(Some)
        };
        selection.providers().iter().zip(said).enumerate().map(server).collect()
    }
}

/// A gateway's policy, compiled when the first request asks for it.
#[derive(Debug)]
pub struct LivePolicy {
    text: Arc<str>,
    compiled: OnceLock<Result<Arc<Compiled>, Unusable>>,
}

impl LivePolicy {
    /// A policy with this text; the present one, if its text is the same.
    pub fn of(text: Option<&Arc<str>>, present: Option<Arc<Self>>) -> Option<Arc<Self>> {
        let text = text?;
        let same = present.filter(|present| *present.text == **text);
        Some(same.unwrap_or_else(|| Arc::new(Self { text: Arc::clone(text), compiled: OnceLock::new() })))
    }

    /// The policy. One that cannot be obeyed is logged once; what stands in it is not.
    pub fn compiled(&self, compiler: &Compiler) -> Result<&Arc<Compiled>, &Unusable> {
        let compile = || {
            let compiled = Compiled::new(&self.text, compiler).map(Arc::new);
            if let Err(unusable) = &compiled {
                error!(
                    "A traffic policy cannot be obeyed, so its gateway answers nothing: {}",
                    unusable.kind()
                );
            }
            compiled
        };
        self.compiled.get_or_init(compile).as_ref()
    }
}
