//! Receipts: what a request used, at which prices, what had been set aside and what was charged, signed
//! so that whoever is shown one can check it.

use std::sync::Arc;

use axum::extract::State;
use model::decimal;
use model::prices::{Price, Tier};
use model::usage::{Tokens, Unit};
use model::{AccountId, Nanos, Picos};
use serde::Serialize;
use store::gateways::Gateway;
use store::receipts::{self, Evidence, Rerated};
use store::{Store, StoreError};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::ApiState;
use super::authorized::{AiGatewayRead, Authorized, Guarded, PathIds};
use super::envelope::{ApiResult, Envelope};
use super::error::ApiError;
use super::receipt_keys::{PublicKey, ReceiptKeys};
use crate::price_lists;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(keys))
}

/// A request's evidence, found by gateway and log id.
#[derive(Debug)]
pub(crate) struct EvidenceOfGateway(Evidence);

impl Guarded for EvidenceOfGateway {
    async fn find(store: &Store, account: AccountId, path: &PathIds) -> Result<Option<Self>, StoreError> {
        let Some(id) = path.id::<Uuid>("log_id") else { return Ok(None) };
        let Some(gateway) = Gateway::find(store, account, path).await? else { return Ok(None) };
        Ok(receipts::evidence(store, gateway.internal_id, id).await?.map(Self))
    }
}

/// Show a log's receipt
///
/// Tokens by class with who counted them, the prices and their version, markup, hold and settlement, and
/// the ledger's transaction, and what re-ratings have corrected since. `signed` is the same document as a JWS (EdDSA), which anybody can check with
/// the key at `/receipts/keys`. A hidden log has its receipt still.
#[utoipa::path(
    get,
    path = "/accounts/{account_id}/ai-gateway/gateways/{gateway_id}/logs/{log_id}/receipt",
    tag = "Billing",
    responses((status = 200, body = Envelope<SignedReceipt>)),
)]
async fn show(
    evidence: Authorized<EvidenceOfGateway, AiGatewayRead>,
    State(store): State<Store>,
    State(keys): State<Arc<ReceiptKeys>>,
) -> ApiResult<SignedReceipt> {
    let evidence = &evidence.0;
    let price = price_lists::price_then(&store, evidence).await?;
    let rerated = receipts::rerated(&store, evidence.id).await?;
    let receipt = Receipt::of(evidence, price.as_ref(), rerated);
    let signed = keys.sign(&receipt).map_err(ApiError::Internal)?;
    Ok(Envelope::of(SignedReceipt { receipt, signed, key: keys.public().clone() }))
}

/// The keys that receipts are signed with
///
/// A JSON Web Key Set. Nobody needs to be known to read it.
#[utoipa::path(get, path = "/receipts/keys", tag = "Billing", security(()),
    responses((status = 200, body = KeySet)))]
async fn keys(State(keys): State<Arc<ReceiptKeys>>) -> axum::Json<KeySet> {
    axum::Json(KeySet { keys: vec![keys.public().clone()] })
}

/// A receipt with its signature.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SignedReceipt {
    receipt: Receipt,
    /// The receipt as a JWS in its compact form.
    signed: String,
    key: PublicKey,
}

/// Public keys (RFC 7517).
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReceiptKeySet)]
pub(super) struct KeySet {
    keys: Vec<PublicKey>,
}

