//! Eras, as scripts see them.

use meter::Position;
use meter::desk::{Desk, Entry, Load, Place, Standing};
use meter::protocol::calls::{self, Declared, Held, Needs};
use meter::protocol::{Clock, Scripts, clock_key};
use model::limits::Window;
use model::usage::Outcome;
use model::{AccountId, Nanos};
use uuid::Uuid;

use crate::support::{ERA, SHARD, START, World, account, granted, id, own, part, settled};

const A: Uuid = Uuid::from_u128(0xa);
const B: Uuid = Uuid::from_u128(0xb);

fn declared(number: u128, account: AccountId, amount: i64) -> Declared {
    Declared {
        id: id(number),
        account,
        amount: Nanos(amount),
        floor: Nanos(1),
        reported: Nanos(0),
        step: 0,
        reserved: Vec::new(),
        record: own(id(number), account, amount).record,
    }
}

impl World {
    async fn declare(&mut self, incarnation: Uuid, part: u64, is_last: bool, holds: &[Declared]) -> bool {
        let command = calls::declare(&self.scripts, incarnation, part, is_last, holds);
        calls::declared(self.call(command).await.unwrap()).unwrap().1
    }

    async fn standing(&mut self) -> Standing {
        self.desk.standing(&[self.place]).await.unwrap()[0]
    }
}

#[tokio::test]
async fn an_era_opens_in_two_steps() {
    let mut world = World::empty().await;
    assert_eq!(world.standing().await, Standing::Over);
    world.desk.begin(&[(SHARD, ERA)]).await.unwrap();
    assert_eq!(world.standing().await, Standing::Opening);
    let command = calls::hold(&world.scripts, A, &[own(id(1), account(1), 1)]);
    let refused = world.call(command).await.unwrap_err();
    assert!(meter::protocol::era_is_over(&refused), "{refused}");
    let load = Load { account: account(1), balance: Nanos(1), sequence: 0, counters: Vec::new() };
    assert_eq!(world.desk.load(world.place, &[load]).await.unwrap(), [true]);
    world.settle(A, 1, Vec::new()).await;
    assert!(!world.declare(A, 1, true, &[]).await);
    world.desk.admit(&[(SHARD, ERA)]).await.unwrap();
    assert_eq!(world.standing().await, Standing::Open);
    assert_eq!(world.hold(A, &own(id(1), account(2), 1)).await, Held::Cold);
}

#[tokio::test]
async fn what_an_ended_era_lacks_is_carried_to_the_next() {
    let mut world = World::begin().await;
    let record = model::samples::usage_record(id(1), account(1));
    world.desk.carry(SHARD, ERA + 1, std::slice::from_ref(&record)).await.unwrap();
    let next = Place { shard: SHARD, era: ERA + 1, position: Position::default() };
    let entries = world.desk.read(&[next], std::time::Duration::ZERO).await.unwrap();
    assert_eq!((entries.len(), &entries[0].records, entries[0].is_carried), (1, &vec![record], true));
    let ends = world.desk.ends(&[(SHARD, ERA + 1), (SHARD, ERA + 2)]).await.unwrap();
    assert_eq!(ends, [entries[0].position, Position::default()]);
}

