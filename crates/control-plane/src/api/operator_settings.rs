//! What the operator says about money for the whole installation.

use axum::extract::State;
use model::Nanos;
use model::decimal;
use model::document::Exact;
use model::terms::{OperatorSettings, Terms};
use serde::Serialize;
use serde_json::value::RawValue;
use store::{Store, operator_settings};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::body::Body;
use super::envelope::{ApiResult, Envelope};
use super::error::ApiError;
use super::operator::Operator;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show, change))
}

/// Show the operator's settings
#[utoipa::path(get, path = "/operator/settings", tag = "Operator",
    responses((status = 200, body = Envelope<Settings>)))]
async fn show(_: Operator, State(store): State<Store>) -> ApiResult<Settings> {
    let settings = operator_settings::get(&mut *store.pool.acquire().await?).await?;
    Ok(Envelope::of(Settings::of(&settings)?))
}

/// Change the operator's settings
///
/// What the body leaves out stays. Shares can be given in percent, with up to four decimals, or in
/// millionths (`…_ppm`); amounts in cents or in dollars (`…_usd`). A new markup holds for requests that
/// begin when a proxy knows it, within a second.
#[utoipa::path(patch, path = "/operator/settings", tag = "Operator",
    request_body(content = SettingsChange, example = json!({
        "default_markup_percent": 10,
        "purchase_fee_percent": 5,
    })),
    responses((status = 200, body = Envelope<Settings>)))]
async fn change(
    _: Operator,
    State(store): State<Store>,
    Body(Exact(body)): Body<Exact>,
) -> ApiResult<Settings> {
    let mut tx = store.config_tx().await?;
    let changed = operator_settings::lock(&mut tx).await?.changed(&body)?;
    operator_settings::set(&mut tx, &changed).await?;
    tx.commit().await?;
    Ok(Envelope::of(Settings::of(&changed)?))
}

/// What may be changed of the settings. What is absent stays.
#[derive(ToSchema)]
#[schema(as = OperatorSettingsChange)]
#[expect(dead_code, reason = "describes what `OperatorSettings::changed` reads")]
pub struct SettingsChange {
    /// What is charged above cost where an account has no markup of its own; below zero for a discount.
    default_markup_percent: Option<f64>,
    default_markup_ppm: Option<i64>,
    /// What a top-up costs above the credits bought.
    purchase_fee_percent: Option<f64>,
    purchase_fee_ppm: Option<i64>,
    /// How many requests a minute each gateway may send on credits; null for no bound.
    calls_a_minute: Option<u32>,
    /// The least that can be bought at once, in cents.
    minimum_topup: Option<i64>,
    minimum_topup_usd: Option<String>,
    /// The most that can be bought at once, in cents.
    maximum_topup: Option<i64>,
    maximum_topup_usd: Option<String>,
}

/// The settings as they are shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OperatorSettings)]
pub struct Settings {
    /// What is charged above cost where an account has no markup of its own; below zero for a discount.
    #[schema(value_type = f64)]
    default_markup_percent: Box<RawValue>,
    /// The same in millionths.
    default_markup_ppm: i64,
    /// What a top-up costs above the credits bought.
    #[schema(value_type = f64)]
    purchase_fee_percent: Box<RawValue>,
    /// The same in millionths.
    purchase_fee_ppm: i64,
    /// How many requests a minute each gateway may send on credits; null for no bound.
    calls_a_minute: Option<u32>,
    /// The least that can be bought at once, in cents.
    #[schema(value_type = f64)]
    minimum_topup: Box<RawValue>,
    /// The same in dollars, exactly.
    minimum_topup_usd: String,
    /// The most that can be bought at once, in cents.
    #[schema(value_type = f64)]
    maximum_topup: Box<RawValue>,
    /// The same in dollars, exactly.
    maximum_topup_usd: String,
}

impl Settings {
    fn of(settings: &OperatorSettings) -> Result<Self, ApiError> {
        let OperatorSettings { terms, purchase_fee_ppm, minimum_topup, maximum_topup } = settings;
        let Terms { default_markup_ppm, calls_a_minute } = terms;
        Ok(Self {
            default_markup_percent: percent(*default_markup_ppm)?,
            default_markup_ppm: *default_markup_ppm,
            purchase_fee_percent: percent(*purchase_fee_ppm)?,
            purchase_fee_ppm: *purchase_fee_ppm,
            calls_a_minute: *calls_a_minute,
            minimum_topup: cents(*minimum_topup)?,
            minimum_topup_usd: minimum_topup.to_string(),
            maximum_topup: cents(*maximum_topup)?,
            maximum_topup_usd: maximum_topup.to_string(),
        })
    }
}

/// Millionths as a JSON number of percent, exactly.
pub(super) fn percent(ppm: i64) -> Result<Box<RawValue>, ApiError> {
    number(decimal::written(ppm, 4))
}

/// An amount as a JSON number of cents, exactly.
pub(super) fn cents(amount: Nanos) -> Result<Box<RawValue>, ApiError> {
    number(decimal::written(amount.0, 7))
}

fn number(text: String) -> Result<Box<RawValue>, ApiError> {
    RawValue::from_string(text).map_err(|error| ApiError::Internal(error.into()))
}
