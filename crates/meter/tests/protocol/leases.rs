//! Leases: holds on a slice, which a proxy spends by itself.

use std::time::Duration;

use meter::protocol::calls::{
    self, Beat, Group, Held, LeaseBack, LeaseState, More, MorePart, Needs, Settled,
};
use model::Nanos;
use model::limits::Window;
use uuid::Uuid;

use crate::support::{ERA, SHARD, START, World, account, granted, id, lease, leased, own, part};

const A: Uuid = Uuid::from_u128(0xa);
const B: Uuid = Uuid::from_u128(0xb);
const HOUR: Window = Window::Fixed { seconds: 3600 };

fn back(lease: Uuid, state: LeaseState, amount: i64) -> LeaseBack {
    LeaseBack { id: lease, state, amount: Nanos(amount), parts: Vec::new() }
}

async fn give(world: &mut World, number: u64, leases: Vec<LeaseBack>) -> Vec<model::AccountId> {
    let beat = Beat { number, leases, accounts: vec![account(1)], ..Beat::default() };
    world.beat(A, beat).await.recalled
}

#[tokio::test]
async fn a_lease_is_at_most_a_hundredth_of_what_is_free() {
    let mut world = World::begin().await;
    world.load(account(1), 10_000).await;
    assert_eq!(world.hold(A, &lease(id(1), account(1), 50)).await, granted(50));
    assert_eq!(world.hold(A, &lease(id(2), account(1), 500)).await, granted(99));
    assert_eq!(world.money(account(1)).await, (10_000 - 149, 149, 0));
    world.assert_holds_add_up(&[A], account(1)).await;
    let mut large = lease(id(3), account(1), 500);
    large.least = Nanos(99);
    assert_eq!(world.hold(A, &large).await, Held::Small);
    assert_eq!(world.hold(A, &lease(id(4), account(2), 1)).await, Held::Cold);
}

#[tokio::test]
async fn a_lease_has_a_hundredth_of_what_remains_of_each_limit() {
    let mut world = World::begin().await;
    let mut wanted = lease(id(1), account(1), 0);
    wanted.needs = Needs::Nothing;
    wanted.least = Nanos(0);
    wanted.counters = vec![part("calls", 1000, HOUR, 50), part("tokens", 50_000, HOUR, 100)];
    let Held::Granted { amount, parts } = world.hold(A, &wanted).await else { panic!() };
    let parts: Vec<_> = parts.iter().map(|part| (part.amount, part.remaining)).collect();
    assert_eq!((amount, parts), (Nanos(0), vec![(10, 990), (100, 49_900)]));
    assert_eq!(world.count(account(1), "calls").await, 10);
    wanted.id = id(2);
    wanted.counters[0].floor = 10;
    assert_eq!(world.hold(A, &wanted).await, Held::Small);
    assert_eq!(world.count(account(1), "tokens").await, 100);
}

#[tokio::test]
async fn requests_on_a_lease_leave_in_it_what_they_do_not_need() {
    let mut world = World::begin().await;
    world.load(account(1), 10_000).await;
    world.hold(A, &lease(id(1), account(1), 100)).await;
    // Below, at and above their part.
    world.settle(A, 1, vec![leased(A, id(1), account(1), &[(5, 20), (20, 20), (50, 20)])]).await;
    assert_eq!(world.paid().await, [5, 20, 50]);
    assert_eq!(world.money(account(1)).await, (9_900 - 30, 100 - 45, 75));
    world.assert_holds_add_up(&[A], account(1)).await;
    // The same batch again: the lease is charged once.
    world.settle(A, 1, vec![leased(A, id(1), account(1), &[(5, 20), (20, 20), (50, 20)])]).await;
    assert_eq!(world.money(account(1)).await, (9_900 - 30, 100 - 45, 75));
    give(&mut world, 1, vec![back(id(1), LeaseState::Ended, 0)]).await;
    assert_eq!(world.money(account(1)).await, (9_925, 0, 75));
}

#[tokio::test]
async fn what_a_lease_cannot_cover_is_not_paid_when_nothing_is_free() {
    let mut world = World::begin().await;
    world.load(account(1), 10_000).await;
    world.hold(A, &lease(id(1), account(1), 100)).await;
    world.hold(A, &own(id(2), account(1), 9_895)).await;
    world.settle(A, 1, vec![leased(A, id(1), account(1), &[(70, 50), (70, 50)])]).await;
    assert_eq!(world.paid().await, [55, 50]);
    assert_eq!(world.money(account(1)).await, (0, 9_895, 105));
    world.assert_holds_add_up(&[A], account(1)).await;
}

