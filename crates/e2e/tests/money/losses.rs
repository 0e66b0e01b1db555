//! Redis that stops, forgets and fails over, and Postgres that is away, while a tenant spends.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::redis_server::RedisServer;
use e2e::system::{System, Wish};

use crate::{Stage, each_was_charged_what_was_billed};

const WISHES: &str = "words=20; latency_ms=5";
/// So slow that a story lasts longer than the second that Redis forgets.
const SLOWLY: &str = "words=20; latency_ms=25";

/// What happens to Redis.
enum Loss {
    Restart,
    LastSecond,
    Everything,
    Failover,
}

async fn redis_goes_away(loss: Loss) -> anyhow::Result<()> {
    let wish = Wish { replica: matches!(loss, Loss::Failover), ..Wish::default() };
    let mut stage = Stage::rich(wish).await?;
    stage.system.forget_arrivals().await?;
    let mut traffic = stage.ask(0..900, 8, SLOWLY);
    traffic.ended(50).await?;
    let mark = stage.system.redis.mark()?;
    let marked = Instant::now();
    let mut ended = 100;
    traffic.ended(ended).await?;
    while matches!(loss, Loss::LastSecond) && marked.elapsed() < Duration::from_secs(1) {
        ended += 10;
        traffic.ended(ended).await?;
    }
    let system = &mut stage.system;
    match loss {
        Loss::Restart => system.redis.kill()?,
        Loss::LastSecond => {
            system.redis.kill()?;
            system.redis.cut_back(mark)?;
        }
        Loss::Everything => {
            system.redis.kill()?;
            system.redis.wipe()?;
        }
        Loss::Failover => system.fail_over().await?,
    }
    if !matches!(loss, Loss::Failover) {
        traffic.ended(ended + 50).await?;
        system.redis.start_again().await?;
    }
    // Who asks on credits meanwhile is told to come again.
    let answers = traffic.finish().await?;
    let other = answers.values().filter(|answer| !matches!(answer, Some(200 | 503))).count();
    ensure!(other == 0, "neither answered nor told to come again: {answers:?}");
    is_served_again(&stage, 6).await?;
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}

/// Waits until requests on credits are answered through both proxies.
async fn is_served_again(stage: &Stage, time: usize) -> anyhow::Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    for wave in 0.. {
        let first = 100_000 * (time + 1) + wave * 4;
        let answers = stage.ask(first..first + 4, 1, WISHES).finish().await?;
        if answers.values().all(|answer| *answer == Some(200)) {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "credits are not served again: {answers:?}");
    }
    Ok(())
}

#[tokio::test]
async fn each_is_charged_once_when_redis_restarts() -> anyhow::Result<()> {
    redis_goes_away(Loss::Restart).await
}

#[tokio::test]
async fn each_is_charged_once_when_redis_forgets_its_last_second() -> anyhow::Result<()> {
    redis_goes_away(Loss::LastSecond).await
}

#[tokio::test]
async fn each_is_charged_once_when_redis_is_wiped() -> anyhow::Result<()> {
    redis_goes_away(Loss::Everything).await
}

#[tokio::test]
async fn each_is_charged_once_when_a_replica_is_promoted() -> anyhow::Result<()> {
    redis_goes_away(Loss::Failover).await
}

/// The first proxy still reaches the old primary, and nobody else does.
async fn first_is_left_behind(careless_primary: bool) -> anyhow::Result<()> {
    let mut stage = Stage::rich(Wish { replica: true, careless_primary, ..Wish::default() }).await?;
    stage.system.forget_arrivals().await?;
    let left_behind = fail_over_but_for_the_first(&mut stage.system).await?;
    let through = |stage: &Stage, number: usize, id: &str| {
        let question = e2e::credits::question(id, WISHES);
        stage.asker.ask(&stage.system.proxies[number].url, id, &question)
    };
    let deadline = Instant::now() + Duration::from_secs(60);
    for attempt in 0.. {
        let id = format!("request-{attempt:06}");
        if through(&stage, 1, &id).send().await?.status == 200 {
            break;
        }
        ensure!(Instant::now() < deadline, "the new primary is not used");
    }
    if careless_primary {
        // It would go on for ever, and the proxy with it. What that spends before it hears of the new era
        // is charged there.
        let mut connection = left_behind.connection().await?;
        redis::cmd("SET").arg(&["careless", "1"]).query_async::<()>(&mut connection).await?;
        for attempt in 0.. {
            let answer = through(&stage, 0, &format!("request-{:06}", 800_000 + attempt)).send().await?;
            if answer.status == 503 {
                break;
            }
            ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
            ensure!(Instant::now() < deadline, "the old primary is used although a new era has begun");
        }
    }
    let before = accounts(&left_behind).await?;
    for number in 0..3 {
        let answer = through(&stage, 0, &format!("request-{:06}", 900_000 + number)).send().await?;
        ensure!(answer.status == 503, "the old primary was used: {} {}", answer.status, answer.text());
    }
    ensure!(accounts(&left_behind).await? == before, "something was set aside on the old primary");
    for way in stage.system.redis_ways() {
        way.lead_to(stage.system.redis.port());
    }
    is_served_again(&stage, 6).await?;
    drop(left_behind);
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}

