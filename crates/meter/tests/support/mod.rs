//! A Redis of a test's own, with one shard whose era is open, and a clock that the test sets.

mod redis_server;

use std::collections::HashMap;

use meter::Position;
use meter::desk::{Desk, Entry, Figures, Load, Place};
use meter::protocol::calls::{self, Batch, Beat, Group, Heard, Held, Needs, Settled, Wanted, WantedPart};
use meter::protocol::{Clock, Scripts, clock_key, key};
use model::limits::{Counter, Window};
use model::usage::Measure;
use model::{AccountId, Nanos, Shard};
use prost::Message as _;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, RedisError, Value};
use uuid::Uuid;

pub(crate) use redis_server::RedisServer;

pub(crate) const SHARD: Shard = Shard(7);
pub(crate) const ERA: u64 = 3;
/// Sunday, 1 November 2026, 00:00 UTC.
pub(crate) const START: i64 = 1_793_491_200_000;

pub(crate) struct World {
    pub(crate) server: RedisServer,
    pub(crate) desk: Desk,
    pub(crate) redis: MultiplexedConnection,
    pub(crate) scripts: Scripts,
    pub(crate) place: Place,
    pub(crate) now: i64,
}

impl World {
    pub(crate) async fn begin() -> Self {
        let mut world = Self::empty().await;
        world.desk.open(&[(SHARD, ERA)]).await.unwrap();
        world
    }

    /// Without an era.
    pub(crate) async fn empty() -> Self {
        Self::on(RedisServer::start()).await
    }

    pub(crate) async fn on(server: RedisServer) -> Self {
        let mut desk = Desk::connect(&server.url()).await.unwrap();
        desk.set_clock(Clock::Key);
        let client = redis::Client::open(server.url().expose()).unwrap();
        let redis = client.get_multiplexed_async_connection().await.unwrap();
        let place = Place { shard: SHARD, era: ERA, position: Position::default() };
        let scripts = Scripts::with(SHARD, ERA, Clock::Key);
        let mut world = Self { server, desk, redis, scripts, place, now: 0 };
        world.set_clock(START).await;
        world
    }

    pub(crate) async fn set_clock(&mut self, now: i64) {
        self.now = now;
        let () = self.ask(redis::cmd("SET").arg(clock_key(SHARD, ERA)).arg(now)).await;
    }

    pub(crate) async fn later(&mut self, milliseconds: i64) {
        self.set_clock(self.now + milliseconds).await;
    }

    pub(crate) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> T {
        command.query_async(&mut self.redis).await.unwrap()
    }

    pub(crate) async fn call(&mut self, command: Cmd) -> Result<Value, RedisError> {
        command.query_async(&mut self.redis).await
    }

    pub(crate) async fn load(&mut self, account: AccountId, balance: i64) {
        let load = Load { account, balance: Nanos(balance), sequence: 0, counters: Vec::new() };
        assert_eq!(self.desk.load(self.place, &[load]).await.unwrap(), [true]);
    }

    pub(crate) async fn hold(&mut self, incarnation: Uuid, wanted: &Wanted) -> Held {
        let command = calls::hold(&self.scripts, incarnation, std::slice::from_ref(wanted));
        Held::read_all(self.call(command).await.unwrap()).unwrap().remove(0)
    }

    pub(crate) async fn settle(&mut self, incarnation: Uuid, number: u64, groups: Vec<Group>) -> Position {
        self.try_settle(incarnation, number, groups).await.unwrap().0
    }

    pub(crate) async fn try_settle(
        &mut self,
        incarnation: Uuid,
        number: u64,
        groups: Vec<Group>,
    ) -> Result<(Position, Position), RedisError> {
        let length = groups.iter().map(|group| group.records.len()).sum::<usize>().max(1);
        let ids = groups.iter().flat_map(|group| {
            group.records.iter().map(|record| group.own.unwrap_or(Uuid::from_u128(record.place as u128)))
        });
        let records: Vec<_> = ids
            .map(|id| model::samples::usage_record(id, account(1)).to_wire())
            .chain([model::samples::usage_record(Uuid::nil(), account(1)).to_wire()])
            .take(length)
            .collect();
        let encoded = proto::UsageBatch { records }.encode_to_vec();
        let command = calls::settle(&self.scripts, incarnation, &Batch { number, encoded, length, groups });
        calls::settled(self.call(command).await?)
    }

    pub(crate) async fn beat(&mut self, incarnation: Uuid, beat: Beat) -> Heard {
        let command = calls::beat(&self.scripts, incarnation, &beat);
        calls::heard(self.call(command).await.unwrap()).unwrap()
    }

