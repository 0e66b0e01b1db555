//! What the desk says to Redis.

use meter::Position;
use meter::desk::{
    Collect, CounterValue, Credit, Credited, DeskError, Load, Place, PostedAccount, PostedCounter, Posting,
    Withdrawal,
};
use meter::protocol::calls::{Group, Held, Needs, Settled};
use model::Nanos;
use model::limits::Window;
use uuid::Uuid;

use crate::support::{START, World, account, granted, id, own, part, settled};

const A: Uuid = Uuid::from_u128(0xa);

fn collect(cause: Uuid, missing: i64) -> Collect {
    Collect { id: cause, account: account(1), missing: Nanos(missing) }
}

fn credit(sequence: u64, amount: i64) -> Credit {
    Credit { account: account(1), amount: Nanos(amount), sequence }
}

impl World {
    async fn post(&mut self, position: Position, unposted: i64, back: i64, collected: Vec<Uuid>) {
        let account = PostedAccount { account: account(1), unposted: Nanos(unposted), back: Nanos(back) };
        let place = Place { position, ..self.place };
        let posting = Posting { place, accounts: vec![account], counters: Vec::new(), collected };
        self.desk.post(&[posting]).await.unwrap();
        self.place = place;
    }
}

#[tokio::test]
async fn what_is_missing_is_collected_as_far_as_it_is_free_and_once() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    for _ in 0..2 {
        let asked = [collect(id(1), 60), collect(id(2), 60), collect(id(1), 60), collect(id(3), 1)];
        let taken = world.desk.collect(world.place, &asked).await.unwrap();
        assert_eq!(taken, [60, 40, 60, 0].map(Nanos));
        assert_eq!(world.money(account(1)).await, (0, 0, 100));
    }
    let none = world.desk.collect(world.place, &[Collect { account: account(2), ..collect(id(4), 5) }]).await;
    assert_eq!(none.unwrap(), [Nanos(0)], "not loaded");
    assert_eq!(world.money(account(2)).await, (0, 0, 0));
}

#[tokio::test]
async fn a_posted_batch_is_no_longer_unposted_and_duplicates_are_given_back_once() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.hold(A, &own(id(1), account(1), 50)).await;
    let entry = world.settle(A, 1, vec![settled(A, id(1), account(1), 30)]).await;
    world.desk.collect(world.place, &[collect(id(1), 10)]).await.unwrap();
    assert_eq!(world.money(account(1)).await, (60, 0, 40));
    for _ in 0..2 {
        world.post(entry, 40, 5, vec![id(1)]).await;
        assert_eq!(world.money(account(1)).await, (65, 0, 0));
    }
    assert!(world.hash("collected").await.is_empty());
    // An older position is no news either.
    world
        .post(Position { sequence: entry.sequence, milliseconds: entry.milliseconds - 1 }, 40, 5, vec![])
        .await;
    assert_eq!(world.money(account(1)).await, (65, 0, 0));
    let (_, posted) = world.try_settle(A, 2, Vec::new()).await.unwrap();
    assert_eq!(posted, entry);
}

#[tokio::test]
async fn a_withdrawal_takes_what_it_collected_or_gives_it_back() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.desk.collect(world.place, &[collect(id(1), 30), collect(id(2), 20)]).await.unwrap();
    assert_eq!(world.money(account(1)).await, (50, 0, 50));
    let done = [
        Withdrawal { id: id(1), account: account(1), back: Nanos(0) },
        Withdrawal { id: id(2), account: account(1), back: Nanos(20) },
    ];
    for _ in 0..2 {
        world.desk.withdrawn(world.place, &done).await.unwrap();
        assert_eq!(world.money(account(1)).await, (70, 0, 0));
    }
    // A call that was given up arrives after all that.
    let late = world.desk.collect(world.place, &[collect(id(1), 30)]).await.unwrap();
    assert_eq!((late, world.money(account(1)).await), (vec![Nanos(0)], (70, 0, 0)));
}

#[tokio::test]
async fn what_is_collected_too_late_takes_nothing() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    let before = world.place;
    let entry = world.settle(A, 1, vec![settled(A, id(1), account(1), 30)]).await;
    world.desk.collect(before, &[collect(id(1), 30)]).await.unwrap();
    world.post(entry, 30, 0, vec![id(1)]).await;
    let late = world.desk.collect(before, &[collect(id(1), 30)]).await;
    assert!(matches!(late, Err(DeskError::Moved)), "{late:?}");
    assert_eq!(world.money(account(1)).await, (70, 0, 0));
}

#[tokio::test]
async fn deposits_arrive_in_their_order_and_once() {
    let mut world = World::begin().await;
    assert_eq!(
        world.desk.credit(world.place, &[credit(1, 5)]).await.unwrap(),
        [Credited::Known],
        "not loaded"
    );
    let load = Load { account: account(1), balance: Nanos(100), sequence: 3, counters: Vec::new() };
    world.desk.load(world.place, std::slice::from_ref(&load)).await.unwrap();
    for (asked, answers, free) in [
        (vec![credit(3, 7)], vec![Credited::Known], 100),
        (vec![credit(5, 7)], vec![Credited::Gap], 100),
        (vec![credit(4, 7), credit(5, 2)], vec![Credited::Free, Credited::Free], 109),
        (vec![credit(4, 7), credit(5, 2)], vec![Credited::Known, Credited::Known], 109),
    ] {
        assert_eq!(world.desk.credit(world.place, &asked).await.unwrap(), answers);
        assert_eq!(world.money(account(1)).await, (free, 0, 0));
    }
    assert_eq!(world.figures(account(1)).await.applied, 5);
}

