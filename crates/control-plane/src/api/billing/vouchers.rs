//! Vouchers: the operator makes codes, each worth credits to whoever redeems it first.

mod code;

use axum::extract::State;
use model::document::{self, Mistake, instant, integer, nullable, text};
use model::id::VoucherId;
use model::token::TokenDigest;
use model::{AccountId, Nanos, Secret, decimal};
use serde::Serialize;
use serde_json::Value;
use store::accounts::Account;
use store::ledger::{self, Cause, CauseKind, Source};
use store::{Store, vouchers};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::of_cents;
use crate::api::authorized::{Authorized, BillingWrite, PathIds};
use crate::api::body::Body;
use crate::api::envelope::{ApiResult, Envelope, Paged, PagedResult};
use crate::api::error::ApiError;
use crate::api::operator::Operator;
use crate::api::page::{Page, PageParams};
use crate::api::{ApiState, now, random};
use crate::payments::cents;

/// The most that a voucher is worth, in dollars.
const DEAREST: Nanos = Nanos(100_000_000_000_000);
/// How many can be made at once.
const MOST: u64 = 100;
const DEFAULT_LIFETIME: time::Duration = time::Duration::days(365);

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(redeem)).routes(routes!(list, create)).routes(routes!(show, revoke))
}

/// Redeem a voucher
///
/// Its credits are there at once. A code works once, whoever uses it; one that is unknown, used, expired
/// or taken back is answered with the same 400.
#[utoipa::path(post, path = "/accounts/{account_id}/ai-gateway/billing/vouchers/redeem", tag = "Billing",
    request_body(content = Redemption, example = json!({"code": "W5ZM3-DR9TD-6QWB2-M0RMB"})),
    responses((status = 200, body = Envelope<Redeemed>)))]
async fn redeem(
    account: Authorized<Account, BillingWrite>,
    State(store): State<Store>,
    Body(body): Body<Value>,
) -> ApiResult<Redeemed> {
    let Redemption { code } = Redemption::of(&body)?;
    let bad = || ApiError::body("code", "this code is not good, or not any more");
    let digest = TokenDigest::of(&code::plain(&code).ok_or_else(bad)?);
    let (account, now) = (account.account, OffsetDateTime::now_utc());
    let mut tx = store.pool.begin().await?;
    let voucher = vouchers::redeem(&mut tx, &digest, account, now).await?.ok_or_else(bad)?;
    let cause = Cause::new(CauseKind::Voucher, voucher.id.to_string());
    let description = format!("Voucher {}", voucher.hint);
    match voucher.credits_expire_at {
        Some(at) => {
            ledger::grant_promotion(&mut tx, account, voucher.amount, at, &cause, &description).await?
        }
        None => {
            let source = Source::Adjustment;
            ledger::deposit(&mut tx, account, voucher.amount, source, &cause, &description).await?
        }
    };
    let balance = ledger::balance(&mut tx, account).await?.total();
    tx.commit().await?;
    Ok(Envelope::of(Redeemed {
        amount: cents(voucher.amount),
        amount_usd: voucher.amount.to_string(),
        promotional: voucher.credits_expire_at.is_some(),
        expires_at: voucher.credits_expire_at,
        balance: cents(balance),
        balance_usd: balance.to_string(),
    }))
}

/// Make vouchers
///
/// The answer carries their codes, which are kept nowhere and never shown again.
#[utoipa::path(post, path = "/operator/vouchers", tag = "Operator",
    request_body(content = NewVouchers, example = json!({"name": "Launch", "amount": 500, "count": 10})),
    responses((status = 200, body = Envelope<Vec<Voucher>>)))]
