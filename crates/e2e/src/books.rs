//! What must be true of money when a story is over, whatever happened in it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;
use sqlx::{Connection as _, PgConnection, Row as _};

use crate::provider::Arrival;
use crate::records::Record;
use crate::system::System;
use crate::tenant::Tenant;
use crate::traffic;

/// What a story left behind.
#[derive(Debug)]
pub struct Books {
    /// The records of requests on credits, by their id in the story.
    pub records: BTreeMap<String, Record>,
    /// What reached the provider, by the same id.
    pub arrivals: BTreeMap<String, Arrival>,
}

/// How long holds of a proxy that died may stand: its beats are missed for half a minute first.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until nothing is held or unposted any more, and checks that the records are, as a set, the requests that
/// reached the provider, each charged once, beside those of which only a proxy that died could know; that the tenant has what was granted less what was paid; that the ledger
/// sums to zero; and that `tollgate ledger check` finds nothing.
pub async fn balanced(system: &System, tenant: &Tenant, granted: i64) -> anyhow::Result<Books> {
    let arrivals = arrivals(system).await?;
    let all_recorded = |records: &[Record]| {
        arrivals.keys().all(|id| records.iter().any(|record| record.event_id == *id && record.on_credits()))
    };
    system.records_when("a record for each request that reached the provider", all_recorded).await?;
    nothing_is_held(system, tenant).await?;

    let mut records: BTreeMap<String, Record> = BTreeMap::new();
    let (mut paid, mut charged) = (0, 0);
    for record in system.records().await?.into_iter().filter(Record::on_credits) {
        paid += record.paid;
        charged += record.charge;
        let of_story = record.event_id.starts_with(traffic::PREFIX);
        let arrived = arrivals.contains_key(&record.event_id) || !of_story;
        // Nobody knows of a request whose proxy died on its way to the provider whether it arrived.
        let unknown = record.outcome == "abandoned" && Some(record.charge) == record.floor;
        ensure!(arrived || unknown || record.charge == 0, "charged, and never arrived: {record:#?}");
        // Who was refused may come again, and who was served may not.
        let refused = record.outcome == "refused" && record.charge == 0;
        if refused && records.contains_key(&record.event_id) {
            continue;
        }
        if let Some(first) = records.insert(record.event_id.clone(), record) {
            let second = &records[&first.event_id];
            ensure!(!of_story || first.outcome == "refused", "recorded twice: {first:#?} and {second:#?}");
        }
    }
    let balance = system.balance(tenant).await?;
    ensure!(balance == granted - paid, "of {granted} nano-dollars {paid} were paid, and {balance} are left");
    ledger_sums_to_zero(system, charged - paid).await?;
    ledger_check_finds_nothing(system).await?;
    Ok(Books { records, arrivals })
}

/// What reached the provider and bears an id, once nothing is on its way any more.
async fn arrivals(system: &System) -> anyhow::Result<BTreeMap<String, Arrival>> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let arrivals = system.arrivals().await?;
        if arrivals.iter().all(Arrival::is_over) {
            let mut by_id = BTreeMap::new();
            for arrival in arrivals {
                let Some(id) = arrival.id.clone() else { continue };
                ensure!(by_id.insert(id.clone(), arrival).is_none(), "{id} reached the provider twice");
            }
            return Ok(by_id);
        }
        ensure!(Instant::now() < deadline, "not over at the provider: {arrivals:#?}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

async fn nothing_is_held(system: &System, tenant: &Tenant) -> anyhow::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let purse = system.purse(tenant).await?.unwrap_or_default();
        let holds = system.holds().await?;
        if purse.held == 0 && purse.unposted == 0 && holds.is_empty() {
            return Ok(());
        }
        ensure!(Instant::now() < deadline, "still held: {purse:?} {holds:#?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Every transfer moves money from one account to another, so what the accounts have sums to zero, and each has what
/// its transfers say. What customers could not pay is the operator's shortfall.
async fn ledger_sums_to_zero(system: &System, unpaid: i64) -> anyhow::Result<()> {
    let mut connection = PgConnection::connect(&system.database_url).await?;
    let rows = sqlx::query(
        "SELECT a.id::text, a.kind, a.balance, coalesce(sum(CASE WHEN t.to_account = a.id THEN t.amount \
         ELSE -t.amount END), 0)::bigint AS moved FROM ledger_accounts a \
         LEFT JOIN ledger_transfers t ON a.id IN (t.from_account, t.to_account) GROUP BY a.id",
    )
    .fetch_all(&mut connection)
    .await?;
    let (mut sum, mut shortfall) = (0, 0);
    for row in &rows {
        let (id, kind): (String, String) = (row.try_get("id")?, row.try_get("kind")?);
        let (balance, moved): (i64, i64) = (row.try_get("balance")?, row.try_get("moved")?);
        ensure!(balance == moved, "{kind} {id} has {balance}, but {moved} were moved there");
        sum += balance;
        if kind == "shortfall" {
            shortfall -= balance;
        }
    }
    ensure!(sum == 0, "the trial balance is {sum}");
    ensure!(shortfall == unpaid, "{unpaid} could not be paid, and the shortfall is {shortfall}");
    Ok(())
}

async fn ledger_check_finds_nothing(system: &System) -> anyhow::Result<()> {
    let output = system.tollgate(&["ledger", "check", "--json"]).await?;
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "`tollgate ledger check`: {told}\n{complained}");
    let report: Value = serde_json::from_str(&told).with_context(|| format!("{told}\n{complained}"))?;
    let findings = report["findings"].as_array().with_context(|| format!("findings in {told}"))?;
    ensure!(findings.is_empty(), "`tollgate ledger check` finds {findings:#?}");
    Ok(())
}
