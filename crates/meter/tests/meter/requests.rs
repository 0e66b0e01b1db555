//! One request after another: what is set aside, and what becomes of it.

use std::time::Duration;

use meter::{Claim, Denied, Standing};
use model::Nanos;
use model::limits::{Counter, Window};
use model::usage::{Measure, Outcome};

use crate::proxy::{Ledger, Proxy, account, calls, claim, ended, opened};
use crate::redis_server::RedisServer;

async fn begin(balance: i64) -> (RedisServer, Ledger, Proxy) {
    let server = RedisServer::start();
    let mut ledger = Ledger::open(&server).await;
    ledger.balances.insert(account(1), balance);
    let proxy = Proxy::start(&server.url());
    (server, ledger, proxy)
}

#[tokio::test]
async fn a_request_is_charged_what_it_is_due_and_no_more_than_there_is() {
    // Of 100, with 40 set aside.
    for (charge, paid) in [(0, 0), (30, 30), (40, 40), (90, 90), (120, 100)] {
        let (_server, mut ledger, proxy) = begin(100).await;
        let record = opened(account(1));
        let mut open = proxy.open(&record);
        ledger.beside(open.hold(&claim(40, 5))).await.unwrap();
        let figures = ledger.figures(account(1)).await;
        assert_eq!((figures.free, figures.held), (Nanos(60), Nanos(40)));
        open.dispatched();
        open.close(&ended(&record, charge));
        ledger.settle_down(account(1)).await;
        assert_eq!(ledger.records[&record.id], (paid, Outcome::Answered));
        assert_eq!(ledger.balances[&account(1)], 100 - paid);
        ledger.until(|| proxy.meter.status().kept == 0).await;
    }
}

#[tokio::test]
async fn what_cannot_be_paid_is_denied_and_may_be_asked_for_smaller() {
    let (_server, mut ledger, proxy) = begin(100).await;
    let record = opened(account(1));
    let mut open = proxy.open(&record);
    let denied = ledger.beside(open.hold(&claim(101, 5))).await;
    assert_eq!(denied, Err(Denied::Credits { free: Nanos(100), needed: Nanos(101) }));
    ledger.beside(open.hold(&claim(100, 5))).await.unwrap();
    open.dispatched();
    open.close(&ended(&record, 100));
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 0);
}

#[tokio::test]
async fn nobody_is_denied_what_a_request_that_is_over_has_not_given_back_yet() {
    let (_server, mut ledger, proxy) = begin(100).await;
    let spend = Counter {
        id: "spend".to_owned(),
        measure: Measure::Spend,
        limit: 100,
        window: Window::Fixed { seconds: 86_400 },
    };
    let everything = Claim { counters: vec![(spend, 100)], ..claim(100, 5) };
    let limited = Claim { amount: Nanos(0), on_credits: false, ..everything.clone() };
    for claim in [claim(100, 5), everything, limited] {
        for _ in 0..10 {
            let record = opened(account(1));
            let mut open = proxy.open(&record);
            ledger.beside(open.hold(&claim)).await.unwrap();
            // Closed without having been sent: all of it comes back.
            open.close(&ended(&record, 0));
        }
    }
    ledger.settle_down(account(1)).await;
}

#[tokio::test]
async fn a_limit_that_is_reached_is_named() {
    let (_server, mut ledger, proxy) = begin(100).await;
    let mut limited = claim(0, 0);
    limited.on_credits = false;
    limited.counters = vec![(calls(1000), 1), (calls(2), 1)];
    limited.counters[1].0.id = "narrow".to_owned();
    for remaining in [1, 0] {
        let record = opened(account(1));
        let mut open = proxy.open(&record);
        let standing = ledger.beside(open.hold(&limited)).await.unwrap();
        assert_eq!(standing, Standing { remaining: vec![998 + remaining, remaining] });
        open.dispatched();
        open.close(&ended(&record, 0));
    }
    let record = opened(account(1));
    let mut open = proxy.open(&record);
    let denied = ledger.beside(open.hold(&limited)).await.unwrap_err();
    let Denied::Limit { index: 1, remaining: 0, retry_after } = denied else { panic!("{denied:?}") };
    assert!(retry_after <= Duration::from_secs(86_400));
    open.close(&ended(&record, 0));
    ledger.until(|| proxy.meter.status().kept == 0).await;
    assert_eq!(ledger.count(account(1), "narrow").await, 2);
    assert_eq!(ledger.count(account(1), "calls").await, 2);
}

#[tokio::test]
async fn what_reached_no_provider_costs_nothing() {
    let (_server, mut ledger, proxy) = begin(100).await;
    for drops in [false, true] {
        let record = opened(account(1));
        let mut open = proxy.open(&record);
        let mut wanted = claim(40, 5);
        wanted.counters = vec![(calls(10), 1)];
        ledger.beside(open.hold(&wanted)).await.unwrap();
        if drops {
            drop(open)
        } else {
            open.close(&ended(&record, 0))
        }
        ledger.settle_down(account(1)).await;
        assert_eq!(ledger.records[&record.id].0, 0);
        assert_eq!(ledger.count(account(1), "calls").await, 0);
    }
    assert_eq!(ledger.balances[&account(1)], 100);
}

