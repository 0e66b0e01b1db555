//! What a record from the stream is to the ledger: new, the correction of one that had been given up, or
//! known; and what Redis is told of it.

use meter::desk;
use model::Nanos;
use model::usage::{KeySource, Measure, Outcome, UsageRecord};
use store::ledger::{self, Before, Claim, Used};
use store::shards::{PendingAccount, PendingCounter};
use store::usage::Known;

/// A record, and what became of it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// As it will be kept.
    pub(super) record: UsageRecord,
    /// What it has taken of its account, which is unposted in Redis.
    pub(super) taken: Nanos,
    /// What was taken for it beyond that.
    pub(super) collected: Nanos,
    /// What Redis has counted for it.
    pub(super) seen: Seen,
    /// Whether all that its account has may be taken: nothing is set aside of an account in an era that has
    /// ended, and nobody has loaded it in the next.
    pub(super) takes_all: bool,
    /// What it is to the ledger; of a record in which no money moves it is known once it is written.
    pub(super) verdict: Option<Verdict>,
}

/// What Redis has counted for a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// What it says.
    All,
    /// What it was opened with: nobody heard of the request again, and this was its cost then.
    Opened(Option<Nanos>),
    /// Nothing: it comes from an era that has ended.
    Nothing,
}

/// What a record is to the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is known of it.
    New,
    /// It had been given up; this is the real one.
    Correction(Known),
    /// It is there already.
    Duplicate,
}

impl Verdict {
    /// Of a record whose id is known like this.
    pub(super) fn of(record: &UsageRecord, known: Option<&Known>) -> Self {
        match known {
            None => Self::New,
            Some(known) if known.abandoned && !known.corrected && record.outcome != Outcome::Abandoned => {
                Self::Correction(known.clone())
            }
            Some(_) => Self::Duplicate,
        }
    }
}

impl Item {
    /// A record as it was read. What is less than nothing is nothing, and nothing costs more than any
    /// account can have.
    pub(super) fn of(mut record: UsageRecord) -> Self {
        record.charge = record.charge.clamp(Nanos::ZERO, ledger::MAXIMUM);
        record.cost = record.cost.map(|cost| cost.clamp(-ledger::MAXIMUM, ledger::MAXIMUM));
        let taken = std::mem::take(&mut record.paid).max(Nanos::ZERO);
        let seen = Seen::All;
        Self { record, taken, collected: Nanos::ZERO, seen, takes_all: false, verdict: None }
    }

    /// A record that stands for a request of which nobody heard again. What it cost is what was charged
    /// for it.
    pub(super) fn reaped(mut record: UsageRecord) -> Self {
        record.outcome = Outcome::Abandoned;
        let opened = record.cost;
        if record.charge > Nanos::ZERO {
            record.cost = Some(billed(true, false, record.charge, record.markup_ppm, Nanos::ZERO));
        }
        Self { seen: Seen::Opened(opened), ..Self::of(record) }
    }

    /// The same, from an era that has ended.
    pub(super) fn unseen(self) -> Self {
        Self { seen: Seen::Nothing, ..self }
    }

    /// Whether it can be posted without looking at what is free: nothing is missing of it, and it is not
    /// known.
    pub(super) fn is_whole(&self) -> bool {
        !self.is_of_money() || self.verdict == Some(Verdict::New) && self.missing() == Nanos::ZERO
    }

    /// Whether money can move for it. All other records are written without a look at the ledger.
    pub(super) fn is_of_money(&self) -> bool {
        let Self { record, taken, .. } = self;
        record.key_source == Some(KeySource::Credits) || record.charge != Nanos::ZERO || *taken != Nanos::ZERO
    }

    /// What is due beyond what was posted before; below zero if that was too much.
    fn due(&self) -> Nanos {
        match &self.verdict {
            Some(Verdict::New) => self.record.charge,
            Some(Verdict::Correction(known)) => self.record.charge - known.paid,
            Some(Verdict::Duplicate) | None => Nanos::ZERO,
        }
    }

    /// What is due beyond what it has taken.
    pub(super) fn missing(&self) -> Nanos {
        (self.due() - self.taken).max(Nanos::ZERO)
    }

