//! `/ip_policy_rules`: the ranges of IP policies, each of which may come or may not. Proxies are told within a
//! second.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use ipnet::IpNet;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::ip_policies;
use store::ip_policies::rules::{self, IpPolicyRule, IpPolicyRuleId, Terms};
use time::OffsetDateTime;
use uuid::Uuid;

use super::access::Access;
use super::body::{Fields, said};
use super::ip_policies::{checked as checked_notes, no_such as no_such_policy};
use super::list::{Listed, Listing, uuid};
use super::reference::{Reference, uri};
use super::refusal::Refusal;
use crate::api::ApiState;
use crate::api::authorized::{AiGatewayRead, AiGatewayWrite};
use crate::traffic_policies::{ip_policy_id, shown_id, write_anew};

const PATH: &str = "/ip_policy_rules";
const PREFIX: &str = "ipr_";
/// How many a policy can have; `restrict-ips` takes no more ranges.
const MOST: i64 = 1000;

pub(super) fn routes() -> Router<ApiState> {
    Router::new()
        .route(PATH, get(list).post(create))
        .route("/ip_policy_rules/{id}", get(show).patch(change).delete(delete))
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Rule {
    /// Clients repeat it; the path says it.
    id: IgnoredAny,
    cidr: Option<String>,
    ip_policy_id: Option<String>,
    action: Option<String>,
    description: Option<String>,
    metadata: Option<String>,
}

#[derive(Serialize)]
struct Shown {
    id: String,
    uri: String,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    description: String,
    metadata: String,
    cidr: String,
    ip_policy: Reference,
    action: &'static str,
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
    fn of(state: &ApiState, rule: IpPolicyRule) -> Self {
        let IpPolicyRule { id, ip_policy, terms, created_at } = rule;
        let Terms { cidr, allows, notes: ip_policies::Notes { description, metadata } } = terms;
        let shown = format!("{PREFIX}{}", id.0.simple());
        Self {
            uri: uri(state, PATH, &shown),
            id: shown,
            created_at,
            description,
            metadata,
            cidr,
            ip_policy: Reference::of(state, super::ip_policies::PATH, shown_id(ip_policy)),
            action: if allows { "allow" } else { "deny" },
            position: id.0,
        }
    }
}

async fn create(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Fields(rule): Fields<Rule>,
) -> Result<(StatusCode, Json<Shown>), Refusal> {
    let Rule { cidr, ip_policy_id: policy, action, description, metadata, id: _ } = rule;
    let missing = |field: &str| Refusal::invalid(format!("{field}: must be said"));
    let cidr = checked_range(&said(cidr).ok_or_else(|| missing("cidr"))?)?;
    let allows = allows(&said(action).ok_or_else(|| missing("action"))?)?;
    let policy = said(policy).ok_or_else(|| missing("ip_policy_id"))?;
    let policy = ip_policy_id(&policy).ok_or_else(no_such_policy)?;
    let notes = checked_notes(description, metadata, ip_policies::Notes::default())?;
    let terms = Terms { cidr, allows, notes };
    let (account, id) = (access.account, IpPolicyRuleId(Uuid::now_v7()));
    let mut tx = state.store.config_tx().await?;
    if !ip_policies::lock(&mut tx, account, policy).await? {
        return Err(no_such_policy());
    }
    if rules::count(&mut tx, account, policy).await? >= MOST {
        return Err(Refusal::Conflict { message: "The IP policy has 1000 rules already", code: None });
    }
    let created = rules::create(&mut tx, account, policy, id, &terms).await?.ok_or_else(no_such)?;
    write_anew(&mut tx, account, policy, &state.settings.policies).await?;
    tx.commit().await?;
    Ok((StatusCode::CREATED, Json(Shown::of(&state, created))))
}

async fn list(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    listing: Listing,
) -> Result<Json<Value>, Refusal> {
    let shared = &state;
    let fetch = move |window| async move {
        let found = rules::list(&shared.store, access.account, window).await?;
        Ok(found.into_iter().map(|rule| Shown::of(shared, rule)).collect())
    };
    listing.part(&state, PATH, "ip_policy_rules", PREFIX, |_| true, fetch).await
}

async fn show(
    access: Access<AiGatewayRead>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<Json<Shown>, Refusal> {
    let found = rules::find(&mut *state.store.pool.acquire().await?, access.account, rule_id(&id)?).await?;
    Ok(Json(Shown::of(&state, found.ok_or_else(no_such)?)))
}

async fn change(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
    Fields(rule): Fields<Rule>,
) -> Result<Json<Shown>, Refusal> {
    let Rule { cidr, ip_policy_id: policy, action, description, metadata, id: _ } = rule;
    let (account, id) = (access.account, rule_id(&id)?);
    let mut tx = state.store.config_tx().await?;
    let of = rules::find(&mut tx, account, id).await?.ok_or_else(no_such)?.ip_policy;
    ip_policies::lock(&mut tx, account, of).await?;
    let before = rules::find(&mut tx, account, id).await?.ok_or_else(no_such)?;
    if said(policy).is_some_and(|policy| policy != shown_id(of)) {
        return Err(Refusal::invalid("ip_policy_id: a rule stays with its policy; make another one there"));
    }
    let Terms { cidr: range, allows: allowed, notes } = before.terms;
    let terms = Terms {
        cidr: said(cidr).map(|cidr| checked_range(&cidr)).transpose()?.unwrap_or(range),
        allows: said(action).map(|action| allows(&action)).transpose()?.unwrap_or(allowed),
        notes: checked_notes(description, metadata, notes)?,
    };
    let changed = rules::update(&mut tx, account, id, &terms).await?.ok_or_else(no_such)?;
    write_anew(&mut tx, account, of, &state.settings.policies).await?;
    tx.commit().await?;
    Ok(Json(Shown::of(&state, changed)))
}

async fn delete(
    access: Access<AiGatewayWrite>,
    State(state): State<ApiState>,
    Path(id): Path<String>,
) -> Result<StatusCode, Refusal> {
    let (account, id) = (access.account, rule_id(&id)?);
    let mut tx = state.store.config_tx().await?;
    let of = rules::find(&mut tx, account, id).await?.ok_or_else(no_such)?.ip_policy;
    ip_policies::lock(&mut tx, account, of).await?;
    if !rules::delete(&mut tx, account, id).await? {
        return Err(no_such());
    }
    write_anew(&mut tx, account, of, &state.settings.policies).await?;
    tx.commit().await?;
    Ok(StatusCode::NO_CONTENT)
}

fn checked_range(text: &str) -> Result<String, Refusal> {
    let range: Result<IpNet, _> = text.parse();
    range.map(|range| range.to_string()).map_err(|_| {
        Refusal::invalid("cidr: must be a range such as `203.0.113.0/24`; a single address ends with `/32`")
    })
}

fn allows(action: &str) -> Result<bool, Refusal> {
    match action {
        "allow" => Ok(true),
        "deny" => Ok(false),
        _ => Err(Refusal::invalid("action: must be `allow` or `deny`")),
    }
}

fn rule_id(text: &str) -> Result<IpPolicyRuleId, Refusal> {
    uuid(text, PREFIX).map(IpPolicyRuleId).ok_or_else(no_such)
}

fn no_such() -> Refusal {
    Refusal::no_such("IP policy rule")
}
