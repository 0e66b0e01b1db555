//! The protocol for money as an exhaustive model, and the real scripts beside it.
//!
//! # What is modelled
//! One shard with one account, two proxies and their spools, the desk, Postgres and Redis: see `scene.rs`
//! for what is asked of them. Every interleaving of their steps is looked at, where a step is one call of
//! one script, one transaction, or one thing that a process does alone. Invariants (`invariants.rs`) are
//! checked in every world, others in every world in which nothing more can happen without another fault,
//! and it is checked that from everywhere such a world can be reached.
//!
//! A call can go well; take effect without an answer; take effect at any later time, after its caller has
//! given up on it or repeated it; or be the last before Redis is set back. Further faults: Redis is wiped;
//! restarts without its last write; a replica with or without that write is promoted, while one of the
//! proxies still speaks to the old primary, which goes on answering him until it stops; a proxy is killed,
//! with its spool or leaving it to the next start, for whom a request may look undispatched, open or
//! closed; a proxy is cut off from Redis, until its lease expires, until it is reaped, or not so long; the
//! desk crashes after it collected, after it committed, after it read a balance; another desk takes over
//! while the first one still has its next call in its hand; an era is opened without a proxy that lives,
//! who declares late.
//!
//! Under any one of these everything is looked at in every scene; under none in the one that has
//! everything at once. With `TOLLGATE_MODEL_FAULTS=2` it is any two, and any one in that scene, which
//! takes minutes to hours and many gigabytes (8,816,550 worlds in the scene `plain`, 14,808,148 with
//! everything at once); `cargo test --test model <scene> -- --nocapture` shows the counts, and does not
//! end a test after five minutes. Under two faults as under one it is checked that everything is posted
//! once, that nobody pays more than his charge, that Postgres and Redis agree and that nothing is left;
//! under one fault also that free is never below zero and that the operator bears no more than what
//! requests cost beyond their holds. Once a run's last fault is over, a step that changes nothing that
//! another reads, and reads nothing that another changes, is taken at once.
//!
//! Time is not modelled: what takes 30 seconds may have happened at any moment at which it can. An era
//! waits for the proxies that it knows of, but for those that were silent. A desk posts one entry at a
//! time.
//!
//! # What is run on a real server
//! From where eras begin, every call in every state of Redis that the explorations under one fault meet
//! within eight calls, so every sequence of up to eight calls: real scripts, real server. After each call
//! its answer and everything in the shard (the account's figures, holds, counter, stream, position, what
//! is collected, what is known of each incarnation, the fence) are compared with the model (`replay.rs`).
//! Steps between the calls do not count, so these are more than the explorations' first eight steps.
//!
//! Only a test of the scripts' own (`tests/protocol`) tells of: several accounts and limits, windows that
//! pass, own keys, several holds in one call, declarations and reaping in parts, beats that say bye or
//! release by name, leases that give back a part and stay open, `NOSCRIPT` and `NOERA`, amounts beyond
//! 2^15.
//!
//! # Whether it would notice
//! `mutations.rs` lists broken rules, `replay/edits.rs` changed scripts, and what notices each.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail where it stands")]

mod calls;
mod desk;
mod explorer;
mod faults;
mod invariants;
mod mutations;
mod proxies;
mod redis;
#[path = "../support/redis_server.rs"]
mod redis_server;
mod replay;
mod scene;
mod steps;
mod world;

use std::time::Instant;

use ::redis::aio::MultiplexedConnection;
use explorer::{explore, explore_showing};
use mutations::Rules;
use redis_server::RedisServer;
use replay::{Graph, Replay};
use scene::Scene;
use steps::{Kinds, Run};

/// So many calls after one another are made on a real server.
const CALLS: u8 = 8;
/// So many steps show that a script was changed.
const STEPS: u32 = 12;

