//! What a proxy knows of one account, or of the installation itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use model::id::{
    ApiTokenId, BoundKeyId, GatewayInternalId, GatewayTokenId, OperatorKeyId, PriceRuleId, ProviderKeyId,
};
use model::provider_key::DEFAULT_ALIAS;
use model::resource::{
    ApiToken, Body, BoundKey, Gateway, GatewayToken, OperatorKey, PriceRule, ProviderKey, Resource,
    ResourceId, VaultSecret,
};
use model::terms::{AccountTerms, Terms};
use model::{AccountId, GatewayId};
use providers::prices::{Catalogue, Rules};
use tokio_util::sync::CancellationToken;

use super::data_keys::DataKeys;
use super::secrets::Secrets;
use crate::limits::{Plan, Rule};
use crate::own_prices::OwnPrices;
use crate::policies::LivePolicy;

/// One account: its gateways by slug, its tokens by id.
#[derive(Debug, Clone, Default)]
pub struct AccountState {
    data_keys: Option<Arc<DataKeys>>,
    terms: AccountTerms,
    gateways: HashMap<GatewayInternalId, LiveGateway>,
    provider_keys: HashMap<ProviderKeyId, Arc<ProviderKey>>,
    gateway_tokens: HashMap<GatewayTokenId, Arc<LiveToken<GatewayToken>>>,
    api_tokens: HashMap<ApiTokenId, Arc<LiveToken<ApiToken>>>,
    /// Provider keys of single tokens; the newest has the highest id.
    bound_keys: BTreeMap<BoundKeyId, Arc<BoundKey>>,
    bound_by_token: HashMap<GatewayTokenId, Vec<Arc<BoundKey>>>,
    secrets: Secrets,
    price_rules: BTreeMap<PriceRuleId, Arc<PriceRule>>,
    own_prices: OwnPrices,
    spending_rule: OnceLock<Option<Arc<Rule>>>,
    /// The operator's, which only the installation has.
    operator_keys: HashMap<OperatorKeyId, Arc<OperatorKey>>,
    operator_terms: Option<Terms>,
    /// The operator's keys by provider, in the order in which they are used.
    keys_by_provider: HashMap<String, Vec<Arc<OperatorKey>>>,
    by_slug: HashMap<GatewayId, Arc<GatewayState>>,
    by_internal_id: HashMap<GatewayInternalId, Arc<GatewayState>>,
    /// In hours since 1970; zero before anybody looked. Shared with the account's later states.
    last_used: Arc<AtomicU64>,
}

/// A gateway with its stored keys.
#[derive(Debug)]
pub struct GatewayState {
    /// The settings to obey.
    pub gateway: Gateway,
    /// Cancelled when the gateway is deleted.
    pub deleted: CancellationToken,
    /// What its requests count in.
    pub limits: Plan,
    /// Its traffic policy, if it has one.
    pub policy: Option<Arc<LivePolicy>>,
    provider_keys: HashMap<String, Vec<Arc<ProviderKey>>>,
}

/// A token and the news of its end.
#[derive(Debug)]
pub struct LiveToken<T> {
    /// What the token says.
    pub token: T,
    /// Cancelled when the token is revoked or changed, or what it belongs to is deleted.
    pub revoked: CancellationToken,
}

#[derive(Debug, Clone)]
struct LiveGateway {
    gateway: Gateway,
    deleted: CancellationToken,
    policy: Option<Arc<LivePolicy>>,
}

impl GatewayState {
    /// The stored key for a provider that has this alias. If a request names none, the default one, or
    /// else the one that is called so.
    pub fn provider_key(&self, provider: &str, alias: Option<&str>) -> Option<&Arc<ProviderKey>> {
        let keys = self.provider_keys.get(provider)?;
        match alias {
            Some(alias) => keys.iter().find(|key| key.alias == alias),
            None => keys
                .iter()
                .find(|key| key.is_default)
                .or_else(|| keys.iter().find(|key| key.alias == DEFAULT_ALIAS)),
        }
    }

    /// The aliases of a provider's stored keys.
    pub fn aliases(&self, provider: &str) -> impl Iterator<Item = &str> {
        self.provider_keys.get(provider).into_iter().flatten().map(|key| key.alias.as_str())
    }
}

impl AccountState {
    /// The sealed data keys, unless their resource was refused.
    pub fn data_keys(&self) -> Option<&DataKeys> {
        self.data_keys.as_deref()
    }

    /// On what terms it buys and spends credits.
    pub fn terms(&self) -> &AccountTerms {
        &self.terms
    }

