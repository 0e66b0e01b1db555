//! On what terms one account buys and spends credits, as the operator sets them.

use axum::extract::State;
use model::AccountId;
use model::document::Exact;
use model::terms::AccountTerms;
use serde::Serialize;
use serde_json::value::RawValue;
use sqlx::PgConnection;
use store::{Store, accounts, operator_settings};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::authorized::PathIds;
use super::body::Body;
use super::envelope::{ApiResult, Envelope};
use super::error::ApiError;
use super::operator::Operator;
use super::operator_settings::percent;
use super::spending_limit::Limit;

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show, change))
}

/// Show an account's terms
#[utoipa::path(get, path = "/operator/accounts/{account_id}/terms", tag = "Operator",
    responses((status = 200, body = Envelope<Terms>)))]
async fn show(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<Terms> {
    let id: AccountId = path.id("account_id").ok_or(ApiError::NotFound)?;
    let mut connection = store.pool.acquire().await?;
    let terms = accounts::terms(&mut connection, id).await?.ok_or(ApiError::NotFound)?;
    Ok(Envelope::of(Terms::of(&terms, &mut connection).await?))
}

/// Change an account's terms
///
/// Its markup, in percent with up to four decimals or in millionths; below zero for a discount, null for
/// the operator's default.
#[utoipa::path(patch, path = "/operator/accounts/{account_id}/terms", tag = "Operator",
    request_body(content = TermsChange, example = json!({"markup_percent": -5})),
    responses((status = 200, body = Envelope<Terms>)))]
async fn change(
    _: Operator,
    path: PathIds,
    State(store): State<Store>,
    Body(Exact(body)): Body<Exact>,
) -> ApiResult<Terms> {
    let id: AccountId = path.id("account_id").ok_or(ApiError::NotFound)?;
    let mut tx = store.config_tx().await?;
    let changed = accounts::lock_terms(&mut tx, id).await?.ok_or(ApiError::NotFound)?.changed(&body)?;
    accounts::set_terms(&mut tx, id, &changed).await?;
    let shown = Terms::of(&changed, &mut tx).await?;
    tx.commit().await?;
    Ok(Envelope::of(shown))
}

/// What may be changed of an account's terms. What is absent stays.
#[derive(ToSchema)]
#[schema(as = AccountTermsChange)]
#[expect(dead_code, reason = "describes what `AccountTerms::changed` reads")]
pub struct TermsChange {
    /// What is charged above cost; null for the operator's default.
    markup_percent: Option<f64>,
    /// The same in millionths.
    markup_ppm: Option<i64>,
}

/// An account's terms as they are shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccountTerms)]
pub struct Terms {
    /// What is charged above cost; null where the operator's default holds.
    #[schema(value_type = Option<f64>)]
    markup_percent: Option<Box<RawValue>>,
    /// The same in millionths.
    markup_ppm: Option<i64>,
    /// What is charged above cost in fact.
    #[schema(value_type = f64)]
    effective_markup_percent: Box<RawValue>,
    /// The same in millionths.
    effective_markup_ppm: i64,
    /// What the account has set itself as the most that it spends.
    spending_limit: Option<Limit>,
}

impl Terms {
    async fn of(terms: &AccountTerms, connection: &mut PgConnection) -> Result<Self, ApiError> {
        let AccountTerms { markup_ppm, spending_limit } = terms;
        let effective = terms.markup_ppm(&operator_settings::get(connection).await?.terms);
        Ok(Self {
            markup_percent: markup_ppm.map(percent).transpose()?,
            markup_ppm: *markup_ppm,
            effective_markup_percent: percent(effective)?,
            effective_markup_ppm: effective,
            spending_limit: spending_limit.as_ref().map(Limit::of).transpose()?,
        })
    }
}
