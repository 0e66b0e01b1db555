//! `cargo xtask bench`: what Tollgate costs, beside a proxy that only forwards.
//!
//! The proxy under test has one core to itself. The load generator, the mock that answers, and everything else have
//! the other. Both cores are kept awake, because a virtual core that idles takes longer to wake than any proxy takes
//! to answer. Rounds go around all contestants, every other time backwards, so that a slow minute of the machine
//! meets all of them; throughput is the best round, everything else the median.
//!
//! The load generator is wrk: it is packaged everywhere, takes little of the core that it shares, and measures in
//! microseconds. At fixed rates its fifty connections each think for a random time between requests, so that a slow
//! answer holds back its own connection only; the rate that was reached is printed, so that nothing can be omitted
//! unseen. (h2load sends its fixed rates in bursts; oha takes longer to build than to run.)

mod awake;
mod contestants;
mod credits;
mod figures;
mod first_chunk;
mod hosts;
mod installation;
mod load;
mod process;
mod redis;
mod report;

use std::fs;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::checkout::Checkout;
use crate::children::Children;
use crate::packages::{self, Need, on_path};
use crate::progress::{note, step};
use crate::services;
use crate::test::cargo;
use contestants::{Contestant, Contestants};
use figures::Figures;
use load::{Body, Load};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Fewer and shorter rounds: two minutes instead of ten, and rougher figures.
    #[arg(long)]
    quick: bool,
    /// Measure the release binaries as they are.
    #[arg(long)]
    no_build: bool,
    /// Only the proxy that merely forwards, to see what the machine is like.
    #[arg(long)]
    floor_only: bool,
}

/// The rates, in requests a second, at which latency is measured.
const RATES: [u32; 3] = [500, 1000, 2000];

pub(crate) fn bench(arguments: &Arguments) -> Result<()> {
    ensure!(cfg!(target_os = "linux"), "the bench pins processes and reads /proc: it runs on Linux only");
    let checkout = Checkout::claim("bench")?;
    // Millions of records from the last run would slow this one down.
    forget(&checkout)?;
    let children = Children::new()?;
    let outcome = run(&checkout, &children, arguments);
    children.wait_if_stopping();
    children.stop();
    forget(&checkout)?;
    outcome
}

fn run(checkout: &Checkout, children: &Children, arguments: &Arguments) -> Result<()> {
    if on_path("wrk").is_none() {
        step("Installing wrk", || packages::install(children, &[Need::LoadGenerator]))?;
    }
    if !arguments.no_build {
        let packages = if arguments.floor_only { &["simulator"][..] } else { &["simulator", "tollgate"] };
        step("Building for release (the first time takes minutes)", || {
            let names = packages.iter().flat_map(|package| ["--package", package]);
            children.run(cargo("cargo build", checkout).arguments(["build", "--release"]).arguments(names))
        })?;
    }
    let services = match arguments.floor_only {
        true => None,
        false => Some(services::start(checkout, children, crate::postgres::Durability::Kept)?),
    };
    let contestants = step("Starting the contestants", || Contestants::start(checkout, children, services))?;
    let _awake = awake::keep()?;
    process::move_ourselves_over()?;
    let rounds = if arguments.quick { 2 } else { 5 };
    let length = Duration::from_secs(if arguments.quick { 1 } else { 3 });

    let mut figures = Figures::default();
    contestants.settle()?;
    for contestant in &contestants.all {
        figures.idle_memory(contestant, contestants.memory(contestant)?);
    }
    for round in 0..rounds {
        step(&format!("Round {} of {rounds}", round + 1), || {
            let mut order: Vec<&Contestant> = contestants.all.iter().collect();
            if round % 2 == 1 {
                order.reverse();
            }
            for contestant in &order {
                saturate(&contestants, contestant, Body::Kilobyte, length, &mut figures)?;
            }
            for contestant in order.iter().filter(|contestant| contestant.takes_large_bodies) {
                saturate(&contestants, contestant, Body::HundredKilobytes, length, &mut figures)?;
            }
            for contestant in order.iter().filter(|contestant| contestant.takes_rates) {
                for rate in RATES {
                    let load = Load::at_rate(rate, length);
                    figures.latency(contestant, rate, &contestants.run(contestant, &load)?);
                    contestants.settle()?;
                }
                stream(&contestants, contestant, length, &mut figures)?;
            }
            Ok(())
        })?;
    }
    for contestant in &contestants.all {
        figures.loaded_memory(contestant, contestants.memory(contestant)?);
    }
    figures.records = step("Waiting for the last records", || contestants.records())?;
    figures.proofs = contestants.proofs()?;
    step("Measuring how long a start takes", || {
        for contestant in &contestants.all {
            figures.start(contestant, contestants.start_times(checkout, contestant)?);
        }
        Ok(())
    })?;
    let file = checkout.state.join("bench.json");
    fs::write(&file, format!("{:#}\n", report::json(&figures, arguments.quick)))?;
    println!("\n{}", report::table(&figures));
    note(&format!("the same in {}", file.display()));
    Ok(())
}

/// As many requests as go through.
fn saturate(
    contestants: &Contestants,
    contestant: &Contestant,
    body: Body,
    length: Duration,
    figures: &mut Figures,
) -> Result<()> {
    let before = contestants.counters(contestant)?;
    let outcome = contestants.run(contestant, &Load::at_full(body, length))?;
    let spent = contestants.counters(contestant)?.since(&before);
    figures.throughput(contestant, body, &outcome, &spent);
    contestants.settle()
}

/// Streams: the work per chunk, and the time until the first.
fn stream(
    contestants: &Contestants,
    contestant: &Contestant,
    length: Duration,
    figures: &mut Figures,
) -> Result<()> {
    let before = contestants.counters(contestant)?;
    contestants.run(contestant, &Load::at_full(Body::Stream, length))?;
    let spent = contestants.counters(contestant)?.since(&before);
    figures.streams(contestant, &spent);
    figures.first_chunk(contestant, first_chunk::median(contestant)?);
    contestants.settle()
}

fn forget(checkout: &Checkout) -> Result<()> {
    for folder in [checkout.data.join("postgres"), checkout.data.join("redis"), checkout.state.join("bench")]
    {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
    }
    fs::create_dir_all(checkout.state.join("bench"))?;
    Ok(())
}