    /// What it says about prices, the oldest first.
    pub fn price_rules(&self) -> impl Iterator<Item = &Arc<PriceRule>> {
        self.price_rules.values()
    }

    /// The price list under its price rules, which only the installation's are meant for; `None` if it has
    /// none.
    pub fn catalogue(&self) -> Option<&Arc<Catalogue>> {
        self.own_prices.catalogue(self.price_rules())
    }

    /// What it says about prices, in order; `None` if it says nothing.
    pub fn own_rules(&self) -> Option<&Arc<Rules>> {
        self.own_prices.rules(self.price_rules())
    }

    /// The bound on what all of its gateways may spend; `id` is its own.
    pub fn spending_rule(&self, id: AccountId) -> Option<&Arc<Rule>> {
        let rule = || Some(Arc::new(Rule::of_account(id, self.terms.spending_limit.as_ref()?)));
        self.spending_rule.get_or_init(rule).as_ref()
    }

    /// The operator's keys at a provider, in the order in which they are used.
    pub(super) fn operator_keys(&self, provider: &str) -> &[Arc<OperatorKey>] {
        self.keys_by_provider.get(provider).map_or(&[], Vec::as_slice)
    }

    pub(super) fn operator_terms(&self) -> Option<&Terms> {
        self.operator_terms.as_ref()
    }

    /// The gateway that callers call `slug`.
    pub fn gateway(&self, slug: &str) -> Option<&Arc<GatewayState>> {
        self.by_slug.get(slug)
    }

    /// The gateway for good.
    pub fn gateway_by_internal_id(&self, id: GatewayInternalId) -> Option<&Arc<GatewayState>> {
        self.by_internal_id.get(&id)
    }

    /// The provider keys that belong to a gateway token, the newest first.
    pub fn bound_keys(&self, token: GatewayTokenId, provider: &str) -> impl Iterator<Item = &Arc<BoundKey>> {
        let keys = self.bound_by_token.get(&token).into_iter().flatten();
        keys.filter(move |key| key.provider == provider)
    }

    /// The secret of this name in the vault of that one.
    pub fn secret(&self, vault: &str, name: &str) -> Option<&Arc<VaultSecret>> {
        self.secrets.named(vault, name)
    }

    /// The secret of this name in the vault `default`, or else the only one of this name.
    pub fn lone_secret(&self, name: &str) -> Option<&Arc<VaultSecret>> {
        self.secrets.lone(name)
    }

    /// The gateway token with this id; whether it works for the gateway asked for, and still, is
    /// for the caller to see.
    pub fn gateway_token(&self, id: GatewayTokenId) -> Option<&Arc<LiveToken<GatewayToken>>> {
        self.gateway_tokens.get(&id)
    }

    /// The management token with this id, if it may run requests.
    pub fn api_token(&self, id: ApiTokenId) -> Option<&Arc<LiveToken<ApiToken>>> {
        self.api_tokens.get(&id)
    }

    /// Notes that a request came for this account, at an hour since 1970.
    pub fn used(&self, hour: u64) {
        // Mostly it is noted already, and a write would take the cache line from the other cores.
        if self.last_used.load(Ordering::Relaxed) != hour {
            self.last_used.store(hour, Ordering::Relaxed);
        }
    }

    /// Whether nobody used this account for a day. For one that was just learned the day begins with
    /// this question.
    pub(crate) fn is_idle(&self, hour: u64) -> bool {
        const DAY: u64 = 24;
        match self.last_used.compare_exchange(0, hour, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => false,
            Err(last) => hour.saturating_sub(last) > DAY,
        }
    }

    /// The account after these changes; removals come first.
    pub(super) fn changed(mut self, removed: Vec<ResourceId>, upserted: Vec<Body>) -> Self {
        let has_new_secrets = removed.iter().any(|id| matches!(id, ResourceId::VaultSecret(_)))
            || upserted.iter().any(|body| matches!(body, Body::VaultSecret(_)));
        for id in removed {
            self.remove(id);
        }
        for body in upserted {
            self.upsert(body);
        }
        self.own_prices = OwnPrices::default();
        self.spending_rule = OnceLock::new();
        if has_new_secrets {
            self.secrets.index();
        }
        self.bound_by_token = self.indexed_by_token();
        self.by_slug = self.indexed_by_slug();
        let by_internal_id =
            self.by_slug.values().map(|state| (state.gateway.internal_id, Arc::clone(state)));
        self.by_internal_id = by_internal_id.collect();
        self.keys_by_provider = self.indexed_by_provider();
        self
    }

