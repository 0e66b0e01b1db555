//! What is promised when things die: requests with own keys are served, and nothing is lost.

use std::collections::BTreeMap;

use anyhow::ensure;
use e2e::dies_at;
use e2e::system::{System, Wish};
use e2e::tenant::Tenant;
use e2e::traffic::{Traffic, nothing_is_lost};

async fn tenant_with_token(system: &System) -> anyhow::Result<(Tenant, String)> {
    let tenant = system.tenant("traffic").await?;
    let (_, token) = tenant.gateway_token("demo").await?;
    let models = format!("{}/models", tenant.provider_url(system.url(), "demo", "openai"));
    for proxy in &system.proxies {
        let models = models.replace(system.url(), &proxy.url);
        let call = || e2e::http::call("GET", &models).bearer("sk-caller-0123456789abcdef");
        tenant
            .until(200, || {
                call().header("cf-aig-authorization", &token).header("cf-aig-collect-log", "false")
            })
            .await?;
    }
    forget_warm_up(system).await?;
    Ok((tenant, token))
}

// The first calls only find out whether the proxies know the token; they are no part of a story.
async fn forget_warm_up(system: &System) -> anyhow::Result<()> {
    let url = format!("{}/_simulator/requests", system.simulator_url());
    e2e::http::call("DELETE", url).send().await?;
    Ok(())
}

fn all_were_answered(answers: &BTreeMap<String, Option<u16>>) -> anyhow::Result<()> {
    let failed: Vec<_> = answers.iter().filter(|(_, status)| **status != Some(200)).collect();
    ensure!(failed.is_empty(), "not answered: {failed:?}");
    Ok(())
}

async fn a_proxy_dies_at(failpoint: &'static str) -> anyhow::Result<()> {
    let wish = Wish { proxy_failpoint: Some(failpoint), ..Wish::default() };
    let mut system = System::start_with(wish).await?;
    let (tenant, token) = tenant_with_token(&system).await?;
    let mut wave = 0;
    while !system.proxies[0].running.has_died()? {
        send_wave(&system, &tenant, &token, &mut wave).await?;
    }
    system.proxies[0].running.restart().await?;
    nothing_is_lost(&system).await?;
    Ok(())
}

async fn a_desk_dies_at(failpoint: &'static str) -> anyhow::Result<()> {
    let wish = Wish { control_plane_failpoint: Some(failpoint), ..Wish::default() };
    let mut system = System::start_with(wish).await?;
    let (tenant, token) = tenant_with_token(&system).await?;
    let mut wave = 0;
    while !system.control_plane.has_died()? {
        all_were_answered(&send_wave(&system, &tenant, &token, &mut wave).await?)?;
    }
    all_were_answered(&send_wave(&system, &tenant, &token, &mut wave).await?)?;
    system.control_plane.restart().await?;
    nothing_is_lost(&system).await?;
    Ok(())
}

/// Some requests, numbered on from the last wave. How many passages they make of a failpoint depends
/// on how they are batched, so waves follow each other until it strikes.
async fn send_wave(
    system: &System,
    tenant: &Tenant,
    token: &str,
    wave: &mut usize,
) -> anyhow::Result<BTreeMap<String, Option<u16>>> {
    ensure!(*wave < 50, "the failpoint does not strike");
    let numbers = *wave * 40..(*wave + 1) * 40;
    *wave += 1;
    Traffic::start(tenant, system.url(), token, numbers, &[("x-simulator", "latency_ms=5")]).finish().await
}

// The number is which passage kills: the warm-up passes too, and so do some requests before.
dies_at! {
    nothing_is_lost_when_a_proxy_dies_after_opening_the_spool: a_proxy_dies_at "spool_opened:25";
    nothing_is_lost_when_a_proxy_dies_after_dispatch: a_proxy_dies_at "dispatched:25";
    nothing_is_lost_when_a_proxy_dies_at_the_first_byte: a_proxy_dies_at "first_byte:25";
    nothing_is_lost_when_a_proxy_dies_at_the_last_byte: a_proxy_dies_at "last_byte:25";
    nothing_is_lost_when_a_proxy_dies_after_closing_the_record: a_proxy_dies_at "closed:25";
    nothing_is_lost_when_a_proxy_dies_after_settling: a_proxy_dies_at "settled:40";
    nothing_is_lost_when_a_proxy_dies_after_streaming: a_proxy_dies_at "streamed:40";
    nothing_is_lost_when_a_desk_dies_after_reading: a_desk_dies_at "desk_read:2";
    nothing_is_lost_when_a_desk_dies_after_inserting: a_desk_dies_at "desk_inserted:2";
    nothing_is_lost_when_a_desk_dies_after_committing: a_desk_dies_at "desk_committed:2";
    nothing_is_lost_when_a_desk_dies_after_saying_what_it_posted: a_desk_dies_at "desk_posted:2";
}

