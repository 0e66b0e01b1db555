//! A proxy as Redis sees it: it holds, settles and declares, and says nothing else.

use std::collections::HashMap;

use meter::Position;
use meter::protocol::calls::{self, Batch, Declared, Group, Held, Needs, Settled, Wanted};
use meter::protocol::{Scripts, published};
use model::usage::{Hold, KeySource, Outcome, Reserved, UsageRecord};
use model::{AccountId, Nanos, Secret, Shard};
use prost::Message as _;
use redis::aio::MultiplexedConnection;
use uuid::Uuid;

/// One start of a proxy.
pub(super) struct Proxy {
    redis: redis::Client,
    connection: Option<MultiplexedConnection>,
    pub(super) incarnation: Uuid,
    /// By shard: the era, and the number of the last batch in it.
    sent: HashMap<Shard, (u64, u64)>,
}

impl Proxy {
    pub(super) fn of(redis: &Secret) -> Self {
        Self {
            redis: redis::Client::open(redis.expose()).unwrap(),
            connection: None,
            incarnation: Uuid::now_v7(),
            sent: HashMap::new(),
        }
    }

    /// Asks for a hold. The record's own hold says how much.
    pub(super) async fn hold(&mut self, record: &UsageRecord) -> Held {
        let hold = record.hold.as_ref().unwrap();
        let abandoned = UsageRecord {
            outcome: Outcome::Abandoned,
            cause: "proxy_died".to_owned(),
            charge: hold.floor,
            cost: Some(hold.floor),
            ..record.clone()
        };
        let wanted = Wanted {
            id: record.id,
            is_lease: false,
            account: record.account,
            needs: Needs::Credits,
            amount: hold.amount,
            least: Nanos::ZERO,
            floor: hold.floor,
            counters: Vec::new(),
            record: abandoned.to_wire().encode_to_vec(),
        };
        let scripts = self.scripts(record.account.shard()).await;
        let command = calls::hold(&scripts, self.incarnation, &[wanted]);
        let answer = command.query_async(self.connection().await).await.unwrap();
        Held::read_all(answer).unwrap().remove(0)
    }

    /// Sends records of one shard, those with a hold as its settlement. `None` if the era was not open.
    pub(super) async fn settle(&mut self, records: &[UsageRecord]) -> Option<Position> {
        self.settle_as(records, |_| ()).await
    }

    /// The same, with the records written in another way.
    pub(super) async fn settle_as(
        &mut self,
        records: &[UsageRecord],
        change: impl Fn(&mut proto::UsageRecord),
    ) -> Option<Position> {
        let shard = records[0].account.shard();
        let scripts = self.scripts(shard).await;
        let (era, last) = self.sent.get(&shard).copied().unwrap_or_default();
        let number = if era == scripts.era() { last + 1 } else { 1 };
        let groups = records.iter().enumerate().filter_map(|(place, record)| {
            let hold = record.hold.as_ref()?;
            let used = meter::desk::counted(record).map(|(_, _, used)| (used, 0)).collect();
            let settled = Settled { place, charge: record.charge, part: Nanos::ZERO, used };
            Some(Group {
                incarnation: self.incarnation,
                own: Some(record.id),
                lease: None,
                account: record.account,
                counters: hold.reserved.iter().map(|part| (part.counter.clone(), part.window)).collect(),
                records: vec![settled],
            })
        });
        let mut wire: Vec<_> = records.iter().map(UsageRecord::to_wire).collect();
        wire.iter_mut().for_each(change);
        let encoded = proto::UsageBatch { records: wire }.encode_to_vec();
        let batch = Batch { number, encoded, length: records.len(), groups: groups.collect() };
        let command = calls::settle(&scripts, self.incarnation, &batch);
        let answer: redis::Value = command.query_async(self.connection().await).await.ok()?;
        self.sent.insert(shard, (scripts.era(), number));
        Some(calls::settled(answer).unwrap().0)
    }

    /// Says what it holds in a shard, in a new era.
    pub(super) async fn declare(&mut self, shard: Shard, held: &[&UsageRecord]) -> bool {
        let scripts = self.scripts(shard).await;
        let declared: Vec<Declared> = held
            .iter()
            .map(|record| {
                let Hold { amount, floor, .. } = record.hold.clone().unwrap();
                let record = UsageRecord { outcome: Outcome::Abandoned, charge: floor, ..(*record).clone() };
                Declared {
                    id: record.id,
                    account: record.account,
                    amount,
                    floor,
                    reported: Nanos::ZERO,
                    step: 0,
                    reserved: Vec::new(),
                    record: record.to_wire().encode_to_vec(),
                }
            })
            .collect();
        let command = calls::declare(&scripts, self.incarnation, 1, true, &declared);
        let answer: Result<redis::Value, _> = command.query_async(self.connection().await).await;
        answer.is_ok()
    }

    async fn scripts(&mut self, shard: Shard) -> Scripts {
        let mut command = redis::cmd("GET");
        command.arg(published(shard));
        let era: Option<u64> = command.query_async(self.connection().await).await.unwrap();
        Scripts::of(shard, era.unwrap_or_default())
    }

    async fn connection(&mut self) -> &mut MultiplexedConnection {
        let is_alive = match &mut self.connection {
            Some(connection) => redis::cmd("PING").query_async::<String>(connection).await.is_ok(),
            None => false,
        };
        if !is_alive {
            self.connection = Some(self.redis.get_multiplexed_async_connection().await.unwrap());
        }
        self.connection.as_mut().unwrap()
    }
}

/// The record of a request on credits that is due so much, with a hold of so much and an input of 1.
pub(super) fn charged(account: AccountId, charge: i64, hold: i64) -> UsageRecord {
    let record = model::samples::usage_record(Uuid::now_v7(), account);
    let id = record.id;
    let incarnation = Uuid::nil();
    let hold = Hold { incarnation, id, amount: Nanos(hold), floor: Nanos(1), reserved: Vec::new() };
    UsageRecord {
        key_source: Some(KeySource::Credits),
        charge: Nanos(charge),
        cost: Some(Nanos(charge)),
        hold: Some(hold),
        ..record
    }
}

/// The same with what it counts in.
pub(super) fn counting(record: UsageRecord, reserved: Vec<Reserved>) -> UsageRecord {
    let hold = record.hold.map(|hold| Hold { reserved, ..hold });
    UsageRecord { hold, ..record }
}
