//! How much of Redis's core a request's part in each script costs, on a Redis without other load:
//! `REDIS_URL=… cargo run --release -p meter --example scripts`. Uses shard 255 in era 1, and leaves
//! nothing there.

use std::env;

use meter::Position;
use meter::desk::{Desk, Load, Place};
use meter::protocol::Scripts;
use meter::protocol::calls::{self, Batch, Group, Held, Needs, Settled, Wanted, WantedPart};
use model::limits::{Counter, Window};
use model::usage::Measure;
use model::{AccountId, Nanos, Shard};
use prost::Message as _;
use redis::aio::MultiplexedConnection;
use uuid::Uuid;

const SHARD: Shard = Shard(255);
const ACCOUNT: AccountId = AccountId(Uuid::from_u128(0xff));
const PROXY: Uuid = Uuid::from_u128(0xa);
const ERA: u64 = 1;
/// Records in a batch, as the proxy fills them when it is busy.
const RECORDS: usize = 64;
const BATCHES: u64 = 2_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = env::var("REDIS_URL").unwrap_or_else(|_| "redis://127.0.0.1:6379".to_owned());
    let mut redis = redis::Client::open(url.clone())?.get_multiplexed_async_connection().await?;
    forget(&mut redis).await?;
    let mut desk = Desk::connect(&model::Secret::new(url)).await?;
    desk.open(&[(SHARD, ERA)]).await?;
    let place = Place { shard: SHARD, era: ERA, position: Position::default() };
    let load = Load { account: ACCOUNT, balance: Nanos(1 << 50), sequence: 0, counters: Vec::new() };
    desk.load(place, &[load]).await?;

    let scripts = Scripts::of(SHARD, ERA);
    let mut batch = 0;
    for counters in 0..=2 {
        let lease = Uuid::from_u128(0x1ea5_e000 + counters as u128);
        let wanted = wanted(lease, true, 1 << 42, counters);
        let command = calls::hold(&scripts, PROXY, std::slice::from_ref(&wanted));
        let held = Held::read_all(command.query_async(&mut redis).await?)?.remove(0);
        let Held::Granted { parts, .. } = held else { anyhow::bail!("no lease: {held:?}") };
        let ids: Vec<_> = wanted.counters.iter().map(|part| part.counter.id.clone()).collect();
        let windows = parts.iter().map(|part| part.window);
        let group = Group {
            incarnation: PROXY,
            own: None,
            lease: Some(lease),
            account: ACCOUNT,
            counters: ids.into_iter().zip(windows).collect(),
            records: (0..RECORDS).map(|place| settled(place, counters)).collect(),
        };
        let settled = time(&mut redis, BATCHES, |_| {
            batch += 1;
            let groups = vec![group.clone()];
            calls::settle(
                &scripts,
                PROXY,
                &Batch { number: batch, encoded: encoded(), length: RECORDS, groups },
            )
        });
        println!("settled on a lease with {counters} counters, µs: {:.2}", settled.await? / RECORDS as f64);
        let held = time(&mut redis, 4 * BATCHES, |number| {
            let id = Uuid::from_u128(u128::from(number) << 8 | counters as u128);
            calls::hold(&scripts, PROXY, &[self::wanted(id, false, 1000, counters)])
        });
        println!("a hold of its own with {counters} counters, µs: {:.2}", held.await?);
    }
    let streamed = time(&mut redis, BATCHES, |_| {
        batch += 1;
        calls::settle(
            &scripts,
            PROXY,
            &Batch { number: batch, encoded: encoded(), length: RECORDS, groups: vec![] },
        )
    });
    println!("only put into the stream, µs: {:.2}", streamed.await? / RECORDS as f64);
    forget(&mut redis).await
}

/// Microseconds of Redis's core for each of so many commands.
async fn time(
    redis: &mut MultiplexedConnection,
    commands: u64,
    mut command: impl FnMut(u64) -> redis::Cmd,
) -> anyhow::Result<f64> {
    let before = core(redis).await?;
    for number in 0..commands {
        let _: redis::Value = command(number).query_async(redis).await?;
    }
    Ok((core(redis).await? - before) * 1e6 / commands as f64)
}

/// Seconds of its core that Redis has used.
async fn core(redis: &mut MultiplexedConnection) -> anyhow::Result<f64> {
    let text: String = redis::cmd("INFO").arg("cpu").query_async(redis).await?;
    let of = |name| text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse::<f64>().ok());
    Ok(of("used_cpu_sys:").unwrap_or(0.0) + of("used_cpu_user:").unwrap_or(0.0))
}

async fn forget(redis: &mut MultiplexedConnection) -> anyhow::Result<()> {
    let keys: Vec<String> = redis::cmd("KEYS").arg(format!("{SHARD}:*")).query_async(redis).await?;
    for key in keys {
        let () = redis::cmd("DEL").arg(key).query_async(redis).await?;
    }
    Ok(())
}

fn wanted(id: Uuid, is_lease: bool, amount: i64, counters: usize) -> Wanted {
    let part = |number| WantedPart {
        counter: Counter {
            id: format!("gateway:{:032x}:rule-{number}", 7),
            measure: Measure::Requests,
            window: Window::Fixed { seconds: 3600 },
            limit: 1 << 50,
        },
        amount: if is_lease { 1 << 30 } else { 1 },
        floor: 0,
    };
    Wanted {
        id,
        is_lease,
        account: ACCOUNT,
        needs: Needs::Credits,
        amount: Nanos(amount),
        least: Nanos(0),
        floor: Nanos(0),
        counters: (0..counters).map(part).collect(),
        record: if is_lease { Vec::new() } else { record() },
    }
}

fn settled(place: usize, counters: usize) -> Settled {
    Settled { place, charge: Nanos(45_900), part: Nanos(120_000), used: vec![(1, 1); counters] }
}

fn record() -> Vec<u8> {
    vec![b'r'; 350]
}

fn encoded() -> Vec<u8> {
    let records = vec![proto::UsageRecord { path: "p".repeat(300), ..Default::default() }; RECORDS];
    proto::UsageBatch { records }.encode_to_vec()
}
