//! Proxies and desks that die at every place that matters, while a tenant spends.

use anyhow::ensure;
use e2e::credits::streamed;
use e2e::dies_at;
use e2e::process::Running;
use e2e::system::Wish;

use crate::{Stage, each_was_charged_what_was_billed};

const WISHES: &str = "words=20; latency_ms=5";

async fn a_proxy_dies_at(failpoint: &'static str) -> anyhow::Result<()> {
    let mut stage = Stage::rich(Wish { proxy_failpoint: Some(failpoint), ..Wish::default() }).await?;
    ask_until_dead(&mut stage, |stage| stage.proxy(0)).await?;
    stage.proxy(0).restart().await?;
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}

async fn a_desk_dies_at(failpoint: &'static str) -> anyhow::Result<()> {
    let mut stage = Stage::rich(Wish { control_plane_failpoint: Some(failpoint), ..Wish::default() }).await?;
    ask_until_dead(&mut stage, |stage| &mut stage.system.control_plane).await?;
    // An account that Redis knows is served without its desk.
    let answers = stage.ask(900_000..900_020, 4, WISHES).finish().await?;
    ensure!(answers.values().all(|answer| *answer == Some(200)), "{answers:?}");
    stage.system.control_plane.restart().await?;
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}

/// Asks in waves until the failpoint strikes: how often it is passed depends on how requests are batched.
async fn ask_until_dead(
    stage: &mut Stage,
    process: impl Fn(&mut Stage) -> &mut Running,
) -> anyhow::Result<()> {
    for wave in 0..50 {
        if process(stage).has_died()? {
            return Ok(());
        }
        stage.ask(wave * 40..(wave + 1) * 40, 8, WISHES).finish().await?;
    }
    anyhow::bail!("the failpoint does not strike")
}

// The number is which passage kills: the warm-up passes too, and so do some requests before.
dies_at! {
    each_is_charged_once_when_a_proxy_dies_after_opening_the_spool: a_proxy_dies_at "spool_opened:25";
    each_is_charged_once_when_a_proxy_dies_after_setting_aside: a_proxy_dies_at "held:25";
    each_is_charged_once_when_a_proxy_dies_after_dispatch: a_proxy_dies_at "dispatched:25";
    each_is_charged_once_when_a_proxy_dies_at_the_first_byte: a_proxy_dies_at "first_byte:25";
    each_is_charged_once_when_a_proxy_dies_at_the_last_byte: a_proxy_dies_at "last_byte:25";
    each_is_charged_once_when_a_proxy_dies_after_closing_the_record: a_proxy_dies_at "closed:25";
    each_is_charged_once_when_a_proxy_dies_after_settling: a_proxy_dies_at "settled:25";
    each_is_charged_once_when_a_proxy_dies_after_streaming: a_proxy_dies_at "streamed:25";
    each_is_charged_once_when_a_desk_dies_after_reading: a_desk_dies_at "desk_read:20";
    each_is_charged_once_when_a_desk_dies_after_charging: a_desk_dies_at "desk_charged:20";
    each_is_charged_once_when_a_desk_dies_after_inserting: a_desk_dies_at "desk_inserted:20";
    each_is_charged_once_when_a_desk_dies_after_committing: a_desk_dies_at "desk_committed:20";
    each_is_charged_once_when_a_desk_dies_after_saying_what_it_posted: a_desk_dies_at "desk_posted:20";
}

#[tokio::test]
async fn each_is_charged_once_when_a_proxy_dies_after_setting_more_aside() -> anyhow::Result<()> {
    let wish = Wish { proxy_failpoint: Some("extended:8"), ..Wish::default() };
    let mut stage = Stage::rich(wish).await?;
    stage.system.forget_arrivals().await?;
    let mut number = 0;
    loop {
        ensure!(number < 50, "the failpoint does not strike");
        let id = format!("request-{number:06}");
        let question = streamed(&id, "words=6400; chunks=100", Some(8_000));
        if stage.asker.ask(stage.system.url(), &id, &question).send().await.is_err() {
            break;
        }
        number += 1;
    }
    stage.proxy(0).restart().await?;
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}

#[tokio::test]
async fn what_a_dead_proxy_held_is_reaped_and_corrected_when_it_comes_back() -> anyhow::Result<()> {
    let mut stage = Stage::set().await?;
    let hold = stage.hold_of("gate; words=20").await?;
    // So little that nobody leases any of it: what lives on a lease is known when its proxy comes back.
    stage.leave_exactly(100 * hold).await?;
    let asked = stage.ask(0..40, 40, "gate; words=20");
    stage.system.wait_at_gate(40).await?;
    stage.proxy(0).kill()?;
    stage.system.open_gate().await?;
    asked.finish().await?;
    // Half of them went with the proxy: the desk settles them for what their holds say.
    let books = stage.the_books_balance().await?;
    let abandoned = books.records.values().filter(|record| record.outcome == "abandoned").count();
    ensure!(abandoned == 20, "{abandoned} were abandoned: {:#?}", books.records);
    each_was_charged_what_was_billed(&books)?;
    stage.proxy(0).restart().await?;
    let answers = stage.ask(100..110, 1, "words=20").finish().await?;
    ensure!(answers.values().all(|answer| *answer == Some(200)), "{answers:?}");
    each_was_charged_what_was_billed(&stage.the_books_balance().await?)
}
