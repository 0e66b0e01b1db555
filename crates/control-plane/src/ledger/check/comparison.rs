//! One account as Redis shows it and as the ledger has it.

use std::collections::HashMap;

use meter::desk::{Figures, View};
use model::{AccountId, Nanos};
use store::ledger::{Finding, Mirrored, Withdrawal};
use uuid::Uuid;

/// What is not as it should be, where both were seen at the same position of the stream.
pub(super) fn differences(
    told: &Mirrored,
    figures: &Figures,
    view: &View,
    withdrawals: &[Withdrawal],
) -> Vec<Finding> {
    let account = told.account;
    let Figures { is_loaded, free, held, unposted, applied, .. } = *figures;
    let mut findings = Vec::new();
    let mut find = |rule, detail| {
        findings.push(Finding { rule, subject: format!("account {account}"), detail });
    };
    let mine = || view.holds.iter().filter(|(_, hold)| hold.account == account);
    for (holder, hold) in mine().filter(|(holder, _)| !view.watched.contains(holder)) {
        let (amount, id) = (hold.amount, hold.id);
        find("hold_of_nobody", format!("{amount} are held as {id} by {holder}, over whom nobody watches"));
    }
    let holds: Nanos = mine().map(|(_, hold)| hold.amount).sum();
    if held != holds {
        find("held_is_not_the_sum_of_holds", format!("{held} are held, the holds come to {holds}"));
    }
    if let Some(coming) = on_its_way(account, view, withdrawals).filter(|coming| *coming != unposted) {
        let detail = format!("{unposted} are unposted, and {coming} are on their way to the ledger");
        find("unposted_is_not_on_its_way", detail);
    }
    let lost = told.lost_after(applied);
    if is_loaded && lost > 0 {
        let detail = format!("{lost} deposits after number {applied} will never reach Redis");
        find("credit_is_not_passed_on", detail);
    }
    let (there, balance) = (free + held + unposted, told.balance_at(applied));
    if is_loaded && there != balance && lost == 0 {
        let detail = format!(
            "{free} free, {held} held and {unposted} unposted come to {there}; the ledger has {balance}"
        );
        find("redis_is_not_the_balance", detail);
    }
    findings
}

/// What the desk will hear of: what records in the stream have paid, and what it has taken itself for these
/// and for withdrawals. Not known while very much is under way.
fn on_its_way(account: AccountId, view: &View, withdrawals: &[Withdrawal]) -> Option<Nanos> {
    let entries = view.on_its_way.as_ref()?;
    let records = entries.iter().flat_map(|entry| &entry.records).filter(|record| record.account == account);
    // A record that stands there twice was collected for once.
    let mut collected: HashMap<Uuid, Nanos> = HashMap::new();
    let mut paid = Nanos::ZERO;
    let taken = |id: &Uuid| view.collected.get(id).copied().unwrap_or_default();
    for record in records {
        paid += record.paid;
        collected.insert(record.id, taken(&record.id));
    }
    let mine = withdrawals.iter().filter(|withdrawal| withdrawal.account == account);
    collected.extend(mine.map(|withdrawal| (withdrawal.id, taken(&withdrawal.id))));
    Some(paid + collected.into_values().sum())
}
