//! Requests that end badly: who is charged what when a caller leaves, a provider fails or is too slow.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use e2e::credits::{question, streamed};
use e2e::http::{Answer, Call};
use e2e::provider::Arrival;
use e2e::records::Record;
use http_body_util::BodyExt as _;

use crate::{Stage, each_was_charged_what_was_billed};

const ID: &str = "request-000001";

impl Stage {
    fn one(&self, question: &serde_json::Value) -> Call {
        self.asker.ask(self.system.url(), ID, question)
    }

    /// Sends the one request of a story and waits for its whole answer.
    async fn answer(&self, question: &serde_json::Value) -> anyhow::Result<Answer> {
        self.one(question).send().await
    }

    /// What the provider and the books say of the one request.
    async fn ending(&self) -> anyhow::Result<(Arrival, Record)> {
        let mut books = self.the_books_balance().await?;
        each_was_charged_what_was_billed(&books)?;
        let arrival = books.arrivals.remove(ID).context("it reached the provider")?;
        let record = books.records.remove(ID).context("it was recorded")?;
        ensure!(record.charge <= record.hold.unwrap_or_default(), "more than was set aside: {record:#?}");
        Ok((arrival, record))
    }

    async fn fresh() -> anyhow::Result<Self> {
        let stage = Self::set().await?;
        stage.system.forget_arrivals().await?;
        Ok(stage)
    }

    /// Sends the one request, reads until so many words have come, and hangs up.
    async fn hang_up_after(&self, words: usize, question: &serde_json::Value) -> anyhow::Result<()> {
        let answer = self.one(question).open().await?;
        ensure!(answer.status() == 200, "{answer:?}");
        let mut body = answer.into_body();
        let mut seen = String::new();
        while seen.matches(" coin").count() < words {
            let frame = body.frame().await.context("the stream ends early")??;
            seen.push_str(&String::from_utf8_lossy(&frame.into_data().unwrap_or_default()));
        }
        Ok(())
    }

