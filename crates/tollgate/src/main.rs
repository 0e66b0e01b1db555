//! Both planes, the operator's errands and the command-line client, in one binary.

mod catalogue;
mod client;
mod healthcheck;
mod ledger;
mod operator;
mod standalone;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use process::{
    LogSettings, Mistakes, Traces, from_environment, shutdown_on_signal, start_logs, start_traces,
};
use tokio_util::sync::CancellationToken;

use crate::catalogue::CatalogueSettings;
use crate::client::Client;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Tollgate, the AI gateway: its processes, its operator's errands, and its command-line client.
///
/// Processes and the operator's errands are configured by environment variables; the README lists them. The
/// client calls the management API that `tollgate login` was told of, or the one at TOLLGATE_API_URL with
/// the token TOLLGATE_API_TOKEN.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, after_help = client::EXIT_CODES)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the management API, the push of configuration, the ledger and the sale of credits
    ControlPlane,
    /// Run the data plane
    Proxy,
    /// Run both planes in one process
    Standalone,
    /// Bring the database to this release's form
    ///
    /// Reads DATABASE_URL.
    Migrate,
    /// The root keys
    #[command(subcommand)]
    Vault(operator::Vault),
    /// What a proxy that is gone has left
    #[command(subcommand)]
    Spool(operator::Spool),
    /// The books
    #[command(subcommand)]
    Ledger(ledger::Ledger),
    /// What lets proxies in
    #[command(subcommand)]
    JoinToken(operator::JoinTokens),
    /// Succeed if a process is ready
    Healthcheck(healthcheck::Healthcheck),
    #[command(flatten)]
    Client(Client),
}

fn main() -> ExitCode {
    let CommandLine { command } = CommandLine::parse();
    match run(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tollgate: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    let ended = match command {
        Command::ControlPlane => {
            let config = configured()?;
            on_runtime(async move { manage(config, shutdown_on_signal()?).await })
        }
        Command::Proxy => {
            let config = configured()?;
            on_runtime(async move { serve(config, shutdown_on_signal()?).await })
        }
        Command::Standalone => {
            let planes = Mistakes::both(from_environment(), from_environment());
            let (control_plane, proxy) = started(planes)?;
            on_runtime(standalone::run(control_plane, proxy))
        }
        Command::Migrate => on_runtime(operator::migrate()),
        Command::Vault(errand) => on_runtime(operator::vault(errand)),
        Command::Spool(errand) => on_runtime(operator::spool(errand)),
        Command::Ledger(errand) => {
            return Ok(ledger::Agreement::exit_code(on_runtime(ledger::ledger(errand))));
        }
        Command::JoinToken(errand) => on_runtime(operator::join_token(errand)),
        Command::Healthcheck(errand) => errand.run(),
        Command::Client(errand) => {
            return on_runtime(async { Ok(errand.run::<CommandLine>().await) });
        }
    };
    ended.map(|()| ExitCode::SUCCESS)
}

/// Reads the configuration, starts logs and reads the model catalogue.
fn configured<C: clap::Args + clap::FromArgMatches>() -> anyhow::Result<C> {
    started(from_environment::<C>())
}

/// The same for configuration that has been read, if all of it is as it should be.
fn started<C>(config: Result<C, Mistakes>) -> anyhow::Result<C> {
    let all = Mistakes::both(from_environment::<CatalogueSettings>(), config);
    let (logs, (catalogue, config)) = Mistakes::both(from_environment::<LogSettings>(), all)?;
    start_logs(&logs);
    catalogue.read()?;
    Ok(config)
}

/// Runs a control plane, with traces if they are configured.
async fn manage(config: control_plane::Config, stop: CancellationToken) -> anyhow::Result<()> {
    let traces = start_traces("tollgate-control-plane");
    let ended = control_plane::run(config, traces.as_ref(), stop).await;
    flush(traces).await?;
    ended
}

/// Serves callers, with traces if they are configured.
async fn serve(config: proxy::Config, stop: CancellationToken) -> anyhow::Result<()> {
    let traces = start_traces("tollgate-proxy");
    let served = proxy::run(config, traces.as_ref(), stop).await;
    flush(traces).await?;
    served
}

async fn flush(traces: Option<Traces>) -> anyhow::Result<()> {
    // The last spans are sent by this runtime, so the thread that waits for them must be another.
    Ok(tokio::task::spawn_blocking(move || drop(traces)).await?)
}

/// Runs on as many threads as the machine gives us cores.
fn on_runtime<T>(task: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut builder = match cores {
        // With one core, a second thread would only take turns with the first.
        1 => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    let runtime = builder.enable_all().build()?;
    let result = runtime.block_on(task);
    // What counts tokens or resolves names on a blocking thread is not waited for.
    runtime.shutdown_background();
    result
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser as _};

    use super::*;

    fn is_read(line: &str) -> bool {
        CommandLine::try_parse_from(line.split_ascii_whitespace()).is_ok()
    }

    #[test]
    fn the_command_line_makes_sense() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn commands_of_ngroks_program_are_read_once_its_name_is_replaced() {
        for line in [
            "tollgate api secrets create --name openai --secret-data {}",
            "tollgate api secrets create --name key --value sk-1 --vault-id vault_1 --description d --metadata m",
            "tollgate api secrets list --before-id secret_1 --limit 5",
            "tollgate api vaults create --name openai",
            "tollgate api vaults update vault_1 --name other",
            "tollgate api endpoints create --url https://a.example --type cloud --bindings public --traffic-policy-file p.yaml --pooling-enabled",
            "tollgate api endpoints update ep_1 --traffic-policy {} --pooling-enabled=false",
            "tollgate api ai-gateway-api-keys create --endpoint-id ep_1 --provider-keys []",
            "tollgate api ai-gateway-provider-keys create --ai-gateway-api-key-id aigk_1 --provider-id openai --value sk-1",
            "tollgate secrets get secret_1 --output json --profile home",
        ] {
            assert!(is_read(line), "{line}");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for line in [
            "tollgate secrets create --name a --value b --value-file c",
            "tollgate secrets create --name a --secret-data {} --vault-name b",
            "tollgate secrets create --name a --value b --vault-id c --vault-name d",
            "tollgate endpoints create --url https://a.example --traffic-policy {} --traffic-policy-file p",
            "tollgate vaults list --limit 101",
            "tollgate vaults get ../endpoints",
            "tollgate login --url api.example.com",
            "tollgate login --url https://api.example.com --token secret",
        ] {
            assert!(!is_read(line), "{line}");
        }
    }
}
