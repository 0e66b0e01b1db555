//! The control plane says which era a shard is in, and Redis says otherwise.

use std::time::Duration;

use meter::Denied;
use model::Nanos;

use crate::eras::{begin, dispatched};
use crate::proxy::{Ledger, PATIENCE, Proxy, SHARD, account, claim, ended, opened};
use crate::redis_server::RedisServer;
use crate::wire::Wire;

const NEW_ERA: Denied = Denied::Unavailable { reason: "a new era is opening" };

async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waited).await.expect(what);
}

#[tokio::test]
async fn an_era_is_over_once_a_later_one_is_told_although_redis_shows_it() {
    let (server, mut ledger, proxy) = begin(100_000).await;
    let (own, first) = dispatched(&mut ledger, &proxy, 100).await;
    let mut spent = 0;
    while proxy.meter.status().leases == 0 {
        let (open, record) = dispatched(&mut ledger, &proxy, 10).await;
        open.close(&ended(&record, 10));
        spent += 10;
    }
    let (leased, second) = dispatched(&mut ledger, &proxy, 10).await;
    ledger.until(|| proxy.meter.status().kept == 2).await;
    proxy.meter.eras_are(&[(SHARD, 2)]);
    assert_eq!(proxy.meter.status().leases, 0);
    let third = opened(account(1));
    let mut other = proxy.open(&third);
    assert_eq!(ledger.beside(other.hold(&claim(10, 1))).await, Err(NEW_ERA));
    // It would have been granted: to a proxy of a release that is not told, it is.
    let ignorant = Proxy::start(&server.url());
    let (served, fourth) = dispatched(&mut ledger, &ignorant, 10).await;

    ledger.begin_next(&server).await;
    ledger.wait_for_declarations(2).await;
    assert_eq!(ledger.figures(account(1)).await.held, Nanos(120), "what was under way moved on");
    ledger.admit().await;
    ledger.beside(other.hold(&claim(10, 1))).await.unwrap();
    other.dispatched();
    for (open, record, charge) in
        [(own, first, 70), (leased, second, 7), (other, third, 9), (served, fourth, 8)]
    {
        open.close(&ended(&record, charge));
    }
    ledger.until(|| proxy.meter.status().kept + ignorant.meter.status().kept == 0).await;
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 100_000 - spent - 70 - 7 - 9 - 8);
}

#[tokio::test]
async fn an_extension_is_refused_in_an_era_that_is_over() {
    let (server, mut ledger, proxy) = begin(1000).await;
    let (mut open, record) = dispatched(&mut ledger, &proxy, 100).await;
    proxy.meter.eras_are(&[(SHARD, 2)]);
    assert_eq!(ledger.beside(open.extend(Nanos(50), &[], Nanos(80))).await, Err(NEW_ERA));
    assert_eq!(ledger.figures(account(1)).await.held, Nanos(100));
    ledger.begin_next(&server).await;
    ledger.wait_for_declarations(1).await;
    ledger.admit().await;
    ledger.beside(open.extend(Nanos(50), &[], Nanos(80))).await.unwrap();
    assert_eq!(ledger.figures(account(1)).await.held, Nanos(150));
    open.close(&ended(&record, 150));
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 850);
}

#[tokio::test]
async fn the_last_word_counts_so_that_a_restored_database_locks_nobody_out() {
    let (_server, mut ledger, proxy) = begin(1000).await;
    let (open, record) = dispatched(&mut ledger, &proxy, 100).await;
    // Later eras than this one have been lost with the database that had them.
    proxy.meter.eras_are(&[(SHARD, 9)]);
    let mut other = proxy.open(&opened(account(1)));
    assert_eq!(ledger.beside(other.hold(&claim(10, 1))).await, Err(NEW_ERA));
    proxy.meter.eras_are(&[(SHARD, 1)]);
    ledger.beside(other.hold(&claim(10, 1))).await.unwrap();
    drop(other);
    // The era was never another one, so nothing was declared and nothing is held twice.
    assert_eq!(ledger.declared().await, 0);
    open.close(&ended(&record, 60));
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 940);
}

