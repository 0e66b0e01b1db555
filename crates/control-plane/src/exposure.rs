//! Gateways that let anybody who reaches them use what was meant for some: whoever sets one up so is warned, in
//! the answer and in the log. Credits are never spent by who has no token, nor are a token's own keys.

use std::collections::HashMap;

use model::AccountId;
use model::gateway::StoredKeys;
use model::id::GatewayInternalId;
use policy::{Operator, Policy};
use serde::Serialize;
use store::StoreError;
use store::gateways::{self, Reachable};
use tracing::{error, warn};
use utoipa::ToSchema;

use crate::api::ApiState;

/// Something that its owner may not have meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct Warning {
    /// A stable word.
    code: WarningCode,
    /// For people: what is open, and how it is closed.
    pub(crate) message: String,
}

/// What a warning is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WarningCode {
    /// Anybody who reaches the gateway uses the keys that it keeps, or that its traffic policy brings.
    KeysOpen,
    /// Anybody who reaches the gateway uses servers of the operator's that ask for no key.
    ServersOpen,
}

/// What is to be said about a gateway.
pub(crate) async fn warnings(
    state: &ApiState,
    account: AccountId,
    gateway: GatewayInternalId,
) -> Result<Vec<Warning>, StoreError> {
    Ok(warnings_of_each(state, account, &[gateway]).await?.remove(&gateway).unwrap_or_default())
}

/// The same about a gateway that was just changed, which the log hears too.
pub(crate) async fn warnings_of_changed(
    state: &ApiState,
    account: AccountId,
    gateway: GatewayInternalId,
) -> Result<Vec<Warning>, StoreError> {
    let warnings = warnings(state, account, gateway).await?;
    for Warning { code: _, message } in &warnings {
        warn!(account.id = %account, gateway.id = %gateway.0, "A gateway was left open: {message}");
    }
    Ok(warnings)
}

/// What is to be said about each of these gateways; those of which nothing is are left out.
pub(crate) async fn warnings_of_each(
    state: &ApiState,
    account: AccountId,
    ids: &[GatewayInternalId],
) -> Result<HashMap<GatewayInternalId, Vec<Warning>>, StoreError> {
    let reachable = gateways::reachable(&state.store, account, ids).await?;
    if reachable.is_empty() {
        return Ok(HashMap::new());
    }
    let settings = std::sync::Arc::clone(&state.settings);
    // Policies may be long, and a page of gateways has many.
    let found = tokio::task::spawn_blocking(move || {
        let found = reachable.iter().map(|one| (one.gateway, of(one, &settings.policies)));
        found.filter(|(_, warnings)| !warnings.is_empty()).collect()
    });
    Ok(found.await.unwrap_or_else(|panicked| {
        error!("Gateways could not be looked at: {panicked}");
        HashMap::new()
    }))
}

