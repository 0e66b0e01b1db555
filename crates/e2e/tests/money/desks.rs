//! Desks that die at every point of what they do beside posting usage: when money comes and goes, when Redis has lost
//! an era, and when a proxy is dead. Requests on credits run all the while, and the next desk takes over.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::dies_at;
use e2e::forwarder::Forwarder;
use e2e::records::Record;
use e2e::system::Wish;
use e2e::traffic::Traffic;

use crate::{CENT, Stage, each_was_charged_what_was_billed};

const WISHES: &str = "words=20; latency_ms=5";
/// What comes or goes while a desk dies.
const DOLLAR: i64 = 1_000_000_000;
/// Under this key, so that it does so once.
const KEY: &str = "what comes or goes while a desk dies";

impl Stage {
    /// A tenant who can afford everything, and a desk that is to die at a point that it has not come by yet.
    async fn with_deadly_desk(failpoint: &str) -> anyhow::Result<Self> {
        let mut stage = Self::rich(Wish::default()).await?;
        stage.system.control_plane.restart_deadly(failpoint)?;
        stage.system.control_plane.ready().await?;
        Ok(stage)
    }

    /// Requests of tenants who come again when they are told to, once some are answered.
    async fn under_way(&self) -> anyhow::Result<Traffic> {
        let mut traffic = self.ask_patiently(0..300, 8, WISHES);
        traffic.ended(50).await?;
        Ok(traffic)
    }

    /// The desk dies, some ask while there is none, the next one takes over, and all get their answer.
    async fn desk_is_followed(&mut self, traffic: Traffic) -> anyhow::Result<()> {
        self.system.control_plane.died().await?;
        let meanwhile = self.ask_patiently(900_000..900_020, 4, WISHES);
        self.system.control_plane.restart().await?;
        all_are_answered(traffic).await?;
        all_are_answered(meanwhile).await
    }

    async fn redis_restarts(&mut self) -> anyhow::Result<()> {
        self.system.redis.kill()?;
        self.system.redis.start_again().await
    }

    /// The desk dies at this point; it is not waited for before.
    async fn desk_dies_at(&mut self, failpoint: &str) -> anyhow::Result<()> {
        self.system.control_plane.restart_deadly(failpoint)?;
        self.system.control_plane.died().await.with_context(|| failpoint.to_owned())
    }

