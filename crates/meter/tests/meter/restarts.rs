//! Proxies that are killed, given up, or not heard.

use std::time::Duration;

use meter::Denied;
use model::Nanos;
use model::usage::Outcome;

use crate::proxy::{Ledger, PATIENCE, Proxy, SHARD, account, claim, ended, opened};
use crate::redis_server::RedisServer;
use crate::wire::Wire;

async fn begin(balance: i64) -> (RedisServer, Ledger) {
    let server = RedisServer::start();
    let mut ledger = Ledger::open(&server).await;
    ledger.balances.insert(account(1), balance);
    (server, ledger)
}

#[tokio::test]
async fn the_next_process_sends_what_a_killed_one_left_and_releases_the_rest() {
    let (server, mut ledger) = begin(100_000).await;
    let mut proxy = Proxy::start(&server.url());
    let mut open = Vec::new();
    let mut records = Vec::new();
    // One that produced nothing, one that produced something, one that had asked for more, one that no
    // provider was asked for, one that was closed.
    for case in 0..5 {
        let record = opened(account(1));
        let mut one = proxy.open(&record);
        ledger.beside(one.hold(&claim(100, 7))).await.unwrap();
        if case != 3 {
            one.dispatched();
        }
        match case {
            1 => one.produced(Nanos(33)),
            2 => {
                ledger.beside(one.extend(Nanos(100), &[], Nanos(90))).await.unwrap();
                one.produced(Nanos(150));
            }
            _ => (),
        }
        if case == 4 {
            one.close(&ended(&record, 55))
        } else {
            open.push(one)
        }
        records.push(record);
    }
    proxy = proxy.die_and_start_again(&server.url(), open).await;
    assert_eq!(proxy.meter.status().former, 1);
    ledger.until(|| proxy.meter.status().kept == 0).await;
    ledger.settle_down(account(1)).await;
    let charged: Vec<_> = records.iter().map(|record| ledger.records[&record.id]).collect();
    let abandoned = |charge| (charge, Outcome::Abandoned);
    assert_eq!(charged, [abandoned(7), abandoned(33), abandoned(150), abandoned(0), (55, Outcome::Answered)]);
    ledger
        .desk
        .open(&model::Shard::all().filter(|s| *s != SHARD).map(|s| (s, 1)).collect::<Vec<_>>())
        .await
        .unwrap();
    ledger.until(|| proxy.meter.status().former == 0).await;
}

#[tokio::test]
async fn what_a_killed_process_had_leased_is_spent_by_nobody() {
    let (server, mut ledger) = begin(100_000).await;
    let mut proxy = Proxy::start(&server.url());
    let mut served = 0;
    let mut open = Vec::new();
    while open.len() < 3 {
        let record = opened(account(1));
        let mut one = proxy.open(&record);
        ledger.beside(one.hold(&claim(10, 4))).await.unwrap();
        one.dispatched();
        if proxy.meter.status().leases > 0 {
            open.push(one);
        } else {
            one.close(&ended(&record, 10));
            served += 1;
        }
    }
    proxy = proxy.die_and_start_again(&server.url(), open).await;
    ledger.until(|| proxy.meter.status().kept == 0).await;
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 100_000 - served * 10 - 3 * 4);
}

#[tokio::test]
async fn a_batch_whose_answer_was_lost_is_in_the_stream_once() {
    let (server, mut ledger) = begin(1000).await;
    let wire = Wire::to(&server).await;
    let proxy = Proxy::start(&wire.url());
    let record = opened(account(1));
    let mut open = proxy.open(&record);
    ledger.beside(open.hold(&claim(100, 1))).await.unwrap();
    open.dispatched();
    wire.lose_answers();
    open.close(&ended(&record, 80));
    while ledger.figures(account(1)).await.unposted != Nanos(80) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    wire.mend();
    ledger.until(|| proxy.meter.status().kept == 0).await;
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 920);
    assert_eq!(ledger.read, 1);
}

