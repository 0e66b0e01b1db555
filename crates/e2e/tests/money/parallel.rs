//! A thousand requests at once through two proxies, and a balance that affords so many and no more.

use std::time::Duration;

use anyhow::ensure;
use e2e::credits::question;
use e2e::provider::Billed;
use e2e::system::Wish;

use crate::{Stage, each_was_charged_what_was_billed};

/// How many ask at once.
const ASKING: usize = 1_000;
/// For how many of them the balance suffices. A lease is at most a hundredth of what is free and not worth taking for
/// few requests, so with leases the balance is larger.
const AFFORDED: usize = 400;
const AFFORDED_WITH_LEASES: usize = 900;

/// What a request uses, compared with what was set aside for it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Usage {
    Below,
    At,
    Above,
}

/// Wishes of always the same length, so that all questions are held for alike.
fn wishes(usage: Billed) -> String {
    let Billed { input, cached, output } = usage;
    format!("gate; input_tokens={input:06}; cached_tokens={cached:06}; output_tokens={output:06}")
}

impl Usage {
    /// The tokens that cost less than a hold, as much as it to the nearest price of a token, or more.
    fn of(self, hold: i64) -> anyhow::Result<Billed> {
        let hold = u64::try_from(hold)?;
        let at = |nanos: u64| {
            let (output, rest) = (nanos / 600, nanos % 600);
            let (input, rest) = (rest / 150, rest % 150);
            let cached = rest / 75;
            Billed { input: input + cached, cached, output }
        };
        Ok(match self {
            Self::Below => at(hold / 3),
            Self::At => at(hold),
            Self::Above => at(hold * 3 / 2),
        })
    }
}

async fn exactly_as_many_as_are_afforded(usage: Usage, with_leases: bool) -> anyhow::Result<()> {
    let mut stage = Stage::set().await?;
    let hold = stage.hold_of(&wishes(Billed::default())).await?;
    let used = usage.of(hold)?;
    let wishes = wishes(used);
    let affordable = if with_leases { AFFORDED_WITH_LEASES } else { AFFORDED };
    let afforded = i64::try_from(affordable)?;
    // A part of a hold is no hold.
    let balance = afforded * hold + hold / 2;
    if with_leases {
        stage.leave_exactly(balance - 1).await?;
        take_leases(&stage).await?;
    }
    stage.leave_exactly(balance).await?;
    stage.system.forget_arrivals().await?;

    let mut asked = stage.ask_patiently(0..ASKING, ASKING, &wishes);
    if tokio::time::timeout(Duration::from_secs(45), asked.ended(ASKING - affordable)).await.is_err() {
        anyhow::bail!(
            "{} wait at the gate, and not all others were refused: {:?} {:#?}",
            stage.system.waiting_at_gate().await?,
            stage.system.purse(&stage.tenant).await?,
            stage.system.holds().await?
        );
    }
    stage.system.wait_at_gate(affordable).await?;
    stage.system.open_gate().await?;
    let answers = asked.finish().await?;
    let with = |status: u16| answers.values().filter(|answer| **answer == Some(status)).count();
    ensure!(
        (with(200), with(402)) == (affordable, ASKING - affordable),
        "{} were answered, {} were refused for lack of credits, the rest: {:?}",
        with(200),
        with(402),
        answers.values().filter(|answer| !matches!(answer, Some(200 | 402))).collect::<Vec<_>>()
    );

    let books = stage.the_books_balance().await?;
    ensure!(books.arrivals.len() == affordable, "{} reached the provider", books.arrivals.len());
    each_was_charged_what_was_billed(&books)?;
    let left = (balance - afforded * used.nanos()).max(0);
    let found = stage.system.balance(&stage.tenant).await?;
    ensure!(found == left, "{left} nano-dollars should be left, not {found}");
    Ok(())
}

/// Asks until proxies have set something aside to spend on their own, as they do on accounts that they serve steadily;
/// what is asked costs nothing.
async fn take_leases(stage: &Stage) -> anyhow::Result<()> {
    stage.system.open_gate().await?;
    for wave in 1..100 {
        let numbers = wave * 1_000..wave * 1_000 + 100;
        stage.ask_patiently(numbers, 8, &wishes(Billed::default())).finish().await?;
        let purse = stage.system.purse(&stage.tenant).await?.unwrap_or_default();
        if purse.leased > 0 {
            return stage.system.close_gate().await;
        }
    }
    anyhow::bail!("no proxy takes a lease")
}

#[tokio::test]
async fn a_balance_affords_exactly_as_many_whose_usage_is_below_the_hold() -> anyhow::Result<()> {
    exactly_as_many_as_are_afforded(Usage::Below, false).await
}

#[tokio::test]
async fn a_balance_affords_exactly_as_many_whose_usage_is_at_the_hold() -> anyhow::Result<()> {
    exactly_as_many_as_are_afforded(Usage::At, false).await
}

#[tokio::test]
async fn a_balance_affords_exactly_as_many_whose_usage_is_above_the_hold() -> anyhow::Result<()> {
    exactly_as_many_as_are_afforded(Usage::Above, false).await
}

#[tokio::test]
async fn a_balance_affords_exactly_as_many_below_the_hold_with_leases_out() -> anyhow::Result<()> {
    exactly_as_many_as_are_afforded(Usage::Below, true).await
}

#[tokio::test]
async fn a_balance_affords_exactly_as_many_at_the_hold_with_leases_out() -> anyhow::Result<()> {
    exactly_as_many_as_are_afforded(Usage::At, true).await
}

#[tokio::test]
async fn a_balance_affords_exactly_as_many_above_the_hold_with_leases_out() -> anyhow::Result<()> {
    exactly_as_many_as_are_afforded(Usage::Above, true).await
}

/// Nobody waits at a gate: money comes back while others ask, so who is served is chance, and the sum is not.
#[tokio::test]
async fn a_balance_is_never_overspent_by_whoever_comes_when() -> anyhow::Result<()> {
    let mut stage = Stage::set_with(Wish::default()).await?;
    let wishes = "words=40; latency_ms=5";
    let hold = stage.hold_of(wishes).await?;
    stage.leave_exactly(200 * hold).await?;
    let answers = stage.ask_patiently(0..ASKING, 64, wishes).finish().await?;
    ensure!(
        answers.values().all(|answer| matches!(answer, Some(200 | 402))),
        "neither served nor refused for lack of credits: {answers:?}"
    );
    let books = stage.the_books_balance().await?;
    each_was_charged_what_was_billed(&books)?;
    // Who is refused now lacks a hold; who lacks one may be served, because his input is counted where it matters.
    let answer = stage.asker.ask(stage.system.url(), "request-999998", &question("request-999998", wishes));
    let answer = answer.send().await?;
    let left = stage.system.balance(&stage.tenant).await?;
    let is_right = answer.status == 200 || answer.status == 402 && left < hold;
    ensure!(is_right, "{} with {left} of {hold} left", answer.status);
    Ok(())
}