#[tokio::test]
async fn a_request_that_vanishes_is_charged_its_input_or_what_it_has_produced() {
    for (produced, charged) in [(0, 5), (3, 5), (17, 17)] {
        let (_server, mut ledger, proxy) = begin(100).await;
        let record = opened(account(1));
        let mut open = proxy.open(&record);
        ledger.beside(open.hold(&claim(40, 5))).await.unwrap();
        open.dispatched();
        open.produced(Nanos(produced));
        drop(open);
        ledger.settle_down(account(1)).await;
        assert_eq!(ledger.records[&record.id], (charged, Outcome::Abandoned));
    }
}

#[tokio::test]
async fn a_stream_gets_more_while_there_is_more() {
    let (_server, mut ledger, proxy) = begin(100).await;
    let record = opened(account(1));
    let mut open = proxy.open(&record);
    let mut wanted = claim(30, 5);
    wanted.counters = vec![(calls(10), 2)];
    ledger.beside(open.hold(&wanted)).await.unwrap();
    open.dispatched();
    ledger.beside(open.extend(Nanos(30), &[3], Nanos(25))).await.unwrap();
    ledger.beside(open.extend(Nanos(30), &[3], Nanos(50))).await.unwrap();
    let figures = ledger.figures(account(1)).await;
    assert_eq!((figures.free, figures.held), (Nanos(10), Nanos(90)));
    let denied = ledger.beside(open.extend(Nanos(30), &[0], Nanos(75))).await;
    assert_eq!(denied, Err(Denied::Credits { free: Nanos(10), needed: Nanos(30) }));
    let denied = ledger.beside(open.extend(Nanos(1), &[3], Nanos(75))).await;
    assert!(matches!(denied, Err(Denied::Limit { index: 0, remaining: 2, .. })), "{denied:?}");
    ledger.beside(open.extend(Nanos(10), &[2], Nanos(75))).await.unwrap();
    open.close(&ended(&record, 99));
    ledger.settle_down(account(1)).await;
    assert_eq!((ledger.balances[&account(1)], ledger.count(account(1), "calls").await), (1, 1));
}

#[tokio::test]
async fn an_account_that_nobody_loads_is_not_available() {
    let (_server, _ledger, proxy) = begin(100).await;
    let mut open = proxy.open(&opened(account(1)));
    let denied = open.hold(&claim(40, 5)).await;
    assert_eq!(denied, Err(Denied::Unavailable { reason: "the account is being loaded" }));
}

#[tokio::test]
async fn without_redis_nothing_is_available_and_nobody_waits_for_long() {
    let (mut server, mut ledger, proxy) = begin(100).await;
    let record = opened(account(1));
    let mut first = proxy.open(&record);
    ledger.beside(first.hold(&claim(40, 5))).await.unwrap();
    first.dispatched();
    server.stop();
    let mut open = proxy.open(&opened(account(1)));
    let waited = tokio::time::timeout(Duration::from_secs(10), open.hold(&claim(40, 5))).await;
    assert_eq!(waited.unwrap(), Err(Denied::Unavailable { reason: "Redis does not answer" }));
    // Who goes on nevertheless, because his own key pays, is written down.
    open.dispatched();
    open.close(&ended(&opened(account(1)), 0));
    first.close(&ended(&record, 30));
    assert_eq!(proxy.meter.status().kept, 2);
}

#[tokio::test]
async fn nothing_is_set_aside_where_nothing_is_claimed() {
    let server = RedisServer::start();
    let proxy = Proxy::start(&server.url());
    let mut nothing = claim(0, 0);
    nothing.on_credits = false;
    let mut open = proxy.open(&opened(account(1)));
    assert_eq!(open.hold(&nothing).await, Ok(Standing::default()));
    assert_eq!(open.extend(Nanos(5), &[], Nanos(5)).await, Ok(()));
    assert_eq!(proxy.meter.status().holds, 0);
}

#[tokio::test]
async fn who_leaves_while_redis_is_asked_leaves_nothing_behind() {
    let (_server, mut ledger, proxy) = begin(1000).await;
    // Loaded, so that the first answer is the last.
    let record = opened(account(1));
    let mut open = proxy.open(&record);
    ledger.beside(open.hold(&claim(1, 1))).await.unwrap();
    open.close(&ended(&record, 0));
    for wait in 0..40 {
        let mut open = proxy.open(&opened(account(1)));
        let _ = tokio::time::timeout(Duration::from_micros(20 * wait), open.hold(&claim(5, 1))).await;
        drop(open);
    }
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 1000);
}

#[tokio::test]
async fn records_without_holds_share_batches_with_those_that_have_some() {
    let (_server, mut ledger, proxy) = begin(1_000_000).await;
    let mut held = Vec::new();
    for number in 0..200_i64 {
        let record = opened(account(1));
        let mut open = proxy.open(&record);
        if number % 3 == 0 {
            ledger.beside(open.hold(&claim(100, 1))).await.unwrap();
            held.push((open, ended(&record, number)));
        } else {
            open.close(&ended(&record, 0));
        }
    }
    let due: i64 = held.iter().map(|(_, record)| record.charge.0).sum();
    for (mut open, record) in held {
        open.dispatched();
        open.close(&record);
    }
    ledger.until(|| proxy.meter.status().kept == 0).await;
    ledger.settle_down(account(1)).await;
    assert_eq!((ledger.records.len(), ledger.balances[&account(1)]), (200, 1_000_000 - due));
}
