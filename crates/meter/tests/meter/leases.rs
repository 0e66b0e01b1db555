//! Leases at work: requests that do not wait for Redis, and money that is exact nevertheless.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use meter::{Claim, Denied, Meter};
use model::Nanos;

use crate::proxy::{Ledger, Proxy, account, calls, claim, ended, opened};
use crate::redis_server::RedisServer;

async fn begin(balance: i64) -> (RedisServer, Ledger) {
    let server = RedisServer::start();
    let mut ledger = Ledger::open(&server).await;
    ledger.balances.insert(account(1), balance);
    (server, ledger)
}

/// One request from its beginning to its end, unless it is denied.
async fn request(meter: &Meter, claim: &Claim, charge: i64) -> Result<(), Denied> {
    let record = opened(account(1));
    let mut open = meter.open(&record).unwrap();
    if let Err(denied) = open.hold(claim).await {
        open.close(&ended(&record, 0));
        return Err(denied);
    }
    open.dispatched();
    tokio::task::yield_now().await;
    open.close(&ended(&record, charge));
    Ok(())
}

/// Warms a line up until it has a lease.
async fn with_lease(ledger: &mut Ledger, proxy: &Proxy, claim: &Claim) -> i64 {
    let mut requests = 0;
    while proxy.meter.status().leases == 0 {
        ledger.beside(request(&proxy.meter, claim, claim.amount.0)).await.unwrap();
        requests += 1;
        assert!(requests < 10_000, "no lease is taken");
    }
    requests
}

#[tokio::test]
async fn steady_requests_live_on_leases_and_are_charged_exactly() {
    let (server, mut ledger) = begin(1_000_000).await;
    let proxy = Proxy::start(&server.url());
    let mut claim = claim(10, 1);
    claim.counters = vec![(calls(1_000_000), 1)];
    let mut requests = with_lease(&mut ledger, &proxy, &claim).await;
    let before = server.calls("evalsha");
    for _ in 0..500 {
        ledger.beside(request(&proxy.meter, &claim, 7)).await.unwrap();
    }
    let due = requests * 10 + 500 * 7;
    requests += 500;
    let asked = server.calls("evalsha") - before;
    println!("500 requests took {asked} calls of Redis, the desk's included");
    ledger.until(|| proxy.meter.status().kept == 0).await;
    // Idle: everything comes back.
    ledger.until(|| proxy.meter.status().leases == 0).await;
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 1_000_000 - due);
    assert_eq!(ledger.count(account(1), "calls").await, requests);
    assert_eq!(ledger.records.len(), usize::try_from(requests).unwrap());
}

#[tokio::test]
async fn of_two_proxies_with_leases_exactly_those_are_served_that_the_balance_affords() {
    for charge in [6, 10, 14] {
        let (server, mut ledger) = begin(20_000).await;
        let proxies = [Proxy::start(&server.url()), Proxy::start(&server.url())];
        let claim = claim(10, 1);
        // The account is loaded and both have a lease before the rush begins.
        let mut served = 0;
        for proxy in &proxies {
            served += with_lease(&mut ledger, proxy, &claim).await;
        }
        let warm = served * 10;
        let spent = Arc::new(AtomicI64::new(0));
        let mut rush = tokio::task::JoinSet::new();
        for proxy in &proxies {
            for _ in 0..8 {
                let (meter, claim, spent) = (proxy.meter.clone(), claim.clone(), spent.clone());
                rush.spawn(async move {
                    loop {
                        match request(&meter, &claim, charge).await {
                            Ok(()) => _ = spent.fetch_add(charge, Ordering::Relaxed),
                            Err(Denied::Credits { .. }) => return,
                            Err(denied) => panic!("{denied}"),
                        }
                    }
                });
            }
        }
        ledger.beside(rush.join_all()).await;
        for proxy in &proxies {
            ledger.until(|| proxy.meter.status().kept == 0).await;
        }
        ledger.settle_down(account(1)).await;
        let due = warm + spent.load(Ordering::Relaxed);
        let left = ledger.balances[&account(1)];
        // What those that ended last did not need came too late for those that were refused.
        let spare = (10_i64 - charge).max(0) * 16;
        assert!((0..10 + spare).contains(&left), "{left} of requests at {charge}");
        if charge <= 10 {
            assert_eq!(left, 20_000 - due);
        }
    }
}