async fn connection(server: &RedisServer) -> MultiplexedConnection {
    let client = ::redis::Client::open(server.url().expose()).unwrap();
    let config = ::redis::AsyncConnectionConfig::new().set_response_timeout(None);
    let mut connection = client.get_multiplexed_async_connection_with_config(&config).await.unwrap();
    let mut unwritten = ::redis::cmd("CONFIG");
    unwritten.arg("SET").arg("appendonly").arg("no");
    let () = unwritten.query_async(&mut connection).await.unwrap();
    connection
}

/// How many faults are looked at; one, unless the environment says two.
fn faults() -> u8 {
    std::env::var("TOLLGATE_MODEL_FAULTS").map_or(1, |faults| faults.parse().unwrap())
}

fn any(scene: Scene, faults: u8) -> Run {
    Run { scene, rules: Rules::default(), faults, kinds: Kinds::ALL, deepest: u32::MAX }
}

/// Any one fault, and every call of it on a real server; or more faults, without.
async fn explored(scene: Scene) {
    if faults() > 1 {
        return explored_alone(scene, faults());
    }
    let began = Instant::now();
    let run = any(scene, 1);
    let mut graph = Graph::default();
    let explored = explore_showing(&run, |before, next| graph.add(&run, before, next)).unwrap();
    println!("{}: {explored:?} in {:?}", scene.name, began.elapsed());
    graph.measure();
    let began = Instant::now();
    let server = RedisServer::start();
    let mut replay = Replay::on(connection(&server).await, CALLS, None).await;
    let calls = replay.walk(&graph, CALLS).await.unwrap();
    println!("{}: {calls} of {} calls on Redis in {:?}", scene.name, graph.edges.len(), began.elapsed());
}

fn explored_alone(scene: Scene, faults: u8) {
    let began = Instant::now();
    let explored = explore(&any(scene, faults)).unwrap();
    println!("{}, {faults} faults: {explored:?} in {:?}", scene.name, began.elapsed());
}

macro_rules! scenes {
    ($($name:ident $scene:ident)*) => { $(
        #[tokio::test]
        async fn $name() {
            explored(scene::$scene).await;
        }
    )* };
}

scenes! {
    holds_below_at_and_above_the_cost PLAIN
    a_stream_that_extends STREAM
    requests_served_from_a_lease LEASE
    a_stream_that_leaves_a_lease CARVE
    a_limit_beside_the_balance LIMIT
    money_that_arrives_and_leaves TELLER
}

#[test]
fn everything_at_once() {
    explored_alone(scene::ALL, faults() - 1);
}

#[test]
fn whoever_breaks_a_rule_is_noticed() {
    for broken in mutations::EVERY {
        let mutation = broken.mutation;
        let run = Run {
            scene: broken.scene,
            rules: Rules(Some(mutation)),
            faults: broken.faults,
            kinds: broken.kinds,
            deepest: u32::MAX,
        };
        match explore(&run) {
            Err(violation) => {
                assert_eq!(violation.invariant, broken.noticed_by, "{mutation:?}: {violation:?}")
            }
            Ok(explored) => panic!("nothing notices {mutation:?} in {explored:?}"),
        }
    }
}

#[tokio::test]
async fn whoever_changes_a_script_is_noticed() {
    let server = RedisServer::start();
    for edited in replay::edits::EVERY {
        let run = Run {
            scene: edited.scene,
            rules: Rules::default(),
            faults: edited.faults,
            kinds: edited.kinds,
            deepest: STEPS,
        };
        let mut graph = Graph::default();
        explore_showing(&run, |before, next| graph.add(&run, before, next)).unwrap();
        graph.measure();
        let mut replay = Replay::on(connection(&server).await, CALLS, Some(edited.edit)).await;
        let name = edited.name;
        match replay.walk(&graph, CALLS).await {
            Err(difference) => {
                assert_eq!(difference.what, edited.noticed_by, "{name}: {}", difference.story);
            }
            Ok(calls) => panic!("in {calls} calls nothing notices that {name}"),
        }
    }
}
