//! The ledger as people read it: an account's statement, and for the operator the trial balance and the
//! check of all books.

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use model::AccountId;
use serde::{Deserialize, Serialize};
use store::Store;
use store::accounts::Account;
use store::ledger::{self, CauseKind, Line, Sign, Statement};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::authorized::{Authorized, BillingRead, PathIds};
use super::body::Query;
use super::envelope::{ApiResult, Envelope};
use super::error::ApiError;
use super::operator::Operator;
use crate::ledger::check::checked;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(statement))
        .routes(routes!(statement_csv))
        .routes(routes!(transaction))
        .routes(routes!(trial_balance))
        .routes(routes!(check))
}

/// Show an account's statement
///
/// Every transaction that moved its credits, the newest first, with the balance after it. `before` reads
/// on: it is the `sequence` of the last one seen, and `next_before` says it.
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/billing/ledger", tag = "Billing",
    params(StatementParams), responses((status = 200, body = Envelope<StatementPage>)))]
async fn statement(
    account: Authorized<Account, BillingRead>,
    Query(params): Query<StatementParams>,
    State(store): State<Store>,
) -> ApiResult<StatementPage> {
    let limit = params.limit(100, 1000)?;
    let lines =
        ledger::statement(&store, account.account, &params.statement(account.account)?, limit).await?;
    let full = lines.len() as i64 == limit;
    let next_before = lines.last().filter(|_| full).map(|line| line.sequence);
    let lines = lines.into_iter().map(|line| StatementLine::of(line, account.account)).collect();
    Ok(Envelope::of(StatementPage { lines, next_before }))
}

/// Download an account's statement
///
/// The same as CSV: 100,000 lines at once unless `limit` says fewer, read on with `before`.
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/billing/ledger.csv", tag = "Billing",
    params(StatementParams), responses((status = 200, content_type = "text/csv", body = String)))]
async fn statement_csv(
    account: Authorized<Account, BillingRead>,
    Query(params): Query<StatementParams>,
    State(store): State<Store>,
) -> Result<impl IntoResponse, ApiError> {
    const LINES: i64 = 100_000;
    let limit = params.limit(LINES, LINES)?;
    let lines =
        ledger::statement(&store, account.account, &params.statement(account.account)?, limit).await?;
    let mut csv =
        String::from("sequence,at,kind,cause,description,amount_usd,balance_usd,transaction_id\r\n");
    for line in lines.into_iter().map(|line| StatementLine::of(line, account.account)) {
        let at = line.at.format(&Rfc3339).map_err(|error| ApiError::Internal(error.into()))?;
        let StatementLine { sequence, kind, cause, description, amount_usd, balance_usd, .. } = line;
        let (cause, description) = (quoted(&cause), quoted(&description));
        let id = line.transaction_id;
        csv.push_str(&format!(
            "{sequence},{at},{kind},{cause},{description},{amount_usd},{balance_usd},{id}\r\n"
        ));
    }
    let disposition = HeaderValue::from_static("attachment; filename=\"statement.csv\"");
    let kind = HeaderValue::from_static("text/csv; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, disposition)], csv))
}

/// Show a transaction
///
/// Each transfer that it is made of, from one ledger account to another.
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/billing/ledger/{transaction_id}", tag = "Billing",
    responses((status = 200, body = Envelope<Vec<Transfer>>)))]
async fn transaction(
    account: Authorized<Account, BillingRead>,
    path: PathIds,
    State(store): State<Store>,
) -> ApiResult<Vec<Transfer>> {
    let id: Uuid = path.id("transaction_id").ok_or(ApiError::NotFound)?;
    let transfers = ledger::transfers(&store, account.account, id).await?;
    if transfers.is_empty() {
        return Err(ApiError::NotFound);
    }
    let shown = |transfer: ledger::Transfer| {
        let ledger::Transfer { from, to, amount } = transfer;
        Transfer { from, to, amount_usd: amount.to_string() }
    };
    Ok(Envelope::of(transfers.into_iter().map(shown).collect()))
}

/// Show the trial balance
///
/// What all ledger accounts come to, by kind. Together they are zero, or money was made up or lost.
/// `credits` and `promotion` are what customers have; `revenue` is what is left of their charges beyond
/// `provider_cost`, which providers bill; `fees` were paid on purchases; `receivable` is owed by customers,
/// so it is below zero. `payments_clearing`, `adjustments`, `shortfall` and `write_offs` are where money
/// came from that customers have: they are below zero by what came in, was given, was missing or given up.
#[utoipa::path(get, path = "/operator/ledger/trial-balance", tag = "Operator",
    responses((status = 200, body = Envelope<TrialBalance>)))]
async fn trial_balance(_: Operator, State(store): State<Store>) -> ApiResult<TrialBalance> {
    let mut connection = store.pool.acquire().await?;
    let ledger::TrialBalance { kinds, total } = ledger::trial_balance(&mut connection).await?;
    let kinds = kinds.into_iter().map(|kind| Total {
        kind: kind.kind,
        accounts: kind.accounts,
        balance_usd: kind.balance.to_string(),
    });
    Ok(Envelope::of(TrialBalance { kinds: kinds.collect(), total_usd: total.to_string() }))
}

/// Check the books
///
/// Computes everything again from the transfers and the usage records, compares it with what is written
/// down and with Redis, and answers what does not agree. It reads the whole ledger.
#[utoipa::path(get, path = "/operator/ledger/check", tag = "Operator",
    responses((status = 200, body = Envelope<Checked>)))]
