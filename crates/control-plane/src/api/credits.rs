//! Credits that the operator gives and takes by hand.

use axum::extract::State;
use axum::http::HeaderMap;
use model::{AccountId, Nanos};
use serde::{Deserialize, Serialize};
use store::Store;
use store::accounts;
use store::ledger::{self, Cause, CauseKind, Destination, LedgerError, Missing, Posting, Source};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::authorized::PathIds;
use super::body::Body;
use super::envelope::{ApiResult, Envelope};
use super::error::ApiError;
use super::operator::Operator;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(give)).routes(routes!(take))
}

/// Give credits
///
/// For the operator alone. The header `Idempotency-Key` is needed: the same key gives the same credits
/// once, however often the call is repeated. Exactly one of `amount` (cents), `amount_nanos` and
/// `amount_usd` says how much. With `expires_at` they are promotional: spent before all others, and gone
/// by then.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/billing/credits", tag = "Billing",
    params(("Idempotency-Key" = String, Header, description = "At most 255 visible characters")),
    request_body = Gift, responses((status = 200, body = Envelope<Given>)))]
async fn give(
    _: Operator,
    path: PathIds,
    headers: HeaderMap,
    State(store): State<Store>,
    Body(gift): Body<Gift>,
) -> ApiResult<Given> {
    let account = account(&store, &path).await?;
    let Gift { amount, amount_nanos, amount_usd, description, expires_at } = gift;
    let amount = Amount { amount, amount_nanos, amount_usd }.nanos()?;
    let key = idempotency_key(&headers, account)?;
    let mut tx = store.pool.begin().await?;
    let posting = match expires_at {
        Some(expires_at) if expires_at <= OffsetDateTime::now_utc() => {
            return Err(ApiError::body("expires_at", "must be in the future"));
        }
        Some(expires_at) => {
            let cause = Cause::new(CauseKind::Promotion, key);
            ledger::grant_promotion(&mut tx, account, amount, expires_at, &cause, &description).await?
        }
        None => {
            let cause = Cause::new(CauseKind::Grant, key);
            ledger::deposit(&mut tx, account, amount, Source::Adjustment, &cause, &description).await?
        }
    };
    let balance = ledger::balance(&mut tx, account).await?;
    tx.commit().await?;
    if posting.amount != amount {
        return Err(ApiError::Conflict("The same Idempotency-Key has given another amount"));
    }
    let Posting { transaction, amount, repeated } = posting;
    Ok(Envelope::of(Given {
        transaction_id: transaction,
        amount: cents(amount),
        amount_usd: amount.to_string(),
        balance: cents(balance.total()),
        balance_usd: balance.total().to_string(),
        repeated,
    }))
}

/// Take credits
///
/// For the operator alone. What is to be taken is first set aside where requests spend, so that it is
/// not spent meanwhile: the answer says that it was asked for, and the ledger shows it within moments.
/// `missing` says what happens to what is not there: `refuse` all of it, `owe` it, or `leave` it.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/billing/debits", tag = "Billing",
    params(("Idempotency-Key" = String, Header, description = "At most 255 visible characters")),
    request_body = Debit, responses((status = 200, body = Envelope<Requested>)))]
async fn take(
    _: Operator,
    path: PathIds,
    headers: HeaderMap,
    State(store): State<Store>,
    Body(debit): Body<Debit>,
) -> ApiResult<Requested> {
    let account = account(&store, &path).await?;
    let Debit { amount, amount_nanos, amount_usd, description, missing } = debit;
    let amount = Amount { amount, amount_nanos, amount_usd }.nanos()?;
    let cause = Cause::new(CauseKind::Debit, idempotency_key(&headers, account)?);
    let mut tx = store.pool.begin().await?;
    let (to, missing) = (Destination::Adjustment, missing.into());
    let withdrawal =
        ledger::request_withdrawal(&mut tx, account, amount, to, missing, &cause, &description).await?;
    tx.commit().await?;
    Ok(Envelope::of(Requested { id: withdrawal, amount: cents(amount), amount_usd: amount.to_string() }))
}

