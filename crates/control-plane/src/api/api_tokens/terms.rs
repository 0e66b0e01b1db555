//! What is said about an API token: policies, condition, times. Read strictly, kept as given.

use std::net::IpAddr;

use ipnet::IpNet;
use model::AccountId;
use model::permission::{PERMISSION_GROUPS, Permission, PermissionGroup, Permissions};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use store::api_tokens::Terms;
use time::OffsetDateTime;
use utoipa::ToSchema;

use crate::api::error::ApiError;

/// Whether a token is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It is, or will be from `not_before` on.
    Active,
    /// It was switched off.
    Disabled,
    /// Its time is over.
    Expired,
}

impl Status {
    /// What the API shows.
    pub fn of(terms: &Terms, now: OffsetDateTime) -> Self {
        match terms {
            Terms { disabled: true, .. } => Status::Disabled,
            Terms { expires_on: Some(end), .. } if *end <= now => Status::Expired,
            _ => Status::Active,
        }
    }
}

/// Whether a token may be used now.
pub fn is_good(terms: &Terms, now: OffsetDateTime) -> bool {
    Status::of(terms, now) == Status::Active && terms.not_before.is_none_or(|start| start <= now)
}

/// Where a token may be used from.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// Addresses of callers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_ip: Option<RequestIp>,
}

/// Ranges in CIDR notation, or single addresses.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestIp {
    /// Only from these; anywhere if empty.
    #[serde(default, rename = "in", skip_serializing_if = "Vec::is_empty")]
    pub inside: Vec<String>,
    /// Never from these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_in: Vec<String>,
}

impl Condition {
    /// Of a stored token. What cannot be read allows nothing.
    pub fn of(terms: &Terms) -> Option<Self> {
        match &terms.condition {
            None => Some(Self::default()),
            Some(condition) => Self::deserialize(condition).ok(),
        }
    }

    /// Whether a caller at this address may use the token. Without an address nothing that is
    /// bound to one is allowed.
    pub fn allows(&self, peer: Option<IpAddr>) -> bool {
        let Some(RequestIp { inside, not_in }) = &self.request_ip else { return true };
        let Some(peer) = peer else { return false };
        let hit = |ranges: &[String]| {
            ranges.iter().any(|text| range(text).is_some_and(|range| range.contains(&peer)))
        };
        (inside.is_empty() || hit(inside)) && !hit(not_in)
    }

    fn checked(self, permissions: &Permissions) -> Result<Option<Self>, ApiError> {
        let Some(RequestIp { inside, not_in }) = &self.request_ip else { return Ok(None) };
        if inside.is_empty() && not_in.is_empty() {
            return Ok(None);
        }
        if let Some(text) = inside.iter().chain(not_in).find(|text| range(text).is_none()) {
            return Err(ApiError::body("condition", format!("`{text}` is not an address range")));
        }
        if permissions.contains(&Permission::AiGatewayRun) {
            return Err(ApiError::body(
                "condition",
                "gateways do not check `request_ip`, so it cannot be combined with AI Gateway Run",
            ));
        }
        Ok(Some(self))
    }
}

fn range(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// What is allowed or denied on which resources.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Policy {
    /// Given by us.
    #[serde(default)]
    pub id: Option<String>,
    /// Whether it grants or takes away; what is taken away by one policy no other gives back.
    pub effect: Effect,
    /// What it is about, by id.
    pub permission_groups: Vec<PermissionGroupRef>,
    /// `{"com.cloudflare.api.account.<account id>": "*"}`.
    #[schema(value_type = Object)]
    pub resources: Map<String, Value>,
}

/// The effect of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Grants.
    Allow,
    /// Takes away.
    Deny,
}

/// A permission group within a policy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PermissionGroupRef {
    /// Its id.
    pub id: String,
    /// What people call it; ignored when sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// What a token is created with, or replaced by.
#[derive(Debug, Deserialize, ToSchema)]
pub struct TokenTerms {
    /// What people call it.
    pub name: String,
    /// What it may be used for.
    pub policies: Vec<Policy>,
    /// Where it may be used from. Only the management API checks it, so it cannot be combined with
    /// AI Gateway Run.
    #[serde(default)]
    pub condition: Option<Condition>,
    /// Not good before.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub not_before: Option<OffsetDateTime>,
    /// Not good from then on.
    #[serde(default, with = "time::serde::rfc3339::option")]
    pub expires_on: Option<OffsetDateTime>,
    /// `disabled` switches the token off, `active` on.
    #[serde(default)]
    pub status: Option<Status>,
}