async fn create(
    operator: Operator,
    State(store): State<Store>,
    Body(body): Body<Value>,
) -> ApiResult<Vec<Voucher>> {
    let now = now();
    let NewVouchers { name, amount, count, expires_at, credits_expire_at } = NewVouchers::of(&body, now)?;
    let mut tx = store.pool.begin().await?;
    let mut made = Vec::new();
    for _ in 0..count {
        let code = code::of(random()?);
        let voucher = vouchers::Voucher {
            id: VoucherId(Uuid::now_v7()),
            hint: code::hint(&code),
            name: name.clone(),
            amount,
            expires_at,
            credits_expire_at,
            created_by: Some(operator.email().to_owned()),
            created_at: now,
            revoked_at: None,
            redeemed: None,
        };
        let plain = code::plain(code.expose()).unwrap_or_default();
        vouchers::create(&mut tx, &TokenDigest::of(&plain), &voucher).await?;
        made.push(Voucher::of(&voucher, now, Some(&code)));
    }
    tx.commit().await?;
    Ok(Envelope::of(made))
}

/// List vouchers
#[utoipa::path(get, path = "/operator/vouchers", tag = "Operator", params(PageParams),
    responses((status = 200, body = Paged<Voucher>)))]
async fn list(_: Operator, page: Page, State(store): State<Store>) -> PagedResult<Voucher> {
    let now = OffsetDateTime::now_utc();
    let (found, total) = vouchers::list(&store, page.limit(), page.offset()).await?;
    Ok(Paged::page(found.iter().map(|voucher| Voucher::of(voucher, now, None)).collect(), page, total))
}

/// Show a voucher
#[utoipa::path(get, path = "/operator/vouchers/{voucher_id}", tag = "Operator",
    responses((status = 200, body = Envelope<Voucher>)))]
async fn show(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<Voucher> {
    let id: VoucherId = path.id("voucher_id").ok_or(ApiError::NotFound)?;
    let voucher = vouchers::get(&store, id).await?.ok_or(ApiError::NotFound)?;
    Ok(Envelope::of(Voucher::of(&voucher, OffsetDateTime::now_utc(), None)))
}

/// Take a voucher back
///
/// One that was redeemed cannot be taken back; its credits can, see debits.
#[utoipa::path(delete, path = "/operator/vouchers/{voucher_id}", tag = "Operator",
    responses(
        (status = 200, body = Envelope<Voucher>),
        (status = 409, description = "It was redeemed, or taken back before"),
    ))]
async fn revoke(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<Voucher> {
    let id: VoucherId = path.id("voucher_id").ok_or(ApiError::NotFound)?;
    let now = OffsetDateTime::now_utc();
    if let Some(revoked) = vouchers::revoke(&store, id, now).await? {
        return Ok(Envelope::of(Voucher::of(&revoked, now, None)));
    }
    let found = vouchers::get(&store, id).await?.ok_or(ApiError::NotFound)?;
    Err(ApiError::Conflict(match found.redeemed {
        Some(_) => "The voucher was redeemed; the credits themselves can be taken with a debit",
        None => "The voucher was taken back before",
    }))
}

/// A voucher to be redeemed.
#[derive(Debug, ToSchema)]
#[schema(as = VoucherRedemption)]
struct Redemption {
    /// As it was given, in small or large letters, with or without hyphens.
    code: String,
}

impl Redemption {
    fn of(body: &Value) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| Some(Self { code: document.required("code", text(1..=64))? }))
    }
}

/// What a voucher brought.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VoucherRedeemed)]
struct Redeemed {
    /// Cents, rounded down.
    amount: i64,
    amount_usd: String,
    /// Whether the credits expire.
    promotional: bool,
    #[serde(with = "time::serde::rfc3339::option")]
    expires_at: Option<OffsetDateTime>,
    /// What the account has now, in cents, rounded down.
    balance: i64,
    balance_usd: String,
}

/// Vouchers to be made.
#[derive(Debug, ToSchema)]
struct NewVouchers {
    /// What the operator calls them, 1 to 120 characters; `voucher` unless said.
    #[schema(value_type = Option<String>)]
    name: String,
    /// What each is worth, in cents; `amount_usd`, dollars as a decimal, may stand in its place.
    #[schema(value_type = Option<u64>)]
    amount: Nanos,
    /// How many, 1 to 100; one unless said.
    #[schema(value_type = Option<u64>)]
    count: u64,
    /// Until when the codes are good; a year unless said.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: OffsetDateTime,
    /// Until when their credits are, which makes them promotional: spent before all others. Not before
    /// `expires_at`. Absent or null for credits that stay.
    #[schema(value_type = Option<String>, format = DateTime)]
    credits_expire_at: Option<OffsetDateTime>,
}

