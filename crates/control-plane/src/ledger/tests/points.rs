//! A desk dies at each of its points in the middle of everything, and the next one carries on.

use model::Nanos;
use model::usage::UsageRecord;
use store::ledger::{self as books, Cause, CauseKind, Destination, Missing};

use super::super::points;
use super::office::Office;
use super::proxy::{Proxy, charged};
use super::*;

/// Everything that a desk does to an account that begins with 1,000, during which one dies at `point`.
async fn story(office: &mut Office, point: &'static str) {
    let account = office.account(600).await;
    let mut proxy = office.proxy();
    let first = charged(account, 90, 100);
    // Dies at loading, if that is where it is to die.
    office.deadly = Some(point);
    office.held(&mut proxy, &first).await;
    office.deposit(account, 400).await;
    withdraw(office, account).await;
    let (dear, silent) = (charged(account, 130, 100), charged(account, 50, 100));
    office.held(&mut proxy, &silent).await;
    // The other one lost its hold on the way.
    send(office, &mut proxy, &[first.clone(), dear.clone()]).await;
    send(office, &mut proxy, std::slice::from_ref(&first)).await;
    office.catch_up().await;

    // A new era: one proxy lives and declares, one is silent from then on.
    let mut mute = office.proxy();
    let unheard = charged(account, 70, 100);
    office.held(&mut mute, &unheard).await;
    office.round().await;
    let lacking = charged(account, 25, 20);
    proxy.settle(std::slice::from_ref(&lacking)).await.unwrap();
    office.system.redis.command("SCRIPT FLUSH");
    let shard = account.shard();
    for _ in 0..20 {
        office.round().await;
        proxy.declare(shard, &[&silent]).await;
        mute.declare(shard, &[&unheard]).await;
        if office.desk().await.openings.is_empty() {
            break;
        }
    }
    office.catch_up().await;
    send(office, &mut mute, std::slice::from_ref(&unheard)).await;

    // And at last nobody hears of the other one again.
    office.round().await;
    office.times.silence = Duration::ZERO;
    for _ in 0..4 {
        office.round().await;
    }
    office.times.silence = Duration::from_secs(30);
    office.catch_up().await;
    assert_eq!(office.deadly, None, "no desk came by {point}");

    let paid = 90 + 130 + 25 + 70 + 1;
    assert_eq!(office.balance(account).await, 1000 - 200 - paid, "{point}");
    let known = async |record| office.known(record).await.map(|(charge, paid, _)| (charge, paid));
    assert_eq!(known(&dear).await, Some((130, 130)), "{point}");
    assert_eq!(known(&lacking).await, Some((25, 25)), "{point}");
    assert_eq!(known(&silent).await, Some((1, 1)), "{point}");
    office.desk().await.ensure_loaded(&[account]).await.unwrap();
    let balance = 1000 - 200 - paid;
    assert_eq!(office.money(account).await, (balance, 0, 0, balance), "{point}");
    assert_eq!(office.shortfall().await, 0, "{point}");
    office.check().await;
}

/// Whoever is not told that his batch is posted sends it again.
async fn send(office: &mut Office, proxy: &mut Proxy, records: &[UsageRecord]) {
    while proxy.settle(records).await.is_none() {
        office.round().await;
    }
}

async fn withdraw(office: &Office, account: AccountId) {
    let mut tx = office.system.store.pool.begin().await.unwrap();
    let cause = Cause::new(CauseKind::Refund, Uuid::now_v7().to_string());
    let (amount, to) = (Nanos(200), Destination::Payment);
    books::request_withdrawal(&mut tx, account, amount, to, Missing::Refuse, &cause, "").await.unwrap();
    tx.commit().await.unwrap();
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_desk_may_die_anywhere(pool: PgPoolOptions, address: PgConnectOptions) {
    let mut office = Office::start(pool, address).await;
    for point in points::ALL {
        story(&mut office, point).await;
    }
}