/// What a request used and what was charged for it. Amounts are decimals of dollars, exact.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Receipt {
    /// The log's id, which is the usage record's.
    log_id: Uuid,
    #[schema(value_type = String)]
    account_id: AccountId,
    gateway_id: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    provider: String,
    model_asked: String,
    model_served: Option<String>,
    endpoint: String,
    outcome: String,
    status_code: i32,
    /// Who paid the provider: `request` and `stored_key` are the account's own keys.
    key_source: Option<String>,
    /// `reported` by the provider, `counted` or `estimated` by us, or `none`.
    provenance: String,
    /// The price catalogue's version, or the rule that stood in its place.
    price_version: Option<String>,
    /// The name in it that was rated by.
    price_model: Option<String>,
    service_tier: &'static str,
    /// Whether the cost is by the caller's or the account's own prices, which nobody is charged by.
    custom_cost: bool,
    lines: Vec<Line>,
    /// What the provider bills: the sum of all lines, rounded once, half up, to a nano-dollar.
    cost_usd: Option<String>,
    /// Percent added to it; below zero for a discount.
    markup_percent: String,
    /// What was due from credits.
    charge_usd: String,
    /// What had been set aside before the provider was called.
    hold_usd: Option<String>,
    /// The least of it that would have been charged, had the request been given up.
    hold_floor_usd: Option<String>,
    /// What was taken from credits.
    paid_usd: String,
    /// What was due and not there, and is the operator's expense.
    shortfall_usd: String,
    ledger_transaction_id: Option<Uuid>,
    /// Whether the request had been given up before its real end was known.
    corrected: bool,
    #[serde(with = "time::serde::rfc3339")]
    posted_at: OffsetDateTime,
    /// Corrections of its price since, the oldest first. All that the request came to is `charge_usd` and
    /// every `due_usd` of these.
    reratings: Vec<ReceiptRerating>,
}

/// A correction of the price by which a request was charged.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ReceiptRerating {
    rerating_id: Uuid,
    description: String,
    #[serde(with = "time::serde::rfc3339")]
    posted_at: OffsetDateTime,
    /// What the request cost by the price as it should have been.
    cost_usd: String,
    /// What is charged more for it; below zero for what was given back.
    due_usd: String,
    /// The transaction in which that is, with what was due for the account's other requests.
    ledger_transaction_id: Option<Uuid>,
}

impl From<Rerated> for ReceiptRerating {
    fn from(rerated: Rerated) -> Self {
        let Rerated { rerating, description, posted_at, cost, due, transaction } = rerated;
        Self {
            rerating_id: rerating,
            description,
            posted_at,
            cost_usd: cost.to_string(),
            due_usd: due.to_string(),
            ledger_transaction_id: transaction,
        }
    }
}

/// What was used of one class.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReceiptLine)]
pub(super) struct Line {
    /// Such as `cached_input`, or another unit's name.
    class: String,
    /// Tokens, or other units.
    quantity: u64,
    /// Dollars for a million tokens, or for one other unit; null where the price list is not known here.
    unit_price_usd: Option<String>,
    /// Whether the price is for a million.
    per_million: bool,
    /// Exact, not rounded.
    amount_usd: Option<String>,
}

impl Receipt {
    fn of(evidence: &Evidence, price: Option<&Price>, rerated: Vec<Rerated>) -> Self {
        let Evidence { charge, paid, .. } = *evidence;
        let present = |text: &String| (!text.is_empty()).then(|| text.clone());
        let usd = |amount: Option<Nanos>| amount.map(|amount| amount.to_string());
        Self {
            log_id: evidence.id,
            account_id: evidence.account,
            gateway_id: evidence.gateway.clone(),
            created_at: evidence.at,
            provider: evidence.provider.clone(),
            model_asked: evidence.model_asked.clone(),
            model_served: present(&evidence.model_served),
            endpoint: evidence.endpoint.clone(),
            outcome: evidence.outcome.clone(),
            status_code: evidence.status,
            key_source: evidence.key_source.clone(),
            provenance: evidence.provenance.clone(),
            price_version: present(&evidence.price_version),
            price_model: present(&evidence.price_model),
            service_tier: Tier::from_word(&evidence.tier).as_str(),
            custom_cost: evidence.custom_cost,
            lines: lines(evidence, price),
            cost_usd: usd(evidence.cost),
            // A percent is ten thousand millionths.
            markup_percent: decimal::written(evidence.markup_ppm, 4),
            charge_usd: charge.to_string(),
            hold_usd: usd(evidence.hold),
            hold_floor_usd: usd(evidence.hold_floor),
            paid_usd: paid.to_string(),
            shortfall_usd: (charge - paid).max(Nanos::ZERO).to_string(),
            ledger_transaction_id: evidence.transaction,
            corrected: evidence.corrected,
            posted_at: evidence.posted_at,
            reratings: rerated.into_iter().map(ReceiptRerating::from).collect(),
        }
    }
}

