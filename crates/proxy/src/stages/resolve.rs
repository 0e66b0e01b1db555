//! Which gateway is addressed, and what is asked of it.

use std::sync::Arc;

use http::uri::PathAndQuery;
use http::{Method, Uri};
use model::AccountId;
use providers::catalog::{self, Dialect, Provider};
use providers::{Endpoint, path};

use crate::interests::{Answer, Interests};
use crate::origins::Origins;
use crate::refusal::Refusal;
use crate::snapshot::{AccountState, GatewayState, Snapshot, SnapshotHandle};

/// A gateway, and the path below it.
#[derive(Debug, Clone)]
pub struct Place {
    /// Whose it is.
    pub account_id: AccountId,
    /// What is known of the account.
    pub account: Arc<AccountState>,
    /// The gateway.
    pub gateway: Arc<GatewayState>,
    /// Whether what is unknown here is known to nobody.
    pub is_current: bool,
}

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
        provider: &'static Provider,
        /// The path and query at the provider.
        upstream: PathAndQuery,
    },
    /// In the model's name.
    Compat,
    /// The list of the models that compat serves, which we answer ourselves.
    CompatModels,
}

impl Address {
    /// The word for it in usage records.
    pub fn dialect(&self) -> &'static str {
        match self {
            Self::Native { .. } => "native",
            Self::Compat | Self::CompatModels => "compat",
        }
    }
}

/// The gateway that a path addresses, and the rest of the path.
pub fn place<'a>(snapshot: &Snapshot, uri: &'a Uri) -> Result<(Place, &'a str), Refusal> {
    let (account_id, slug, rest) = addressed(uri.path()).ok_or(Refusal::NoSuchAddress)?;
    let unknown = || if snapshot.is_current() { Refusal::UnknownGateway } else { Refusal::NotInSync };
    let account_id: AccountId = account_id.parse().map_err(|_| Refusal::UnknownGateway)?;
    let account = snapshot.account(account_id).ok_or_else(unknown)?;
    let gateway = account.gateway(slug).ok_or_else(unknown)?;
    let (account, gateway) = (Arc::clone(account), Arc::clone(gateway));
    Ok((Place { account_id, account, gateway, is_current: snapshot.is_current() }, rest))
}

/// The same where only accounts in use are known: one that is not is asked for, and waited for.
pub async fn place_in_use<'a>(
    interests: &Interests,
    snapshot: &SnapshotHandle,
    uri: &'a Uri,
    now_ms: u64,
) -> Result<(Place, &'a str), Refusal> {
    let mut found = place(&snapshot.load(), uri);
    if matches!(found, Err(Refusal::UnknownGateway))
        && let Some(account) = addressed(uri.path()).and_then(|(account, _, _)| account.parse().ok())
    {
        found = match interests.ask(snapshot, account).await {
            Answer::Known | Answer::Nonexistent => place(&snapshot.load(), uri),
            Answer::Unanswered => Err(Refusal::NotInSync),
        };
    }
    if let Ok((place, _)) = &found {
        place.account.used(now_ms / HOUR_MS);
    }
    found
}

const HOUR_MS: u64 = 3_600_000;

/// What the path below a gateway asks for.
pub fn target(
    origins: &Origins,
    method: &Method,
    rest: &str,
    query: Option<&str>,
) -> Result<Target, Refusal> {
    if rest.is_empty() {
        return Err(Refusal::Universal);
    }
    let (slug, path) = rest.split_once('/').unwrap_or((rest, ""));
    if slug == "compat" {
        return compat(method, path);
    }
    let provider = catalog::find(slug)?;
    let upstream = path::upstream(provider, origins.base(provider), path, query)?;
    let endpoint = Endpoint::of(method, path::operation(provider, path));
    Ok(Target { endpoint, path: path.to_owned(), address: Address::Native { provider, upstream } })
}

/// What callers of an address speak, and read errors in.
pub fn dialect(method: &Method, uri: &Uri) -> Dialect {
    let rest = addressed(uri.path()).map_or("", |(_, _, rest)| rest);
    let (slug, path) = rest.split_once('/').unwrap_or((rest, ""));
    catalog::find(slug).map_or(Dialect::OpenAi, |provider| {
        provider.dialect_of(Endpoint::of(method, path::operation(provider, path)))
    })
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
    use crate::upstream::Connector;

    const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0xabc));

    fn snapshot() -> Snapshot {
        let id = GatewayInternalId(Uuid::from_u128(1));
        let gateway = Gateway::of(id, "demo".parse().unwrap(), &GatewaySettings::default());
        let resource = Resource { account: ACCOUNT, body: Body::Gateway(gateway) };
        Snapshot::of(Revision { timeline: Uuid::nil(), number: 1 }, vec![resource])
    }

    fn rest(path: &str) -> Result<String, Refusal> {
        let uri: Uri = path.parse().unwrap();
        place(&snapshot(), &uri).map(|(_, rest)| rest.to_owned())
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
        let anthropic =
            ["anthropic/v1/messages", "anthropic/messages", "anthropic/v1/files", "grok/v1/messages"];
        assert_eq!(anthropic.map(dialect), [Dialect::Anthropic; 4]);
        let openai = ["openai/responses", "anthropic/v1/chat/completions", "compat/chat/completions", ""];
        assert_eq!(openai.map(dialect), [Dialect::OpenAi; 4]);
    }

    #[test]
    fn versions_are_inserted_and_collapsed_and_compat_takes_them_too() {
        let connections = prometheus::IntGauge::new("c", "c").unwrap();
        let connector = Connector::new(Duration::from_secs(1), connections);
        let origins = Origins::new(BaseUrls::default(), &connector).unwrap();
        let target = |method, rest| target(&origins, &method, rest, Some("a=b"));
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