async fn check(_: Operator, State(state): State<ApiState>) -> ApiResult<Checked> {
    let check = checked(&state.store, &state.redis_url).await.map_err(ApiError::Internal)?;
    Ok(Envelope::of(Checked::from(check)))
}

/// Which transactions are asked for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct StatementParams {
    /// Kinds, separated by commas, such as `usage,payment`.
    kind: Option<String>,
    /// The cause's own id, such as a payment's, a voucher's, or the `Idempotency-Key` of a grant.
    cause: Option<String>,
    /// Not before this instant (RFC 3339).
    since: Option<String>,
    /// Before this instant (RFC 3339).
    until: Option<String>,
    /// `in` for what brought money, `out` for what took it.
    direction: Option<String>,
    /// Only transactions with a lower sequence.
    before: Option<i64>,
    /// How many at most, 1 to 1000; 100 unless said.
    limit: Option<i64>,
}

impl StatementParams {
    fn limit(&self, usual: i64, most: i64) -> Result<i64, ApiError> {
        let limit = self.limit.unwrap_or(usual);
        (1..=most)
            .contains(&limit)
            .then_some(limit)
            .ok_or_else(|| ApiError::query("limit", format!("must be 1 to {most}")))
    }

    fn statement(&self, account: AccountId) -> Result<Statement, ApiError> {
        let kinds = self.kind.iter().flat_map(|kinds| kinds.split(',')).map(|word| {
            CauseKind::from_word(word.trim()).ok_or_else(|| {
                let known: Vec<_> = CauseKind::ALL.iter().map(|kind| kind.as_str()).collect();
                ApiError::query("kind", format!("must be some of {}", known.join(", ")))
            })
        });
        let instant = |name: &str, text: &Option<String>| {
            let parsed = text.as_ref().map(|text| OffsetDateTime::parse(text, &Rfc3339)).transpose();
            parsed.map_err(|_| ApiError::query(name, "must be an instant such as 2026-01-31T00:00:00Z"))
        };
        let sign = match self.direction.as_deref() {
            None => None,
            Some("in") => Some(Sign::In),
            Some("out") => Some(Sign::Out),
            Some(_) => return Err(ApiError::query("direction", "must be in or out")),
        };
        Ok(Statement {
            kinds: kinds.collect::<Result<_, _>>()?,
            causes: self
                .cause
                .iter()
                .flat_map(|cause| [cause.clone(), format!("{account}:{cause}")])
                .collect(),
            since: instant("since", &self.since)?,
            until: instant("until", &self.until)?,
            sign,
            before: self.before,
        })
    }
}

/// A page of a statement.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatementPage {
    lines: Vec<StatementLine>,
    /// Where to read on; null at the end.
    next_before: Option<i64>,
}

/// A transaction on a statement.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct StatementLine {
    transaction_id: Uuid,
    /// Which of the account's transactions it is, from 1 without a gap.
    sequence: i64,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    /// What moved the money: `usage`, `grant`, `payment` and so on; the filter `kind` knows all of them.
    kind: &'static str,
    /// Which of its kind, such as the payment's id.
    cause: String,
    description: String,
    /// By how much credits and promotions grew, exact.
    amount_usd: String,
    /// What they came to, exact.
    balance_usd: String,
}

impl StatementLine {
    fn of(line: Line, account: AccountId) -> Self {
        let Line { transaction, sequence, at, kind, cause, description, amount, balance } = line;
        // The operator's keys are told apart by account where they are kept; here there is one.
        let cause = cause.strip_prefix(&format!("{account}:")).map_or(cause.clone(), str::to_owned);
        Self {
            transaction_id: transaction,
            sequence,
            at,
            kind: kind.as_str(),
            cause,
            description,
            amount_usd: amount.to_string(),
            balance_usd: balance.to_string(),
        }
    }
}

/// A transfer of a transaction.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerTransfer)]
pub(super) struct Transfer {
    /// The kind of ledger account that it left.
    from: String,
    /// The kind of ledger account that it reached.
    to: String,
    amount_usd: String,
}

/// What all ledger accounts come to.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TrialBalance {
    kinds: Vec<Total>,
    /// Always `0`.
    total_usd: String,
}

/// What the ledger accounts of a kind come to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TrialBalanceOfKind)]
pub(super) struct Total {
    kind: String,
    accounts: i64,
    balance_usd: String,
}

/// What the check looked at and found.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerCheck)]
pub(super) struct Checked {
    /// Whether nothing was found.
    clean: bool,
    accounts: i64,
    transactions: i64,
    records: i64,
    findings: Vec<Finding>,
}

/// Something that does not agree.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LedgerFinding)]
pub(super) struct Finding {
    /// A stable word for the rule that is broken.
    rule: &'static str,
    /// An account, a transaction, a record.
    subject: String,
    detail: String,
}

impl From<ledger::Check> for Checked {
    fn from(check: ledger::Check) -> Self {
        let ledger::Check { accounts, transactions, records, findings } = check;
        let shown = |finding: ledger::Finding| {
            let ledger::Finding { rule, subject, detail } = finding;
            Finding { rule, subject, detail }
        };
        let findings: Vec<_> = findings.into_iter().map(shown).collect();
        Self { clean: findings.is_empty(), accounts, transactions, records, findings }
    }
}

/// A field of CSV (RFC 4180). What a spreadsheet would take for a formula is made a text.
fn quoted(field: &str) -> String {
    let guard = if field.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    format!("\"{guard}{}\"", field.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_no_formula_and_ends_where_it_ends() {
        assert_eq!(quoted("a \"b\", c"), "\"a \"\"b\"\", c\"");
        assert_eq!(quoted("=1+1"), "\"'=1+1\"");
    }
}
