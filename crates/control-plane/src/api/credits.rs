//! Credits that the operator gives by hand.

use axum::extract::State;
use axum::http::HeaderMap;
use model::{AccountId, Nanos};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use store::Store;
use store::accounts;
use store::ledger::{self, Cause, CauseKind, LedgerError, Source};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::authorized::PathIds;
use super::body::{Body, optional_instant};
use super::envelope::{ApiResult, Envelope};
use super::error::ApiError;
use super::operator::Operator;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(give))
}

/// Give credits
///
/// For the operator alone. The header `Idempotency-Key` is needed: the same key gives the same credits
/// once, however often the call is repeated, and is refused for others. Exactly one of `amount` (cents),
/// `amount_nanos` and `amount_usd` says how much. With `expires_at` they are promotional: spent before all
/// others, and gone by then.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/billing/credits", tag = "Billing",
    params(("Idempotency-Key" = String, Header, description = "At most 255 visible characters")),
    request_body(content = CreditsGift, example = json!({"amount_usd": "25", "description": "Welcome"})),
    responses(
        (status = 200, body = Envelope<CreditsGiven>),
        (status = 409, description = "The same key has given something else"),
    ))]
async fn give(
    _: Operator,
    path: PathIds,
    headers: HeaderMap,
    State(store): State<Store>,
    Body(gift): Body<CreditsGift>,
) -> ApiResult<CreditsGiven> {
    let account = account(&store, &path).await?;
    let key = idempotency_key(&headers, account)?;
    let gift = gift.checked()?;
    let mut tx = store.pool.begin().await?;
    let posting = given(&mut tx, account, &gift, &key).await?;
    // Also what the same key gave as another kind: a grant is no promotion, and neither is repeated as
    // the other.
    if ledger::gifts(&mut tx, account, &key).await? != [gift] {
        return Err(ApiError::Conflict("The same Idempotency-Key has given something else"));
    }
    let balance = ledger::balance(&mut tx, account).await?;
    tx.commit().await?;
    let ledger::Posting { transaction, amount, repeated } = posting;
    Ok(Envelope::of(CreditsGiven {
        transaction_id: transaction,
        amount: cents(amount),
        amount_usd: amount.to_string(),
        balance: cents(balance.total()),
        balance_usd: balance.total().to_string(),
        repeated,
    }))
}

async fn given(
    tx: &mut PgConnection,
    account: AccountId,
    gift: &ledger::Gift,
    key: &str,
) -> Result<ledger::Posting, LedgerError> {
    let ledger::Gift { kind, amount, description, expires_at } = gift;
    let cause = Cause::new(*kind, key);
    match expires_at {
        Some(at) => ledger::grant_promotion(tx, account, *amount, *at, &cause, description).await,
        None => ledger::deposit(tx, account, *amount, Source::Adjustment, &cause, description).await,
    }
}

/// Credits to be given.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CreditsGift {
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
    /// When they are gone, used or not.
    #[serde(default, deserialize_with = "optional_instant")]
    expires_at: Option<OffsetDateTime>,
}

impl CreditsGift {
    fn checked(self) -> Result<ledger::Gift, ApiError> {
        let Self { amount, amount_nanos, amount_usd, description, expires_at } = self;
        let amount = Amount { amount, amount_nanos, amount_usd }.nanos()?;
        let description = checked_description(description)?;
        if expires_at.is_some_and(|at| at <= OffsetDateTime::now_utc()) {
            return Err(ApiError::body("expires_at", "must be in the future"));
        }
        let kind = if expires_at.is_some() { CauseKind::Promotion } else { CauseKind::Grant };
        Ok(ledger::Gift { kind, amount, description, expires_at: expires_at.map(super::as_kept) })
    }
}

/// Credits that were given.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct CreditsGiven {
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

/// An amount in one of three ways to say it.
pub(super) struct Amount {
    /// Cents.
    pub(super) amount: Option<i64>,
    /// Nano-dollars.
    pub(super) amount_nanos: Option<i64>,
    /// Dollars as a decimal.
    pub(super) amount_usd: Option<String>,
}

impl Amount {
    pub(super) fn nanos(self) -> Result<Nanos, ApiError> {
        let (field, amount) = match self {
            Self { amount: Some(cents), amount_nanos: None, amount_usd: None } => {
                ("amount", cents.checked_mul(NANOS_A_CENT))
            }
            Self { amount: None, amount_nanos: Some(nanos), amount_usd: None } => {
                ("amount_nanos", Some(nanos))
            }
            Self { amount: None, amount_nanos: None, amount_usd: Some(usd) } => {
                let exact = model::decimal::scaled(&usd, 9);
                let wrong = || ApiError::body("amount_usd", "must be dollars with at most nine decimals");
                ("amount_usd", Some(exact.ok_or_else(wrong)?))
            }
            _ => {
                let message = "exactly one of amount (cents), amount_nanos and amount_usd must say how much";
                return Err(ApiError::body("amount", message));
            }
        };
        let amount = amount.map(Nanos).filter(|amount| *amount > Nanos::ZERO && *amount <= ledger::MAXIMUM);
        amount.ok_or_else(|| {
            ApiError::body(field, format!("must be above zero and at most {} dollars", ledger::MAXIMUM))
        })
    }
}

const NANOS_A_CENT: i64 = 10_000_000;

/// Whole cents, rounded down: nobody is shown what he does not have.
pub(super) fn cents(amount: Nanos) -> i64 {
    amount.0.div_euclid(NANOS_A_CENT)
}

/// What a statement says of a transaction: a line, not a letter.
pub(super) fn checked_description(description: String) -> Result<String, ApiError> {
    const LONGEST: usize = 500;
    if description.chars().count() <= LONGEST && !description.contains('\0') {
        return Ok(description);
    }
    Err(ApiError::body("description", format!("must be a text of at most {LONGEST} characters, without NUL")))
}

/// The account of the path, of which the operator need be no member.
pub(super) async fn account(store: &Store, path: &PathIds) -> Result<AccountId, ApiError> {
    let id = path.id("account_id").ok_or(ApiError::NotFound)?;
    accounts::get(store, id).await?.map(|account| account.id).ok_or(ApiError::NotFound)
}

/// The caller's key, within its account.
pub(super) fn idempotency_key(headers: &HeaderMap, account: AccountId) -> Result<String, ApiError> {
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
