//! Streams on credits hold in steps, and end where the credits do.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use e2e::credits::streamed;
use e2e::http::Answer;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::{CENT, FIVE_DOLLARS, Stage};

/// The payloads of a stream's events.
fn events(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let payloads = text.lines().filter_map(|line| line.strip_prefix("data: "));
    payloads.filter_map(|payload| serde_json::from_str(payload).ok()).collect()
}

/// How many words the caller saw: every word is one token.
fn words(answer: &Answer) -> u64 {
    let said = events(answer);
    let said = said.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str());
    said.map(|text| text.matches(" coin").count() as u64).sum()
}

fn finish(answer: &Answer) -> Option<String> {
    let events = events(answer);
    events.iter().rev().find_map(|event| Some(event["choices"][0]["finish_reason"].as_str()?.to_owned()))
}

/// The tokens that the caller is told.
fn reported(answer: &Answer) -> Option<(u64, u64)> {
    let events = events(answer);
    let usage = events.iter().rev().find_map(|event| event.get("usage").filter(|usage| usage.is_object()))?;
    Some((usage["prompt_tokens"].as_u64()?, usage["completion_tokens"].as_u64()?))
}

/// A long stream, its usage asked for.
fn long(id: &str) -> Value {
    let mut question = streamed(id, "words=6400; chunks=100", Some(8_000));
    question["stream_options"] = serde_json::json!({"include_usage": true});
    question
}

#[tokio::test]
async fn a_long_stream_that_is_afforded_comes_whole_and_is_charged_what_was_billed() -> anyhow::Result<()> {
    let stage = Stage::rich(e2e::system::Wish::default()).await?;
    stage.system.forget_arrivals().await?;
    let answer =
        stage.asker.ask(stage.system.url(), "request-000001", &long("request-000001")).send().await?;
    ensure!(answer.status == 200 && words(&answer) == 6_400, "{}", answer.text());
    ensure!(finish(&answer).as_deref() == Some("stop"));
    let books = stage.the_books_balance().await?;
    crate::each_was_charged_what_was_billed(&books)
}

#[tokio::test]
async fn a_stream_ends_where_the_credits_do_with_length_and_its_usage() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    stage.system.forget_arrivals().await?;
    // A cent pays for some sixteen thousand words: two such streams, and a part of the third.
    let mut cut = None;
    for number in 0..8 {
        let id = format!("request-{number:06}");
        let answer = stage.asker.ask(stage.system.url(), &id, &long(&id)).send().await?;
        if answer.status == 402 {
            break;
        }
        ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
        if finish(&answer).as_deref() == Some("length") {
            cut = Some((id, answer));
        }
    }
    let (id, answer) = cut.context("no stream was cut off")?;
    ensure!(answer.text().trim_end().ends_with("data: [DONE]"), "{}", answer.text());
    let books = stage.the_books_balance().await?;
    let (record, arrival) = (&books.records[&id], &books.arrivals[&id]);
    let (input, output) = reported(&answer).context("the usage of what came")?;
    ensure!(output == words(&answer), "{output} tokens are reported, {} came", words(&answer));
    ensure!(input == arrival.billed.input, "{input} read, and {arrival:#?}");
    ensure!(record.charge == i64::try_from(input * 150 + output * 600)?, "{record:#?}");
    ensure!(record.charge <= record.hold.unwrap_or_default(), "more than was set aside: {record:#?}");
    ensure!(record.paid == record.charge, "{record:#?}");
    Ok(())
}

#[tokio::test]
async fn a_thousand_streams_of_which_few_are_afforded_never_overspend() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    stage.system.grant(&stage.tenant, 10 * CENT).await?;
    let granted = stage.granted + 10 * CENT;
    stage.system.forget_arrivals().await?;
    let mut asking = JoinSet::new();
    for number in 0..1_000 {
        let id = format!("request-{number:06}");
        let url = &stage.system.proxies[number % stage.system.proxies.len()].url;
        let call = stage.asker.ask(url, &id, &long(&id));
        asking.spawn(async move {
            // Who is told to come again does so.
            loop {
                let answer = call.clone().send().await?;
                if answer.status != 503 {
                    return anyhow::Ok((id, answer));
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
    }
    let mut answers = Vec::new();
    while let Some(asked) = asking.join_next().await {
        answers.push(asked??);
    }
    let books = e2e::books::balanced(&stage.system, &stage.tenant, granted).await?;
    let mut cut = 0;
    for (id, answer) in &answers {
        ensure!(matches!(answer.status, 200 | 402), "{} {}", answer.status, answer.text());
        let (200, Some(record)) = (answer.status, books.records.get(id)) else { continue };
        ensure!(record.charge <= record.hold.unwrap_or_default(), "more than was set aside: {record:#?}");
        ensure!(record.paid == record.charge, "{record:#?}");
        let (input, output) = reported(answer).context("its usage")?;
        ensure!(output == words(answer), "{output} tokens are reported, {} came", words(answer));
        ensure!(record.charge == i64::try_from(input * 150 + output * 600)?, "{record:#?}");
        cut += usize::from(finish(answer).as_deref() == Some("length"));
    }
    ensure!(cut > 0, "no stream was cut off");
    Ok(())
}

#[tokio::test]
async fn a_request_that_names_no_limit_gets_one_that_the_provider_obeys() -> anyhow::Result<()> {
    let stage = Stage::set().await?;
    stage.system.forget_arrivals().await?;
    let id = "request-000001";
    let mut question = streamed(id, "words=40", None);
    question["stream"] = serde_json::json!(false);
    let answer = stage.asker.ask(stage.system.url(), id, &question).send().await?;
    ensure!(answer.status == 200, "{} {}", answer.status, answer.text());
    let told: u64 =
        answer.header("tollgate-output-limit").parse().context("the limit that was spliced in")?;
    let books = stage.the_books_balance().await?;
    ensure!(books.arrivals[id].output_limit == Some(told), "{:#?}", books.arrivals);
    // A cent affords less than the 16,384 tokens that the gateway would allow.
    ensure!((256..16_384).contains(&told), "{told}");
    ensure!(books.records[id].hold.unwrap_or(FIVE_DOLLARS) <= CENT, "{:#?}", books.records);
    Ok(())
}