#[tokio::test]
async fn what_is_declared_is_held_when_the_account_is_loaded() {
    let mut world = World::empty().await;
    world.desk.begin(&[(SHARD, ERA)]).await.unwrap();
    let hour = START / 3_600_000;
    let mut with_limit = declared(1, account(1), 30);
    with_limit.reserved = vec![("calls".to_owned(), hour, 1, 1)];
    for _ in 0..2 {
        assert!(!world.declare(A, 1, false, std::slice::from_ref(&with_limit)).await);
        assert!(world.desk.declared(&[(SHARD, ERA)]).await.unwrap()[0].is_empty());
        assert_eq!(world.money(account(1)).await, (0, 30, 0));
    }
    world.declare(A, 2, true, &[declared(2, account(1), 25)]).await;
    assert_eq!(world.desk.declared(&[(SHARD, ERA)]).await.unwrap(), [[A].into()]);
    // A part that comes a second time, late, does not bring back what was settled since.
    world.settle(A, 1, vec![settled(A, id(2), account(1), 40)]).await;
    world.declare(A, 2, true, &[declared(2, account(1), 25)]).await;
    assert_eq!(world.money(account(1)).await, (0, 30, 25), "nothing is free before the account is loaded");
    world.desk.admit(&[(SHARD, ERA)]).await.unwrap();
    world.load(account(1), 100).await;
    assert_eq!(world.money(account(1)).await, (45, 30, 25));
    assert_eq!(world.count(account(1), "calls").await, 1);
    world.assert_holds_add_up(&[A], account(1)).await;
    assert_eq!(world.desk.beats(&[(SHARD, ERA)]).await.unwrap(), [[(A, 0)].into()]);
}

#[tokio::test]
async fn who_declares_late_gets_what_is_free_and_no_more() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.hold(B, &own(id(9), account(1), 60)).await;
    let holds = [declared(1, account(1), 30), declared(2, account(1), 30), declared(3, account(2), 30)];
    assert!(!world.declare(A, 1, true, &holds).await);
    assert_eq!(world.money(account(1)).await, (0, 100, 0));
    assert_eq!(world.money(account(2)).await, (0, 30, 0));
    world.settle(A, 1, vec![settled(A, id(2), account(1), 25)]).await;
    assert_eq!(world.paid().await, [10]);
    world.assert_holds_add_up(&[A, B], account(1)).await;
}

#[tokio::test]
async fn the_dead_declare_nothing() {
    let mut world = World::begin().await;
    world.desk.reap(SHARD, ERA, A, 0).await.unwrap();
    assert!(world.declare(A, 1, true, &[declared(1, account(1), 30)]).await);
    assert_eq!(world.money(account(1)).await, (0, 0, 0));
}

#[tokio::test]
async fn a_server_that_restarted_has_forgotten_the_era() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.hold(A, &own(id(1), account(1), 30)).await;
    world.settle(A, 1, Vec::new()).await;
    world.server.restart();
    world.desk = Desk::connect(&world.server.url()).await.unwrap();
    let client = redis::Client::open(world.server.url().expose()).unwrap();
    world.redis = client.get_multiplexed_async_connection().await.unwrap();
    world.desk.set_clock(Clock::Key);
    assert_eq!(world.standing().await, Standing::Over);
    let refused = world.try_settle(A, 2, Vec::new()).await.unwrap_err();
    assert!(meter::protocol::era_is_over(&refused), "{refused}");
    // What it still shows is there for the desk.
    let holds = world.desk.holds(SHARD, ERA, A).await.unwrap();
    assert_eq!((holds.len(), holds[0].amount, holds[0].abandoned()), (1, Nanos(30), Nanos(3)));
    let records = world.desk.left_behind(SHARD, ERA, A).await.unwrap();
    assert_eq!((records[0].id, records[0].charge, records[0].outcome), (id(1), Nanos(3), Outcome::Abandoned));
    assert_eq!(world.entries().await.len(), 1);
}

#[tokio::test]
async fn of_an_era_that_was_ended_nothing_works_and_nothing_but_the_stream_is_kept() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.hold(A, &own(id(1), account(1), 30)).await;
    world.settle(A, 1, Vec::new()).await;
    world.desk.end(&[(SHARD, ERA)]).await.unwrap();
    let refused = world.try_settle(A, 2, Vec::new()).await.unwrap_err();
    assert_eq!(refused.code(), Some("NOERA"));
    // The next one never opens.
    world.desk.begin(&[(SHARD, ERA + 1)]).await.unwrap();
    world.desk.end(&[(SHARD, ERA + 1)]).await.unwrap();
    world.desk.begin(&[(SHARD, ERA + 2)]).await.unwrap();
    world.desk.forget(&[(SHARD, ERA + 1)]).await.unwrap();
    let mut keys: Vec<String> = world.ask(redis::cmd("KEYS").arg("*")).await;
    keys.sort();
    let kept = [format!("{SHARD}:{ERA}:u"), format!("{SHARD}:{}:posted", ERA + 2), format!("{SHARD}:era")];
    assert_eq!(keys, kept);
}

