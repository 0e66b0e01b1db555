//! What is asked of a gateway.

use http::Method;
use http::request::Parts;
use http::uri::PathAndQuery;
use providers::{Endpoint, path};

use super::Below;
use crate::origins::Origins;
use crate::policies::Compiled;
use crate::refusal::Refusal;
use crate::servers::{self, Server};

/// What is asked of a gateway.
#[derive(Debug, Clone)]
pub struct Target {
    /// The operation.
    pub endpoint: Endpoint,
    /// The path below the provider, as the caller wrote it.
    pub path: String,
    /// How the provider is named.
    pub address: Address,
}

/// How a caller names the provider.
#[derive(Debug, Clone)]
pub enum Address {
    /// In the path, which goes on in the provider's own words.
    Native {
        /// The provider.
        server: Server,
        /// The path and query at the provider.
        upstream: PathAndQuery,
    },
    /// In the model's name.
    Compat,
    /// The list of the models that compat serves, which we answer ourselves.
    CompatModels,
    /// Not at all: what is asked decides, and the gateway.
    Open,
    /// The models that can be asked so, or the one of this name; we answer that ourselves.
    Models(Option<String>),
}

impl Address {
    /// The word for it in usage records.
    pub fn dialect(&self) -> &'static str {
        match self {
            Self::Native { .. } => "native",
            Self::Compat | Self::CompatModels => "compat",
            Self::Open | Self::Models(_) => "host",
        }
    }
}

/// What is asked of a gateway below that which names it.
pub fn target(
    origins: &Origins,
    policy: Option<&Compiled>,
    head: &Parts,
    below: &Below,
) -> Result<Target, Refusal> {
    let method = &head.method;
    let rest = match below {
        Below::Path(rest) => rest,
        Below::Host(path) => return open(method, path),
    };
    if rest.is_empty() {
        return Err(Refusal::Universal);
    }
    let (slug, path) = rest.split_once('/').unwrap_or((rest, ""));
    if slug == "compat" {
        return compat(method, path);
    }
    let server = servers::named(policy, slug)?;
    let upstream = server.native_path(origins, path, head.uri.query(), &head.headers)?;
    let endpoint = Endpoint::of(method, path::operation(server.provider, path));
    Ok(Target { endpoint, path: path.to_owned(), address: Address::Native { server, upstream } })
}

/// `/v1/chat/completions` and its like. The version may be doubled, as clients do that are given an address
/// with it and add it again.
fn open(method: &Method, path: &str) -> Result<Target, Refusal> {
    let mut below = path.trim_start_matches('/');
    let mut is_versioned = false;
    while let Some(rest) = below.strip_prefix("v1/") {
        (below, is_versioned) = (rest.trim_start_matches('/'), true);
    }
    if !is_versioned || below.is_empty() {
        return Err(Refusal::NoSuchAddress);
    }
    let reads = [Method::GET, Method::HEAD].contains(method);
    let address = match below.trim_end_matches('/') {
        "models" if reads => Address::Models(None),
        one => match one.strip_prefix("models/") {
            Some(model) if reads => Address::Models(Some(model.to_owned())),
            _ => Address::Open,
        },
    };
    Ok(Target { endpoint: Endpoint::of(method, below), path: below.to_owned(), address })
}

fn compat(method: &Method, path: &str) -> Result<Target, Refusal> {
    let mut operation = path.trim_matches('/');
    while let Some(shorter) = operation.strip_prefix("v1/") {
        operation = shorter.trim_start_matches('/');
    }
    let endpoint = Endpoint::of(method, operation);
    let address = match endpoint {
        Endpoint::ChatCompletions | Endpoint::Embeddings => Address::Compat,
        Endpoint::Models if operation == "models" && [Method::GET, Method::HEAD].contains(method) => {
            Address::CompatModels
        }
        _ => return Err(Refusal::NotCompat),
    };
    Ok(Target { endpoint, path: operation.to_owned(), address })
}