#[tokio::test]
async fn a_process_that_begins_on_an_old_primary_is_told_before_it_spends() {
    let (server, mut ledger, former) = begin(1000).await;
    drop(former);
    let proxy = Proxy::start(&server.url());
    proxy.meter.eras_are(&[(SHARD, 2)]);
    let mut open = proxy.open(&opened(account(1)));
    assert_eq!(ledger.beside(open.hold(&claim(10, 1))).await, Err(NEW_ERA));
    // It goes on asking: nobody comes, and yet it has declared.
    ledger.begin_next(&server).await;
    ledger.admit().await;
    ledger.beside(open.hold(&claim(10, 1))).await.unwrap();
}

#[tokio::test]
async fn the_new_primary_is_found_although_the_old_one_answers() {
    let (old, mut ledger, other) = begin(1000).await;
    drop(other);
    let wire = Wire::to(&old).await;
    let proxy = Proxy::start(&wire.url());
    let (settled, first) = dispatched(&mut ledger, &proxy, 100).await;
    let (open, second) = dispatched(&mut ledger, &proxy, 100).await;
    settled.close(&ended(&first, 80));
    // The name leads elsewhere by now; connections stay where they are.
    let new = RedisServer::start();
    wire.leads_to(&new);
    ledger.begin_next(&new).await;
    proxy.meter.eras_are(&[(SHARD, ledger.place.era)]);
    ledger.wait_for_declarations(1).await;
    ledger.admit().await;
    let (last, third) = dispatched(&mut ledger, &proxy, 10).await;
    open.close(&ended(&second, 90));
    last.close(&ended(&third, 10));
    ledger.until(|| proxy.meter.status().kept == 0).await;
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 1000 - 80 - 90 - 10);
}

/// A new era that is published and cannot be begun, and then is, or is followed by the next.
#[tokio::test]
async fn what_an_era_was_to_begin_with_is_not_forgotten_when_it_does_not_begin() {
    for next in [2, 3] {
        let (server, mut ledger, proxy) = begin(1000).await;
        let (settled, first) = dispatched(&mut ledger, &proxy, 100).await;
        let (open, second) = dispatched(&mut ledger, &proxy, 100).await;
        settled.close(&ended(&first, 80));
        let waited = async {
            while ledger.figures(account(1)).await.unposted == Nanos(0) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, waited).await.expect("it is settled");
        server.command("FLUSHALL");
        server.command("SCRIPT FLUSH");
        server.command(&format!("SET {SHARD}:era 2"));
        // Each call is refused; all but the first are meant for the new era.
        let before = server.calls("evalsha");
        until("it tries to begin", || server.calls("evalsha") > before + 3).await;
        server.command("FLUSHALL");
        ledger.place.era = next - 1;
        ledger.begin_next(&server).await;
        ledger.wait_for_declarations(1).await;
        let held = ledger.figures(account(1)).await.held;
        // A record whose settlement was not answered has its hold again, until it is settled.
        assert!(held == Nanos(100) || held == Nanos(200), "era {next}: {held}");
        ledger.admit().await;
        open.close(&ended(&second, 60));
        ledger.until(|| proxy.meter.status().kept == 0).await;
        ledger.settle_down(account(1)).await;
        assert_eq!(ledger.balances[&account(1)], 1000 - 80 - 60, "era {next}");
    }
}

/// Who is told again what he knows loses nothing by it.
#[tokio::test]
async fn the_present_era_may_be_told_at_any_time() {
    let (_server, mut ledger, proxy): (RedisServer, Ledger, Proxy) = begin(1000).await;
    let (open, record) = dispatched(&mut ledger, &proxy, 100).await;
    proxy.meter.eras_are(&[(SHARD, 1)]);
    proxy.meter.eras_are(&[(SHARD, 0)]);
    let (other, second) = dispatched(&mut ledger, &proxy, 100).await;
    assert_eq!(ledger.declared().await, 0);
    open.close(&ended(&record, 100));
    other.close(&ended(&second, 100));
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 800);
}
