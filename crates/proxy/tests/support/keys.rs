//! Tokens and keys of a gateway under test, and the resources that a control plane would push.

use std::time::{SystemTime, UNIX_EPOCH};

use model::id::{
    ApiTokenId, BoundKeyId, EndpointId, GatewayTokenId, OperatorKeyId, ProviderKeyId, VaultSecretId,
};
use model::resource::{
    ApiToken, Body, BoundKey, Endpoint, Gateway as GatewayResource, GatewayToken, OperatorKey, PriceRule,
    ProviderKey, Resource, VaultSecret,
};
use model::terms::AccountTerms;
use model::token::{TokenKind, mint, mint_second_form};
use model::{AccountId, Secret};
use uuid::Uuid;
use vault::{Opener, RootRing, SealedKeys, Sealer};

use super::{GATEWAY, OTHER_GATEWAY, Operators, STORED_KEY, Setup};

/// A token with its id.
pub struct Minted(pub String, Uuid, model::token::TokenDigest);

pub struct Keys {
    pub opener: Opener,
    sealer: Sealer,
    installation: SealedKeys,
    account: SealedKeys,
    sealed_provider_key: Vec<u8>,
    provider_key: ProviderKeyId,
    pub token: Minted,
    pub second_form: Minted,
    pub other_gateways_token: Minted,
    pub expired_token: Minted,
    pub api_token: Minted,
    pub early_api_token: Minted,
}

impl Keys {
    pub fn new(account: AccountId) -> Self {
        let ring = || RootRing::parse("TEST", RootRing::generate("test").unwrap().expose()).unwrap();
        let (credentials, contents) = (ring(), ring());
        let sealer = Sealer::new(credentials.clone(), contents);
        let sealed = sealer.new_account_keys(account).unwrap();
        let provider_key = ProviderKeyId(Uuid::from_u128(0x77));
        let sealed_provider_key = sealer
            .seal_provider_key(&sealed, account, provider_key, "openai", &Secret::new(STORED_KEY))
            .unwrap();
        let minted = |kind, id| {
            let id = Uuid::from_u128(id);
            let (token, digest) = mint(kind, id, [id.as_bytes()[15]; 32]);
            Minted(token.expose().to_owned(), id, digest)
        };
        Self {
            opener: Opener::new(credentials),
            installation: sealer.new_account_keys(AccountId::INSTALLATION).unwrap(),
            sealer,
            sealed_provider_key,
            account: sealed,
            provider_key,
            token: minted(TokenKind::Gateway, 1),
            second_form: {
                let id = Uuid::from_u128(6);
                let (token, digest) = mint_second_form(id, [6; 32]);
                Minted(token.expose().to_owned(), id, digest)
            },
            other_gateways_token: minted(TokenKind::Gateway, 2),
            expired_token: minted(TokenKind::Gateway, 3),
            api_token: minted(TokenKind::Api, 4),
            early_api_token: minted(TokenKind::Api, 5),
        }
    }

    pub fn resources(&self, account: AccountId, setup: &Setup) -> Vec<Resource> {
        let gateway_token = |minted: &Minted, gateway, expires_at_ms| {
            Body::GatewayToken(GatewayToken {
                id: GatewayTokenId(minted.1),
                gateway,
                digest: minted.2,
                expires_at_ms,
                budget: setup.token_budget.filter(|_| gateway == GATEWAY),
            })
        };
        let api_token = |minted: &Minted, not_before_ms| {
            Body::ApiToken(ApiToken {
                id: ApiTokenId(minted.1),
                digest: minted.2,
                not_before_ms,
                expires_at_ms: None,
            })
        };
        let gateway = |id, slug: &str| {
            let gateway = GatewayResource::of(id, slug.parse().unwrap(), &setup.settings);
            let traffic_policy = setup.policy.filter(|_| id == GATEWAY).map(Into::into);
            Body::Gateway(GatewayResource { traffic_policy, ..gateway })
        };
        let secrets = (0..).zip(&setup.secrets).map(|(number, (vault, name, secret))| {
            let (id, secret) = (VaultSecretId(Uuid::from_u128(number)), Secret::new(*secret));
            let sealed = self.sealer.seal_vault_secret(&self.account, account, id, &secret).unwrap();
            let (vault, name) = ((*vault).to_owned(), (*name).to_owned());
            Body::VaultSecret(VaultSecret { id, vault, name, sealed })
        });
        let in_an_hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as i64 + 3_600_000;
        let stored = setup.stores_key.then(|| {
            Body::ProviderKey(ProviderKey {
                id: self.provider_key,
                gateway: GATEWAY,
                provider: "openai".to_owned(),
                alias: "default".to_owned(),
                is_default: true,
                sealed: self.sealed_provider_key.clone(),
            })
        });
        let own = [
            Body::Account {
                credentials_key: self.account.credentials.clone(),
                contents_key: vec![],
                terms: setup.account_terms,
            },
            gateway(GATEWAY, "demo"),
            gateway(OTHER_GATEWAY, "other"),
            gateway_token(&self.token, GATEWAY, None),
            gateway_token(&self.second_form, GATEWAY, None),
            gateway_token(&self.other_gateways_token, OTHER_GATEWAY, None),
            gateway_token(&self.expired_token, GATEWAY, Some(1)),
            api_token(&self.api_token, Some(1)),
            api_token(&self.early_api_token, Some(in_an_hour)),
        ];
        let bound = (0..).zip(&setup.bound_keys).map(|(number, (provider, secret))| {
            let (id, secret) = (BoundKeyId(Uuid::from_u128(number)), Secret::new(*secret));
            let sealed = self.sealer.seal_bound_key(&self.account, account, id, provider, &secret).unwrap();
            let gateway_token = GatewayTokenId(self.token.1);
            Body::BoundKey(BoundKey { id, gateway_token, provider: (*provider).to_owned(), sealed })
        });
        let endpoint = setup.host.map(|host| {
            let (id, url) = (EndpointId(Uuid::from_u128(1)), format!("https://{host}"));
            Body::Endpoint(Endpoint { id, account, gateway: GATEWAY, host: host.parse().unwrap(), url })
        });
        let own = own
            .into_iter()
            .chain(stored)
            .chain(bound)
            .chain(secrets)
            .chain(setup.own_prices.iter().map(price_rule));
        let operators = self.of_installation(setup).into_iter().chain(endpoint);
        own.map(|body| Resource { account, body })
            .chain(operators.map(|body| Resource { account: AccountId::INSTALLATION, body }))
            .collect()
    }

    fn of_installation(&self, setup: &Setup) -> Vec<Body> {
        if setup.terms.is_none() {
            return Vec::new();
        }
        let key = |(number, operators): (u128, &Operators)| {
            let (id, secret) = (OperatorKeyId(Uuid::from_u128(number)), Secret::new(operators.secret));
            let sealed = self.sealer.seal_operator_key(&self.installation, id, setup.sold, &secret).unwrap();
            Body::OperatorKey(OperatorKey {
                id,
                provider: setup.sold.to_owned(),
                alias: number.to_string(),
                priority: operators.priority,
                cancel: operators.cancel,
                sealed,
            })
        };
        let account = Body::Account {
            credentials_key: self.installation.credentials.clone(),
            contents_key: vec![],
            terms: AccountTerms::default(),
        };
        [account]
            .into_iter()
            .chain(setup.terms.map(Body::Terms))
            .chain((0..).zip(&setup.operator_keys).map(key))
            .chain(setup.operators_prices.iter().map(price_rule))
            .collect()
    }
}

fn price_rule(rule: &PriceRule) -> Body {
    Body::PriceRule(Box::new(rule.clone()))
}