    /// What it asks of the ledger, if anything.
    pub(super) fn claim(&self) -> Option<Claim> {
        let before = match &self.verdict {
            Some(Verdict::New) => None,
            Some(Verdict::Correction(known)) => Some(Before {
                charge: known.charge,
                paid: known.paid,
                cost: billed(
                    true,
                    known.custom_cost,
                    known.charge,
                    known.markup_ppm,
                    known.cost.unwrap_or_default(),
                ),
                transaction: known.transaction,
            }),
            Some(Verdict::Duplicate) | None => return None,
        };
        let (record, charge) = (&self.record, self.record.charge);
        let cost = if record.key_source == Some(KeySource::Credits) || charge != Nanos::ZERO {
            let guessed = record.outcome == Outcome::Abandoned || record.cost.is_none();
            let cost = record.cost.unwrap_or_default();
            billed(guessed, record.custom_cost, charge, record.markup_ppm, cost)
        } else {
            Nanos::ZERO
        };
        let moves = before.is_some() || charge != Nanos::ZERO || cost != Nanos::ZERO;
        moves.then(|| Claim {
            record: record.id,
            account: record.account,
            charge,
            cost,
            set_aside: (!self.takes_all).then(|| self.taken + self.collected),
            before,
        })
    }

    /// What Redis is told of the account.
    pub(super) fn told(&self) -> PendingAccount {
        let unposted = self.taken + self.collected;
        let back = unposted - self.due().min(unposted);
        PendingAccount { account: self.record.account, unposted, back }
    }

    /// What Redis is told if the record could not be kept at all: everything goes back.
    pub(super) fn undone(&self) -> PendingAccount {
        let unposted = self.taken + self.collected;
        PendingAccount { account: self.record.account, unposted, back: unposted }
    }

    /// What is added to the rollups, and what Redis is told of the counters.
    pub(super) fn counted(&self) -> impl Iterator<Item = (Option<Used>, PendingCounter)> {
        let account = self.record.account;
        let reserved = self.record.hold.iter().flat_map(|hold| &hold.reserved);
        reserved.zip(desk::counted(&self.record)).map(move |(part, (counter, window, amount))| {
            // What it adds to what is known of the request.
            let change = match &self.verdict {
                Some(Verdict::New) => amount,
                Some(Verdict::Correction(known)) => amount - counted_before(known, part.measure),
                Some(Verdict::Duplicate) | None => 0,
            };
            let seen = match (self.seen, part.measure) {
                (Seen::Nothing, _) => 0,
                (Seen::Opened(cost), Measure::Spend) => cost.map_or(0, |cost| cost.0),
                (Seen::All | Seen::Opened(_), _) => amount,
            };
            // Calls are not remembered: their windows start empty after a loss.
            let is_kept = part.measure != Measure::Requests;
            let used =
                Used { account, counter: counter.to_owned(), measure: part.measure, window, amount: change };
            let there = if is_kept { change } else { 0 };
            let counter = counter.to_owned();
            let told = PendingCounter { account, counter, window, there, back: seen - change };
            ((is_kept && change != 0).then_some(used), told)
        })
    }
}

/// What the provider bills. Where that is not known it follows from the charge.
fn billed(is_guess: bool, custom: bool, charge: Nanos, markup_ppm: i64, cost: Nanos) -> Nanos {
    let factor = 1_000_000 + i128::from(markup_ppm);
    if !(is_guess || custom) || factor <= 0 {
        return cost.max(Nanos::ZERO);
    }
    let unmarked = (i128::from(charge.0) * 1_000_000 + factor / 2) / factor;
    Nanos(i64::try_from(unmarked).unwrap_or(i64::MAX))
}

/// What an abandoned record had counted.
fn counted_before(known: &Known, measure: Measure) -> i64 {
    match measure {
        Measure::Requests => 1,
        Measure::Spend => known.cost.map_or(0, |cost| cost.0),
        Measure::Tokens => known.tokens,
    }
}

#[cfg(test)]
mod tests {
    use model::AccountId;
    use model::usage::{Hold, Reserved};
    use uuid::Uuid;

    use super::*;

    fn item(charge: i64, taken: i64, verdict: Verdict) -> Item {
        let mut record = model::samples::usage_record(Uuid::from_u128(1), AccountId(Uuid::from_u128(2)));
        record.key_source = Some(KeySource::Credits);
        (record.charge, record.paid) = (Nanos(charge), Nanos(taken));
        Item { verdict: Some(verdict), ..Item::of(record) }
    }

    fn known(charge: i64, paid: i64) -> Known {
        Known {
            id: Uuid::from_u128(1),
            abandoned: true,
            corrected: false,
            charge: Nanos(charge),
            paid: Nanos(paid),
            cost: Some(Nanos(5)),
            custom_cost: false,
            markup_ppm: 0,
            tokens: 3,
            transaction: None,
        }
    }

    fn told(item: &Item) -> (i64, i64) {
        let PendingAccount { unposted, back, .. } = item.told();
        (unposted.0, back.0)
    }