    /// Waits until both proxies have said in the newest era what they hold, before which they send again what may be
    /// lost.
    async fn both_have_declared(&self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.system.declared(&self.tenant).await? < 2 {
            ensure!(Instant::now() < deadline, "the proxies do not declare");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// How the first proxy reaches Redis.
    fn first_way(&self) -> anyhow::Result<&Forwarder> {
        self.system.proxies[0].redis_way.as_ref().context("a way")
    }

    /// Waits until so many requests stand there as abandoned.
    async fn abandoned(&self, count: usize) -> anyhow::Result<()> {
        let enough = |records: &[Record]| {
            records.iter().filter(|record| record.outcome == "abandoned").count() == count
        };
        self.system.records_when("what is known of requests of a dead proxy", enough).await?;
        Ok(())
    }
}

async fn all_are_answered(traffic: Traffic) -> anyhow::Result<()> {
    let answers = traffic.finish().await?;
    ensure!(answers.values().all(|answer| *answer == Some(200)), "{answers:?}");
    Ok(())
}

async fn granting_kills_a_desk_at(failpoint: &'static str) -> anyhow::Result<()> {
    let mut stage = Stage::with_deadly_desk(failpoint).await?;
    let traffic = stage.under_way().await?;
    // The answer may be lost with the process, so the operator asks again.
    let _ = stage.system.ask_for_grant(&stage.tenant, DOLLAR, KEY).await;
    stage.desk_is_followed(traffic).await?;
    stage.system.ask_for_grant(&stage.tenant, DOLLAR, KEY).await?;
    stage.granted += DOLLAR;
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}

async fn a_debit_kills_a_desk_at(failpoint: &'static str) -> anyhow::Result<()> {
    let mut stage = Stage::with_deadly_desk(failpoint).await?;
    let traffic = stage.under_way().await?;
    let _ = stage.system.ask_for_debit(&stage.tenant, DOLLAR, KEY).await;
    stage.desk_is_followed(traffic).await?;
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let state = stage.system.ask_for_debit(&stage.tenant, DOLLAR, KEY).await?;
        if state == "taken" {
            break;
        }
        ensure!(state == "requested" && Instant::now() < deadline, "it is {state}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stage.granted -= DOLLAR;
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}

async fn a_restart_of_redis_kills_a_desk_at(failpoint: &'static str) -> anyhow::Result<()> {
    let mut stage = Stage::with_deadly_desk(failpoint).await?;
    let traffic = stage.under_way().await?;
    stage.redis_restarts().await?;
    stage.desk_is_followed(traffic).await?;
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}

/// What is granted while Redis is away comes with the balance that is loaded, and is passed on once more.
async fn a_wiped_redis_kills_a_desk_at(failpoint: &'static str) -> anyhow::Result<()> {
    let mut stage = Stage::with_deadly_desk(failpoint).await?;
    let traffic = stage.under_way().await?;
    stage.system.redis.kill()?;
    stage.system.redis.wipe()?;
    stage.system.ask_for_grant(&stage.tenant, CENT, KEY).await?;
    stage.granted += CENT;
    stage.system.redis.start_again().await?;
    stage.desk_is_followed(traffic).await?;
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}

dies_at! {
    each_is_charged_once_when_a_desk_dies_after_telling_of_a_grant: granting_kills_a_desk_at "desk_credited";
    each_is_charged_once_when_a_desk_dies_after_setting_aside_a_debit: a_debit_kills_a_desk_at "desk_set_aside";
    each_is_charged_once_when_a_desk_dies_after_taking_a_debit: a_debit_kills_a_desk_at "desk_withdrew";
    each_is_charged_once_when_a_desk_dies_after_telling_of_a_debit: a_debit_kills_a_desk_at "desk_told_withdrawal";
    each_is_charged_once_when_a_desk_dies_after_ending_eras: a_restart_of_redis_kills_a_desk_at "desk_ended_eras";
    each_is_charged_once_when_a_desk_dies_after_draining_eras: a_restart_of_redis_kills_a_desk_at "desk_drained_eras";
    each_is_charged_once_when_a_desk_dies_after_raising_eras: a_wiped_redis_kills_a_desk_at "desk_raised_eras";
    each_is_charged_once_when_a_desk_dies_after_beginning_eras: a_restart_of_redis_kills_a_desk_at "desk_began_eras";
    each_is_charged_once_when_a_desk_dies_after_opening_eras: a_restart_of_redis_kills_a_desk_at "desk_opened_eras";
    each_is_charged_once_when_a_desk_dies_after_loading_an_account: a_wiped_redis_kills_a_desk_at "desk_loaded";
}

/// One desk after the other, and Redis twice: what the first had read is sent again without its holds, carried to the
/// next era by a desk that has lost that one too, and collected there.
#[tokio::test]
async fn each_is_charged_once_when_desks_die_reading_carrying_and_collecting() -> anyhow::Result<()> {
    let mut stage = Stage::with_deadly_desk("desk_read").await?;
    let traffic = stage.ask_patiently(0..40, 8, WISHES);
    stage.system.control_plane.died().await.context("desk_read")?;
    all_are_answered(traffic).await?;
    stage.system.redis.kill()?;
    stage.system.redis.wipe()?;
    stage.system.redis.start_again().await?;
    // Nobody opens the era that this one begins. The proxies tell it what they have.
    stage.desk_dies_at("desk_began_eras").await?;
    stage.both_have_declared().await?;
    stage.redis_restarts().await?;
    let traffic = stage.ask_patiently(100_000..100_040, 8, WISHES);
    stage.desk_dies_at("desk_carried").await?;
    stage.system.control_plane.restart_deadly("desk_collected")?;
    stage.desk_is_followed(traffic).await?;
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}

/// Two proxies with twenty requests each at the provider, who were held for by themselves: so little is left that
/// nobody leases any of it, and what lives on a lease is known when its proxy comes back.
async fn forty_at_the_gate(failpoint: &str) -> anyhow::Result<(Stage, Traffic)> {
    let mut stage = Stage::set_with(Wish { own_ways: true, ..Wish::default() }).await?;
    let hold = stage.hold_of("gate; words=20").await?;
    stage.leave_exactly(100 * hold).await?;
    stage.system.control_plane.restart_deadly(failpoint)?;
    stage.system.control_plane.ready().await?;
    let asked = stage.ask(0..40, 40, "gate; words=20");
    stage.system.wait_at_gate(40).await?;
    Ok((stage, asked))
}

/// A proxy dies that could not say how its requests ended. One desk dies when it has ended its holds, the next when it
/// has collected what they cost beyond that, which is known when the proxy comes back.
#[tokio::test]
async fn each_is_charged_once_when_desks_die_reaping_and_correcting() -> anyhow::Result<()> {
    let (mut stage, asked) = forty_at_the_gate("desk_reaped").await?;
    stage.first_way()?.silence();
    stage.system.open_gate().await?;
    all_are_answered(asked).await?;
    stage.proxy(0).kill()?;
    stage.system.control_plane.died().await.context("desk_reaped")?;
    stage.system.control_plane.restart_deadly("desk_collected")?;
    stage.abandoned(20).await?;
    stage.first_way()?.lead_to(stage.system.redis.port());
    stage.proxy(0).restart().await?;
    let traffic = stage.ask_patiently(100_000..100_020, 4, WISHES);
    stage.desk_is_followed(traffic).await?;
    let books = stage.the_books_balance().await?;
    ensure!(books.records.values().all(|record| record.outcome != "abandoned"), "{:#?}", books.records);
    each_was_charged_what_was_billed(&books)
}

/// A proxy dies, Redis restarts, and the desk that begins the next era dies too. What the proxy held stands in an era
/// before the last one.
async fn a_lost_era_of_a_dead_proxy_kills_a_desk_at(failpoint: &'static str) -> anyhow::Result<()> {
    let (mut stage, asked) = forty_at_the_gate(failpoint).await?;
    stage.proxy(0).kill()?;
    stage.redis_restarts().await?;
    stage.system.control_plane.died().await?;
    stage.system.open_gate().await?;
    let answers = asked.finish().await?;
    ensure!(answers.values().filter(|answer| **answer == Some(200)).count() == 20, "{answers:?}");
    stage.system.control_plane.restart().await?;
    stage.abandoned(20).await?;
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)?;
    stage.proxy(0).restart().await?;
    all_are_answered(stage.ask_patiently(100_000..100_020, 4, WISHES)).await?;
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}

dies_at! {
    what_a_dead_proxy_held_is_charged_when_a_desk_dies_after_raising_eras:
        a_lost_era_of_a_dead_proxy_kills_a_desk_at "desk_raised_eras";
    what_a_dead_proxy_held_is_charged_when_a_desk_dies_after_beginning_eras:
        a_lost_era_of_a_dead_proxy_kills_a_desk_at "desk_began_eras";
}
