//! The operator's errands with the ledger.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use model::Secret;
use process::from_environment;
use store::Store;
use store::ledger::{Check, Finding};

#[derive(Debug, Subcommand)]
pub(crate) enum Ledger {
    /// Compute all balances again from the transfers and records, and compare them with what is written
    /// down and with Redis; fail if anything does not agree
    #[command(after_help = CHECK_HELP)]
    Check {
        /// print one JSON document instead of sentences
        #[arg(long)]
        json: bool,
    },
}

const CHECK_HELP: &str = "\
It reads the whole ledger and changes nothing, while everything serves on.

Environment:
  DATABASE_URL  Postgres
  REDIS_URL     the Redis of limits, money and usage

Exit codes:
  0  everything agrees
  1  something does not agree: each finding was printed, a rule and whom it is about
  2  nothing is known: it could not be asked as it was, or Postgres could not be read";

/// Where the books are.
#[derive(Debug, Args)]
struct Books {
    /// Postgres
    #[arg(long, env = "DATABASE_URL")]
    database_url: Secret,
    /// the Redis of limits, money and usage
    #[arg(long, env = "REDIS_URL")]
    redis_url: Secret,
}

/// Whether everything agrees.
pub(crate) async fn ledger(Ledger::Check { json }: Ledger) -> anyhow::Result<Agreement> {
    let Books { database_url, redis_url } = from_environment()?;
    let store = Store::connect(database_url.expose()).await?;
    let check = control_plane::ledger::check::checked(&store, &redis_url).await?;
    if json {
        println!("{}", document(&check));
    } else {
        print!("{}", sentences(&check));
    }
    Ok(Agreement { findings: check.findings.len() })
}

/// What a check came to.
pub(crate) struct Agreement {
    findings: usize,
}

impl Agreement {
    /// Whoever watches tells books that are wrong from books that could not be read.
    pub(crate) fn exit_code(outcome: anyhow::Result<Self>) -> ExitCode {
        match outcome {
            Ok(Self { findings: 0 }) => ExitCode::SUCCESS,
            Ok(Self { findings }) => {
                let things = if findings == 1 { "thing does" } else { "things do" };
                eprintln!("tollgate: {findings} {things} not agree in the books");
                ExitCode::from(1)
            }
            Err(error) => {
                eprintln!("tollgate: {error:#}");
                ExitCode::from(2)
            }
        }
    }
}

fn sentences(check: &Check) -> String {
    let Check { accounts, transactions, records, findings } = check;
    let mut text = format!(
        "Looked at {accounts} ledger accounts, {transactions} transactions and {records} charged records.\n"
    );
    for Finding { rule, subject, detail } in findings {
        text.push_str(&format!("{rule}: {subject}: {detail}\n"));
    }
    if findings.is_empty() {
        text.push_str("All of it agrees.\n");
    }
    text
}

fn document(check: &Check) -> serde_json::Value {
    let Check { accounts, transactions, records, findings } = check;
    let finding = |Finding { rule, subject, detail }: &Finding| serde_json::json!({ "rule": rule, "subject": subject, "detail": detail });
    serde_json::json!({
        "clean": findings.is_empty(),
        "accounts": accounts,
        "transactions": transactions,
        "records": records,
        "findings": findings.iter().map(finding).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_agree_is_told_in_both_forms() {
        let finding =
            Finding { rule: "odd", subject: "account 7".to_owned(), detail: "1 is not 2".to_owned() };
        let check = Check { accounts: 3, transactions: 2, records: 1, findings: vec![finding] };
        assert_eq!(
            sentences(&check),
            "Looked at 3 ledger accounts, 2 transactions and 1 charged records.\nodd: account 7: 1 is not 2\n"
        );
        let told = document(&check);
        assert_eq!((&told["clean"], &told["findings"][0]["rule"]), (&false.into(), &"odd".into()));
        let clean = Check { findings: Vec::new(), ..check };
        assert!(sentences(&clean).ends_with("All of it agrees.\n"));
    }
}
