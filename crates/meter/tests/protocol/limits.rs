//! Counters: room, windows, and what becomes of a reservation.

use std::time::Duration;

use meter::desk::{CounterValue, Load};
use meter::protocol::calls::{GrantedPart, Group, Held, Needs, Settled, Wanted};
use model::Nanos;
use model::limits::{Period, Window};
use uuid::Uuid;

use crate::support::{START, World, account, id, own, part, settled};

const A: Uuid = Uuid::from_u128(0xa);
const DAY: i64 = 86_400_000;

fn limited(number: u128, limit: i64, window: Window, amount: i64) -> Wanted {
    let counters = vec![part("calls", limit, window, amount)];
    Wanted { needs: Needs::Nothing, counters, ..own(id(number), account(1), 0) }
}

fn used(number: u128, window: i64, actual: i64) -> Group {
    Group {
        counters: vec![("calls".to_owned(), window)],
        records: vec![Settled { place: 0, charge: Nanos(0), part: Nanos(0), used: vec![(actual, 0)] }],
        ..settled(A, id(number), account(1), 0)
    }
}

fn one(held: Held) -> GrantedPart {
    match held {
        Held::Granted { parts, .. } => parts[0],
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_limit_admits_what_fits_and_says_when_there_will_be_room() {
    let mut world = World::begin().await;
    let hour = Window::Fixed { seconds: 3600 };
    world.later(600_000).await;
    let first = one(world.hold(A, &limited(1, 10, hour, 7)).await);
    let ends_in = Duration::from_secs(3000);
    assert_eq!(first, GrantedPart { window: START / 3_600_000, amount: 7, remaining: 3, ends_in });
    let refused = world.hold(A, &limited(2, 10, hour, 4)).await;
    assert_eq!(refused, Held::Limit { index: 0, remaining: 3, retry_after: ends_in });
    assert_eq!(one(world.hold(A, &limited(2, 10, hour, 3)).await).remaining, 0);
    // A lower limit than what is used already.
    let refused = world.hold(A, &limited(3, 5, hour, 1)).await;
    assert_eq!(refused, Held::Limit { index: 0, remaining: 0, retry_after: ends_in });
    world.later(3_000_000).await;
    assert_eq!(one(world.hold(A, &limited(3, 10, hour, 1)).await).remaining, 9);
}

#[tokio::test]
async fn a_counter_that_counts_nothing_is_not_kept() {
    let mut world = World::begin().await;
    let hour = Window::Fixed { seconds: 3600 };
    let name = format!("c:{}:calls", account(1));
    for (batch, actual, fields) in [(1, 0, 0), (2, 3, 4)] {
        world.hold(A, &limited(1, 10, hour, 7)).await;
        assert_eq!(world.hash(&name).await.len(), 4);
        world.settle(A, batch, vec![used(1, START / 3_600_000, actual)]).await;
        assert_eq!(world.hash(&name).await.len(), fields);
    }
}

#[tokio::test]
async fn the_limit_that_is_short_is_named_and_nothing_is_counted_anywhere() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    let hour = Window::Fixed { seconds: 3600 };
    let mut wanted = own(id(1), account(1), 10);
    wanted.counters = vec![part("wide", 10, hour, 5), part("narrow", 4, hour, 5)];
    let refused = world.hold(A, &wanted).await;
    assert!(matches!(refused, Held::Limit { index: 1, remaining: 4, .. }), "{refused:?}");
    wanted.counters[1].amount = 4;
    wanted.amount = Nanos(101);
    assert_eq!(world.hold(A, &wanted).await, Held::Credits { free: Nanos(100) });
    assert_eq!((world.count(account(1), "wide").await, world.count(account(1), "narrow").await), (0, 0));
    assert_eq!(world.money(account(1)).await, (100, 0, 0));
    wanted.amount = Nanos(100);
    assert!(matches!(world.hold(A, &wanted).await, Held::Granted { .. }));
    assert_eq!((world.count(account(1), "wide").await, world.count(account(1), "narrow").await), (5, 4));
}

#[tokio::test]
async fn accounts_do_not_share_counters() {
    let mut world = World::begin().await;
    let hour = Window::Fixed { seconds: 3600 };
    for number in 1..=3 {
        let wanted = Wanted { account: account(number), ..limited(number, 1, hour, 1) };
        one(world.hold(A, &wanted).await);
    }
}

#[tokio::test]
async fn a_settlement_puts_what_was_used_in_place_of_what_was_reserved() {
    let mut world = World::begin().await;
    let hour = Window::Fixed { seconds: 3600 };
    let window = START / 3_600_000;
    for (number, actual) in [(1, 0), (2, 7), (3, 30)] {
        one(world.hold(A, &limited(number.into(), 1000, hour, 10)).await);
        world.settle(A, number, vec![used(number.into(), window, actual)]).await;
    }
    assert_eq!(world.count(account(1), "calls").await, 37);
    // Without a hold, what was used still counts.
    world.settle(A, 4, vec![used(9, window, 5)]).await;
    assert_eq!(world.count(account(1), "calls").await, 42);
}

#[tokio::test]
async fn a_request_counts_in_the_window_in_which_it_began() {
    let mut world = World::begin().await;
    let window = Window::Sliding { seconds: 60 };
    let began = START / 60_000;
    one(world.hold(A, &limited(1, 1000, window, 10)).await);
    one(world.hold(A, &limited(2, 1000, window, 10)).await);
    world.later(60_000).await;
    assert_eq!(one(world.hold(A, &limited(3, 1000, window, 1)).await).remaining, 1000 - 21);
    world.settle(A, 1, vec![used(1, began, 40)]).await;
    assert_eq!(one(world.hold(A, &limited(4, 1000, window, 1)).await).remaining, 1000 - 52);
    world.later(60_000).await;
    one(world.hold(A, &limited(5, 1000, window, 1)).await);
    // By now its window is forgotten.
    world.settle(A, 2, vec![used(2, began, 500)]).await;
    let counts = world.desk.counts(world.place.shard, world.place.era, account(1), &["calls"]).await.unwrap();
    let count = counts[0].unwrap();
    assert_eq!((count.window, count.count, count.former), (began + 2, 1, 2));
}

#[tokio::test]
async fn a_sliding_window_forgets_little_by_little() {
    let mut world = World::begin().await;
    let window = Window::Sliding { seconds: 100 };
    // START is the beginning of such a window.
    one(world.hold(A, &limited(1, 100, window, 90)).await);
    world.later(150_000).await;
    // Half of 90 counts still.
    assert_eq!(one(world.hold(A, &limited(2, 100, window, 5)).await).remaining, 50);
    world.later(49_900).await;
    // A tenth of a second before its end the smallest part of the 90 counts as one.
    let refused = world.hold(A, &limited(3, 100, window, 95)).await;
    assert_eq!(refused, Held::Limit { index: 0, remaining: 94, retry_after: Duration::from_millis(100) });
    world.later(100).await;
    assert_eq!(one(world.hold(A, &limited(3, 100, window, 95)).await).remaining, 0);
}

#[tokio::test]
async fn who_waits_as_long_as_he_is_told_finds_room_in_a_sliding_window() {
    let mut world = World::begin().await;
    let window = Window::Sliding { seconds: 97 };
    let mut admitted = 0;
    for number in 0..60_u128 {
        let wanted = limited(number, 100, window, i64::try_from(number * 7 % 40).unwrap() + 1);
        match world.hold(A, &wanted).await {
            Held::Granted { .. } => admitted += 1,
            Held::Limit { retry_after, .. } => {
                let wait = i64::try_from(retry_after.as_millis()).unwrap();
                assert!(wait > 0 && wait <= 194_000, "{wait}");
                world.later(wait).await;
                let again = world.hold(A, &wanted).await;
                assert!(matches!(again, Held::Granted { .. }), "{number}: {again:?} after {wait}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(admitted > 0);
}

#[tokio::test]
async fn calendar_windows_are_those_of_the_calendar() {
    let calendar = |period, hours: i32| Window::Calendar { period, offset_seconds: hours * 3600 };
    // START is Sunday, 1 November 2026.
    let month = 2026 * 12 + 10;
    let days = START / DAY;
    let cases = [
        (START, calendar(Period::Hour, 0), START / 3_600_000, 3_600_000),
        (START + 1, calendar(Period::Day, 0), days, DAY - 1),
        (START, calendar(Period::Day, -5), days - 1, 5 * 3_600_000),
        (START, calendar(Period::Day, 2), days, 22 * 3_600_000),
        // Weeks begin on Monday.
        (START, calendar(Period::Week, 0), (days - 3) / 7, DAY),
        (START + DAY, calendar(Period::Week, 0), (days - 3) / 7 + 1, 7 * DAY),
        (START, calendar(Period::Month, 0), month, 30 * DAY),
        (START, calendar(Period::Month, -1), month - 1, 3_600_000),
        (START + 30 * DAY, calendar(Period::Month, 0), month + 1, 31 * DAY),
        (START + 61 * DAY, calendar(Period::Month, 0), month + 2, 31 * DAY),
        (START + 92 * DAY, calendar(Period::Month, 0), month + 3, 28 * DAY),
        (START + 120 * DAY, calendar(Period::Month, 0), month + 4, 31 * DAY),
        // February 2028 has 29 days.
        (START + (92 + 365) * DAY, calendar(Period::Month, 0), month + 15, 29 * DAY),
        (START + (92 + 365 + 28) * DAY, calendar(Period::Month, 0), month + 15, DAY),
        // 1970 begins on a Thursday.
        (0, calendar(Period::Week, 0), 0, 4 * DAY),
        (0, calendar(Period::Month, 0), 1970 * 12, 31 * DAY),
        // The year 2000 was a leap year.
        (951_782_400_000, calendar(Period::Month, 0), 2000 * 12 + 1, DAY),
    ];
    for (number, (at, window, index, left)) in (0..).zip(cases) {
        let mut world = World::begin().await;
        world.set_clock(at).await;
        let granted = one(world.hold(A, &limited(number, 100, window, 1)).await);
        let left = Duration::from_millis(u64::try_from(left).unwrap());
        assert_eq!((granted.window, granted.ends_in), (index, left), "case {number}");
    }
}

#[tokio::test]
async fn a_counter_outlives_its_window_by_one_and_no_longer_than_that() {
    let mut world = World::begin().await;
    one(world.hold(A, &limited(1, 10, Window::Fixed { seconds: 10 }, 1)).await);
    let name = meter::protocol::key(world.place.shard, world.place.era, &format!("c:{}:calls", account(1)));
    let left: i64 = world.ask(redis::cmd("PTTL").arg(name)).await;
    assert!((20_000..=3_620_000).contains(&left), "{left}");
}

#[tokio::test]
async fn a_long_window_that_was_loaded_is_kept_to_its_end() {
    let mut world = World::begin().await;
    let year = Window::Fixed { seconds: 365 * 86_400 };
    let counters = vec![CounterValue { counter: "calls".to_owned(), window: START / (365 * DAY), value: 6 }];
    let load = Load { account: account(1), balance: Nanos(0), sequence: 0, counters };
    world.desk.load(world.place, &[load]).await.unwrap();
    assert_eq!(one(world.hold(A, &limited(1, 10, year, 1)).await).remaining, 3);
    let name = meter::protocol::key(world.place.shard, world.place.era, &format!("c:{}:calls", account(1)));
    let left: i64 = world.ask(redis::cmd("PTTL").arg(name)).await;
    assert!(left > 365 * DAY, "{left}");
}

#[tokio::test]
async fn a_clock_that_is_set_back_a_little_opens_no_second_window() {
    let mut world = World::begin().await;
    let minute = Window::Fixed { seconds: 60 };
    one(world.hold(A, &limited(1, 10, minute, 6)).await);
    world.later(-5_000).await;
    let refused = world.hold(A, &limited(2, 10, minute, 5)).await;
    assert!(matches!(refused, Held::Limit { remaining: 4, .. }), "{refused:?}");
}
