//! `/endpoints`. An endpoint here is a host, the gateway behind it and that gateway's traffic policy in
//! one: creating one makes a gateway for it, and deleting it takes that gateway along.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use model::gateway::{ErrorShape, GatewaySettings, KeyPrecedence, StoredKeys};
use model::host::EndpointUrl;
use model::id::{EndpointId, GatewayId, GatewayInternalId};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::endpoints::{self, Endpoint, Terms};
use store::{ConfigTx, StoreError, gateways};
use time::OffsetDateTime;
use uuid::Uuid;

use super::access::Access;
use super::body::{Fields, Notes, said};
use super::list::{Listed, Listing, uuid};
use super::reference::{Reference, uri};
use super::refusal::Refusal;
use crate::api::ApiState;
use crate::api::authorized::{AiGatewayRead, AiGatewayWrite};
use crate::api::endpoints::{check_host, checked_bindings, taken};
use crate::exposure::{self, Warning};
use crate::traffic_policies::{self, NotKept, TOO_LONG, UNWRITTEN, Unusable};

pub(super) const PATH: &str = "/endpoints";
const PREFIX: &str = "ep_";

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route(PATH, get(list).post(create))
        .route("/endpoints/{id}", get(show).patch(change).delete(delete))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct NewEndpoint {
    url: Option<String>,
    r#type: Option<String>,
    traffic_policy: Option<String>,
    description: Option<String>,
    metadata: Option<String>,
    bindings: Option<Vec<String>>,
    pooling_enabled: Option<bool>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EndpointChange {
    /// Clients repeat it; the path says it.
    id: IgnoredAny,
    url: Option<String>,
    traffic_policy: Option<String>,
    description: Option<String>,
    metadata: Option<String>,
    bindings: Option<Vec<String>>,
    pooling_enabled: Option<bool>,
}

/// An endpoint as it is shown. What belongs to agents and to other protocols is empty.
#[derive(Serialize)]
struct Shown {
    id: String,
    uri: String,
    region: &'static str,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    #[serde(with = "time::serde::rfc3339")]
    updated_at: OffsetDateTime,
    name: String,
    r#type: &'static str,
    public_url: String,
    url: String,
    proto: &'static str,
    scheme: &'static str,
    hostport: String,
    host: String,
    port: u16,
    description: String,
    metadata: String,
    bindings: Vec<String>,
    pooling_enabled: bool,
    traffic_policy: String,
    upstream_url: &'static str,
    upstream_protocol: &'static str,
    domain: Option<Reference>,
    tcp_addr: Option<Reference>,
    tunnel: Option<Reference>,
    tunnel_session: Option<Reference>,
    edge: Option<Reference>,
    principal: Option<Reference>,
    /// What whoever made it may not have meant, in sentences.
    warnings: Vec<String>,
    #[serde(skip)]
    position: Uuid,
}

impl Listed for Shown {
    fn id(&self) -> &str {
        &self.id
    }

    fn position(&self) -> Uuid {
        self.position
    }
}

impl Shown {
    fn of(state: &ApiState, endpoint: Endpoint) -> Self {
        let Endpoint {
            id,
            account: _,
            gateway: _,
            gateway_id,
            traffic_policy,
            url,
            terms: Terms { description, metadata, bindings, pooling_enabled },
            created_at,
            modified_at,
        } = endpoint;
        let (host, port) = (url.host.to_string(), url.scheme.port());
        Self {
            uri: uri(state, PATH, &id.to_string()),
            id: id.to_string(),
            region: "global",
            created_at,
            updated_at: modified_at,
            name: gateway_id.to_string(),
            r#type: "cloud",
            public_url: url.to_string(),
            url: url.to_string(),
            proto: url.scheme.as_str(),
            scheme: url.scheme.as_str(),
            hostport: format!("{host}:{port}"),
            host,
            port,
            description,
            metadata,
            bindings,
            pooling_enabled,
            traffic_policy: traffic_policy.unwrap_or_default(),
            upstream_url: "",
            upstream_protocol: "",
            domain: None,
            tcp_addr: None,
            tunnel: None,
            tunnel_session: None,
            edge: None,
            principal: None,
            warnings: Vec::new(),
            position: id.0,
        }
    }

    fn warned(self, warnings: Vec<Warning>) -> Self {
        Self { warnings: warnings.into_iter().map(|warning| warning.message).collect(), ..self }
    }
}

async fn create(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Fields(new): Fields<NewEndpoint>,
) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let NewEndpoint { url, r#type, traffic_policy, description, metadata, bindings, pooling_enabled } = new;
    if said(r#type).is_some_and(|kind| kind != "cloud") {
        return Err(Refusal::invalid("type: only `cloud` is offered, there are no agents here"));
    }
    let url =
        said(url).ok_or_else(|| Refusal::invalid("url: must be said, such as `https://ai.example.com`"))?;
    let url = checked_url(&state, &url)?;
    let policy = said(traffic_policy).ok_or_else(|| {
        Refusal::invalid("traffic_policy: must be said, a cloud endpoint is what its policy makes of it")
    })?;
    let Notes { description, metadata } = Notes::of(description, metadata, Notes::default())?;
    let bindings = checked_bindings(bindings.unwrap_or_default())
        .map_err(|no| Refusal::invalid(format!("bindings: {no}")))?;
    let terms =
        Terms { description, metadata, bindings, pooling_enabled: pooling_enabled.unwrap_or_default() };

    let id = EndpointId(Uuid::now_v7());
    let mut tx = state.store.config_tx().await?;
    let gateway = gateway_for(&mut tx, &access, &url, id).await?;
    traffic_policies::keep(&mut tx, access.account, gateway, &policy, &state.settings.policies).await?;
    let created = endpoints::create(&mut tx, access.account, gateway, id, &url, &terms).await;
    let created = created.map_err(refused)?.ok_or_else(no_such)?;
    tx.commit().await?;
    let warnings = exposure::warnings_of_changed(&state, access.account, gateway).await?;
    Ok((StatusCode::CREATED, Json(Shown::of(&state, created).warned(warnings))))
}

/// What clients of this face expect of a gateway: errors as the provider's own SDK reads them, with the codes
/// that they know; a kept key goes before whatever a caller sends in its place; and who may come in is for
/// the policy to say.
fn preset() -> GatewaySettings {
    GatewaySettings {
        error_shape: ErrorShape::Ngrok,
        key_precedence: KeyPrecedence::Stored,
        stored_keys: StoredKeys::Open,
        ..GatewaySettings::default()
    }
}

/// Makes the gateway behind a new endpoint.
async fn gateway_for(
    tx: &mut ConfigTx,
    access: &Access<AiGatewayWrite>,
    url: &EndpointUrl,
    endpoint: EndpointId,
) -> Result<GatewayInternalId, Refusal> {
    let settings = preset();
    let digits = endpoint.0.simple().to_string();
    let (name, with_digits) = slugs(&url.host.to_string(), &digits[24..]);
    let name = name.parse::<GatewayId>().ok();
    let free = match name {
        Some(name) if !gateways::exists(tx, access.account, &name).await? => Some(name),
        _ => None,
    };
    let slug = match free {
        Some(free) => free,
        None => with_digits.parse().map_err(|_| Refusal::Internal)?,
    };
    let internal_id = GatewayInternalId(Uuid::now_v7());
    let created = gateways::create(tx, access.account, internal_id, &slug, &settings).await;
    created.map_err(|error| match error.constraint() {
        Some(gateways::ID_TAKEN) => {
            Refusal::Conflict { message: "A gateway for this host is just being made; try again", code: None }
        }
        _ => error.into(),
    })?;
    gateways::set_of_endpoint(tx, access.account, internal_id).await?;
    Ok(internal_id)
}

/// What a host's gateway is called, and what it is called if that is taken.
fn slugs(host: &str, digits: &str) -> (String, String) {
    const LONGEST: usize = 64;
    let plain: String =
        host.replace('*', "any").chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let cut = |length: usize| plain[..plain.len().min(length)].trim_end_matches('-').to_owned();
    (cut(LONGEST), format!("{}-{digits}", cut(LONGEST - 1 - digits.len())))
}

async fn list(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let ids: Vec<&str> = listing.values("id").collect();
    let urls: Vec<&str> = listing.values("url").collect();
    let is_meant = |endpoint: &Shown| {
        (ids.is_empty() || ids.contains(&endpoint.id.as_str()))
            && (urls.is_empty() || urls.contains(&endpoint.url.as_str()))
    };
    let shared = &state;
    let fetch = move |window| async move {
        let found = endpoints::list(&shared.store, access.account, None, window).await?;
        let gateways: Vec<_> = found.iter().map(|endpoint| endpoint.gateway).collect();
        let warnings = exposure::warnings_of_each(shared, access.account, &gateways).await?;
        let shown = found.into_iter().map(|endpoint| {
            let warnings = warnings.get(&endpoint.gateway).cloned().unwrap_or_default();
            Shown::of(shared, endpoint).warned(warnings)
        });
        Ok(shown.collect())
    };
    listing.part(&state, PATH, "endpoints", PREFIX, is_meant, fetch).await
}

async fn show(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Refusal> {
    let found = endpoints::get(&state.store, access.account, endpoint_id(&id)?).await?;
    let found = found.ok_or_else(no_such)?;
    let warnings = exposure::warnings(&state, access.account, found.gateway).await?;
    Ok(Json(Shown::of(&state, found).warned(warnings)))
}

async fn change(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Fields(change): Fields<EndpointChange>,
) -> Result<Json<Shown>, Refusal> {
    let EndpointChange { url, traffic_policy, description, metadata, bindings, pooling_enabled, id: _ } =
        change;
    let (id, account) = (endpoint_id(&id)?, access.account);
    let url = said(url).map(|url| checked_url(&state, &url)).transpose()?;
    let policy = said(traffic_policy);
    let mut tx = state.store.config_tx().await?;
    let before = endpoints::find(&mut tx, account, id).await?.ok_or_else(no_such)?;
    let written = Notes { description: before.terms.description, metadata: before.terms.metadata };
    let Notes { description, metadata } = Notes::of(description, metadata, written)?;
    let bindings = checked_bindings(bindings.unwrap_or(before.terms.bindings))
        .map_err(|no| Refusal::invalid(format!("bindings: {no}")))?;
    let pooling_enabled = pooling_enabled.unwrap_or(before.terms.pooling_enabled);
    let terms = Terms { description, metadata, bindings, pooling_enabled };
    if let Some(policy) = &policy {
        let operator = &state.settings.policies;
        traffic_policies::keep(&mut tx, account, before.gateway, policy, operator).await?;
    }
    let url = url.unwrap_or(before.url);
    let changed = endpoints::update(&mut tx, account, id, before.gateway, &url, &terms).await;
    let changed = changed.map_err(refused)?.ok_or_else(no_such)?;
    tx.commit().await?;
    let warnings = exposure::warnings_of_changed(&state, account, changed.gateway).await?;
    Ok(Json(Shown::of(&state, changed).warned(warnings)))
}

async fn delete(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let id = endpoint_id(&id)?;
    let mut tx = state.store.config_tx().await?;
    if !endpoints::delete(&mut tx, access.account, id).await? {
        return Err(no_such());
    }
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The id of an endpoint in a path or a body.
pub(super) fn endpoint_id(text: &str) -> Result<EndpointId, Refusal> {
    uuid(text, PREFIX).map(EndpointId).ok_or_else(no_such)
}

fn no_such() -> Refusal {
    Refusal::no_such("endpoint")
}

fn checked_url(state: &ApiState, text: &str) -> Result<EndpointUrl, Refusal> {
    let url: EndpointUrl =
        text.parse().map_err(|error: model::host::InvalidHost| Refusal::invalid(format!("url: {error}")))?;
    // A token is a tenant's, whoever created it.
    check_host(&state.settings, &url, false).map_err(|no| Refusal::invalid(format!("url: {no}")))?;
    Ok(url)
}

impl From<NotKept> for Refusal {
    fn from(not_kept: NotKept) -> Self {
        let invalid =
            |why: &str| Self::Invalid { message: format!("traffic_policy: {why}"), code: Some(18002) };
        match not_kept {
            NotKept::Unusable(Unusable::TooLong) => invalid(TOO_LONG),
            NotKept::Unusable(Unusable::Unwritten) => invalid(UNWRITTEN),
            NotKept::Unusable(Unusable::Problems(problems)) => Self::Policy(problems),
            NotKept::NoGateway => no_such(),
            NotKept::Store(error) => error.into(),
        }
    }
}

fn refused(error: StoreError) -> Refusal {
    match taken(&error) {
        Some(message) => Refusal::Conflict { message, code: None },
        None => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_called_after_its_host() {
        let called = |host: &str| slugs(host, "0a1b2c3d");
        let taken = "ai-example-com-0a1b2c3d".to_owned();
        assert_eq!(called("ai.example.com"), ("ai-example-com".to_owned(), taken));
        assert_eq!(called("*.example.com").0, "any-example-com");
        for host in [format!("{}.example.com", "a".repeat(63)), format!("{}.b", "a".repeat(62))] {
            let (name, with_digits) = called(&host);
            assert!(name.parse::<GatewayId>().is_ok(), "{name}");
            assert!(with_digits.parse::<GatewayId>().is_ok(), "{with_digits}");
        }
    }
}