    /// What is in the stream.
    pub(crate) async fn entries(&mut self) -> Vec<Entry> {
        let (mut entries, mut place) = (Vec::new(), self.place);
        place.position = Position::default();
        loop {
            let more = self.desk.read(&[place], std::time::Duration::ZERO).await.unwrap();
            let Some(last) = more.last() else { return entries };
            place.position = last.position;
            entries.extend(more);
        }
    }

    /// What the records of all entries have paid.
    pub(crate) async fn paid(&mut self) -> Vec<i64> {
        let entries = self.entries().await;
        entries.iter().flat_map(|entry| &entry.records).map(|record| record.paid.0).collect()
    }

    pub(crate) async fn figures(&mut self, account: AccountId) -> Figures {
        self.desk.figures(SHARD, ERA, &[account]).await.unwrap().remove(0)
    }

    /// Free, held, unposted.
    pub(crate) async fn money(&mut self, account: AccountId) -> (i64, i64, i64) {
        let Figures { free, held, unposted, .. } = self.figures(account).await;
        (free.0, held.0, unposted.0)
    }

    /// What is counted in the present window of a counter.
    pub(crate) async fn count(&mut self, account: AccountId, counter: &str) -> i64 {
        let counts = self.desk.counts(SHARD, ERA, account, &[counter]).await.unwrap();
        counts[0].map_or(0, |count| count.count)
    }

    /// A hash as Redis has it.
    pub(crate) async fn hash(&mut self, name: &str) -> HashMap<String, String> {
        self.ask(redis::cmd("HGETALL").arg(key(SHARD, ERA, name))).await
    }

    /// The sum of all holds is what is held, and of open leases what is leased.
    pub(crate) async fn assert_holds_add_up(&mut self, incarnations: &[Uuid], account: AccountId) {
        let (mut held, mut leased) = (0, 0);
        for incarnation in incarnations {
            let holds = self.desk.holds(SHARD, ERA, *incarnation).await.unwrap();
            let of_account = holds.iter().filter(|hold| hold.account == account);
            held += of_account.clone().map(|hold| hold.amount.0).sum::<i64>();
            leased += of_account.filter(|hold| hold.kind == 'l').map(|hold| hold.amount.0).sum::<i64>();
        }
        let figures = self.figures(account).await;
        assert_eq!((figures.held.0, figures.leased.0), (held, leased));
    }
}

/// An account of the shard.
pub(crate) fn account(number: u128) -> AccountId {
    AccountId(Uuid::from_u128(number << 8 | u128::from(SHARD.0)))
}

pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(0xabc0_0000 + number)
}

/// A request's own hold on credits.
pub(crate) fn own(hold: Uuid, account: AccountId, amount: i64) -> Wanted {
    Wanted {
        id: hold,
        is_lease: false,
        account,
        needs: Needs::Credits,
        amount: Nanos(amount),
        least: Nanos(0),
        floor: Nanos(amount / 10),
        counters: Vec::new(),
        record: model::samples::usage_record(hold, account).to_wire().encode_to_vec(),
    }
}

/// A lease on credits.
pub(crate) fn lease(hold: Uuid, account: AccountId, amount: i64) -> Wanted {
    Wanted {
        is_lease: true,
        least: Nanos(1),
        floor: Nanos(0),
        record: Vec::new(),
        ..own(hold, account, amount)
    }
}

/// A part of a limit.
pub(crate) fn part(counter: &str, limit: i64, window: Window, amount: i64) -> WantedPart {
    let counter = Counter { id: counter.to_owned(), measure: Measure::Requests, limit, window };
    WantedPart { counter, amount, floor: 1 }
}

/// A request that had a hold of its own is over.
pub(crate) fn settled(incarnation: Uuid, hold: Uuid, account: AccountId, charge: i64) -> Group {
    Group {
        incarnation,
        own: Some(hold),
        lease: None,
        account,
        counters: Vec::new(),
        records: vec![Settled { place: 0, charge: Nanos(charge), part: Nanos(0), used: Vec::new() }],
    }
}

/// Requests that lived on a lease are over: charge and part of each.
pub(crate) fn leased(incarnation: Uuid, lease: Uuid, account: AccountId, records: &[(i64, i64)]) -> Group {
    let record = |(place, (charge, part)): (usize, &(i64, i64))| Settled {
        place,
        charge: Nanos(*charge),
        part: Nanos(*part),
        used: Vec::new(),
    };
    Group {
        incarnation,
        own: None,
        lease: Some(lease),
        account,
        counters: Vec::new(),
        records: records.iter().enumerate().map(record).collect(),
    }
}

/// What was granted, without the counters.
pub(crate) fn granted(amount: i64) -> Held {
    Held::Granted { amount: Nanos(amount), parts: Vec::new() }
}