#[tokio::test]
async fn nobody_spends_on_a_primary_that_was_left_behind() -> anyhow::Result<()> {
    first_is_left_behind(false).await
}

/// The old primary does not notice that its replica has gone: the control plane must say so.
#[tokio::test]
async fn nobody_spends_on_a_primary_that_does_not_know_that_it_was_left_behind() -> anyhow::Result<()> {
    first_is_left_behind(true).await
}

/// What a Redis has of all accounts, in all eras.
async fn accounts(server: &RedisServer) -> anyhow::Result<BTreeMap<String, BTreeMap<String, String>>> {
    let mut connection = server.connection().await?;
    let keys: Vec<String> = redis::cmd("KEYS").arg("*:a:*").query_async(&mut connection).await?;
    let mut accounts = BTreeMap::new();
    for key in keys {
        let account = redis::cmd("HGETALL").arg(&key).query_async(&mut connection).await?;
        accounts.insert(key, account);
    }
    Ok(accounts)
}

async fn fail_over_but_for_the_first(system: &mut System) -> anyhow::Result<RedisServer> {
    let replica = system.replica.take().context("a replica")?;
    replica.promote().await?;
    let old = std::mem::replace(&mut system.redis, replica);
    let first = system.proxies[0].redis_way.as_ref().context("a way")?.port();
    for way in system.redis_ways().filter(|way| way.port() != first) {
        way.lead_to(system.redis.port());
    }
    Ok(old)
}

#[tokio::test]
async fn a_proxy_that_is_cut_off_from_redis_spends_nothing_and_comes_back() -> anyhow::Result<()> {
    let stage = Stage::rich(Wish { own_ways: true, ..Wish::default() }).await?;
    stage.system.forget_arrivals().await?;
    let under_way = stage.ask(0..20, 20, "gate; words=20");
    stage.system.wait_at_gate(20).await?;
    let way = stage.system.proxies[0].redis_way.as_ref().context("a way")?;
    way.silence();
    // Ten of them go through this proxy: they are answered, and charged when it is back.
    stage.system.open_gate().await?;
    let answers = under_way.finish().await?;
    ensure!(answers.values().all(|answer| *answer == Some(200)), "{answers:?}");
    // What it has leased it may spend for ten seconds more; then nothing.
    let deadline = Instant::now() + Duration::from_secs(30);
    for number in 0.. {
        let id = format!("request-{:06}", 100_000 + number);
        let question = e2e::credits::question(&id, WISHES);
        let answer = stage.asker.ask(stage.system.url(), &id, &question).send().await?;
        if answer.status == 503 {
            break;
        }
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
        ensure!(Instant::now() < deadline, "a proxy that does not reach Redis goes on spending");
    }
    way.lead_to(stage.system.redis.port());
    is_served_again(&stage, 6).await?;
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}

#[tokio::test]
async fn credits_are_spent_while_postgres_is_away_for_ten_seconds() -> anyhow::Result<()> {
    let stage = Stage::rich(Wish { own_ways: true, ..Wish::default() }).await?;
    stage.system.forget_arrivals().await?;
    let way = &stage.system.ways.as_ref().context("ways")?.postgres;
    let postgres = e2e::forwarder::port_of(&stage.system.database_url)?;
    let cut = Instant::now();
    way.cut();
    let mut numbers = 0..20;
    while cut.elapsed() < Duration::from_secs(10) {
        let answers = stage.ask(numbers.clone(), 4, "words=20; latency_ms=50").finish().await?;
        ensure!(answers.values().all(|answer| *answer == Some(200)), "{answers:?}");
        numbers = numbers.end..numbers.end + 20;
    }
    way.lead_to(postgres);
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}

/// One fault after the other, each once the last is over, and traffic all the while.
#[tokio::test]
async fn each_is_charged_once_on_a_bad_day() -> anyhow::Result<()> {
    let mut stage = Stage::rich(Wish { own_ways: true, ..Wish::default() }).await?;
    stage.system.forget_arrivals().await?;
    let mut numbers = 0..60;
    for fault in 0..5 {
        let mut traffic = stage.ask(numbers.clone(), 8, WISHES);
        traffic.ended(20).await?;
        match fault {
            0 => stage.system.proxies[0].running.restart().await?,
            1 => stage.system.control_plane.restart().await?,
            2 => {
                stage.system.redis.kill()?;
                stage.system.redis.start_again().await?;
            }
            3 => stage.system.proxies[1].running.restart().await?,
            _ => {
                stage.system.redis.kill()?;
                stage.system.redis.wipe()?;
                stage.system.redis.start_again().await?;
            }
        }
        traffic.finish().await?;
        is_served_again(&stage, fault).await?;
        numbers = numbers.end..numbers.end + 60;
    }
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}