    async fn arrival_when(&self, what: &str, enough: impl Fn(&Arrival) -> bool) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let arrivals = self.system.arrivals().await?;
            if arrivals.iter().any(|arrival| arrival.id.as_deref() == Some(ID) && enough(arrival)) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "waited for {what}; at the provider: {arrivals:#?}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

#[tokio::test]
async fn who_hangs_up_pays_what_came_where_the_provider_stops_then() -> anyhow::Result<()> {
    let stage = Stage::fresh().await?;
    // The provider says thirty words and waits, so that what it produced is what came.
    let question = streamed(ID, "words=50; gate; gate_after=30", Some(64));
    stage.hang_up_after(30, &question).await?;
    stage.arrival_when("it to be cancelled", |arrival| arrival.state == "cancelled").await?;
    let (arrival, record) = stage.ending().await?;
    ensure!((arrival.billed.output, &*record.outcome) == (30, "hung_up"), "{arrival:#?} {record:#?}");
    Ok(())
}

#[tokio::test]
async fn who_hangs_up_pays_everything_where_the_operator_knows_that_the_provider_goes_on()
-> anyhow::Result<()> {
    let stage = Stage::fresh().await?;
    stage.system.provider_bills_on().await?;
    let question = streamed(ID, "words=50; gate; gate_after=30; bills_on", Some(64));
    stage.hang_up_after(30, &question).await?;
    stage.system.open_gate().await?;
    stage.arrival_when("its end", Arrival::is_over).await?;
    let (arrival, record) = stage.ending().await?;
    ensure!((arrival.billed.output, &*record.outcome) == (50, "hung_up"), "{arrival:#?} {record:#?}");
    Ok(())
}

#[tokio::test]
async fn who_hangs_up_pays_everything_where_a_model_thinks_out_of_sight() -> anyhow::Result<()> {
    let stage = Stage::fresh().await?;
    // A model that thinks out of sight: nobody but the provider knows what a broken answer costs.
    let mut question = streamed(ID, "words=50; reasoning_tokens=10; gate; gate_after=30; bills_on", None);
    question["model"] = "o4-mini".into();
    question["max_completion_tokens"] = 64.into();
    stage.hang_up_after(30, &question).await?;
    stage.system.open_gate().await?;
    stage.arrival_when("its end", Arrival::is_over).await?;
    let books = stage.the_books_balance().await?;
    let (arrival, record) = (&books.arrivals[ID], &books.records[ID]);
    ensure!(arrival.billed.output == 60, "{arrival:#?}");
    // $1.10 and $4.40 a million.
    let billed = i64::try_from(arrival.billed.input * 1_100 + arrival.billed.output * 4_400)?;
    ensure!(record.charge == billed && &*record.outcome == "hung_up", "{billed} {record:#?}");
    ensure!(record.charge <= record.hold.unwrap_or_default(), "{record:#?}");
    Ok(())
}

#[tokio::test]
async fn who_revokes_his_token_in_the_middle_of_an_answer_pays_for_the_thoughts_too() -> anyhow::Result<()> {
    let stage = Stage::fresh().await?;
    let mut question = streamed(ID, "words=50; reasoning_tokens=10; gate; gate_after=30; bills_on", None);
    question["model"] = "o4-mini".into();
    question["max_completion_tokens"] = 64.into();
    let answer = stage.one(&question).open().await?;
    ensure!(answer.status() == 200, "{answer:?}");
    let tokens = stage.tenant.ask("GET", "/ai-gateway/gateways/demo/tokens", None).await?;
    for token in tokens.as_array().context("the tokens")? {
        let id = token["id"].as_str().context("a token's id")?;
        stage.tenant.ask("DELETE", &format!("/ai-gateway/gateways/demo/tokens/{id}"), None).await?;
    }
    let told = answer.into_body().collect().await.context("the stream ends in order")?.to_bytes();
    ensure!(String::from_utf8_lossy(&told).contains("token_revoked"), "{told:?}");
    stage.system.open_gate().await?;
    stage.arrival_when("its end", Arrival::is_over).await?;
    let books = stage.the_books_balance().await?;
    let (arrival, record) = (&books.arrivals[ID], &books.records[ID]);
    let billed = i64::try_from(arrival.billed.input * 1_100 + arrival.billed.output * 4_400)?;
    ensure!(arrival.billed.output == 60 && record.charge == billed, "{billed} {arrival:#?} {record:#?}");
    ensure!((&*record.outcome, &*record.cause) == ("ended", "token_revoked"), "{record:#?}");
    Ok(())
}

#[tokio::test]
async fn an_error_before_the_first_token_is_free() -> anyhow::Result<()> {
    for wishes in ["status=500", "status=429", "reset"] {
        let stage = Stage::fresh().await?;
        let answer = stage.answer(&question(ID, wishes)).await?;
        ensure!(answer.status >= 400, "{}", answer.text());
        let (_, record) = stage.ending().await?;
        ensure!((record.charge, record.paid) == (0, 0), "{wishes}: {record:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn an_error_in_the_middle_costs_what_came() -> anyhow::Result<()> {
    for wishes in ["words=50; error_in_stream=30", "words=50; half_stream=30"] {
        let stage = Stage::fresh().await?;
        let answer = stage.one(&streamed(ID, wishes, Some(64))).open().await?;
        ensure!(answer.status() == 200, "{answer:?}");
        // How it ends is another story's.
        let _ = answer.into_body().collect().await;
        let (arrival, record) = stage.ending().await?;
        ensure!(arrival.billed.output == 30 && record.charge > 0, "{wishes}: {arrival:#?} {record:#?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_time_out_of_ours_costs_the_input() -> anyhow::Result<()> {
    let stage = Stage::fresh().await?;
    let call = stage.one(&question(ID, "hang")).header("cf-aig-request-timeout", "200");
    let answer = call.send().await?;
    ensure!(answer.status >= 400, "{}", answer.text());
    let (arrival, record) = stage.ending().await?;
    ensure!(arrival.billed.output == 0 && arrival.billed.input > 0, "{arrival:#?}");
    ensure!(record.cause == "provider_timeout" && record.charge > 0, "{record:#?}");
    Ok(())
}

#[tokio::test]
async fn five_time_outs_cost_five_inputs() -> anyhow::Result<()> {
    let stage = Stage::fresh().await?;
    for attempt in 0..5 {
        let id = format!("request-{attempt:06}");
        let question = question(&id, "hang");
        let call = stage.asker.ask(stage.system.url(), &id, &question);
        let answer = call.header("cf-aig-request-timeout", "200").send().await?;
        ensure!(answer.status >= 400, "{}", answer.text());
    }
    let books = stage.the_books_balance().await?;
    each_was_charged_what_was_billed(&books)?;
    let charges: Vec<i64> = books.arrivals.keys().map(|id| books.records[id].charge).collect();
    ensure!(charges.len() == 5 && charges.iter().all(|charge| *charge > 0), "{charges:?}");
    Ok(())
}

#[tokio::test]
async fn who_leaves_before_the_first_byte_pays_the_input() -> anyhow::Result<()> {
    let stage = Stage::fresh().await?;
    let call = stage.one(&question(ID, "gate; words=20"));
    let asking = tokio::spawn(call.send());
    stage.system.wait_at_gate(1).await?;
    asking.abort();
    let _ = asking.await;
    stage.arrival_when("it to be cancelled", |arrival| arrival.state == "cancelled").await?;
    let (arrival, record) = stage.ending().await?;
    ensure!(arrival.billed.output == 0 && record.charge > 0, "{arrival:#?} {record:#?}");
    Ok(())
}