#[tokio::test]
async fn of_two_proxies_with_leases_exactly_those_are_served_that_a_limit_admits() {
    let (server, mut ledger) = begin(0).await;
    let proxies = [Proxy::start(&server.url()), Proxy::start(&server.url())];
    let claim =
        Claim { amount: Nanos(0), on_credits: false, floor: Nanos(0), counters: vec![(calls(3_000), 1)] };
    let mut served = 0;
    for proxy in &proxies {
        served += with_lease(&mut ledger, proxy, &claim).await;
    }
    let count = Arc::new(AtomicI64::new(served));
    let mut rush = tokio::task::JoinSet::new();
    for proxy in &proxies {
        for _ in 0..8 {
            let (meter, claim, count) = (proxy.meter.clone(), claim.clone(), count.clone());
            rush.spawn(async move {
                loop {
                    match request(&meter, &claim, 0).await {
                        Ok(()) => _ = count.fetch_add(1, Ordering::Relaxed),
                        Err(Denied::Limit { index: 0, remaining: 0, .. }) => return,
                        Err(denied) => panic!("{denied:?}"),
                    }
                }
            });
        }
    }
    ledger.beside(rush.join_all()).await;
    assert_eq!(count.load(Ordering::Relaxed), 3_000);
    for proxy in &proxies {
        ledger.until(|| proxy.meter.status().kept == 0).await;
    }
    assert_eq!(ledger.count(account(1), "calls").await, 3_000);
}

#[tokio::test]
async fn a_stream_on_a_lease_gets_more_from_it_or_a_hold_of_its_own() {
    let (server, mut ledger) = begin(100_000).await;
    let proxy = Proxy::start(&server.url());
    let claim = claim(10, 2);
    let requests = with_lease(&mut ledger, &proxy, &claim).await;
    let record = opened(account(1));
    let mut open = proxy.open(&record);
    ledger.beside(open.hold(&claim)).await.unwrap();
    open.dispatched();
    let mut held = 10;
    // More than any lease has.
    for more in [5, 20, 2_000, 5_000] {
        ledger.beside(open.extend(Nanos(more), &[], Nanos(held / 2))).await.unwrap();
        held += more;
    }
    assert!(ledger.figures(account(1)).await.held >= Nanos(held));
    open.close(&ended(&record, 7_000));
    ledger.until(|| proxy.meter.status().kept == 0).await;
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 100_000 - requests * 10 - 7_000);
}

#[tokio::test]
async fn a_proxy_that_ends_gives_its_leases_back_at_once() {
    let (server, mut ledger) = begin(100_000).await;
    let proxy = Proxy::start(&server.url());
    let requests = with_lease(&mut ledger, &proxy, &claim(10, 2)).await;
    ledger.until(|| proxy.meter.status().kept == 0).await;
    assert!(proxy.meter.drain(crate::proxy::PATIENCE).await);
    let figures = ledger.figures(account(1)).await;
    assert_eq!((figures.held, figures.leased), (Nanos(0), Nanos(0)));
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 100_000 - requests * 10);
}

#[tokio::test]
async fn who_needs_what_is_leased_is_served_or_hears_a_clear_no_although_requests_are_under_way() {
    let (server, mut ledger) = begin(100_000).await;
    let (one, other) = (Proxy::start(&server.url()), Proxy::start(&server.url()));
    with_lease(&mut ledger, &one, &claim(10, 2)).await;
    // As many as the lease covers wait at their provider.
    let mut waiting = Vec::new();
    for _ in 0..6 {
        let record = opened(account(1));
        let mut open = one.meter.open(&record).unwrap();
        ledger.beside(open.hold(&claim(10, 2))).await.unwrap();
        open.dispatched();
        waiting.push((open, record));
    }
    ledger.until(|| one.meter.status().kept == waiting.len()).await;
    let figures = ledger.figures(account(1)).await;
    let record = opened(account(1));
    let mut open = other.meter.open(&record).unwrap();
    let all = figures.free.0 + figures.held.0;
    let denied = ledger.beside(open.hold(&claim(all, 1))).await;
    assert!(matches!(denied, Err(Denied::Credits { .. })), "{denied:?}");
    ledger.beside(open.hold(&claim(all - 60, 1))).await.unwrap();
    open.dispatched();
    open.close(&ended(&record, all - 60));
    for (open, record) in waiting {
        open.close(&ended(&record, 10));
    }
    ledger.until(|| one.meter.status().kept + other.meter.status().kept == 0).await;
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 0);
}
