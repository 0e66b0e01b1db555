//! Where each provider is: its base URL, and the connections to it.

use std::collections::HashMap;

use providers::catalog::{self, Provider};
use providers::path::{Base, BaseUrls};

use crate::stages::resolve::Target;
use crate::upstream::{Connector, Origin};

/// The addresses of all providers, and a pool of connections for each.
#[derive(Debug)]
pub struct Origins {
    base_urls: BaseUrls,
    pools: HashMap<&'static str, Origin>,
}

impl Origins {
    /// Pools for the providers at these addresses; none is connected to yet.
    pub fn new(base_urls: BaseUrls, connector: &Connector) -> Result<Self, http::Error> {
        let pools = catalog::all()
            .iter()
            .map(|provider| Ok((provider.slug, Origin::new(base_urls.of(provider), connector.clone())?)))
            .collect::<Result<_, http::Error>>()?;
        Ok(Self { base_urls, pools })
    }

    /// Where a provider is reached.
    pub fn base(&self, provider: &Provider) -> &Base {
        self.base_urls.of(provider)
    }

    /// Where it is reached for what is asked, which it may offer in another place than the rest.
    pub fn base_for(&self, provider: &Provider, target: &Target) -> Base {
        let dialect = target.endpoint.dialect().unwrap_or(provider.dialect);
        match provider.format(dialect, &target.path) {
            Some(format) => self.base_urls.of_format(provider, format),
            None => self.base(provider).clone(),
        }
    }

    /// The connections to a provider.
    pub fn pool(&self, provider: &Provider) -> &Origin {
        &self.pools[provider.slug]
    }
}