    #[test]
    fn what_a_duplicate_has_taken_goes_back() {
        let item = item(10, 8, Verdict::Duplicate);
        assert_eq!((item.missing(), told(&item), item.claim()), (Nanos(0), (8, 8), None));
    }

    #[test]
    fn a_new_record_takes_what_is_missing() {
        let mut item = item(10, 8, Verdict::New);
        assert_eq!(item.missing(), Nanos(2));
        item.collected = Nanos(1);
        assert_eq!(told(&item), (9, 0));
        assert_eq!(item.claim().unwrap().set_aside, Some(Nanos(9)));
        item.takes_all = true;
        assert_eq!(item.claim().unwrap().set_aside, None);
    }

    #[test]
    fn a_correction_takes_or_gives_the_difference() {
        let mut more = item(10, 0, Verdict::Correction(known(4, 4)));
        assert_eq!(more.missing(), Nanos(6));
        more.collected = Nanos(6);
        assert_eq!(told(&more), (6, 0));
        let less = item(1, 0, Verdict::Correction(known(4, 4)));
        assert_eq!((less.missing(), told(&less)), (Nanos(0), (0, 3)));
        // A proxy that was thought dead had its hold again.
        let twice = item(10, 8, Verdict::Correction(known(4, 4)));
        assert_eq!((twice.missing(), told(&twice)), (Nanos(0), (8, 2)));
    }

    #[test]
    fn a_guessed_cost_is_the_charge_without_its_markup() {
        assert_eq!(billed(true, false, Nanos(1_100), 100_000, Nanos(7)), Nanos(1_000));
        assert_eq!(billed(false, false, Nanos(1_100), 100_000, Nanos(7)), Nanos(7));
        assert_eq!(billed(false, true, Nanos(900), -100_000, Nanos(7)), Nanos(1_000));
        // Nothing can be said of the cost of what is given away.
        assert_eq!(billed(true, false, Nanos(0), -1_000_000, Nanos(7)), Nanos(7));
    }

    /// What is added to the rollups, and what Redis is told, of calls, money and tokens.
    fn counted(mut item: Item) -> Vec<(Option<i64>, i64, i64)> {
        let reserved = |measure| Reserved { counter: "c".to_owned(), measure, window: 4, amount: 100 };
        let reserved = [Measure::Requests, Measure::Spend, Measure::Tokens].map(reserved).to_vec();
        let (incarnation, id) = (Uuid::nil(), Uuid::nil());
        item.record.hold = Some(Hold { incarnation, id, amount: Nanos(0), floor: Nanos(0), reserved });
        item.counted().map(|(used, told)| (used.map(|used| used.amount), told.there, told.back)).collect()
    }

    #[test]
    fn counters_are_told_what_was_counted_twice() {
        let of = |verdict| counted(item(10, 0, verdict));
        assert_eq!(of(Verdict::New), [(None, 0, 0), (Some(22_200), 22_200, 0), (Some(46), 46, 0)]);
        assert_eq!(of(Verdict::Duplicate), [(None, 0, 1), (None, 0, 22_200), (None, 0, 46)]);
        let correction = of(Verdict::Correction(known(4, 4)));
        assert_eq!(correction, [(None, 0, 1), (Some(22_195), 22_195, 5), (Some(43), 43, 3)]);
    }

    #[test]
    fn counters_are_told_what_redis_has_not_seen() {
        let unseen = |verdict| counted(item(10, 0, verdict).unseen());
        assert_eq!(
            unseen(Verdict::New),
            [(None, 0, -1), (Some(22_200), 22_200, -22_200), (Some(46), 46, -46)]
        );
        assert_eq!(unseen(Verdict::Duplicate), [(None, 0, 0); 3]);
        // Redis has counted what it was opened with, which was less than what is charged by now.
        let mut record = item(30_000, 30_000, Verdict::New).record;
        record.charge = Nanos(30_000);
        let reaped = Item { verdict: Some(Verdict::New), ..Item::reaped(record) };
        assert_eq!(counted(reaped)[1], (Some(30_000), 30_000, 22_200 - 30_000));
    }

    #[test]
    fn only_what_is_new_and_lacks_nothing_is_posted_from_an_era_that_has_ended() {
        assert!(item(10, 10, Verdict::New).is_whole());
        assert!(!item(10, 9, Verdict::New).is_whole());
        assert!(!item(10, 10, Verdict::Duplicate).is_whole());
        assert!(!item(4, 0, Verdict::Correction(known(4, 4))).is_whole());
    }
}