impl TokenTerms {
    /// The terms as they are kept, if they make sense and grant nothing that `own` does not hold.
    pub fn checked(
        self,
        account: AccountId,
        own: &Permissions,
        was_disabled: bool,
        now: OffsetDateTime,
    ) -> Result<Terms, ApiError> {
        let Self { name, policies, condition, not_before, expires_on, status } = self;
        let name = name.trim().to_owned();
        if name.is_empty() || name.chars().count() > 120 {
            return Err(ApiError::body("name", "expected 1 to 120 characters"));
        }
        if expires_on.is_some_and(|end| end <= now) {
            return Err(ApiError::body("expires_on", "must lie in the future"));
        }
        if let (Some(start), Some(end)) = (not_before, expires_on)
            && start >= end
        {
            return Err(ApiError::body("not_before", "must lie before `expires_on`"));
        }
        let (policies, permissions) = granted(policies, account)?;
        if !permissions.is_subset(own) {
            return Err(ApiError::body("policies", "a token cannot grant more than its creator may do"));
        }
        let condition = match condition {
            Some(condition) => condition.checked(&permissions)?.map(|condition| json!(condition)),
            None => None,
        };
        let disabled = status.map_or(was_disabled, |status| status == Status::Disabled);
        Ok(Terms {
            name,
            policies: json!(policies),
            condition,
            permissions,
            disabled,
            not_before,
            expires_on,
        })
    }
}

/// The policies as they are kept, and what they come to.
fn granted(policies: Vec<Policy>, account: AccountId) -> Result<(Vec<Policy>, Permissions), ApiError> {
    if policies.is_empty() {
        return Err(ApiError::body("policies", "expected at least one policy"));
    }
    let mut allowed = Permissions::new();
    let mut denied = Permissions::new();
    let mut kept = Vec::with_capacity(policies.len());
    for (index, policy) in policies.into_iter().enumerate() {
        let wrong = |field: &str, message: String| ApiError::Invalid {
            path: vec!["body".to_owned(), "policies".to_owned(), index.to_string(), field.to_owned()],
            message,
        };
        if policy.permission_groups.is_empty() {
            return Err(wrong("permission_groups", "expected at least one permission group".to_owned()));
        }
        check_resources(&policy.resources, account).map_err(|message| wrong("resources", message))?;
        let groups = policy
            .permission_groups
            .iter()
            .map(|group| group_of(&group.id).ok_or(&group.id))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|id| wrong("permission_groups", format!("there is no permission group `{id}`")))?;
        let effect = match policy.effect {
            Effect::Allow => &mut allowed,
            Effect::Deny => &mut denied,
        };
        effect.extend(groups.iter().flat_map(|group| group.permissions));
        let permission_groups = groups
            .iter()
            .map(|group| PermissionGroupRef { id: group.id.to_owned(), name: Some(group.name.to_owned()) })
            .collect();
        kept.push(Policy {
            id: Some(uuid::Uuid::now_v7().simple().to_string()),
            permission_groups,
            ..policy
        });
    }
    let permissions: Permissions = allowed.difference(&denied).copied().collect();
    Ok((kept, permissions))
}

fn group_of(id: &str) -> Option<&'static PermissionGroup> {
    PERMISSION_GROUPS.iter().find(|group| group.id == id)
}

/// Tokens belong to one account and can be about nothing else.
fn check_resources(resources: &Map<String, Value>, account: AccountId) -> Result<(), String> {
    let own = format!("com.cloudflare.api.account.{account}");
    if resources.is_empty() {
        return Err(format!("expected {{\"{own}\": \"*\"}}"));
    }
    for (name, scope) in resources {
        if *name != own && name != "com.cloudflare.api.account.*" {
            return Err(format!("`{name}` is not this account; expected `{own}`"));
        }
        if scope != "*" {
            return Err("expected \"*\": a token is good for all of its account's gateways".to_owned());
        }
    }
    Ok(())
}