#[tokio::test]
async fn an_account_is_loaded_once_and_only_as_it_is_at_the_posted_position() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.hold(A, &own(id(1), account(1), 50)).await;
    let again = Load { account: account(1), balance: Nanos(5), sequence: 9, counters: Vec::new() };
    assert_eq!(world.desk.load(world.place, std::slice::from_ref(&again)).await.unwrap(), [false]);
    assert_eq!(world.money(account(1)).await, (50, 50, 0));
    let before = world.place;
    let entry = world.settle(A, 1, vec![settled(A, id(1), account(1), 30)]).await;
    world.post(entry, 30, 0, Vec::new()).await;
    let stale = Load { account: account(2), ..again };
    let moved = world.desk.load(before, std::slice::from_ref(&stale)).await;
    assert!(matches!(moved, Err(DeskError::Moved)), "{moved:?}");
    assert!(!world.figures(account(2)).await.is_loaded);
    assert_eq!(world.desk.load(world.place, &[stale]).await.unwrap(), [true]);
}

#[tokio::test]
async fn counts_are_added_up_from_both_sides_when_an_account_is_loaded() {
    let mut world = World::begin().await;
    let hour = Window::Fixed { seconds: 3600 };
    let window = START / 3_600_000;
    let mut wanted = own(id(1), account(1), 0);
    wanted.needs = Needs::Nothing;
    wanted.counters = vec![part("tokens", 1000, hour, 100)];
    world.hold(A, &wanted).await;
    let used = |number: u128, actual| Group {
        counters: vec![("tokens".to_owned(), window)],
        records: vec![Settled { place: 0, charge: Nanos(0), part: Nanos(0), used: vec![(actual, 0)] }],
        ..settled(A, id(number), account(1), 0)
    };
    // One record is posted before the account is loaded, another is not, and one is under way.
    let entry = world.settle(A, 1, vec![used(2, 30)]).await;
    world.settle(A, 2, vec![used(3, 7)]).await;
    let counter = |there, back| PostedCounter {
        account: account(1),
        counter: "tokens".to_owned(),
        window,
        there,
        back,
    };
    let place = Place { position: entry, ..world.place };
    let posting = Posting { counters: vec![counter(30, 0)], ..Posting::of(place) };
    world.desk.post(&[posting]).await.unwrap();
    assert_eq!(world.count(account(1), "tokens").await, 107);
    let counters = vec![CounterValue { counter: "tokens".to_owned(), window, value: 530 }];
    let load = Load { account: account(1), balance: Nanos(0), sequence: 0, counters };
    for is_new in [true, false] {
        assert_eq!(world.desk.load(place, std::slice::from_ref(&load)).await.unwrap(), [is_new]);
        assert_eq!(world.count(account(1), "tokens").await, 637);
    }
    // From now on Redis has it all, but for what was counted twice.
    let entry = world.settle(A, 3, vec![used(3, 7)]).await;
    let place = Place { position: entry, ..world.place };
    let posting = Posting { counters: vec![counter(7, 0), counter(7, 7)], ..Posting::of(place) };
    world.desk.post(&[posting]).await.unwrap();
    assert_eq!(world.count(account(1), "tokens").await, 637);
}

#[tokio::test]
async fn a_desk_that_was_succeeded_is_refused() {
    let mut world = World::begin().await;
    let mut old = meter::desk::Desk::connect(&world.server.url()).await.unwrap();
    old.set_clock(meter::protocol::Clock::Key);
    old.set_fence(4);
    world.desk.set_fence(5);
    old.post(&[Posting::of(world.place)]).await.unwrap();
    world.desk.post(&[Posting::of(world.place)]).await.unwrap();
    let load = Load { account: account(1), balance: Nanos(100), sequence: 0, counters: Vec::new() };
    assert!(matches!(old.load(world.place, std::slice::from_ref(&load)).await, Err(DeskError::Succeeded)));
    assert!(matches!(old.collect(world.place, &[collect(id(1), 1)]).await, Err(DeskError::Succeeded)));
    assert!(matches!(old.credit(world.place, &[credit(1, 1)]).await, Err(DeskError::Succeeded)));
    assert!(matches!(old.post(&[Posting::of(world.place)]).await, Err(DeskError::Succeeded)));
    assert!(matches!(old.withdrawn(world.place, &[]).await, Err(DeskError::Succeeded)));
    let (shard, era) = (world.place.shard, world.place.era);
    assert!(matches!(old.reap(shard, era, A, 0).await, Err(DeskError::Succeeded)));
    assert_eq!(world.hold(A, &own(id(1), account(1), 1)).await, Held::Cold);
    world.desk.load(world.place, &[load]).await.unwrap();
    assert_eq!(world.hold(A, &own(id(1), account(1), 1)).await, granted(1));
}
