//! Credits that the operator takes by hand. The ledger's desk takes them, after it has set them aside
//! where requests spend; what came of it is asked for here.

use axum::extract::State;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use store::Store;
use store::ledger::{self, Cause, CauseKind, Destination, Missing, Withdrawal, Withdrawn};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::authorized::PathIds;
use super::body::Body;
use super::credits::{Amount, account, cents, checked_description, idempotency_key};
use super::envelope::{ApiResult, Envelope};
use super::error::ApiError;
use super::operator::Operator;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(take)).routes(routes!(show))
}

/// Take credits
///
/// For the operator alone. What is to be taken is first set aside where requests spend, so that it is
/// not spent meanwhile: the answer says that it was asked for, and shows what came of it moments later.
/// `missing` says what happens to what is not there: `refuse` all of it, `owe` it, or `leave` it. The same
/// `Idempotency-Key` takes the same credits once, and is refused for others.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/billing/debits", tag = "Billing",
    params(("Idempotency-Key" = String, Header, description = "At most 255 visible characters")),
    request_body(content = NewDebit, example = json!({"amount": 500, "missing": "leave"})),
    responses(
        (status = 200, body = Envelope<Debit>),
        (status = 409, description = "The same key has taken something else"),
    ))]
async fn take(
    _: Operator,
    path: PathIds,
    headers: HeaderMap,
    State(store): State<Store>,
    Body(debit): Body<NewDebit>,
) -> ApiResult<Debit> {
    let account = account(&store, &path).await?;
    let NewDebit { amount, amount_nanos, amount_usd, description, missing } = debit;
    let cause = Cause::new(CauseKind::Debit, idempotency_key(&headers, account)?);
    let amount = Amount { amount, amount_nanos, amount_usd }.nanos()?;
    let description = checked_description(description)?;
    let mut tx = store.pool.begin().await?;
    let (to, missing) = (Destination::Adjustment, Missing::from(missing));
    let id = ledger::request_withdrawal(&mut tx, account, amount, to, missing, &cause, &description).await?;
    tx.commit().await?;
    // A key that has asked before has asked for nothing more now.
    let asked = ledger::withdrawal(&store, id).await?.ok_or(ApiError::NotFound)?;
    if (asked.amount, asked.missing, &asked.description) != (amount, missing, &description) {
        return Err(ApiError::Conflict("The same Idempotency-Key has taken something else"));
    }
    Ok(Envelope::of(Debit::of(&asked)))
}

/// See what came of taking credits
///
/// For the operator alone: `requested` until the ledger has come to it, then `taken` or `refused`.
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/billing/debits/{debit_id}", tag = "Billing",
    responses((status = 200, body = Envelope<Debit>)))]
async fn show(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<Debit> {
    let account = account(&store, &path).await?;
    let id = path.id("debit_id").ok_or(ApiError::NotFound)?;
    let found = ledger::withdrawal(&store, id).await?;
    let debit = found.filter(|found| found.account == account && found.cause.kind == CauseKind::Debit);
    Ok(Envelope::of(Debit::of(&debit.ok_or(ApiError::NotFound)?)))
}

/// Credits to be taken.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewDebit {
    /// Cents.
    #[schema(minimum = 1, maximum = 400_000_000)]
    amount: Option<i64>,
    /// Nano-dollars.
    #[schema(minimum = 1, maximum = 4_000_000_000_000_000_i64)]
    amount_nanos: Option<i64>,
    /// Dollars as a decimal with at most nine places, such as `"12.5"`.
    amount_usd: Option<String>,
    /// Shown on the account's statement; at most 500 characters.
    #[serde(default)]
    #[schema(max_length = 500)]
    description: String,
    /// What happens to what is not there.
    #[serde(default)]
    missing: IfMissing,
}

/// What happens to money that is to be taken and is not there.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum IfMissing {
    /// Nothing is taken.
    #[default]
    Refuse,
    /// The account owes it.
    Owe,
    /// What is there is taken.
    Leave,
}

impl From<IfMissing> for Missing {
    fn from(missing: IfMissing) -> Self {
        match missing {
            IfMissing::Refuse => Missing::Refuse,
            IfMissing::Owe => Missing::Owe,
            IfMissing::Leave => Missing::Leave,
        }
    }
}

/// Credits that were asked for.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Debit {
    id: Uuid,
    state: DebitState,
    /// What was asked for: cents, rounded down.
    amount: i64,
    amount_usd: String,
    /// What was taken; null until the ledger has come to it.
    taken_usd: Option<String>,
    /// What the account owes for what was not there.
    owed_usd: Option<String>,
    /// The transaction, where something moved.
    transaction_id: Option<Uuid>,
}

/// How far taking credits has come.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum DebitState {
    /// The ledger has not come to it.
    Requested,
    /// What was there is taken.
    Taken,
    /// It was not all there, so nothing is taken.
    Refused,
}

impl Debit {
    fn of(withdrawal: &Withdrawal) -> Self {
        let Withdrawal { id, amount, missing, outcome, .. } = *withdrawal;
        let state = match outcome {
            None => DebitState::Requested,
            Some(Withdrawn { transaction: None, .. }) if missing == Missing::Refuse => DebitState::Refused,
            Some(_) => DebitState::Taken,
        };
        Self {
            id,
            state,
            amount: cents(amount),
            amount_usd: amount.to_string(),
            taken_usd: outcome.map(|outcome| outcome.taken.to_string()),
            owed_usd: outcome.map(|outcome| outcome.owed.to_string()),
            transaction_id: outcome.and_then(|outcome| outcome.transaction),
        }
    }
}