/// Every class that was used, once.
fn lines(evidence: &Evidence, price: Option<&Price>) -> Vec<Line> {
    let Evidence { tokens, units, tier, .. } = evidence;
    let prices = price.map(|price| price.prices(Tier::from_word(tier), tokens.total_input()).resolved());
    let class_price =
        |class: &str| prices?.by_class().find(|(name, _)| *name == class).map(|(_, price)| price);
    let of_tokens = by_class(tokens).filter(|(_, quantity)| *quantity > 0);
    let of_tokens = of_tokens.map(|(class, quantity)| Line::of(class, quantity, class_price(class), true));
    let of_units = units.iter().map(|Unit { name, quantity }| {
        Line::of(name, *quantity, price.and_then(|price| price.unit(name)), false)
    });
    of_tokens.chain(of_units).collect()
}

impl Line {
    fn of(class: &str, quantity: u64, price: Option<Picos>, per_million: bool) -> Self {
        let amount = |price: Picos| i64::try_from(i128::from(quantity) * i128::from(price.0)).ok();
        let places = if per_million { 6 } else { 12 };
        Self {
            class: class.to_owned(),
            quantity,
            unit_price_usd: price.map(|price| decimal::written(price.0, places)),
            per_million,
            amount_usd: price.and_then(amount).map(|picos| decimal::written(picos, 12)),
        }
    }
}

fn by_class(tokens: &Tokens) -> impl Iterator<Item = (&'static str, u64)> {
    let Tokens {
        input,
        cached_input,
        cache_write,
        cache_write_long,
        output,
        reasoning,
        audio_input,
        cached_audio_input,
        audio_output,
        image_input,
        cached_image_input,
        image_output,
    } = *tokens;
    [
        ("input", input),
        ("cached_input", cached_input),
        ("cache_write", cache_write),
        ("cache_write_long", cache_write_long),
        ("output", output),
        ("reasoning", reasoning),
        ("audio_input", audio_input),
        ("cached_audio_input", cached_audio_input),
        ("audio_output", audio_output),
        ("image_input", image_input),
        ("cached_image_input", cached_image_input),
        ("image_output", image_output),
    ]
    .into_iter()
}

#[cfg(test)]
mod tests {
    use model::prices::TokenPrices;

    use super::*;

    #[test]
    fn the_lines_of_a_receipt_add_up_to_its_cost() {
        let tokens = Tokens { input: 1_000, cached_input: 3, output: 7, ..Tokens::default() };
        let price = Price {
            tokens: TokenPrices {
                input: Some(Picos(150_000)),
                cached_input: Some(Picos(75_000)),
                output: Some(Picos(600_000)),
                ..TokenPrices::default()
            },
            ..Price::default()
        };
        let evidence = Evidence {
            id: Uuid::nil(),
            account: AccountId(Uuid::nil()),
            gateway: "demo".to_owned(),
            at: OffsetDateTime::UNIX_EPOCH,
            provider: "openai".to_owned(),
            model_asked: "m".to_owned(),
            model_served: String::new(),
            endpoint: "chat_completions".to_owned(),
            outcome: "answered".to_owned(),
            status: 200,
            key_source: Some("credits".to_owned()),
            tokens,
            units: Vec::new(),
            provenance: "reported".to_owned(),
            price_version: "2026-10-01".to_owned(),
            price_model: "m".to_owned(),
            tier: String::new(),
            custom_cost: false,
            cost: price.rate(&tokens, Tier::Standard),
            markup_ppm: 55_000,
            charge: Nanos(162_000),
            paid: Nanos(160_000),
            hold: None,
            hold_floor: None,
            transaction: None,
            corrected: false,
            posted_at: OffsetDateTime::UNIX_EPOCH,
        };
        let receipt = Receipt::of(&evidence, Some(&price), Vec::new());
        let amounts: Vec<_> = receipt.lines.iter().map(|line| line.amount_usd.clone().unwrap()).collect();
        assert_eq!(amounts, ["0.00015", "0.000000225", "0.0000042"]);
        let sum: i64 = amounts.iter().map(|amount| decimal::scaled(amount, 12).unwrap()).sum();
        assert_eq!(receipt.cost_usd, Some(Nanos((sum + 500) / 1000).to_string()));
        assert_eq!(receipt.lines[0].unit_price_usd.as_deref(), Some("0.15"));
        assert_eq!((receipt.markup_percent.as_str(), receipt.shortfall_usd.as_str()), ("5.5", "0.000002"));
    }
}
