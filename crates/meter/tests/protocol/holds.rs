//! Taking and extending holds.

use meter::protocol::calls::{self, Beat, Held, More, Needs, Says};
use model::Nanos;
use uuid::Uuid;

use crate::support::{ERA, SHARD, World, account, granted, id, own, settled};

const A: Uuid = Uuid::from_u128(0xa);

fn more(hold: Uuid, step: u32, amount: i64, reported: i64) -> More {
    More {
        batch: 1,
        id: hold,
        step,
        account: account(1),
        needs: Needs::Credits,
        more: Nanos(amount),
        reported: Nanos(reported),
        lease: None,
        floor: Nanos(0),
        record: Vec::new(),
        counters: Vec::new(),
    }
}

async fn extend(world: &mut World, more: &More) -> Held {
    let command = calls::extend(&world.scripts, A, more);
    Held::read(world.call(command).await.unwrap()).unwrap()
}

#[tokio::test]
async fn money_is_set_aside_while_there_is_enough() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    assert_eq!(world.hold(A, &own(id(1), account(1), 60)).await, granted(60));
    assert_eq!(world.money(account(1)).await, (40, 60, 0));
    assert_eq!(world.hold(A, &own(id(2), account(1), 41)).await, Held::Credits { free: Nanos(40) });
    assert_eq!(world.hold(A, &own(id(3), account(1), 40)).await, granted(40));
    assert_eq!(world.money(account(1)).await, (0, 100, 0));
    world.assert_holds_add_up(&[A], account(1)).await;
}

#[tokio::test]
async fn the_same_hold_again_moves_nothing() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    for _ in 0..3 {
        assert_eq!(world.hold(A, &own(id(1), account(1), 60)).await, granted(60));
        assert_eq!(world.money(account(1)).await, (40, 60, 0));
    }
}

#[tokio::test]
async fn holds_of_one_call_see_each_other() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    let wanted: Vec<_> = [1, 2, 1, 3].map(|number| own(id(number), account(1), 50)).to_vec();
    let command = calls::hold(&world.scripts, A, &wanted);
    let answers = Held::read_all(world.call(command).await.unwrap()).unwrap();
    assert_eq!(answers, [granted(50), granted(50), granted(50), Held::Credits { free: Nanos(0) }]);
    assert_eq!(world.money(account(1)).await, (0, 100, 0));
}

#[tokio::test]
async fn an_account_that_is_not_loaded_is_asked_for_once() {
    let mut world = World::begin().await;
    for number in 1..=3 {
        assert_eq!(world.hold(A, &own(id(number), account(1), 1)).await, Held::Cold);
    }
    let entries = world.entries().await;
    assert_eq!(entries.iter().map(|entry| entry.wanted).collect::<Vec<_>>(), [Some(account(1))]);
    assert!(entries[0].records.is_empty());
    assert_eq!(world.desk.wanted(&[(SHARD, ERA)]).await.unwrap(), [vec![account(1)]]);
    world.load(account(1), 10).await;
    assert_eq!(world.desk.wanted(&[(SHARD, ERA)]).await.unwrap(), [vec![]]);
    assert_eq!(world.hold(A, &own(id(1), account(1), 1)).await, granted(1));
}

#[tokio::test]
async fn own_keys_need_no_account() {
    let mut world = World::begin().await;
    let mut wanted = own(id(1), account(1), 0);
    wanted.needs = Needs::Account;
    assert_eq!(world.hold(A, &wanted).await, Held::Cold);
    wanted.needs = Needs::Nothing;
    assert_eq!(world.hold(A, &wanted).await, granted(0));
    assert_eq!(world.money(account(1)).await, (0, 0, 0));
}

#[tokio::test]
async fn a_hold_grows_step_by_step_and_each_step_once() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.hold(A, &own(id(1), account(1), 30)).await;
    for _ in 0..2 {
        assert_eq!(extend(&mut world, &more(id(1), 1, 30, 20)).await, granted(60));
        assert_eq!(world.money(account(1)).await, (40, 60, 0));
    }
    let refused = extend(&mut world, &more(id(1), 2, 41, 50)).await;
    assert_eq!(refused, Held::Credits { free: Nanos(40) });
    assert_eq!(extend(&mut world, &more(id(1), 2, 40, 50)).await, granted(100));
    let holds = world.desk.holds(SHARD, ERA, A).await.unwrap();
    assert_eq!((holds[0].amount, holds[0].reported, holds[0].step), (Nanos(100), Nanos(50), 2));
    world.settle(A, 1, vec![settled(A, id(1), account(1), 77)]).await;
    assert_eq!(world.money(account(1)).await, (23, 0, 77));
}

#[tokio::test]
async fn what_is_not_held_is_not_extended() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    assert_eq!(extend(&mut world, &more(id(1), 1, 30, 20)).await, Held::Gone);
    world.hold(A, &own(id(1), account(1), 30)).await;
    let stranger = More { account: account(2), ..more(id(1), 1, 30, 20) };
    assert_eq!(extend(&mut world, &stranger).await, Held::Gone);
    assert_eq!(world.money(account(1)).await, (70, 30, 0));
}

