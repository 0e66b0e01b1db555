//! What was used of the credits, by hours or days.

use axum::extract::State;
use model::document::one_of;
use serde::{Deserialize, Serialize};
use store::Store;
use store::accounts::Account;
use store::payments::usage::{self, Grouping};
use time::{Duration, OffsetDateTime};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::ApiState;
use crate::api::authorized::{Authorized, BillingRead};
use crate::api::body::Query;
use crate::api::envelope::{ApiResult, Envelope};
use crate::api::error::ApiError;
use crate::payments::cents;

/// How far back is looked unless said.
const USUALLY: Duration = Duration::days(30);
/// The longest answer.
const MOST_WINDOWS: i64 = 24 * 366;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(history))
}

/// Show what was used of the credits
///
/// By hours or days in UTC, as the ledger has it. Those in which nothing was used are left out.
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/billing/usage-history", tag = "Billing",
    params(UsageQuery), responses((status = 200, body = Envelope<UsageHistory>)))]
async fn history(
    account: Authorized<Account, BillingRead>,
    Query(query): Query<UsageQuery>,
    State(store): State<Store>,
) -> ApiResult<UsageHistory> {
    let UsageQuery { value_grouping_window, start_time, end_time } = query;
    let expected = "`day` or `hour`";
    let window = value_grouping_window
        .ok_or_else(|| ApiError::query("value_grouping_window", format!("is required: {expected}")))?;
    let window: Window = one_of(expected)(&window.into())
        .map_err(|message| ApiError::query("value_grouping_window", message))?;
    let until = instant("end_time", end_time.as_deref())?.unwrap_or_else(OffsetDateTime::now_utc);
    let since = instant("start_time", start_time.as_deref())?.unwrap_or(until.saturating_sub(USUALLY));
    let (grouping, length) = match window {
        Window::Day => (Grouping::Day, Duration::DAY),
        Window::Hour => (Grouping::Hour, Duration::HOUR),
    };
    if until < since || (until - since) / MOST_WINDOWS as f64 > length {
        let message = format!("must be before `end_time`, by at most {MOST_WINDOWS} windows");
        return Err(ApiError::query("start_time", message));
    }
    let used = usage::by_time(&store, account.account, grouping, since, until).await?;
    let history = used.into_iter().map(|(start, amount)| UsageWindow {
        id: format!("usage_{}", start.unix_timestamp()),
        aggregated_value: cents(amount),
        aggregated_value_usd: amount.to_string(),
        start_time: start.unix_timestamp() * 1000,
        end_time: (start + length).unix_timestamp() * 1000,
    });
    Ok(Envelope::of(UsageHistory { history: history.collect() }))
}

fn instant(parameter: &str, milliseconds: Option<&str>) -> Result<Option<OffsetDateTime>, ApiError> {
    let Some(text) = milliseconds.filter(|text| !text.is_empty()) else { return Ok(None) };
    // Some clients type times as floats and write `1.0`.
    let whole = text.strip_suffix(".0").unwrap_or(text).parse::<i64>().ok();
    let nanoseconds = whole.map(|whole| i128::from(whole) * 1_000_000);
    let at = nanoseconds.and_then(|at| OffsetDateTime::from_unix_timestamp_nanos(at).ok());
    at.map(Some).ok_or_else(|| ApiError::query(parameter, "must be milliseconds since 1970"))
}

/// Which usage is asked for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct UsageQuery {
    /// `day` or `hour`.
    #[param(required = true)]
    value_grouping_window: Option<String>,
    /// Milliseconds since 1970; thirty days before the end unless said.
    start_time: Option<String>,
    /// Milliseconds since 1970; now unless said.
    end_time: Option<String>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Window {
    Day,
    Hour,
}

/// What was used.
#[derive(Debug, Serialize, ToSchema)]
struct UsageHistory {
    history: Vec<UsageWindow>,
}

/// What was used in an hour or a day.
#[derive(Debug, Serialize, ToSchema)]
struct UsageWindow {
    id: String,
    /// Cents, rounded down.
    aggregated_value: i64,
    aggregated_value_usd: String,
    /// Milliseconds since 1970.
    start_time: i64,
    end_time: i64,
}