#[tokio::test]
async fn a_proxy_killed_under_traffic_loses_nothing() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let (tenant, token) = tenant_with_token(&system).await?;
    let mut traffic =
        Traffic::start(&tenant, system.url(), &token, 0..200, &[("x-simulator", "latency_ms=5")]);
    traffic.ended(60).await?;
    system.proxies[0].running.kill()?;
    system.proxies[0].running.restart().await?;
    traffic.finish().await?;
    nothing_is_lost(&system).await?;
    Ok(())
}

#[tokio::test]
async fn own_keys_are_served_while_the_control_plane_is_away() -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let (tenant, token) = tenant_with_token(&system).await?;
    let mut traffic = Traffic::start(&tenant, system.url(), &token, 0..150, &[]);
    traffic.ended(30).await?;
    system.control_plane.kill()?;
    traffic.ended(60).await?;
    all_were_answered(&traffic.finish().await?)?;
    // A proxy that starts now has only what it kept on disk.
    system.proxies[0].running.stop().await?;
    system.proxies[0].running.restart().await?;
    let answer =
        tenant.chat(system.url()).bearer("sk-caller-0123456789abcdef").header("cf-aig-authorization", &token);
    let answer = answer.json(&e2e::tenant::greeting()).header("cf-aig-event-id", "from disk").send().await?;
    ensure!(answer.status == 200, "from disk: {} {}", answer.status, answer.text());
    let unknown =
        e2e::http::get(&format!("{}/v1/{}/unknown/openai/models", system.url(), tenant.account)).await?;
    ensure!(unknown.status == 503, "what a proxy does not know now is 503, not {}", unknown.status);
    system.control_plane.restart().await?;
    nothing_is_lost(&system).await?;
    Ok(())
}

#[tokio::test]
async fn own_keys_are_served_while_postgres_is_away() -> anyhow::Result<()> {
    let system = System::start_with(Wish { own_postgres: true, ..Wish::default() }).await?;
    let (tenant, token) = tenant_with_token(&system).await?;
    let mut traffic = Traffic::start(&tenant, system.url(), &token, 0..150, &[]);
    traffic.ended(30).await?;
    let postgres = system.postgres.as_ref().expect("a Postgres of its own");
    postgres.stop()?;
    all_were_answered(&traffic.finish().await?)?;
    postgres.start_again()?;
    nothing_is_lost(&system).await?;
    Ok(())
}

/// What happens to Redis between its end and its return.
enum Loss {
    Nothing,
    LastWrites,
    Everything,
}

async fn redis_goes_away(loss: Loss) -> anyhow::Result<()> {
    let mut system = System::start().await?;
    let (tenant, token) = tenant_with_token(&system).await?;
    let mut traffic =
        Traffic::start(&tenant, system.url(), &token, 0..300, &[("x-simulator", "latency_ms=5")]);
    traffic.ended(40).await?;
    let mark = system.redis.mark()?;
    traffic.ended(80).await?;
    system.redis.kill()?;
    match loss {
        Loss::Nothing => {}
        Loss::LastWrites => system.redis.cut_back(mark)?,
        Loss::Everything => system.redis.wipe()?,
    }
    traffic.ended(140).await?;
    system.redis.start_again().await?;
    all_were_answered(&traffic.finish().await?)?;
    nothing_is_lost(&system).await?;
    Ok(())
}

#[tokio::test]
async fn nothing_is_lost_when_redis_restarts() -> anyhow::Result<()> {
    redis_goes_away(Loss::Nothing).await
}

#[tokio::test]
async fn nothing_is_lost_when_redis_forgets_its_last_writes() -> anyhow::Result<()> {
    redis_goes_away(Loss::LastWrites).await
}

#[tokio::test]
async fn nothing_is_lost_when_redis_is_wiped() -> anyhow::Result<()> {
    redis_goes_away(Loss::Everything).await
}

#[tokio::test]
async fn a_slow_redis_slows_nobody() -> anyhow::Result<()> {
    let system = System::start().await?;
    let (tenant, token) = tenant_with_token(&system).await?;
    let mut traffic = Traffic::start(&tenant, system.url(), &token, 0..150, &[]);
    traffic.ended(30).await?;
    system.redis.freeze();
    all_were_answered(&traffic.finish().await?)?;
    system.redis.thaw();
    nothing_is_lost(&system).await?;
    Ok(())
}
