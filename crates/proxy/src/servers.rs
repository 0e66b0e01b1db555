//! Whom a request is sent to: a provider of the catalogue where the operator reaches it, or a server at an
//! address that a gateway's traffic policy gives.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::HeaderMap;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};
use providers::Endpoint;
use providers::catalog::custom::{self, CustomBase};
use providers::catalog::{self, Auth, Dialect, Provider, UnknownProvider};
use providers::models::Host;
use providers::path::{self, InvalidPath};

use crate::origins::Origins;
use crate::policies::Compiled;
use crate::stages::resolve::Target;
use crate::upstream::{Connector, Origin};

/// Whom a request is sent to.
#[derive(Debug, Clone)]
pub struct Server {
    /// How it is spoken to, and what it is known for. Whoever has an id of his own speaks as others do.
    pub provider: &'static Provider,
    own: Option<Arc<Own>>,
}

/// A server at an address that a policy gives. Its connections go when the policy does.
#[derive(Debug)]
struct Own {
    /// Its id, if that is not a provider's of the catalogue.
    id: Option<Box<str>>,
    base: CustomBase,
    pool: Origin,
}

static API_VERSION: HeaderName = HeaderName::from_static("api-version");

impl Server {
    /// A provider of the catalogue, where the operator reaches it.
    pub fn of(provider: &'static Provider) -> Self {
        Self { provider, own: None }
    }

    /// Whoever is found at the address that a policy gives.
    pub fn at(base: CustomBase, host: Host<'_>, connector: Connector) -> Result<Self, http::Error> {
        let pool = Origin::new(&base.base, connector)?;
        let id = host.built_in.is_none().then(|| host.id().into());
        let provider = host.built_in.unwrap_or_else(|| match host.speaks(Dialect::OpenAi) {
            true => &custom::SPEAKS_OPENAI,
            false => &custom::SPEAKS_ANTHROPIC,
        });
        Ok(Self { provider, own: Some(Arc::new(Own { id, base, pool })) })
    }

    /// What records, limits and prices call it.
    pub fn slug(&self) -> &str {
        self.own_id().unwrap_or(self.provider.slug)
    }

    /// What policies call it.
    pub fn id(&self) -> &str {
        self.own_id().unwrap_or(self.provider.id)
    }

    fn own_id(&self) -> Option<&str> {
        self.own.as_ref()?.id.as_deref()
    }

    /// Its slug, to be told when the request is over.
    pub fn name(&self) -> Cow<'static, str> {
        self.own_id().map_or(Cow::Borrowed(self.provider.slug), |id| Cow::Owned(id.to_owned()))
    }

    /// Whether both are one.
    pub fn is(&self, other: &Self) -> bool {
        match (&self.own, &other.own) {
            (None, None) => self.provider.slug == other.provider.slug,
            (Some(own), Some(others)) => Arc::ptr_eq(own, others),
            _ => false,
        }
    }

    /// Whether it is where the operator reaches it. Nobody else is paid from credits.
    pub fn is_operators(&self) -> bool {
        self.own.is_none()
    }

    /// Whether keys that are kept under its name are meant for it. Those for a provider of the catalogue are
    /// shown to nobody else, whatever address a policy gives; but providers have several of their own.
    pub fn may_have_kept_keys(&self) -> bool {
        let is_at = |own: &Arc<Own>| own.id.is_some() || own.base.is_at(self.provider);
        self.own.as_ref().is_none_or(is_at)
    }

    /// Whether a usage chunk that nobody asked for may be asked for. Who is not known may not understand it.
    pub fn allows_splices(&self) -> bool {
        let is_known = |own: &Arc<Own>| own.id.is_none() && !own.base.is_azure();
        self.provider.allows_splices && self.own.as_ref().is_none_or(is_known)
    }

    /// Whether it is OpenAI's service as Azure runs it.
    pub fn is_azure(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.base.is_azure())
    }

    /// What is spoken in an operation.
    pub fn dialect_of(&self, endpoint: Endpoint) -> Dialect {
        self.provider.dialect_of(endpoint)
    }

    /// How a credential is presented for an operation.
    pub fn auth_for(&self, endpoint: Endpoint) -> Auth {
        match &self.own {
            Some(own) if own.id.is_some() => self.dialect_of(endpoint).usual_auth(),
            _ => self.provider.auth_for(endpoint),
        }
    }

    /// How it is presented besides.
    pub fn second_auth_for(&self, endpoint: Endpoint) -> Option<Auth> {
        self.own.as_ref()?.base.second_auth(self.dialect_of(endpoint))
    }

    /// The path and query for a path that names the provider, below it.
    pub fn native_path(
        &self,
        origins: &Origins,
        path: &str,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<PathAndQuery, InvalidPath> {
        match &self.own {
            None => path::upstream(self.provider, origins.base(self.provider), path, query),
            Some(own) => own.base.upstream(path::operation(self.provider, path), query, version(headers)),
        }
    }

    /// The path and query for what is asked of whoever serves it.
    pub fn open_path(
        &self,
        origins: &Origins,
        target: &Target,
        query: Option<&str>,
        headers: &HeaderMap,
    ) -> Result<PathAndQuery, InvalidPath> {
        match &self.own {
            None => path::below(&origins.base_for(self.provider, target), &target.path, query),
            Some(own) => own.base.upstream(&target.path, query, version(headers)),
        }
    }

    /// The connections to it.
    pub fn pool<'a>(&'a self, origins: &'a Origins) -> &'a Origin {
        self.own.as_ref().map_or_else(|| origins.pool(self.provider), |own| &own.pool)
    }
}