    pub(super) fn is_empty(&self) -> bool {
        self.data_keys.is_none()
            && self.gateways.is_empty()
            && self.provider_keys.is_empty()
            && self.gateway_tokens.is_empty()
            && self.api_tokens.is_empty()
            && self.bound_keys.is_empty()
            && self.secrets.is_empty()
            && self.price_rules.is_empty()
            && self.operator_keys.is_empty()
            && self.operator_terms.is_none()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = ResourceId> {
        let account = self.data_keys.iter().map(|_| ResourceId::Account);
        account
            .chain(self.gateways.keys().copied().map(ResourceId::Gateway))
            .chain(self.gateway_tokens.keys().copied().map(ResourceId::GatewayToken))
            .chain(self.api_tokens.keys().copied().map(ResourceId::ApiToken))
            .chain(self.provider_keys.keys().copied().map(ResourceId::ProviderKey))
            .chain(self.bound_keys.keys().copied().map(ResourceId::BoundKey))
            .chain(self.secrets.all().map(|secret| ResourceId::VaultSecret(secret.id)))
            .chain(self.price_rules.keys().copied().map(ResourceId::PriceRule))
            .chain(self.operator_keys.keys().copied().map(ResourceId::OperatorKey))
            .chain(self.operator_terms.iter().map(|_| ResourceId::Terms))
    }

    pub(super) fn resources(&self, account: AccountId) -> impl Iterator<Item = Resource> {
        let data_keys = self.data_keys.iter().map(|keys| {
            let (credentials_key, contents_key) = (keys.credentials.clone(), keys.contents.clone());
            Body::Account { credentials_key, contents_key, terms: self.terms }
        });
        data_keys
            .chain(self.gateways.values().map(|live| Body::Gateway(live.gateway.clone())))
            .chain(self.gateway_tokens.values().map(|live| Body::GatewayToken(live.token.clone())))
            .chain(self.api_tokens.values().map(|live| Body::ApiToken(live.token.clone())))
            .chain(self.provider_keys.values().map(|key| Body::ProviderKey(ProviderKey::clone(key))))
            .chain(self.bound_keys.values().map(|key| Body::BoundKey(BoundKey::clone(key))))
            .chain(self.secrets.all().map(|secret| Body::VaultSecret(VaultSecret::clone(secret))))
            .chain(self.price_rules.values().map(|rule| Body::PriceRule(Box::new(PriceRule::clone(rule)))))
            .chain(self.operator_keys.values().map(|key| Body::OperatorKey(OperatorKey::clone(key))))
            .chain(self.operator_terms.iter().map(|terms| Body::Terms(*terms)))
            .map(move |body| Resource { account, body })
    }

    fn remove(&mut self, id: ResourceId) {
        match id {
            ResourceId::Account => {
                self.gateways.values().for_each(|live| live.deleted.cancel());
                self.gateway_tokens.values().for_each(|live| live.revoked.cancel());
                self.api_tokens.values().for_each(|live| live.revoked.cancel());
                *self = Self::default();
            }
            // What belongs to a gateway goes with it, whether or not its removal is told too.
            ResourceId::Gateway(id) => {
                if let Some(live) = self.gateways.remove(&id) {
                    live.deleted.cancel();
                }
                self.provider_keys.retain(|_, key| key.gateway != id);
                self.gateway_tokens.retain(|_, live| {
                    let stays = live.token.gateway != id;
                    if !stays {
                        live.revoked.cancel();
                    }
                    stays
                });
                self.bound_keys.retain(|_, key| self.gateway_tokens.contains_key(&key.gateway_token));
            }
            ResourceId::GatewayToken(id) => {
                revoke(self.gateway_tokens.remove(&id));
                self.bound_keys.retain(|_, key| key.gateway_token != id);
            }
            ResourceId::BoundKey(id) => {
                self.bound_keys.remove(&id);
            }
            ResourceId::VaultSecret(id) => self.secrets.remove(id),
            // The snapshot has the hosts of all accounts in one place.
            ResourceId::Endpoint(_) => {}
            ResourceId::ApiToken(id) => revoke(self.api_tokens.remove(&id)),
            ResourceId::ProviderKey(id) => {
                self.provider_keys.remove(&id);
            }
            ResourceId::OperatorKey(id) => {
                self.operator_keys.remove(&id);
            }
            ResourceId::Terms => self.operator_terms = None,
            ResourceId::PriceRule(id) => {
                self.price_rules.remove(&id);
            }
        }
    }

    fn upsert(&mut self, body: Body) {
        match body {
            Body::Account { credentials_key, contents_key, terms } => {
                self.data_keys = Some(Arc::new(DataKeys::new(credentials_key, contents_key)));
                self.terms = terms;
            }
            Body::Gateway(gateway) => {
                let known = self.gateways.remove(&gateway.internal_id);
                let (deleted, policy) = known.map(|live| (live.deleted, live.policy)).unwrap_or_default();
                let policy = LivePolicy::of(gateway.traffic_policy.as_ref(), policy);
                self.gateways.insert(gateway.internal_id, LiveGateway { gateway, deleted, policy });
            }
            Body::GatewayToken(token) => self.upsert_gateway_token(token),
            Body::ApiToken(token) => upsert_token(&mut self.api_tokens, token.id, token),
            Body::ProviderKey(key) => {
                self.provider_keys.insert(key.id, Arc::new(key));
            }
            Body::OperatorKey(key) => {
                self.operator_keys.insert(key.id, Arc::new(key));
            }
            Body::Terms(terms) => self.operator_terms = Some(terms),
            Body::PriceRule(rule) => {
                self.price_rules.insert(rule.id, Arc::from(rule));
            }
            Body::BoundKey(key) => {
                self.bound_keys.insert(key.id, Arc::new(key));
            }
            Body::VaultSecret(secret) => self.secrets.upsert(secret),
            Body::Endpoint(_) => {}
        }
    }

    /// A token with another budget is the same token: what it opened stays open.
    fn upsert_gateway_token(&mut self, token: GatewayToken) {
        if let Some(known) = self.gateway_tokens.get(&token.id)
            && known.token.budget != token.budget
            && known.token == (GatewayToken { budget: known.token.budget, ..token.clone() })
        {
            let live = LiveToken { token, revoked: known.revoked.clone() };
            self.gateway_tokens.insert(live.token.id, Arc::new(live));
            return;
        }
        upsert_token(&mut self.gateway_tokens, token.id, token);
    }

    fn indexed_by_provider(&self) -> HashMap<String, Vec<Arc<OperatorKey>>> {
        let mut keys: Vec<&Arc<OperatorKey>> = self.operator_keys.values().collect();
        keys.sort_unstable_by_key(|key| (key.priority, key.id));
        let mut by_provider: HashMap<String, Vec<Arc<OperatorKey>>> = HashMap::new();
        for key in keys {
            by_provider.entry(key.provider.clone()).or_default().push(Arc::clone(key));
        }
        by_provider
    }

    fn indexed_by_token(&self) -> HashMap<GatewayTokenId, Vec<Arc<BoundKey>>> {
        let mut by_token: HashMap<GatewayTokenId, Vec<Arc<BoundKey>>> = HashMap::new();
        for key in self.bound_keys.values().rev() {
            by_token.entry(key.gateway_token).or_default().push(Arc::clone(key));
        }
        by_token
    }

    fn indexed_by_slug(&self) -> HashMap<GatewayId, Arc<GatewayState>> {
        let mut keys: HashMap<GatewayInternalId, HashMap<String, Vec<Arc<ProviderKey>>>> = HashMap::new();
        for key in self.provider_keys.values() {
            let of_gateway = keys.entry(key.gateway).or_default();
            of_gateway.entry(key.provider.clone()).or_default().push(Arc::clone(key));
        }
        let mut gateways: Vec<&LiveGateway> = self.gateways.values().collect();
        // Ids are in order of creation: should two gateways bear one slug, the newer one has it.
        gateways.sort_unstable_by_key(|live| live.gateway.internal_id);
        gateways
            .into_iter()
            .map(|LiveGateway { gateway, deleted, policy }| {
                let provider_keys = keys.remove(&gateway.internal_id).unwrap_or_default();
                let (gateway, deleted, policy) = (gateway.clone(), deleted.clone(), policy.clone());
                let state = GatewayState { gateway, deleted, limits: Plan::default(), policy, provider_keys };
                (state.gateway.id.clone(), Arc::new(state))
            })
            .collect()
    }
}

fn revoke<T>(gone: Option<Arc<LiveToken<T>>>) {
    if let Some(live) = gone {
        live.revoked.cancel();
    }
}

fn upsert_token<Id: std::hash::Hash + Eq, T: PartialEq>(
    tokens: &mut HashMap<Id, Arc<LiveToken<T>>>,
    id: Id,
    token: T,
) {
    if tokens.get(&id).is_none_or(|live| live.token != token) {
        let live = LiveToken { token, revoked: CancellationToken::new() };
        revoke(tokens.insert(id, Arc::new(live)));
    }
}
