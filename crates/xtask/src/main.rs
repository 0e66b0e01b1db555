//! The errands of the repository: `up` sets up and runs Tollgate on this machine, `test` sets up
//! the same and runs every test.

mod bench;
mod checkout;
mod children;
mod clients;
mod demo;
mod files;
mod first_call;
mod http;
mod keeper;
mod models;
mod packages;
mod ports;
mod postgres;
mod prices;
mod progress;
mod redis;
mod services;
mod test;
mod unprivileged;
mod up;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(bin_name = "cargo xtask", about = "The errands of the repository")]
struct Arguments {
    #[command(subcommand)]
    errand: Errand,
}

#[derive(Subcommand)]
enum Errand {
    /// Sets up and runs everything on this machine, in the foreground, until Ctrl-C.
    Up(up::Arguments),
    /// Sets up everything that the tests need, and runs every test.
    Test(test::Arguments),
    /// Makes the demo account on an installation that runs already.
    Demo(demo::Arguments),
    /// Makes the price catalogue from a price list.
    Prices(prices::Arguments),
    /// Make the model catalogue from our table and a price list.
    Models(models::Arguments),
    /// Measures what Tollgate costs, beside a proxy that only forwards.
    Bench(bench::Arguments),
    /// Runs one program for another errand, and ends it when that errand ends.
    #[command(hide = true)]
    Keep(keeper::Arguments),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().errand {
        Errand::Up(arguments) => run(|| up::up(&arguments)),
        Errand::Test(arguments) => run(|| test::test(&arguments)),
        Errand::Demo(arguments) => run(|| demo::demo(&arguments)),
        Errand::Prices(arguments) => run(|| prices::prices(&arguments)),
        Errand::Models(arguments) => run(|| models::models(&arguments)),
        Errand::Bench(arguments) => run(|| bench::bench(&arguments)),
        Errand::Keep(arguments) => keeper::keep(&arguments),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(errand: impl FnOnce() -> Result<()>) -> Result<ExitCode> {
    errand().map(|()| ExitCode::SUCCESS)
}
