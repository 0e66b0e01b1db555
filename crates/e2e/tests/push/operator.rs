//! What belongs to the installation reaches every proxy; and a proxy of an earlier release refuses what
//! it would not obey.

use std::time::Instant;

use model::AccountId;
use model::document::Exact;
use model::gateway::{Dimensions, GatewaySettings, Source};
use model::id::OperatorKeyId;
use model::resource::{ResourceId, ResourceKey};
use model::terms::{AccountTerms, LimitDuration, SpendingLimit};
use proto::configuration_client::ConfigurationClient;
use proto::{Acknowledgement, Hello, ProxyMessage, RefusedResource, control_message, proxy_message};
use proxy::identity::{Identity, JoinToken};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::operator_keys::Terms;
use store::provider_keys::SealedSecret;
use store::{accounts, gateways, operator_keys, operator_settings, proxies};
use tokio_stream::StreamExt as _;
use tonic::transport::Endpoint;
use uuid::Uuid;
use vault::{Opener, RootRing, Sealer};

use crate::installation::{ACCOUNT, Follower, GATEWAY, Installation, until};

const KEY: OperatorKeyId = OperatorKeyId(Uuid::from_u128(0x0b));

fn limited() -> GatewaySettings {
    let body = r#"{"cache_invalidate_on_update":false,"cache_ttl":0,"collect_logs":true,
        "rate_limiting_interval":60,"rate_limiting_limit":10,
        "spend_limits":{"enabled":true,"rules":[{"id":"aa","limitType":"cost","limit":2.5,"window":3600}]}}"#;
    let Exact(body) = serde_json::from_str(body).unwrap();
    GatewaySettings::of_replacement(&body, &"demo".parse().unwrap()).unwrap()
}

async fn set_limits(installation: &Installation) {
    let mut tx = installation.store.config_tx().await.unwrap();
    gateways::set_settings(&mut tx, ACCOUNT, GATEWAY, &limited()).await.unwrap().unwrap();
    tx.commit().await.unwrap();
}

/// As the control plane's first start and the operator do it.
async fn store_operator_key(installation: &Installation, sealer: &Sealer) {
    control_plane::installation_keys::ensure(&installation.store, sealer).await.unwrap();
    let mut tx = installation.store.config_tx().await.unwrap();
    let keys = operator_keys::installation_keys(&mut tx).await.unwrap().unwrap();
    let sealed = sealer.seal_operator_key(&keys, KEY, "openai", &model::Secret::new("sk-operator")).unwrap();
    let secret = SealedSecret { sealed, preview: String::new() };
    let terms = Terms { alias: "main".to_owned(), priority: 0, cancel: None };
    operator_keys::create(&mut tx, KEY, "openai", &terms, &secret).await.unwrap();
    tx.commit().await.unwrap();
}