/// Credits to be given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Gift {
    /// Cents.
    amount: Option<i64>,
    /// Nano-dollars.
    amount_nanos: Option<i64>,
    /// Dollars as a decimal with at most nine places, such as `"12.5"`.
    amount_usd: Option<String>,
    /// Shown on the account's statement.
    #[serde(default)]
    description: String,
    /// When they are gone, used or not.
    #[serde(default, with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
}

/// Credits to be taken.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Debit {
    /// Cents.
    amount: Option<i64>,
    /// Nano-dollars.
    amount_nanos: Option<i64>,
    /// Dollars as a decimal with at most nine places, such as `"12.5"`.
    amount_usd: Option<String>,
    /// Shown on the account's statement.
    #[serde(default)]
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

/// Credits that were given.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Given {
    transaction_id: Uuid,
    /// Cents, rounded down.
    amount: i64,
    amount_usd: String,
    /// What the account has now, in cents, rounded down.
    balance: i64,
    balance_usd: String,
    /// Whether the same key had given them before.
    repeated: bool,
}

/// Credits that will be taken.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Requested {
    id: Uuid,
    /// Cents, rounded down.
    amount: i64,
    amount_usd: String,
}

struct Amount {
    amount: Option<i64>,
    amount_nanos: Option<i64>,
    amount_usd: Option<String>,
}

impl Amount {
    fn nanos(self) -> Result<Nanos, ApiError> {
        let amount = match self {
            Self { amount: Some(cents), amount_nanos: None, amount_usd: None } => {
                cents.checked_mul(NANOS_A_CENT)
            }
            Self { amount: None, amount_nanos: Some(nanos), amount_usd: None } => Some(nanos),
            Self { amount: None, amount_nanos: None, amount_usd: Some(usd) } => {
                let exact = model::decimal::scaled(&usd, 9);
                let wrong = || ApiError::body("amount_usd", "must be dollars with at most nine decimals");
                Some(exact.ok_or_else(wrong)?)
            }
            _ => {
                let message = "exactly one of amount (cents), amount_nanos and amount_usd must say how much";
                return Err(ApiError::body("amount", message));
            }
        };
        let amount = amount.map(Nanos).filter(|amount| *amount > Nanos::ZERO && *amount <= ledger::MAXIMUM);
        amount.ok_or_else(|| {
            ApiError::body("amount", format!("must be above zero and at most {} dollars", ledger::MAXIMUM))
        })
    }
}

const NANOS_A_CENT: i64 = 10_000_000;

/// Whole cents, rounded down: nobody is shown what he does not have.
pub(super) fn cents(amount: Nanos) -> i64 {
    amount.0.div_euclid(NANOS_A_CENT)
}

/// The account of the path, of which the operator need be no member.
async fn account(store: &Store, path: &PathIds) -> Result<AccountId, ApiError> {
    let id = path.id("account_id").ok_or(ApiError::NotFound)?;
    accounts::get(store, id).await?.map(|account| account.id).ok_or(ApiError::NotFound)
}

/// The caller's key, within its account.
fn idempotency_key(headers: &HeaderMap, account: AccountId) -> Result<String, ApiError> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default().trim();
    if (1..=255).contains(&key.len()) {
        return Ok(format!("{account}:{key}"));
    }
    Err(ApiError::Invalid {
        path: vec!["header".to_owned(), "Idempotency-Key".to_owned()],
        message: "must be there, with 1 to 255 visible characters: repeat it to repeat the call".to_owned(),
    })
}

impl From<LedgerError> for ApiError {
    fn from(error: LedgerError) -> Self {
        match error {
            LedgerError::Store(error) => error.into(),
            LedgerError::UnknownAccount => Self::NotFound,
            LedgerError::NotPositive => Self::body("amount", "must be above zero"),
            LedgerError::TooMuch => {
                Self::body("amount", format!("an account holds at most {} dollars", ledger::MAXIMUM))
            }
            LedgerError::AnotherAccounts => {
                Self::Conflict("The same cause has moved another account's money")
            }
        }
    }
}
