//! Every script on a cluster: all keys that one names lie in one slot.

use meter::Position;
use meter::desk::{
    Collect, CounterValue, Credit, Credited, Load, Place, PostedAccount, PostedCounter, Posting, Withdrawal,
};
use meter::protocol::calls::{self, Beat, Declared, Held, More, Needs, Says};
use model::Nanos;
use model::limits::Window;
use uuid::Uuid;

use crate::support::{
    ERA, RedisServer, SHARD, START, World, account, granted, id, lease, leased, own, part, settled,
};

const A: Uuid = Uuid::from_u128(0xa);
const B: Uuid = Uuid::from_u128(0xb);

#[tokio::test]
async fn every_script_works_on_a_cluster() {
    let mut world = World::on(RedisServer::start_cluster()).await;
    world.desk.begin(&[(SHARD, ERA)]).await.unwrap();
    let held = Declared {
        id: id(1),
        account: account(1),
        amount: Nanos(30),
        floor: Nanos(3),
        reported: Nanos(0),
        step: 0,
        reserved: vec![("calls".to_owned(), START / 3_600_000, 1, 1)],
        record: own(id(1), account(1), 30).record,
    };
    let command = calls::declare(&world.scripts, A, 1, true, &[held]);
    calls::declared(world.call(command).await.unwrap()).unwrap();
    world.desk.admit(&[(SHARD, ERA)]).await.unwrap();

    let counters = vec![CounterValue { counter: "calls".to_owned(), window: START / 3_600_000, value: 1 }];
    let load = Load { account: account(1), balance: Nanos(10_000), sequence: 0, counters };
    assert_eq!(world.desk.load(world.place, &[load]).await.unwrap(), [true]);
    let credit = Credit { account: account(1), amount: Nanos(500), sequence: 1 };
    assert_eq!(world.desk.credit(world.place, &[credit]).await.unwrap(), [Credited::Free]);

    let mut wanted = own(id(2), account(1), 50);
    wanted.counters = vec![part("calls", 100, Window::Fixed { seconds: 3_600 }, 1)];
    assert!(matches!(world.hold(A, &wanted).await, Held::Granted { .. }));
    assert_eq!(world.hold(A, &lease(id(3), account(1), 90)).await, granted(90));
    let more = More {
        batch: 1,
        id: id(4),
        step: 1,
        account: account(1),
        needs: Needs::Credits,
        more: Nanos(20),
        reported: Nanos(5),
        lease: Some((id(3), Nanos(40))),
        floor: Nanos(4),
        record: own(id(4), account(1), 40).record,
        counters: Vec::new(),
    };
    let command = calls::extend(&world.scripts, A, &more);
    assert_eq!(Held::read(world.call(command).await.unwrap()).unwrap(), granted(60));
    let groups = vec![
        settled(A, id(1), account(1), 20),
        settled(A, id(2), account(1), 60),
        settled(A, id(4), account(1), 55),
        leased(A, id(3), account(1), &[(10, 20)]),
    ];
    let entry = world.settle(A, 1, groups).await;
    world.beat(A, Beat { number: 1, says: Says::Names(vec![id(3)]), ..Beat::default() }).await;

    let asked = Collect { id: id(9), account: account(1), missing: Nanos(7) };
    assert_eq!(world.desk.collect(world.place, &[asked]).await.unwrap(), [Nanos(7)]);
    let done = Withdrawal { id: id(9), account: account(1), back: Nanos(0) };
    world.desk.withdrawn(world.place, &[done]).await.unwrap();
    let place = Place { position: entry, ..world.place };
    let posting = Posting {
        place,
        accounts: vec![PostedAccount { account: account(1), unposted: Nanos(145), back: Nanos(0) }],
        counters: vec![PostedCounter {
            account: account(1),
            counter: "calls".to_owned(),
            window: START / 3_600_000,
            there: 0,
            back: 1,
        }],
        collected: Vec::new(),
    };
    world.desk.post(&[posting]).await.unwrap();
    world.place = place;
    assert_eq!(world.money(account(1)).await.2, 0);

    world.hold(B, &own(id(5), account(1), 100)).await;
    world.desk.reap(SHARD, ERA, B, 0).await.unwrap();
    let command = calls::bury(&world.scripts, A, 8);
    assert_eq!(redis::from_redis_value::<i64>(world.call(command).await.unwrap()).unwrap(), 0);
    let (free, held, unposted) = world.money(account(1)).await;
    assert_eq!((free + unposted, held), (10_500 - 7 - 145, 0));
    assert!(world.entries().await.last().is_some_and(|last| last.position > Position::default()));
}