fn secret_at(follower: &Follower, opener: &Opener) -> Option<String> {
    let snapshot = follower.snapshot.load();
    let sealed = &snapshot.installation()?.data_keys()?.credentials;
    let data_key = opener.credentials_key(AccountId::INSTALLATION, sealed).unwrap();
    let key = snapshot.operator_keys("openai").first()?;
    let secret = data_key.open_operator_key(key.id, &key.provider, &key.sealed).unwrap();
    Some(secret.expose().to_owned())
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_operator_key_and_limits_reach_every_proxy_also_a_narrowed_one(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let ring = RootRing::generate("one").unwrap();
    let ring = || RootRing::parse("KEYS", ring.expose()).unwrap();
    let (sealer, opener) = (Sealer::new(ring(), ring()), Opener::new(ring()));
    let installation = Installation::new(pool, address).await;
    let early = [Follower::joining(&installation).await, Follower::joining_narrowed(&installation).await];
    until("both proxies are in sync", || early.iter().all(Follower::is_current)).await;
    store_operator_key(&installation, &sealer).await;
    let late = Follower::joining_narrowed(&installation).await;
    for follower in early.iter().chain([&late]) {
        until("the operator's key is known", || secret_at(follower, &opener).is_some()).await;
        assert_eq!(secret_at(follower, &opener).unwrap(), "sk-operator");
        assert_eq!(follower.snapshot.load().terms().unwrap().calls_a_minute, None);
    }
    assert_eq!(late.snapshot.load().account_count(), 0, "of accounts it was told nothing");

    let mut tx = installation.store.config_tx().await.unwrap();
    let mut settings = operator_settings::lock(&mut tx).await.unwrap();
    settings.terms.calls_a_minute = Some(200);
    operator_settings::set(&mut tx, &settings).await.unwrap();
    let limit = SpendingLimit {
        amount: model::Nanos(5),
        duration: LimitDuration::Daily,
        strategy: model::gateway::Technique::Fixed,
    };
    let terms = AccountTerms { markup_ppm: Some(7), spending_limit: Some(limit) };
    accounts::set_terms(&mut tx, ACCOUNT, &terms).await.unwrap();
    tx.commit().await.unwrap();
    set_limits(&installation).await;
    for follower in early.iter().chain([&late]) {
        until("the terms are known", || {
            follower.snapshot.load().terms().is_some_and(|terms| terms.calls_a_minute == Some(200))
        })
        .await;
    }
    let follower = &early[0];
    until("the limits are known", || {
        let snapshot = follower.snapshot.load();
        snapshot.gateway(ACCOUNT, "demo").is_some_and(|state| !state.gateway.spend_rules.is_empty())
    })
    .await;
    let snapshot = follower.snapshot.load();
    assert_eq!(snapshot.account(ACCOUNT).unwrap().terms(), &terms);
    let request = Dimensions { provider: "openai", model: "m", metadata: &serde_json::Map::new() };
    let limits = &snapshot.gateway(ACCOUNT, "demo").unwrap().gateway.limits(&request);
    let bounds: Vec<_> = limits.iter().map(|limit| (limit.source, limit.counter.limit)).collect();
    assert_eq!(bounds, [(Source::RateLimit, 10), (Source::SpendRule("aa"), 2_500_000_000)]);

    let mut tx = installation.store.config_tx().await.unwrap();
    assert!(operator_keys::delete(&mut tx, KEY).await.unwrap());
    tx.commit().await.unwrap();
    for follower in early.iter().chain([&late]) {
        until("the key is gone", || follower.snapshot.load().operator_keys("openai").is_empty()).await;
    }
}

/// What the release before limits obeys.
const FORMERLY_OBEYED: [&str; 5] = ["authentication", "byok_only", "error_shape", "stored_keys", "expiry"];

/// Does with each resource what that release does: it refuses one that names a setting beyond those.
fn refused_formerly(resources: &[proto::Resource]) -> Vec<RefusedResource> {
    let unknown = |resource: &proto::Resource| {
        resource.requires.iter().find(|name| !FORMERLY_OBEYED.contains(&name.as_str())).cloned()
    };
    resources
        .iter()
        .filter_map(|resource| {
            let reason = format!("the resource needs the setting `{}`", unknown(resource)?);
            Some(RefusedResource { key: resource.key.clone(), reason })
        })
        .collect()
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_proxy_of_an_earlier_release_refuses_what_it_would_not_obey(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let installation = Installation::new(pool, address).await;
    set_limits(&installation).await;
    let directory = tempfile::tempdir().unwrap();
    let endpoint = Endpoint::from_shared(format!("https://{}", installation.address)).unwrap();
    let join_token = JoinToken::read(&installation.join_token().await).unwrap();
    let identity = Identity::join(endpoint.clone(), &join_token, "earlier", directory.path()).await.unwrap();
    let channel = endpoint.tls_config(identity.tls()).unwrap().connect().await.unwrap();
    let (said, saying) = tokio::sync::mpsc::channel(4);
    let say = async |message| said.send(ProxyMessage { message: Some(message) }).await.unwrap();
    say(proxy_message::Message::Hello(Hello {
        software_version: "earlier".to_owned(),
        obeys: FORMERLY_OBEYED.map(str::to_owned).to_vec(),
        ..Hello::default()
    }))
    .await;
    let saying = tokio_stream::wrappers::ReceiverStream::new(saying);
    let mut messages = ConfigurationClient::new(channel).subscribe(saying).await.unwrap().into_inner();
    let message = messages.next().await.unwrap().unwrap().message.unwrap();
    let control_message::Message::FullState(state) = message else { panic!("expected a full state") };
    assert!(state.last_part);

    let refused = refused_formerly(&state.resources);
    let keys: Vec<_> =
        refused.iter().filter_map(|refused| ResourceKey::from_wire(refused.key.clone()?).ok()).collect();
    let terms = ResourceKey { account: AccountId::INSTALLATION, kind: ResourceId::Terms };
    let gateway = ResourceKey { account: ACCOUNT, kind: ResourceId::Gateway(GATEWAY) };
    assert_eq!(keys, [terms, gateway], "the account and its keys are served as before");

    say(proxy_message::Message::Acknowledgement(Acknowledgement { serving: state.revision, refused })).await;
    let began = Instant::now();
    let report = loop {
        let report = proxies::list(&installation.store, 1, 0).await.unwrap().0.remove(0).report;
        if let Some(report) = report.filter(|report| !report.refused.is_empty()) {
            break report;
        }
        assert!(began.elapsed().as_secs() < 20, "the operator is not told what is refused");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let reasons: Vec<&str> = report.refused.iter().map(|refused| refused.reason.as_str()).collect();
    assert_eq!(
        reasons,
        ["the resource needs the setting `terms`", "the resource needs the setting `rate_limit`"]
    );
}