#[tokio::test]
async fn a_lease_is_given_back_in_parts_and_each_beat_counts_once() {
    let mut world = World::begin().await;
    world.load(account(1), 10_000).await;
    world.hold(A, &lease(id(1), account(1), 100)).await;
    for _ in 0..2 {
        give(&mut world, 1, vec![back(id(1), LeaseState::Open, 30)]).await;
        assert_eq!(world.money(account(1)).await, (9_930, 70, 0));
    }
    // What one request has of it stays.
    give(&mut world, 2, vec![back(id(1), LeaseState::Closed, 50)]).await;
    assert_eq!(world.money(account(1)).await, (9_980, 20, 0));
    world.assert_holds_add_up(&[A], account(1)).await;
    assert_eq!(world.figures(account(1)).await.leased, Nanos(0));
    world.settle(A, 1, vec![leased(A, id(1), account(1), &[(5, 20)])]).await;
    assert_eq!(world.money(account(1)).await, (9_980, 15, 5));
    give(&mut world, 3, vec![back(id(1), LeaseState::Closed, 15)]).await;
    assert_eq!(world.money(account(1)).await, (9_995, 0, 5));
    assert!(world.desk.holds(SHARD, ERA, A).await.unwrap().is_empty());
}

#[tokio::test]
async fn nobody_is_refused_what_a_lease_could_give_back() {
    let mut world = World::begin().await;
    world.load(account(1), 10_000).await;
    world.hold(A, &lease(id(1), account(1), 100)).await;
    assert_eq!(world.hold(B, &own(id(2), account(1), 10_001)).await, Held::Credits { free: Nanos(9_900) });
    assert!(give(&mut world, 1, Vec::new()).await.is_empty(), "that would not have helped");
    assert_eq!(world.hold(B, &own(id(2), account(1), 10_000)).await, Held::Wait);
    assert_eq!(world.money(account(1)).await, (9_900, 100, 0));
    assert_eq!(give(&mut world, 2, Vec::new()).await, [account(1)]);
    // While it is recalled nobody leases anything.
    assert_eq!(world.hold(B, &lease(id(3), account(1), 10)).await, Held::Small);
    give(&mut world, 3, vec![back(id(1), LeaseState::Closed, 60)]).await;
    // What a request still has of the lease will not come back soon enough: a clear answer.
    assert_eq!(world.hold(B, &own(id(2), account(1), 10_000)).await, Held::Credits { free: Nanos(9_960) });
    assert!(give(&mut world, 4, Vec::new()).await.is_empty());
    assert_eq!(world.hold(B, &own(id(2), account(1), 9_000)).await, granted(9_000));
    assert_eq!(world.hold(B, &lease(id(3), account(1), 5)).await, granted(5));
}

#[tokio::test]
async fn nobody_is_refused_a_limit_that_a_lease_could_give_back() {
    let mut world = World::begin().await;
    let limited = |number, amount| {
        let mut wanted = own(id(number), account(1), 0);
        wanted.needs = Needs::Nothing;
        wanted.counters = vec![part("calls", 200, HOUR, amount)];
        wanted
    };
    let mut of_lease = limited(1, 2);
    of_lease.is_lease = true;
    assert!(matches!(world.hold(A, &of_lease).await, Held::Granted { .. }));
    assert!(matches!(world.hold(B, &limited(2, 197)).await, Held::Granted { .. }));
    assert_eq!(world.hold(B, &limited(3, 2)).await, Held::Wait);
    assert_eq!(give(&mut world, 1, Vec::new()).await, [account(1)]);
    let returned = LeaseBack {
        parts: vec![("calls".to_owned(), START / 3_600_000, 2)],
        ..back(id(1), LeaseState::Ended, 0)
    };
    give(&mut world, 2, vec![returned]).await;
    assert!(matches!(world.hold(B, &limited(3, 2)).await, Held::Granted { .. }));
    assert!(matches!(world.hold(B, &limited(4, 1)).await, Held::Granted { .. }));
    let no = world.hold(B, &limited(5, 1)).await;
    assert_eq!(no, Held::Limit { index: 0, remaining: 0, retry_after: Duration::from_secs(3600) });
    assert_eq!(world.count(account(1), "calls").await, 200);
}

