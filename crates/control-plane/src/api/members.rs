//! Members and their roles: `/accounts/{account_id}/members`, `/accounts/{account_id}/roles`.

use axum::extract::State;
use model::AccountId;
use model::account::Role;
use model::id::{MemberId, UserId};
use model::permission::{Permission, Permissions};
use model::token::{self, TokenKind};
use serde::{Deserialize, Serialize};
use store::members::{self, Invitation, MemberChange};
use store::{Store, StoreError};
use time::{Duration, OffsetDateTime};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use uuid::Uuid;

use super::accounts::Deleted;
use super::authorized::{AccountRead, AccountWrite, Authorized, Guarded, PathIds};
use super::body::Body;
use super::caller::Caller;
use super::envelope::{ApiResult, Envelope, Paged, PagedResult};
use super::error::ApiError;
use super::page::{Page, PageParams};
use super::users::checked_email;
use super::{ApiState, random};

/// How long an invitation is good.
const INVITATION_LIFETIME: Duration = Duration::days(7);

const NOT_ABOVE: ApiError = ApiError::Forbidden("Nobody can give, change or take a role above his own");

/// The routes of this noun.
pub fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new()
        .routes(routes!(list, invite))
        .routes(routes!(get, replace, delete))
        .routes(routes!(roles))
        .routes(routes!(role))
}

impl Guarded for members::Member {
    async fn find(store: &Store, account: AccountId, path: &PathIds) -> Result<Option<Self>, StoreError> {
        match path.id("member_id") {
            Some(id) => members::get(store, account, id).await,
            None => Ok(None),
        }
    }
}

/// A person's place in an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct Member {
    #[schema(value_type = String)]
    id: MemberId,
    email: String,
    status: MemberStatus,
    /// Exactly one.
    roles: [RoleView; 1],
    user: MemberUser,
    /// Always empty: roles say it all.
    #[schema(value_type = Vec<Object>)]
    policies: [(); 0],
}

#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum MemberStatus {
    /// They are here.
    Accepted,
    /// They are invited.
    Pending,
}

#[derive(Debug, Serialize, ToSchema)]
struct MemberUser {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    id: Option<UserId>,
    email: String,
}

impl From<members::Member> for Member {
    fn from(member: members::Member) -> Self {
        let members::Member { id, account: _, email, user, role } = member;
        Self {
            id,
            email: email.clone(),
            status: if user.is_some() { MemberStatus::Accepted } else { MemberStatus::Pending },
            roles: [role.into()],
            user: MemberUser { id: user, email },
            policies: [],
        }
    }
}

/// A role as Cloudflare shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AccountRole)]
struct RoleView {
    /// The role's name is its id.
    id: &'static str,
    name: &'static str,
    description: &'static str,
    /// What the role may do. Tollgate's own list: Cloudflare's has no word for gateways.
    #[schema(value_type = Vec<String>)]
    grants: Permissions,
    /// Always empty; see `grants`.
    #[schema(value_type = Object)]
    permissions: serde_json::Map<String, serde_json::Value>,
}

impl From<Role> for RoleView {
    fn from(role: Role) -> Self {
        let (name, description) = match role {
            Role::Owner => ("Owner", "May delete the account and make others owner."),
            Role::Admin => ("Admin", "Manages members and API tokens."),
            Role::Editor => ("Editor", "Changes gateways, gateway tokens and provider keys."),
            Role::Viewer => ("Viewer", "Sees everything but secrets."),
        };
        Self {
            id: role.as_str(),
            name,
            description,
            grants: role.permissions(),
            permissions: serde_json::Map::new(),
        }
    }
}

/// A role by its id, alone or in an object, as Cloudflare's clients write the one on creating and
/// the other on updating.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum RoleRef {
    Id(String),
    Object { id: String },
}

fn one_role(roles: &[RoleRef]) -> Result<Role, ApiError> {
    let [RoleRef::Id(id) | RoleRef::Object { id }] = roles else {
        return Err(ApiError::body("roles", "expected exactly one role"));
    };
    id.parse().map_err(|error: model::account::UnknownRole| ApiError::body("roles", error.to_string()))
}

/// Whom to invite as what. Cloudflare's `status` is ignored: nobody is put into an account unasked.
#[derive(Debug, Deserialize, ToSchema)]
struct NewMember {
    email: String,
    /// Exactly one: `owner`, `admin`, `editor` or `viewer`.
    roles: Vec<RoleRef>,
}

/// What a member shall be.
#[derive(Debug, Deserialize, ToSchema)]
struct MemberFields {
    /// Exactly one: `owner`, `admin`, `editor` or `viewer`.
    roles: Vec<RoleRef>,
}

/// An invited member, with what to hand to them.
#[derive(Debug, Serialize, ToSchema)]
struct InvitedMember {
    #[serde(flatten)]
    member: Member,
    /// For `/auth/accept-invitation`; shown here and never again.
    invitation_token: String,
    #[serde(with = "time::serde::rfc3339")]
    invitation_expires_on: OffsetDateTime,
}

/// List members
#[utoipa::path(get, path = "/accounts/{account_id}/members", tag = "Members", params(PageParams),
    responses((status = 200, body = Paged<Member>)))]