fn version(headers: &HeaderMap) -> Option<&HeaderValue> {
    headers.get(&API_VERSION)
}

/// Who is meant by a segment of a path: as the gateway's policy has it, or the catalogue.
pub fn named(policy: Option<&Compiled>, name: &str) -> Result<Server, UnknownProvider> {
    let own = policy.and_then(|policy| policy.server(policy.selection.host(name)?));
    match own.filter(|server| !server.is_operators()) {
        Some(server) => Ok(server),
        None => catalog::find(name).map(Server::of),
    }
}

/// Who is found under a name that a gateway's policy, or the catalogue, gives.
pub fn of(policy: Option<&Compiled>, host: Host<'_>) -> Option<Server> {
    match policy {
        Some(policy) => policy.server(host),
        None => host.built_in.map(Server::of),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;
    use providers::models::ConfiguredProvider;
    use providers::path::BaseUrls;

    use super::*;
    use crate::stages::resolve::Address;

    fn server(id: &str, base_url: &str, connector: &Connector) -> Server {
        let base = CustomBase::parse(base_url).unwrap();
        let configured = ConfiguredProvider { id: id.to_owned(), ..ConfiguredProvider::default() };
        let host = Host { built_in: configured.built_in(), configured: Some((0, &configured)) };
        Server::at(base, host, connector.clone()).unwrap()
    }

    #[test]
    fn a_deployment_of_azures_gets_its_version_and_its_key_as_it_wants_them() {
        let connections = prometheus::IntGauge::new("c", "c").unwrap();
        let connector = Connector::new(Duration::from_secs(1), connections);
        let origins = Origins::new(BaseUrls::default(), &connector).unwrap();
        let at = "https://mine.openai.azure.com/openai/deployments/gpt-4o";
        let headers = HeaderMap::from_iter([(API_VERSION.clone(), HeaderValue::from_static("2024-10-21"))]);
        let (path, chat) = ("chat/completions", Endpoint::ChatCompletions);
        for id in ["azure", "openai"] {
            let azure = server(id, at, &connector);
            let expected = "/openai/deployments/gpt-4o/chat/completions?api-version=2024-10-21";
            assert_eq!(azure.native_path(&origins, path, None, &headers).unwrap(), expected);
            let target = Target { endpoint: chat, path: path.to_owned(), address: Address::Open };
            assert_eq!(azure.open_path(&origins, &target, None, &headers).unwrap(), expected);
            assert_eq!(
                (azure.auth_for(chat), azure.second_auth_for(chat)),
                (Auth::Bearer, Some(Auth::ApiKey))
            );
            assert_eq!((azure.slug(), azure.id(), azure.is_operators()), (id, id, false));
            assert!(!azure.allows_splices());
            // What is kept for OpenAI is nothing for Azure.
            assert_eq!(azure.may_have_kept_keys(), id == "azure");
        }
        let at_home = server("openai", "https://eu.api.openai.com", &connector);
        assert!(at_home.may_have_kept_keys() && at_home.allows_splices() && !at_home.is_operators());
        assert_eq!(Endpoint::of(&Method::POST, path), chat);
    }
}