impl NewVouchers {
    fn of(body: &Value, now: OffsetDateTime) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| {
            let name = document.optional("name", "voucher".to_owned(), text(1..=120));
            let count = document.optional("count", 1, integer(1..=MOST));
            let future = |value: &Value| {
                let at = instant(value)?;
                if at > now { Ok(at) } else { Err("must be in the future".to_owned()) }
            };
            let expires_at = document.optional("expires_at", now + DEFAULT_LIFETIME, future);
            let credits_expire_at = document.optional("credits_expire_at", None, nullable(future));
            let dearest = u64::try_from(cents(DEAREST)).unwrap_or_default();
            let in_cents = document.optional("amount", None, |value| {
                integer(1..=dearest)(value).map(|cents| Some(of_cents(cents)))
            });
            let in_dollars = document.optional("amount_usd", None, |value| dollars(value).map(Some));
            let amount = match (in_cents?, in_dollars?) {
                (Some(amount), None) | (None, Some(amount)) => amount,
                _ => {
                    document.mistake("amount", "exactly one of `amount` and `amount_usd` says how much");
                    return None;
                }
            };
            let (expires_at, credits_expire_at) = (expires_at?, credits_expire_at?);
            if credits_expire_at.is_some_and(|at| at < expires_at) {
                document.mistake("credits_expire_at", "must not be before `expires_at`");
            }
            Some(Self { name: name?, amount, count: count?, expires_at, credits_expire_at })
        })
    }
}

fn dollars(value: &Value) -> Result<Nanos, String> {
    let amount = value.as_str().and_then(|text| decimal::scaled(text, 9)).map(Nanos);
    amount
        .filter(|amount| *amount > Nanos::ZERO && *amount <= DEAREST)
        .ok_or_else(|| format!("must be dollars above zero, at most {DEAREST}, such as `\"12.5\"`"))
}

/// A voucher as it is shown.
#[derive(Debug, Serialize, ToSchema)]
struct Voucher {
    #[schema(value_type = String)]
    id: VoucherId,
    name: String,
    status: VoucherStatus,
    /// Cents, rounded down.
    amount: i64,
    amount_usd: String,
    /// The last characters of its code.
    hint: String,
    #[serde(with = "time::serde::rfc3339")]
    expires_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    credits_expire_at: Option<OffsetDateTime>,
    created_by: Option<String>,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    redeemed_at: Option<OffsetDateTime>,
    /// The account that redeemed it.
    #[schema(value_type = Option<String>)]
    redeemed_by: Option<AccountId>,
    /// The code itself, in the answer that makes it and in no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

/// What a voucher is still good for.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum VoucherStatus {
    /// It can be redeemed.
    Active,
    /// It was.
    Redeemed,
    /// Taken back.
    Revoked,
    /// Too old.
    Expired,
}

impl Voucher {
    fn of(voucher: &vouchers::Voucher, now: OffsetDateTime, code: Option<&Secret>) -> Self {
        let vouchers::Voucher {
            id,
            hint,
            name,
            amount,
            expires_at,
            credits_expire_at,
            created_by,
            created_at,
            revoked_at,
            redeemed,
        } = voucher;
        let status = match (redeemed, revoked_at) {
            (Some(_), _) => VoucherStatus::Redeemed,
            (None, Some(_)) => VoucherStatus::Revoked,
            (None, None) if *expires_at <= now => VoucherStatus::Expired,
            (None, None) => VoucherStatus::Active,
        };
        let (redeemed_at, redeemed_by) = redeemed.unzip();
        Self {
            id: *id,
            name: name.clone(),
            status,
            amount: cents(*amount),
            amount_usd: amount.to_string(),
            hint: hint.clone(),
            expires_at: *expires_at,
            credits_expire_at: *credits_expire_at,
            created_by: created_by.clone(),
            created_at: *created_at,
            redeemed_at,
            redeemed_by,
            code: code.map(|code| code.expose().to_owned()),
        }
    }
}
