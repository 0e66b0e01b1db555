//! The control plane: the management API, the push of configuration to proxies, and the ledger.

pub mod api;
pub mod config;
mod exposure;
pub mod installation_keys;
pub mod join_token;
pub mod ledger;
mod ngrok;
pub mod payments;
mod price_lists;
pub mod push;
mod rerating;
pub mod rotation;
mod traffic_policies;

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use model::Secret;
use model::token::TokenDigest;
use process::{Readiness, Tls, Traces};
use store::{Store, installation};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use vault::{ContentsBox, Sealer};

use api::passwords::Passwords;
use api::receipt_keys::ReceiptKeys;
use api::session_keys::SessionKeys;
use api::{ApiSettings, ApiState, Spans};
pub use config::Config;
use payments::Payments;

/// Runs a control plane until `shutdown`, and then until what is under way has ended.
pub async fn run(config: Config, traces: Option<&Traces>, shutdown: CancellationToken) -> anyhow::Result<()> {
    let (sealer, contents) = config.keys.for_sealing()?;
    let tls = config.listen.api_tls_dir.as_deref();
    let tls = tls.map(|directory| Tls::open(directory, "api")).transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    let readiness = Readiness::new();
    let starting = readiness.unready("start");
    process::serve_health(config.listen.metrics, readiness.clone(), shutdown.clone()).await?;

    let Some(store) = connect(&config.stores.database_url, &shutdown).await? else { return Ok(()) };
    installation_keys::ensure(&store, &sealer).await?;
    let listener = process::bind(config.listen.api, "the management API")?;
    let payments = Payments::open(&config.payments, &contents)?;
    let address = format!("{scheme}://{}", listener.local_addr()?);
    let state = api_state(&config, traces, &address, &store, &sealer, &contents, &payments).await?;
    let push = push::open(&config.push, store.clone(), &contents, shutdown.clone()).await?;
    offer_setup(&store, config.entrance.setup_token, &state.settings.public_api_url).await?;

    let mut desks = JoinSet::new();
    let drain = config.shutdown.drain();
    desks.spawn(api::serve(listener, tls, config.listen.trusted, state, shutdown.clone(), drain).map(Ok));
    desks.spawn(push.serving);
    desks.spawn(ledger::run(store.clone(), config.stores.redis_url, shutdown.clone()));
    desks.spawn(payments::run(store.clone(), payments, shutdown.clone()));
    info!(%address, "Serving the management API on {address}");
    drop(starting);

    let finished = attend(&mut desks, &shutdown).await;
    shutdown.cancel();
    let drained = tokio::time::timeout(drain, async {
        while let Some(desk) = desks.join_next().await {
            desk??;
        }
        anyhow::Ok(())
    });
    match drained.await {
        Ok(left) => finished.and(left),
        Err(_) => {
            warn!("Some work was still under way when the time to drain was over");
            finished
        }
    }
}

/// Waits for the request to stop. A desk that ends before that has failed, and ends the process:
/// a supervisor's restart is better than a control plane that is there by half.
async fn attend(desks: &mut JoinSet<anyhow::Result<()>>, shutdown: &CancellationToken) -> anyhow::Result<()> {
    tokio::select! {
        () = shutdown.cancelled() => Ok(()),
        Some(desk) = desks.join_next() => desk?,
    }
}

/// Migrates and connects, waiting for a Postgres that is not there yet. `None` if told to stop.
async fn connect(url: &Secret, shutdown: &CancellationToken) -> anyhow::Result<Option<Store>> {
    loop {
        match store::migrate(url.expose()).await {
            Ok(()) => return Ok(Some(Store::connect(url.expose()).await?)),
            Err(error) if error.is_away() => warn!(%error, "Postgres cannot be reached yet: {error}"),
            Err(error) => return Err(error.into()),
        }
        tokio::select! {
            () = shutdown.cancelled() => return Ok(None),
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
        }
    }
}

async fn api_state(
    config: &Config,
    traces: Option<&Traces>,
    address: &str,
    store: &Store,
    sealer: &Sealer,
    contents: &ContentsBox,
    payments: &Payments,
) -> anyhow::Result<ApiState> {
    let bare = |url: &str| url.trim_end_matches('/').to_owned();
    let public_api_url = config.public.public_api_url.as_deref().map(bare);
    Ok(ApiState {
        store: store.clone(),
        sealer: sealer.clone(),
        sessions: Arc::new(SessionKeys::load(store, contents).await?),
        receipts: Arc::new(ReceiptKeys::load(store, contents).await?),
        passwords: Passwords::new()?,
        attempts: Arc::default(),
        payments: payments.clone(),
        redis_url: config.stores.redis_url.clone(),
        settings: Arc::new(ApiSettings {
            public_gateway_url: bare(&config.public.public_gateway_url),
            public_api_url: public_api_url.unwrap_or_else(|| address.to_owned()),
            sign_up_open: config.entrance.sign_up == config::SignUp::Open,
            endpoint_domains: config.public.endpoint_domains()?,
            policies: traffic_policies::operator(&config.trusted_hosts),
        }),
        spans: traces.map(|traces| Spans::new(traces.tracer())),
    })
}

/// Until there is a user, one token opens the installation. It is printed, not logged: logs are
/// kept and passed on.
async fn offer_setup(store: &Store, chosen: Option<Secret>, public_api_url: &str) -> anyhow::Result<()> {
    if installation::has_users(store).await? {
        return Ok(());
    }
    let token = match &chosen {
        Some(token) => token.clone(),
        None => {
            let mut random = [0; 24];
            getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
            Secret::new(hex::encode(random))
        }
    };
    installation::offer_setup(store, &TokenDigest::of(token.expose())).await?;
    if chosen.is_none() {
        println!("Set this installation up, once, at {public_api_url}/docs#setup={}", token.expose());
    }
    Ok(())
}