async fn list(
    account: Authorized<store::accounts::Account, AccountRead>,
    State(store): State<Store>,
    page: Page,
) -> PagedResult<Member> {
    let (members, total) = members::list(&store, account.id, page.limit(), page.offset()).await?;
    Ok(Paged::page(members.into_iter().map(Member::from).collect(), page, total))
}

/// Invite a member
///
/// Answers with a one-time token to hand to the person, whether or not they have a login here.
#[utoipa::path(post, path = "/accounts/{account_id}/members", tag = "Members", request_body = NewMember,
    responses((status = 200, body = Envelope<InvitedMember>)))]
async fn invite(
    account: Authorized<store::accounts::Account, AccountWrite>,
    State(store): State<Store>,
    Body(NewMember { email, roles }): Body<NewMember>,
) -> ApiResult<InvitedMember> {
    let role = one_role(&roles)?;
    not_above(role, &account.permissions)?;
    let id = MemberId(Uuid::now_v7());
    let (invitation_token, digest) = token::mint(TokenKind::Invitation, id.0, random()?);
    let expires_at = OffsetDateTime::now_utc() + INVITATION_LIFETIME;
    let email = checked_email(&email)?;
    let invitation = Invitation { id, account: account.id, email: &email, role, digest, expires_at };
    let member = members::invite(&store, &invitation).await.map_err(|error| match error.constraint() {
        Some(members::ALREADY_MEMBER) => ApiError::Conflict("They are a member or invited already"),
        _ => error.into(),
    })?;
    Ok(Envelope::of(InvitedMember {
        member: member.into(),
        invitation_token: invitation_token.expose().to_owned(),
        invitation_expires_on: expires_at,
    }))
}

/// Get a member
#[utoipa::path(get, path = "/accounts/{account_id}/members/{member_id}", tag = "Members",
    responses((status = 200, body = Envelope<Member>)))]
async fn get(member: Authorized<members::Member, AccountRead>) -> ApiResult<Member> {
    Ok(Envelope::of(members::Member::clone(&member).into()))
}

/// Give a member another role
#[utoipa::path(put, path = "/accounts/{account_id}/members/{member_id}", tag = "Members",
    request_body = MemberFields, responses((status = 200, body = Envelope<Member>)))]
async fn replace(
    member: Authorized<members::Member, AccountWrite>,
    State(store): State<Store>,
    Body(MemberFields { roles }): Body<MemberFields>,
) -> ApiResult<Member> {
    let role = one_role(&roles)?;
    not_above(role, &member.permissions)?;
    not_above(member.role, &member.permissions)?;
    members::set_role(&store, &member, role).await?;
    Ok(Envelope::of(members::Member { role, ..members::Member::clone(&member) }.into()))
}

/// Remove a member, or take an invitation back
///
/// Anybody can remove himself, but for an account's last owner.
#[utoipa::path(delete, path = "/accounts/{account_id}/members/{member_id}", tag = "Members",
    responses((status = 200, body = Envelope<Deleted>)))]
async fn delete(
    member: Authorized<members::Member, AccountRead>,
    State(store): State<Store>,
) -> ApiResult<Deleted> {
    let oneself = matches!(&member.caller, Caller::Person { user, .. } if member.user == Some(user.id));
    if !oneself {
        if !member.permissions.contains(&Permission::AccountWrite) {
            return Err(ApiError::NotFound);
        }
        not_above(member.role, &member.permissions)?;
    }
    members::delete(&store, &member).await?;
    Ok(Envelope::of(Deleted { id: member.id.to_string() }))
}

const ROLES: [Role; 4] = [Role::Owner, Role::Admin, Role::Editor, Role::Viewer];

/// List roles
#[utoipa::path(get, path = "/accounts/{account_id}/roles", tag = "Members", params(PageParams),
    responses((status = 200, body = Paged<RoleView>)))]
async fn roles(_: Authorized<store::accounts::Account, AccountRead>, page: Page) -> PagedResult<RoleView> {
    let shown = ROLES.into_iter().skip(page.offset() as usize).take(page.limit() as usize);
    Ok(Paged::page(shown.map(RoleView::from).collect(), page, ROLES.len() as i64))
}

/// Get a role
#[utoipa::path(get, path = "/accounts/{account_id}/roles/{role_id}", tag = "Members",
    responses((status = 200, body = Envelope<RoleView>)))]
async fn role(role: Authorized<Role, AccountRead>) -> ApiResult<RoleView> {
    Ok(Envelope::of((*role).into()))
}

impl Guarded for Role {
    async fn find(_: &Store, _: AccountId, path: &PathIds) -> Result<Option<Self>, StoreError> {
        Ok(path.id("role_id"))
    }
}

fn not_above(role: Role, own: &Permissions) -> Result<(), ApiError> {
    if role.permissions().is_subset(own) { Ok(()) } else { Err(NOT_ABOVE) }
}

impl From<MemberChange> for ApiError {
    fn from(error: MemberChange) -> Self {
        match error {
            MemberChange::LastOwner => {
                ApiError::Conflict("An account always has an owner; make somebody else owner first")
            }
            MemberChange::Store(error) => error.into(),
        }
    }
}