#[tokio::test]
async fn a_beat_releases_what_its_proxy_does_not_know_once_it_is_old() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.hold(A, &own(id(1), account(1), 30)).await;
    world.hold(A, &own(id(2), account(1), 20)).await;
    let beat = |number| Beat { number, says: Says::Names(vec![id(1)]), ..Beat::default() };
    world.later(30_000).await;
    world.beat(A, beat(1)).await;
    assert_eq!(world.money(account(1)).await, (50, 50, 0));
    world.later(1).await;
    world.beat(A, beat(1)).await;
    assert_eq!(world.money(account(1)).await, (50, 50, 0), "a beat that was heard before");
    world.beat(A, beat(2)).await;
    assert_eq!(world.money(account(1)).await, (70, 30, 0));
    world.assert_holds_add_up(&[A], account(1)).await;
}

#[tokio::test]
async fn a_beat_releases_at_once_what_it_is_told_to() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.hold(A, &own(id(1), account(1), 30)).await;
    for number in 1..3 {
        let beat = Beat { number, release: vec![id(1), id(2)], ..Beat::default() };
        world.beat(A, beat).await;
        assert_eq!(world.money(account(1)).await, (100, 0, 0));
    }
}

#[tokio::test]
async fn an_incarnation_is_watched_from_its_first_hold_until_it_says_bye() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.hold(A, &own(id(1), account(1), 30)).await;
    let beats = |number| [(A, number)].into_iter().collect();
    assert_eq!(world.desk.beats(&[(SHARD, ERA)]).await.unwrap(), [beats(0)]);
    world.beat(A, Beat { number: 4, ..Beat::default() }).await;
    assert_eq!(world.desk.beats(&[(SHARD, ERA)]).await.unwrap(), [beats(4)]);
    world.beat(A, Beat { number: 5, says: Says::Bye, ..Beat::default() }).await;
    assert_eq!(world.desk.beats(&[(SHARD, ERA)]).await.unwrap(), [beats(5)], "it still holds something");
    world.settle(A, 1, vec![settled(A, id(1), account(1), 0)]).await;
    world.beat(A, Beat { number: 6, says: Says::Bye, ..Beat::default() }).await;
    assert!(world.desk.beats(&[(SHARD, ERA)]).await.unwrap()[0].is_empty());
}

#[tokio::test]
async fn a_beat_that_comes_after_its_successors_changes_nothing() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.beat(A, Beat { number: 2, says: Says::Bye, ..Beat::default() }).await;
    world.hold(A, &own(id(1), account(1), 30)).await;
    world.later(31_000).await;
    let heard = world.beat(A, Beat { number: 1, says: Says::Names(vec![]), ..Beat::default() }).await;
    assert_eq!((heard.left, world.money(account(1)).await), (1, (70, 30, 0)));
    assert_eq!(world.desk.beats(&[(SHARD, ERA)]).await.unwrap(), [[(A, 0)].into()]);
    // Who says bye hears of a hold that nobody knows of, until it is old enough to be released.
    world.hold(A, &own(id(2), account(1), 20)).await;
    let heard = world.beat(A, Beat { number: 3, says: Says::Bye, ..Beat::default() }).await;
    assert_eq!((heard.left, world.money(account(1)).await), (1, (80, 20, 0)));
}

#[tokio::test]
async fn an_extension_that_comes_after_the_request_was_settled_takes_nothing() {
    let mut world = World::begin().await;
    world.load(account(1), 100).await;
    world.hold(A, &own(id(1), account(1), 30)).await;
    world.settle(A, 1, Vec::new()).await;
    assert_eq!(extend(&mut world, &more(id(1), 1, 30, 20)).await, Held::Gone);
    assert_eq!(extend(&mut world, &More { batch: 2, ..more(id(1), 1, 30, 20) }).await, granted(60));
}

#[tokio::test]
async fn a_balance_is_exact_at_every_size() {
    for balance in [99_999_999_999_999, 100_000_000_000_001, 4_000_000_000_000_000, (1 << 53) - 1] {
        let mut world = World::begin().await;
        world.load(account(1), balance).await;
        world.hold(A, &own(id(1), account(1), balance - 1)).await;
        assert_eq!(world.money(account(1)).await, (1, balance - 1, 0));
        let refused = world.hold(A, &own(id(2), account(1), 2)).await;
        assert_eq!(refused, Held::Credits { free: Nanos(1) });
        world.settle(A, 1, vec![settled(A, id(1), account(1), balance - 3)]).await;
        assert_eq!(world.money(account(1)).await, (3, 0, balance - 3));
        assert_eq!(world.paid().await, [balance - 3]);
        for (number, amount) in (2..).zip([1, 2]) {
            world.hold(A, &own(id(number), account(1), amount)).await;
            world.settle(A, number as u64, vec![settled(A, id(number), account(1), amount)]).await;
        }
        assert_eq!(world.money(account(1)).await, (0, 0, balance));
    }
}
