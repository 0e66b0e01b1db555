//! Closed records on their way to Redis, and what each uses up of what was set aside for it.

use model::usage::UsageRecord;
use model::{AccountId, Nanos, Shard};
use uuid::Uuid;

use crate::desk::measured;
use crate::held::{SetAside, State};
use crate::logged::Logged;
use crate::protocol::calls::{Batch, Declared, Group, Settled};
use crate::spool::{Kept, Slot, Spool, with_hold};

/// A record whose request is over.
#[derive(Debug)]
pub(crate) struct Closed {
    pub(crate) shard: Shard,
    pub(crate) slot: Slot,
    /// Nothing if nothing was set aside.
    pub(crate) settlement: Option<Box<Settlement>>,
    pub(crate) logged: Option<Logged>,
}

/// What a record uses up.
#[derive(Debug)]
pub(crate) struct Settlement {
    record: Uuid,
    account: AccountId,
    aside: SetAside,
    /// What was produced by the last report, and the last extension.
    reported: Nanos,
    step: u32,
    charge: Nanos,
    /// For each counter.
    actual: Vec<i64>,
    /// In which era it was set aside; nothing if a former process did it.
    era: Option<u64>,
    /// It may have a hold of its own although it lived on a lease.
    may_be_carved: bool,
}

impl Settlement {
    /// Of a request of this process. What it uses is in its record; nothing if it reached no provider.
    pub(crate) fn of(record: &UsageRecord, aside: &SetAside, era: u64, was_dispatched: bool) -> Self {
        let actual = |index: usize| if was_dispatched { aside.actual(index, record) } else { 0 };
        Self {
            record: record.id,
            account: record.account,
            actual: (0..aside.parts.len()).map(actual).collect(),
            aside: aside.clone(),
            reported: Nanos::ZERO,
            step: 0,
            charge: if was_dispatched { record.charge } else { Nanos::ZERO },
            era: Some(era),
            may_be_carved: false,
        }
    }

    /// With what is known of its extensions.
    pub(crate) fn with(self, state: &State) -> Self {
        let State { reported, step, may_be_carved, .. } = *state;
        Self { reported, step, may_be_carved, ..self }
    }

    /// Of what a former process left.
    fn of_kept(record: &UsageRecord) -> Option<Box<Self>> {
        let aside = SetAside::of_model(record.hold.as_ref()?);
        Some(Box::new(Self {
            record: record.id,
            account: record.account,
            actual: (0..aside.parts.len()).map(|index| aside.actual(index, record)).collect(),
            aside,
            reported: Nanos::ZERO,
            step: 0,
            charge: record.charge,
            era: None,
            may_be_carved: true,
        }))
    }

    /// The lease that it lives on, and what it did not need of it.
    pub(crate) fn unused(&self) -> (Nanos, Vec<i64>) {
        let amount = Nanos((self.aside.amount.0 - self.charge.0).max(0));
        let parts = self.aside.parts.iter().zip(&self.actual);
        (amount, parts.map(|(part, actual)| (part.amount - actual).max(0)).collect())
    }

    pub(crate) fn record(&self) -> Uuid {
        self.record
    }

    pub(crate) fn aside(&self) -> &SetAside {
        &self.aside
    }

    pub(crate) fn may_be_carved(&self) -> bool {
        self.may_be_carved
    }

    /// Whether a former process took it.
    pub(crate) fn is_inherited(&self) -> bool {
        self.era.is_none()
    }

    pub(crate) fn incarnation(&self) -> Uuid {
        self.aside.incarnation
    }

    /// The lease of which it has a part.
    pub(crate) fn lease(&self) -> Option<Uuid> {
        (self.aside.id != self.record).then_some(self.aside.id)
    }

    /// The hold of its own that Redis may have for it, by the era that is open now.
    pub(crate) fn own(&self, era: u64) -> Option<Uuid> {
        let was_declared = self.era.is_some_and(|taken| taken != era);
        (self.lease().is_none() || self.may_be_carved || was_declared).then_some(self.record)
    }

