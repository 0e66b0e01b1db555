//! Redis loses what it had, and nobody loses anything.

use meter::{Denied, OpenRecord};
use model::Nanos;
use model::usage::{Outcome, UsageRecord};

use crate::proxy::{Ledger, PATIENCE, Proxy, account, claim, ended, opened};
use crate::redis_server::RedisServer;
use crate::wire::Wire;

pub(crate) async fn begin(balance: i64) -> (RedisServer, Ledger, Proxy) {
    let server = RedisServer::start();
    let mut ledger = Ledger::open(&server).await;
    ledger.balances.insert(account(1), balance);
    let proxy = Proxy::start(&server.url());
    (server, ledger, proxy)
}

pub(crate) async fn dispatched(ledger: &mut Ledger, proxy: &Proxy, amount: i64) -> (OpenRecord, UsageRecord) {
    let record = opened(account(1));
    let mut open = proxy.open(&record);
    ledger.beside(open.hold(&claim(amount, 1))).await.unwrap();
    open.dispatched();
    (open, record)
}

impl Ledger {
    /// Until so many incarnations have declared.
    pub(crate) async fn wait_for_declarations(&mut self, many: usize) {
        let declared = async {
            while self.declared().await < many {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(PATIENCE, declared).await.expect("all declare");
    }
}

#[tokio::test]
async fn what_is_under_way_or_not_posted_outlives_a_redis_that_is_wiped() {
    for wipe in ["FLUSHALL", "restart", "SCRIPT FLUSH"] {
        let (mut server, mut ledger, proxy) = begin(1000).await;
        // One is settled and not posted, one is under way, one is closed while Redis is gone.
        let (settled, first) = dispatched(&mut ledger, &proxy, 100).await;
        let (open, second) = dispatched(&mut ledger, &proxy, 100).await;
        let (late, third) = dispatched(&mut ledger, &proxy, 100).await;
        settled.close(&ended(&first, 80));
        let sent = async {
            while ledger.figures(account(1)).await.unposted == Nanos(0) {
                tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            }
        };
        sent.await;
        match wipe {
            "restart" => server.restart(),
            command => _ = server.command(command),
        }
        late.close(&ended(&third, 120));
        ledger.begin_next(&server).await;
        ledger.wait_for_declarations(1).await;
        ledger.work().await;
        let held = ledger.figures(account(1)).await.held;
        ledger.admit().await;
        // What was closed meanwhile may have been settled by now.
        assert!(held == Nanos(200) || held == Nanos(100), "{wipe}: {held}");
        open.close(&ended(&second, 60));
        ledger.until(|| proxy.meter.status().kept == 0).await;
        let (last, fourth) = dispatched(&mut ledger, &proxy, 740).await;
        last.close(&ended(&fourth, 740));
        ledger.until(|| proxy.meter.status().kept == 0).await;
        ledger.settle_down(account(1)).await;
        let charged = [first, second, third, fourth].map(|record| ledger.records[&record.id].0);
        assert_eq!(charged, [80, 60, 120, 740], "{wipe}");
        assert_eq!(ledger.balances[&account(1)], 0);
    }
}

#[tokio::test]
async fn while_an_era_opens_nothing_new_is_set_aside() {
    let (server, mut ledger, proxy) = begin(1000).await;
    let (open, record) = dispatched(&mut ledger, &proxy, 100).await;
    server.command("FLUSHALL");
    ledger.begin_next(&server).await;
    ledger.wait_for_declarations(1).await;
    let mut other = proxy.open(&opened(account(1)));
    let denied = ledger.beside(other.hold(&claim(10, 1))).await;
    assert_eq!(denied, Err(Denied::Unavailable { reason: "a new era is opening" }));
    ledger.admit().await;
    ledger.beside(other.hold(&claim(10, 1))).await.unwrap();
    drop(other);
    open.close(&ended(&record, 100));
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 900);
}

#[tokio::test]
async fn a_request_on_a_lease_has_a_hold_of_its_own_in_the_next_era() {
    let (server, mut ledger, proxy) = begin(100_000).await;
    let mut served = 0;
    let mut open = Vec::new();
    while open.len() < 5 {
        let (mut one, record) = dispatched(&mut ledger, &proxy, 10).await;
        if proxy.meter.status().leases > 0 {
            one.produced(Nanos(3));
            open.push((one, record));
        } else {
            one.close(&ended(&record, 10));
            served += 1;
        }
    }
    ledger.until(|| proxy.meter.status().kept == 5).await;
    server.command("FLUSHALL");
    ledger.begin_next(&server).await;
    ledger.wait_for_declarations(1).await;
    assert_eq!(ledger.figures(account(1)).await.held, Nanos(50));
    assert_eq!(proxy.meter.status().leases, 0);
    ledger.admit().await;
    for (number, (one, record)) in open.into_iter().enumerate() {
        one.close(&ended(&record, 2 * number as i64));
    }
    ledger.until(|| proxy.meter.status().kept == 0).await;
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 100_000 - served * 10 - 20);
}

#[tokio::test]
async fn who_declares_late_is_paid_what_is_free_and_the_rest_is_missing() {
    let (server, mut ledger, other) = begin(100).await;
    let wire = Wire::to(&server).await;
    let proxy = Proxy::start(&wire.url());
    let (open, record) = dispatched(&mut ledger, &proxy, 60).await;
    wire.cut();
    server.command("FLUSHALL");
    ledger.begin_next(&server).await;
    ledger.admit().await;
    let (taken, second) = dispatched(&mut ledger, &other, 70).await;
    wire.mend();
    ledger.wait_for_declarations(2).await;
    let figures = ledger.figures(account(1)).await;
    assert_eq!((figures.free, figures.held), (Nanos(0), Nanos(100)));
    open.close(&ended(&record, 60));
    taken.close(&ended(&second, 70));
    ledger.until(|| proxy.meter.status().kept + other.meter.status().kept == 0).await;
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.records[&record.id], (30, Outcome::Answered));
    assert_eq!(ledger.records[&second.id], (70, Outcome::Answered));
    assert_eq!(ledger.balances[&account(1)], 0);
}