#[tokio::test]
async fn counts_of_requests_on_a_lease_move_from_its_reservation() {
    let mut world = World::begin().await;
    let mut wanted = lease(id(1), account(1), 0);
    wanted.needs = Needs::Nothing;
    wanted.least = Nanos(0);
    wanted.counters = vec![part("tokens", 100_000, HOUR, 1000)];
    world.hold(A, &wanted).await;
    let window = START / 3_600_000;
    let group = Group {
        counters: vec![("tokens".to_owned(), window)],
        records: [(0, 40, 100), (1, 100, 100), (2, 130, 100)]
            .map(|(place, actual, part)| Settled {
                place,
                charge: Nanos(0),
                part: Nanos(0),
                used: vec![(actual, part)],
            })
            .to_vec(),
        ..leased(A, id(1), account(1), &[])
    };
    world.settle(A, 1, vec![group]).await;
    // 240 of 270 came out of the reservation.
    assert_eq!(world.count(account(1), "tokens").await, 1030);
    assert_eq!(world.desk.holds(SHARD, ERA, A).await.unwrap()[0].reserved[0].2, 760);
    give(&mut world, 1, vec![back(id(1), LeaseState::Ended, 0)]).await;
    assert_eq!(world.count(account(1), "tokens").await, 270);
    assert_eq!(world.hash(&format!("c:{}:tokens", account(1))).await["l"], "0");
}

#[tokio::test]
async fn a_stream_on_a_lease_gets_a_hold_of_its_own_when_it_needs_more() {
    let mut world = World::begin().await;
    world.load(account(1), 10_000).await;
    let mut wanted = lease(id(1), account(1), 100);
    wanted.counters = vec![part("tokens", 100_000, HOUR, 1000)];
    world.hold(A, &wanted).await;
    let more = |amount| More {
        batch: 1,
        id: id(2),
        step: 1,
        account: account(1),
        needs: Needs::Credits,
        more: Nanos(amount),
        reported: Nanos(30),
        lease: Some((id(1), Nanos(40))),
        floor: Nanos(4),
        record: own(id(2), account(1), 0).record,
        counters: vec![MorePart {
            counter: part("tokens", 100_000, HOUR, 0).counter,
            window: START / 3_600_000,
            more: 500,
            part: 300,
            floor: 7,
        }],
    };
    let too_much = calls::extend(&world.scripts, A, &more(20_000));
    let refused = Held::read(world.call(too_much).await.unwrap()).unwrap();
    assert_eq!(refused, Held::Credits { free: Nanos(9_900) });
    assert_eq!(world.desk.holds(SHARD, ERA, A).await.unwrap().len(), 1, "nothing was carved");
    for _ in 0..2 {
        let command = calls::extend(&world.scripts, A, &more(60));
        let answer = Held::read(world.call(command).await.unwrap()).unwrap();
        assert!(matches!(answer, Held::Granted { amount: Nanos(100), .. }), "{answer:?}");
        assert_eq!(world.money(account(1)).await, (9_840, 160, 0));
        assert_eq!(world.count(account(1), "tokens").await, 1500);
        world.assert_holds_add_up(&[A], account(1)).await;
    }
    // Whoever did not hear whether it was carved names both.
    let both = |charge| Group {
        own: Some(id(2)),
        counters: vec![("tokens".to_owned(), START / 3_600_000)],
        records: vec![Settled { place: 0, charge: Nanos(charge), part: Nanos(40), used: vec![(650, 300)] }],
        ..leased(A, id(1), account(1), &[])
    };
    world.settle(A, 1, vec![both(90)]).await;
    assert_eq!(world.money(account(1)).await, (9_850, 60, 90));
    assert_eq!(world.count(account(1), "tokens").await, 700 + 650);
    give(&mut world, 1, vec![back(id(1), LeaseState::Ended, 0)]).await;
    assert_eq!(world.money(account(1)).await, (9_910, 0, 90));
    assert_eq!(world.count(account(1), "tokens").await, 650);
}

#[tokio::test]
async fn a_lease_of_the_dead_is_released() {
    let mut world = World::begin().await;
    world.load(account(1), 10_000).await;
    world.hold(A, &lease(id(1), account(1), 100)).await;
    world.settle(A, 1, vec![leased(A, id(1), account(1), &[(5, 20)])]).await;
    world.desk.reap(SHARD, ERA, A, 0).await.unwrap();
    assert_eq!(world.money(account(1)).await, (9_995, 0, 5));
    // Its requests go on; what they cost is collected.
    world.settle(B, 1, vec![leased(A, id(1), account(1), &[(5, 20)])]).await;
    assert_eq!(world.paid().await, [5, 0]);
    assert_eq!(world.money(account(1)).await, (9_995, 0, 5));
    assert_eq!(world.hash(&format!("a:{}", account(1))).await["leases"], "0");
}
