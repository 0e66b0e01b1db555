//! Proxies, as the operator sees them: how far each has come, what it refuses; and shutting one out.

use axum::extract::State;
use model::Revision;
use model::id::ProxyId;
use model::resource::OBEYED;
use serde::Serialize;
use store::proxies::{self, Refused, Report};
use store::{Store, outbox};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::ApiState;
use super::authorized::PathIds;
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::operator::Operator;
use super::page::{Page, PageParams};

/// A connected proxy is noted at least every sixteen seconds.
const SILENCE: Duration = Duration::seconds(45);

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(list)).routes(routes!(show, revoke))
}

/// List proxies
#[utoipa::path(get, path = "/operator/proxies", tag = "Operator", params(PageParams),
    responses((status = 200, body = Paged<Proxy>)))]
async fn list(_: Operator, page: Page, State(store): State<Store>) -> PagedResult<Proxy> {
    let (head, now) = (outbox::newest(&store).await?, OffsetDateTime::now_utc());
    let (found, total) = proxies::list(&store, page.limit(), page.offset()).await?;
    Ok(Paged::page(found.into_iter().map(|proxy| Proxy::of(proxy, head, now)).collect(), page, total))
}

/// Show a proxy
#[utoipa::path(get, path = "/operator/proxies/{proxy_id}", tag = "Operator",
    responses((status = 200, body = Envelope<Proxy>)))]
async fn show(_: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<Proxy> {
    let id: ProxyId = path.id("proxy_id").ok_or(ApiError::NotFound)?;
    let found = proxies::get(&store, id).await?.ok_or(ApiError::NotFound)?;
    Ok(Envelope::of(Proxy::of(found, outbox::newest(&store).await?, OffsetDateTime::now_utc())))
}

/// Revoke a proxy
///
/// It is cut off at once, and its certificate is worth nothing any more. What it knows it keeps:
/// where that is a concern, revoke the tokens and provider keys too.
#[utoipa::path(delete, path = "/operator/proxies/{proxy_id}", tag = "Operator",
    responses((status = 200, body = Envelope<Proxy>)))]
async fn revoke(operator: Operator, path: PathIds, State(store): State<Store>) -> ApiResult<Proxy> {
    let id: ProxyId = path.id("proxy_id").ok_or(ApiError::NotFound)?;
    if !proxies::revoke(&store, id).await? {
        return Err(ApiError::NotFound);
    }
    show(operator, path, State(store)).await
}

/// A proxy as it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub struct Proxy {
    #[schema(value_type = String)]
    id: ProxyId,
    name: String,
    status: ProxyStatus,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339::option")]
    revoked_at: Option<OffsetDateTime>,
    #[serde(with = "time::serde::rfc3339::option")]
    last_seen_at: Option<OffsetDateTime>,
    software_version: Option<String>,
    /// The revision of the configuration that it serves.
    revision: Option<u64>,
    /// How many revisions it lacks; null where its revision is of another timeline.
    lag: Option<u64>,
    /// Resources of which it serves an older version, or none, because it cannot serve the newest.
    refused: Vec<RefusedResource>,
    /// Settings that this release knows and the proxy does not obey: it refuses whatever uses one.
    not_obeyed: Vec<&'static str>,
}

/// Whether a proxy is there.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ProxyStatus {
    /// It follows the configuration.
    Connected,
    /// It serves what it last knew, if it runs at all.
    Away,
    /// It was shut out.
    Revoked,
}

/// A resource that a proxy refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedResource {
    account_id: String,
    kind: String,
    id: String,
    reason: String,
}

impl Proxy {
    fn of(proxy: proxies::Proxy, head: Revision, now: OffsetDateTime) -> Self {
        let proxies::Proxy { id, name, created_at, revoked_at, report } = proxy;
        let seen_at = report.as_ref().map(|report| report.seen_at);
        let status = match (revoked_at, seen_at) {
            (Some(_), _) => ProxyStatus::Revoked,
            (None, Some(seen_at)) if now - seen_at < SILENCE => ProxyStatus::Connected,
            (None, _) => ProxyStatus::Away,
        };
        let (software_version, serving, refused, obeys) = match report {
            Some(Report { seen_at: _, software_version, serving, refused, obeys }) => {
                (Some(software_version), serving, refused, obeys)
            }
            None => (None, None, Vec::new(), None),
        };
        let not_obeyed = |obeys: Vec<String>| {
            let is_not = |setting: &&str| !obeys.iter().any(|name| name == setting);
            OBEYED.iter().copied().filter(is_not).collect()
        };
        let same_timeline = serving.filter(|serving| serving.timeline == head.timeline);
        Self {
            id,
            name,
            status,
            created_at,
            revoked_at,
            last_seen_at: seen_at,
            software_version,
            revision: serving.map(|serving| serving.number),
            lag: same_timeline.map(|serving| head.number.saturating_sub(serving.number)),
            refused: refused.into_iter().map(RefusedResource::from).collect(),
            not_obeyed: obeys.map(not_obeyed).unwrap_or_default(),
        }
    }
}

impl From<Refused> for RefusedResource {
    fn from(refused: Refused) -> Self {
        let Refused { account_id, kind, id, reason } = refused;
        Self { account_id, kind, id, reason }
    }
}