#[tokio::test]
async fn only_one_era_of_a_shard_can_be_written_to() {
    let mut world = World::begin().await;
    world.desk.open(&[(SHARD, ERA + 1)]).await.unwrap();
    let refused = world.try_settle(A, 1, Vec::new()).await.unwrap_err();
    assert_eq!(refused.code(), Some("NOERA"));
    // A desk that slept through it all does not bring the old one back.
    world.desk.open(&[(SHARD, ERA)]).await.unwrap();
    assert_eq!(world.desk.eras(&[SHARD]).await.unwrap(), [Some(ERA + 1)]);
    let refused = world.try_settle(A, 1, Vec::new()).await.unwrap_err();
    assert_eq!(refused.code(), Some("NOERA"));
}

#[tokio::test]
async fn what_nobody_was_asked_for_is_released_when_its_proxy_is_buried() {
    let mut world = World::begin().await;
    world.load(account(1), 1000).await;
    for number in 0..5 {
        let mut wanted = own(id(number), account(1), 30);
        wanted.counters = vec![part("calls", 100, Window::Fixed { seconds: 3600 }, 1)];
        world.hold(A, &wanted).await;
    }
    for left in [2, 0, 0] {
        let command = calls::bury(&world.scripts, A, 3);
        assert_eq!(redis::from_redis_value::<i64>(world.call(command).await.unwrap()).unwrap(), left);
    }
    assert_eq!(world.money(account(1)).await, (1000, 0, 0));
    assert_eq!(world.count(account(1), "calls").await, 0);
    assert!(world.entries().await.is_empty());
    assert_eq!(world.hold(A, &own(id(9), account(1), 1)).await, Held::Dead);
}

#[tokio::test]
async fn redis_has_the_time_that_scripts_go_by() {
    let mut world = World::empty().await;
    world.desk.set_clock(Clock::Redis);
    world.scripts = Scripts::of(SHARD, ERA);
    world.desk.open(&[(SHARD, ERA)]).await.unwrap();
    let () = world.ask(redis::cmd("DEL").arg(clock_key(SHARD, ERA))).await;
    let mut wanted = own(id(1), account(1), 0);
    wanted.needs = Needs::Nothing;
    wanted.counters = vec![part("calls", 9, Window::Fixed { seconds: 3600 }, 1)];
    let before: (i64, i64) = world.ask(&redis::cmd("TIME")).await;
    let Held::Granted { parts, .. } = world.hold(A, &wanted).await else { panic!() };
    let after: (i64, i64) = world.ask(&redis::cmd("TIME")).await;
    assert!((before.0 / 3600..=after.0 / 3600).contains(&parts[0].window));
    world.declare(A, 1, true, &[]).await;
    world.beat(A, calls::Beat { number: 1, ..calls::Beat::default() }).await;
}

#[tokio::test]
async fn entries_say_what_they_are() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    assert_eq!(world.hold(A, &own(id(1), account(1), 30)).await, granted(30));
    world.settle(A, 1, vec![settled(A, id(1), account(1), 12)]).await;
    world.hold(A, &own(id(2), account(2), 1)).await;
    world.hold(A, &own(id(3), account(1), 50)).await;
    world.desk.reap(SHARD, ERA, A, 0).await.unwrap();
    let entries = world.entries().await;
    let what = |entry: &Entry| (entry.records.len(), entry.wanted, entry.is_reaped);
    let seen: Vec<_> = entries.iter().map(what).collect();
    assert_eq!(seen, [(1, None, false), (0, Some(account(2)), false), (1, None, true)]);
    let last = Place { position: entries[2].position, ..world.place };
    assert!(last.position > Position::default());
}
