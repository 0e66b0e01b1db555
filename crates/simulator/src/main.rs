//! A provider that needs no key: it answers in OpenAI's shapes and in Anthropic's, fails on demand, and remembers
//! what reached it.

mod answer;
mod anthropic;
mod arrivals;
mod behaviour;
mod billing;
mod control;
mod credentials;
mod delivery;
mod error;
mod floor;
mod gates;
mod google;
mod healthcheck;
mod identity;
mod listener;
mod mock;
mod openai;
mod question;
mod schema;
mod serve;
mod words;

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Parser, Subcommand};

/// A provider that needs no key.
#[derive(Parser)]
#[command(name = "simulator", version)]
struct Arguments {
    /// Where to listen; port 0 takes a free one, which is printed.
    #[arg(long, env = "TOLLGATE_SIMULATOR_ADDR", default_value = "127.0.0.1:8089", global = true)]
    addr: SocketAddr,
    /// What it is called, where several are asked at once and only one of them is to fail.
    #[arg(long, env = "TOLLGATE_SIMULATOR_NAME", default_value = "simulator", global = true)]
    name: String,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the simulated provider (the default).
    Serve,
    /// Exit 0 if a simulator answers at the address.
    Healthcheck,
    /// The fastest fixed answer we can give, for benchmarks: `POST` anything, `GET /count`.
    Mock {
        /// Milliseconds between the chunks of a stream.
        #[arg(long, default_value_t = 1)]
        chunk_ms: u64,
    },
    /// A bare reverse proxy that only forwards, to compare other proxies with.
    Floor {
        /// The origin that every request is sent to, such as `http://127.0.0.1:9000`.
        #[arg(long)]
        upstream: http::Uri,
    },
}

fn main() -> anyhow::Result<()> {
    let Arguments { addr, name, command } = Arguments::parse();
    match command.unwrap_or(Command::Serve) {
        Command::Serve => listener::runtime()?.block_on(serve::run(addr, name)),
        Command::Healthcheck => healthcheck::run(addr),
        Command::Mock { chunk_ms } => {
            listener::runtime()?.block_on(mock::run(addr, Duration::from_millis(chunk_ms.max(1))))
        }
        Command::Floor { upstream } => listener::runtime()?.block_on(floor::run(addr, upstream)),
    }
}