#[tokio::test]
async fn a_hold_whose_answer_was_lost_is_refused_and_released() {
    let (server, mut ledger) = begin(1000).await;
    let wire = Wire::to(&server).await;
    let proxy = Proxy::start(&wire.url());
    // So that the account is loaded.
    let record = opened(account(1));
    let mut open = proxy.open(&record);
    ledger.beside(open.hold(&claim(100, 1))).await.unwrap();
    open.close(&ended(&record, 0));
    ledger.settle_down(account(1)).await;

    wire.lose_answers();
    let record = opened(account(1));
    let mut open = proxy.open(&record);
    let denied = open.hold(&claim(100, 1)).await;
    assert_eq!(denied, Err(Denied::Unavailable { reason: "Redis does not answer" }));
    assert_eq!(ledger.figures(account(1)).await.held, Nanos(100));
    open.close(&ended(&record, 0));
    wire.mend();
    ledger.settle_down(account(1)).await;
    assert_eq!((ledger.balances[&account(1)], ledger.records[&record.id].0), (1000, 0));
}

#[tokio::test]
async fn an_extension_whose_answer_was_lost_is_there_when_the_stream_is_settled() {
    let (server, mut ledger) = begin(100_000).await;
    let wire = Wire::to(&server).await;
    let proxy = Proxy::start(&wire.url());
    let mut served = 0;
    let (mut open, record) = loop {
        let record = opened(account(1));
        let mut one = proxy.open(&record);
        ledger.beside(one.hold(&claim(10, 4))).await.unwrap();
        one.dispatched();
        if proxy.meter.status().leases > 0 {
            break (one, record);
        }
        one.close(&ended(&record, 10));
        served += 1;
    };
    wire.lose_answers();
    let denied = open.extend(Nanos(5_000), &[], Nanos(9)).await;
    assert_eq!(denied, Err(Denied::Unavailable { reason: "Redis does not answer" }));
    wire.mend();
    // It is asked for again, smaller: what was done before is enough.
    while let Err(denied) = ledger.beside(open.extend(Nanos(4_000), &[], Nanos(9))).await {
        assert_eq!(denied, Denied::Unavailable { reason: "Redis does not answer" });
    }
    open.close(&ended(&record, 4_500));
    ledger.until(|| proxy.meter.status().kept == 0).await;
    ledger.settle_down(account(1)).await;
    assert_eq!(ledger.balances[&account(1)], 100_000 - served * 10 - 4_500);
}

#[tokio::test]
async fn a_proxy_that_was_given_up_goes_on_under_another_name() {
    let (server, mut ledger) = begin(1000).await;
    let proxy = Proxy::start(&server.url());
    let record = opened(account(1));
    let mut open = proxy.open(&record);
    ledger.beside(open.hold(&claim(100, 5))).await.unwrap();
    open.dispatched();
    let beats = ledger.desk.beats(&[(SHARD, 1)]).await.unwrap().remove(0);
    for incarnation in beats.into_keys() {
        loop {
            let beat = ledger.beat(incarnation).await;
            if ledger.desk.reap(SHARD, 1, incarnation, beat).await.unwrap() {
                break;
            }
        }
    }
    ledger.work().await;
    assert_eq!(ledger.records[&record.id], (5, Outcome::Abandoned));
    let second = opened(account(1));
    let mut other = proxy.open(&second);
    ledger.beside(other.hold(&claim(100, 5))).await.unwrap();
    other.dispatched();
    other.close(&ended(&second, 50));
    open.close(&ended(&record, 70));
    ledger.until(|| proxy.meter.status().kept == 0).await;
    ledger.settle_down(account(1)).await;
    // The real ledger corrects what was charged to the first; this one leaves it.
    assert_eq!(ledger.balances[&account(1)], 1000 - 5 - 50);
    assert!(proxy.meter.drain(PATIENCE).await);
}
