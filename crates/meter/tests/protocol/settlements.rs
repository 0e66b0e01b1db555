//! Records on their way into the stream, and what each takes of its hold.

use meter::protocol::calls::{Beat, Group, Held, Settled};
use model::Nanos;
use uuid::Uuid;

use crate::support::{World, account, granted, id, own, settled};

const A: Uuid = Uuid::from_u128(0xa);
const B: Uuid = Uuid::from_u128(0xb);

#[tokio::test]
async fn a_request_pays_what_is_due_and_the_rest_is_free_again() {
    // Of a balance of 100 with a hold of 50: what is due, what was paid, what is free then.
    for (charge, paid) in [(0, 0), (20, 20), (50, 50), (80, 80), (100, 100), (130, 100)] {
        let mut world = World::begin().await;
        world.load(account(1), 100).await;
        world.hold(A, &own(id(1), account(1), 50)).await;
        world.settle(A, 1, vec![settled(A, id(1), account(1), charge)]).await;
        assert_eq!(world.money(account(1)).await, (100 - paid, 0, paid));
        assert_eq!(world.paid().await, [paid]);
    }
}

#[tokio::test]
async fn a_batch_that_was_done_is_answered_again_and_nothing_moves() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.hold(A, &own(id(1), account(1), 50)).await;
    let group = || vec![settled(A, id(1), account(1), 20)];
    let first = world.settle(A, 1, group()).await;
    let second = world.settle(A, 2, Vec::new()).await;
    assert_eq!(world.settle(A, 1, group()).await, first);
    assert_eq!(world.settle(A, 2, Vec::new()).await, second);
    assert_eq!(world.money(account(1)).await, (80, 0, 20));
    assert_eq!(world.entries().await.len(), 2);
}

#[tokio::test]
async fn a_gap_between_batches_is_refused() {
    let mut world = World::begin().await;
    let refused = |error: redis::RedisError| error.code().map(str::to_owned);
    let gap = Some("GAP".to_owned());
    assert_eq!(world.try_settle(A, 2, Vec::new()).await.map_err(refused), Err(gap.clone()));
    for number in 1..=20 {
        world.settle(A, number, Vec::new()).await;
    }
    assert_eq!(world.try_settle(A, 22, Vec::new()).await.map_err(refused), Err(gap.clone()));
    // Only so many answers are remembered.
    assert_eq!(world.try_settle(A, 4, Vec::new()).await.map_err(refused), Err(gap));
    world.settle(A, 5, Vec::new()).await;
    assert_eq!(world.entries().await.len(), 20);
}

#[tokio::test]
async fn without_a_hold_a_record_pays_nothing() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.hold(A, &own(id(1), account(1), 50)).await;
    // Another incarnation's, another account's, one that never was.
    let strangers = [
        settled(B, id(1), account(1), 20),
        settled(A, id(1), account(2), 20),
        settled(A, id(2), account(1), 20),
    ];
    for (number, group) in (1..).zip(strangers) {
        world.settle(A, number, vec![group]).await;
    }
    assert_eq!(world.money(account(1)).await, (50, 50, 0));
    assert_eq!(world.paid().await, [0, 0, 0]);
}

#[tokio::test]
async fn a_settlement_sent_by_another_incarnation_finds_the_hold() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.hold(A, &own(id(1), account(1), 50)).await;
    world.settle(B, 1, vec![settled(A, id(1), account(1), 20)]).await;
    assert_eq!(world.money(account(1)).await, (80, 0, 20));
    world.settle(B, 2, vec![settled(A, id(1), account(1), 20)]).await;
    assert_eq!(world.money(account(1)).await, (80, 0, 20));
    assert_eq!(world.paid().await, [20, 0]);
}

#[tokio::test]
async fn of_a_batch_each_record_has_its_own_figure() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    for number in [1, 3] {
        world.hold(A, &own(id(number), account(1), 50)).await;
    }
    let groups = [(1, 30, 1), (2, 7, 0), (3, 60, 2)].map(|(number, charge, place)| Group {
        records: vec![Settled { place, charge: Nanos(charge), part: Nanos(0), used: Vec::new() }],
        ..settled(A, id(number), account(1), 0)
    });
    world.settle(A, 1, groups.to_vec()).await;
    assert_eq!(world.paid().await, [0, 30, 60]);
    assert_eq!(world.money(account(1)).await, (10, 0, 90));
}

#[tokio::test]
async fn what_is_free_never_falls_below_zero_however_much_is_due() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    for number in 1..=4 {
        assert_eq!(world.hold(A, &own(id(number), account(1), 25)).await, granted(25));
    }
    for number in 1..=4_u64 {
        let group = settled(A, id(number.into()), account(1), 40);
        world.settle(A, number, vec![group]).await;
        let (free, held, unposted) = world.money(account(1)).await;
        assert!(free >= 0 && free + held + unposted == 100);
    }
    assert_eq!(world.paid().await, [25, 25, 25, 25]);
}

#[tokio::test]
async fn what_the_dead_hold_is_ended_and_they_hold_nothing_more() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    for number in 1..=3 {
        world.hold(A, &own(id(number), account(1), 30)).await;
    }
    let reports = vec![(id(2), Nanos(17)), (id(3), Nanos(99))];
    world.beat(A, Beat { number: 1, reports, ..Beat::default() }).await;
    let (shard, era) = (world.place.shard, world.place.era);
    assert!(!world.desk.reap(shard, era, A, 0).await.unwrap(), "it has beaten since");
    assert_eq!(world.money(account(1)).await, (10, 90, 0));
    for _ in 0..2 {
        assert!(world.desk.reap(shard, era, A, 1).await.unwrap());
        // The input of the first, what was reported of the second, all of the third's hold.
        assert_eq!(world.money(account(1)).await, (100 - 3 - 17 - 30, 0, 3 + 17 + 30));
    }
    let entries = world.entries().await;
    assert_eq!(entries.len(), 1);
    assert!(entries[0].is_reaped);
    assert_eq!(entries[0].records[0].outcome, model::usage::Outcome::Abandoned);
    let mut charged: Vec<_> =
        entries[0].records.iter().map(|record| (record.id, record.charge.0, record.paid.0)).collect();
    charged.sort();
    assert_eq!(charged, [(id(1), 3, 3), (id(2), 17, 17), (id(3), 30, 30)]);
    assert_eq!(world.hold(A, &own(id(4), account(1), 1)).await, Held::Dead);
    assert!(world.beat(A, Beat { number: 2, ..Beat::default() }).await.is_dead);
    assert!(world.desk.beats(&[(shard, era)]).await.unwrap()[0].is_empty());
    // The proxy was only cut off: its records follow, and the desk knows their ids.
    world.settle(A, 1, vec![settled(A, id(1), account(1), 20)]).await;
    assert_eq!(world.money(account(1)).await, (50, 0, 50));
}

#[tokio::test]
async fn many_holds_are_reaped_in_several_entries() {
    let mut world = World::begin().await;
    world.load(account(1), 10_000).await;
    for number in 0..150 {
        world.hold(A, &own(id(number), account(1), 50)).await;
    }
    let (shard, era) = (world.place.shard, world.place.era);
    world.desk.reap(shard, era, A, 0).await.unwrap();
    let entries = world.entries().await;
    assert_eq!(entries.len(), 3);
    let mut ids: Vec<_> = entries.iter().flat_map(|entry| &entry.records).map(|record| record.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 150);
    assert_eq!(world.money(account(1)).await, (10_000 - 150 * 5, 0, 150 * 5));
}
