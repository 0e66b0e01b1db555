//! `/billing/usage-history` and `/billing/invoice-preview`: what was used of the credits.

use http::{Method, StatusCode};
use model::usage::{KeySource, Outcome, UsageRecord};
use model::{AccountId, Nanos, samples};
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::ledger::{self, Cause, CauseKind, Destination, Missing};
use store::usage;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::support::{Actor, Api};
use crate::{DOLLAR, billing, give, work_off_withdrawals};

fn record(account: AccountId, model: &str, paid: i64) -> UsageRecord {
    let mut record = samples::usage_record(Uuid::now_v7(), account);
    record.key_source = Some(KeySource::Credits);
    record.price_model = model.to_owned();
    (record.charge, record.paid) = (Nanos(paid), Nanos(paid));
    record
}

/// Posts a batch of records under a name of its own, and takes from the account what they were paid, for
/// the reason for which the ledger's desk would.
async fn post(api: &Api, batch: &str, records: &[UsageRecord]) {
    let account = records[0].account;
    let paid: Nanos = records.iter().map(|record| record.paid).sum();
    let mut tx = api.store.pool.begin().await.unwrap();
    if paid > Nanos::ZERO {
        let cause = Cause::new(CauseKind::Usage, format!("{account}/{batch}"));
        let (to, missing) = (Destination::Revenue, Missing::Refuse);
        ledger::request_withdrawal(&mut tx, account, paid, to, missing, &cause, "").await.unwrap();
    }
    usage::ensure_day(&api.store, usage::day(records[0].id).unwrap()).await.unwrap();
    usage::insert(&mut tx, records).await.unwrap();
    tx.commit().await.unwrap();
    work_off_withdrawals(api).await;
}

async fn get(api: &Api, actor: &Actor, account: AccountId, path: &str) -> (StatusCode, Value) {
    api.call(actor, Method::GET, &billing(account, path), None).await
}

#[sqlx::test(migrations = "../../migrations")]
async fn usage_is_shown_by_time_as_the_ledger_has_it_and_by_model_as_the_records_have_it(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let (other, _) = api.owner().await;
    give(&api, account, 5).await;
    give(&api, other, 5).await;
    let began = OffsetDateTime::now_utc();
    let batch = [record(account, "gpt-4o", DOLLAR), record(account, "gpt-4o-mini", 1)];
    post(&api, "1", &batch).await;
    post(&api, "2", &[record(account, "gpt-4o", DOLLAR / 2)]).await;
    post(&api, "1", &[record(other, "gpt-4o", DOLLAR)]).await;
    // One that was paid with a key of the account's own.
    let mut own = record(account, "gpt-4o", 0);
    own.key_source = Some(KeySource::StoredKey);
    post(&api, "3", &[own]).await;

    for window in ["hour", "day"] {
        let path = format!("usage-history?value_grouping_window={window}");
        let (status, body) = get(&api, &owner, account, &path).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        let history = body["result"]["history"].as_array().unwrap();
        let used: Vec<&str> =
            history.iter().map(|window| window["aggregated_value_usd"].as_str().unwrap()).collect();
        // The batches may lie on both sides of a full hour.
        assert!([vec!["1.500000001"], vec!["1.000000001", "0.5"]].contains(&used), "{used:?}");
        let length = history[0]["end_time"].as_i64().unwrap() - history[0]["start_time"].as_i64().unwrap();
        assert_eq!(length, if window == "hour" { 3_600_000 } else { 86_400_000 });
    }
    let before = (began - Duration::DAY).unix_timestamp() * 1000;
    let path = format!("usage-history?value_grouping_window=day&end_time={before}.0");
    assert_eq!(get(&api, &owner, account, &path).await.1["result"]["history"], json!([]));

    let (_, body) = get(&api, &owner, account, "invoice-preview").await;
    let preview = &body["result"];
    assert_eq!((&preview["amount_due_usd"], &preview["amount_due"]), (&json!("1.500000001"), &json!(150)));
    assert_eq!((&preview["amount_remaining"], &preview["status"]), (&json!(0), &json!("draft")));
    let lines = preview["invoice_lines"].as_array().unwrap();
    let shown: Vec<(&Value, &Value, &Value)> =
        lines.iter().map(|line| (&line["description"], &line["amount_usd"], &line["quantity"])).collect();
    assert_eq!(
        shown,
        [
            (&json!("openai/gpt-4o"), &json!("1.5"), &json!(2)),
            (&json!("openai/gpt-4o-mini"), &json!("0.000000001"), &json!(1)),
        ]
    );
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_correction_stands_in_for_the_record_that_it_corrects(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    give(&api, account, 5).await;
    let mut abandoned = record(account, "gpt-4o", DOLLAR);
    abandoned.outcome = Outcome::Abandoned;
    post(&api, "1", std::slice::from_ref(&abandoned)).await;
    let real = UsageRecord { paid: Nanos(2 * DOLLAR), outcome: Outcome::Answered, ..abandoned };
    let mut tx = api.store.pool.begin().await.unwrap();
    usage::insert(&mut tx, &[real]).await.unwrap();
    tx.commit().await.unwrap();
    let (_, body) = get(&api, &owner, account, "invoice-preview").await;
    assert_eq!(body["result"]["amount_paid_usd"], "2");
    assert_eq!(body["result"]["invoice_lines"][0]["quantity"], 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_time_that_cannot_be_is_told_with_its_parameter(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    for (path, parameter) in [
        ("usage-history", "value_grouping_window"),
        ("usage-history?value_grouping_window=week", "value_grouping_window"),
        ("usage-history?value_grouping_window=day&start_time=x", "start_time"),
        ("usage-history?value_grouping_window=day&start_time=2&end_time=1", "start_time"),
        ("usage-history?value_grouping_window=hour&start_time=0", "start_time"),
        ("usage-history?value_grouping_window=day&end_time=99999999999999999", "end_time"),
        ("invoice-history?type=none", "type"),
    ] {
        let (status, body) = get(&api, &owner, account, path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(body["errors"][0]["path"], json!(["query", parameter]), "{path}: {body}");
    }
}