    /// Moves it into a new era, in which it has a hold of its own. What a former process took does not
    /// come along: Postgres has the record's word for what is due.
    pub(crate) fn outlive(&mut self, era: u64, incarnation: Uuid, opened: &[u8]) -> Option<Declared> {
        if self.is_inherited() {
            return None;
        }
        self.aside.id = self.record;
        self.aside.incarnation = incarnation;
        self.may_be_carved = false;
        self.era = Some(era);
        let record = with_hold(opened, &self.aside);
        Some(crate::held::declared(self.account, &self.aside, self.reported, self.step, record))
    }

    fn is_like(&self, group: &Group, own: Option<Uuid>) -> bool {
        own.is_none()
            && group.own.is_none()
            && group.lease == Some(self.aside.id)
            && group.incarnation == self.aside.incarnation
    }

    fn group(&self, own: Option<Uuid>, incarnation: Uuid) -> Group {
        let counters = self.aside.counters.iter().zip(&self.aside.parts);
        Group {
            incarnation,
            own,
            lease: self.lease(),
            account: self.account,
            counters: counters.map(|(counter, part)| (counter.id.clone(), part.window)).collect(),
            records: Vec::new(),
        }
    }

    fn settled(&self, place: usize) -> Settled {
        let parts = self.aside.parts.iter().zip(&self.actual);
        Settled {
            place,
            charge: self.charge,
            part: self.aside.amount,
            used: parts.map(|(part, actual)| (*actual, part.amount)).collect(),
        }
    }
}

impl SetAside {
    /// What a record counts in one of the counters.
    fn actual(&self, index: usize, record: &UsageRecord) -> i64 {
        self.counters.get(index).map_or(0, |counter| measured(counter.measure, record))
    }
}

impl Closed {
    /// What a former process left.
    pub(crate) fn kept(kept: Kept) -> Self {
        let settlement = Settlement::of_kept(&kept.record);
        Self { shard: kept.record.account.shard(), slot: kept.slot, settlement, logged: None }
    }
}

/// The batch of these records, the same whenever it is made. `present` declared in `era` what had been
/// taken before.
pub(crate) fn batch(number: u64, records: &[Closed], spool: &Spool, era: u64, present: Uuid) -> Batch {
    let mut groups: Vec<Group> = Vec::new();
    for (place, settlement) in records.iter().enumerate() {
        let Some(settlement) = &settlement.settlement else { continue };
        let own = settlement.own(era);
        let group = match groups.iter().position(|group| settlement.is_like(group, own)) {
            Some(at) => &mut groups[at],
            None => {
                let was_declared = settlement.era.is_some_and(|taken| taken != era);
                let incarnation = if was_declared { present } else { settlement.incarnation() };
                groups.push(settlement.group(own, incarnation));
                let last = groups.len() - 1;
                &mut groups[last]
            }
        };
        group.records.push(settlement.settled(place));
    }
    let encoded = encoded(records.iter().map(|closed| {
        let logged = closed.logged.as_ref().map(Logged::bytes).unwrap_or_default();
        (spool.closed_bytes(&closed.slot), logged)
    }));
    Batch { number, encoded, length: records.len(), groups }
}

/// A `proto::UsageBatch` of records that are encoded already, each in two parts: field 1, length-delimited,
/// repeated.
fn encoded<'a>(records: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<u8> {
    let mut batch = Vec::with_capacity(1 << 15);
    for (record, rest) in records {
        prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut batch);
        prost::encoding::encode_varint((record.len() + rest.len()) as u64, &mut batch);
        batch.extend_from_slice(record);
        batch.extend_from_slice(rest);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    #[test]
    fn a_batch_of_encoded_records_reads_as_a_batch() {
        let records = [1, 2].map(|number| crate::samples::record(number).to_wire());
        let bytes = records.each_ref().map(|record| record.encode_to_vec());
        let batch = encoded(bytes.iter().map(|bytes| bytes.split_at(bytes.len() / 2)));
        assert_eq!(proto::UsageBatch::decode(&*batch).unwrap().records, records);
    }
}