/// What is open of a gateway that asks for no token.
fn of(reachable: &Reachable, operator: &Operator) -> Vec<Warning> {
    let Reachable { gateway: _, stored_keys, traffic_policy, kept_keys } = reachable;
    let policy = match traffic_policy.as_deref().map(|text| Policy::parse(text, operator)) {
        // A gateway whose policy cannot be read answers nobody.
        Some(Err(_)) => return Vec::new(),
        Some(Ok(policy)) if policy.keeps_callers_out() => return Vec::new(),
        Some(Ok(policy)) => Some(policy),
        None => None,
    };
    let mut warnings = Vec::new();
    let of_policy = policy.iter().flat_map(Policy::providers_with_keys);
    let mut keys: Vec<&str> = kept_keys.iter().map(String::as_str).chain(of_policy).collect();
    keys.sort_unstable();
    keys.dedup();
    if *stored_keys == StoredKeys::Open && !keys.is_empty() {
        let message = format!(
            "Anybody who reaches this gateway may use its keys for {}. Ask for a token (`authentication`), let \
             only callers with one use stored keys (`stored_keys: authenticated`), or have the traffic policy \
             keep strangers out.",
            listed(&keys)
        );
        warnings.push(Warning { code: WarningCode::KeysOpen, message });
    }
    let servers: Vec<&str> = policy.iter().flat_map(Policy::servers_without_keys).collect();
    if !servers.is_empty() {
        let message = format!(
            "Anybody who reaches this gateway may use {}, which asks for no key. Ask for a token \
             (`authentication`), or have the traffic policy keep strangers out.",
            listed(&servers)
        );
        warnings.push(Warning { code: WarningCode::ServersOpen, message });
    }
    warnings
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use model::id::GatewayInternalId;
    use uuid::Uuid;

    use super::*;

    fn told(stored_keys: StoredKeys, policy: Option<&str>, kept: &[&str]) -> Vec<WarningCode> {
        let mut operator = Operator::of([("openai", ["openai"])]);
        operator.plain_hosts = vec!["localhost:11434".to_owned()];
        let reachable = Reachable {
            gateway: GatewayInternalId(Uuid::nil()),
            stored_keys,
            traffic_policy: policy.map(str::to_owned),
            kept_keys: kept.iter().map(|&name| name.to_owned()).collect(),
        };
        of(&reachable, &operator).into_iter().map(|warning| warning.code).collect()
    }

    const WITH_KEYS: &str =
        "{type: ai-gateway, config: {providers: [{id: openai, api_keys: [{value: sk-kept}]}]}}";

    #[test]
    fn keys_that_anybody_may_use_are_warned_of() {
        use StoredKeys::{Authenticated, Open};
        let keys = [WarningCode::KeysOpen];
        assert_eq!(told(Open, None, &["openai"]), keys);
        assert_eq!(told(Open, None, &[]), []);
        assert_eq!(told(Authenticated, None, &["openai"]), []);
        let policy = |rules: &str| format!("on_http_request: [{rules}]");
        assert_eq!(told(Open, Some(&policy(WITH_KEYS)), &[]), keys);
        assert_eq!(told(Authenticated, Some(&policy(WITH_KEYS)), &[]), []);
        assert_eq!(told(Open, Some(&policy("{type: ai-gateway}")), &[]), []);
        assert_eq!(told(Open, Some(&policy("{type: ai-gateway}")), &["openai"]), keys);
        for (guard, expected) in [
            ("{type: restrict-ips, config: {allow: [10.0.0.0/8]}}", &[][..]),
            ("{expressions: [\"req.headers['x-a'][0] != 'b'\"], actions: [{type: deny}]}", &[]),
            ("{type: restrict-ips, config: {enforce: false, allow: [10.0.0.0/8]}}", &keys),
            ("{type: basic-auth, config: {enforce: false, credentials: ['someone:pass-word']}}", &keys),
            (
                "{type: rate-limit, config: {name: a, algorithm: sliding_window, capacity: 1, rate: 60s, bucket_key: [conn.client_ip]}}",
                &keys,
            ),
        ] {
            let guarded = policy(&format!("{guard}, {WITH_KEYS}"));
            assert!(Policy::parse(&guarded, &Operator::of([("openai", ["openai"])])).is_ok(), "{guarded}");
            assert_eq!(told(Open, Some(&guarded), &[]), expected, "{guard}");
        }
    }

    #[test]
    fn servers_of_the_operators_that_ask_for_no_key_are_warned_of() {
        let at = |url: &str, more: &str| {
            format!(
                "on_http_request: [{{type: ai-gateway, config: {{providers: [{{id: own, base_url: '{url}'{more}}}]}}}}]"
            )
        };
        let told = |policy: &str| told(StoredKeys::Authenticated, Some(policy), &[]);
        assert_eq!(told(&at("http://localhost:11434", "")), [WarningCode::ServersOpen]);
        assert_eq!(told(&at("http://localhost:11434", ", api_keys: [{value: a}]")), []);
        assert_eq!(told(&at("https://models.example", "")), []);
    }
}
