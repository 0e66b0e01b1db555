//! Members: a person's place in an account, or the invitation to take it.

use model::AccountId;
use model::account::Role;
use model::id::{MemberId, UserId};
use model::token::TokenDigest;
use sqlx::PgConnection;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::installation::digest_of;
use crate::{Store, StoreError};

/// Nobody is a member of the same account twice.
pub const ALREADY_MEMBER: &str = "members_account_email_key";

/// A person's place in an account.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its id.
    pub id: MemberId,
    /// Where.
    pub account: AccountId,
    /// Who, in lower case.
    pub email: String,
    /// The person; none while they are only invited.
    pub user: Option<UserId>,
    /// What they may do.
    pub role: Role,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    account_id: Uuid,
    email: String,
    user_id: Option<Uuid>,
    role: String,
}

impl TryFrom<Row> for Member {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let Row { id, account_id, email, user_id, role } = row;
        Ok(Self {
            id: MemberId(id),
            account: AccountId(account_id),
            email,
            user: user_id.map(UserId),
            role: role.parse().map_err(|_| StoreError::Unreadable("role"))?,
        })
    }
}

/// The role of a user in an account, if they are a member.
pub async fn role(store: &Store, account: AccountId, user: UserId) -> Result<Option<Role>, StoreError> {
    let role: Option<String> =
        sqlx::query_scalar("select role from members where account_id = $1 and user_id = $2")
            .bind(account.0)
            .bind(user.0)
            .fetch_optional(&store.pool)
            .await?;
    role.map(|role| role.parse().map_err(|_| StoreError::Unreadable("role"))).transpose()
}

/// Makes a user a member.
pub async fn create(
    connection: &mut PgConnection,
    id: MemberId,
    account: AccountId,
    user: UserId,
    email: &str,
    role: Role,
) -> Result<Member, StoreError> {
    let row: Row = sqlx::query_as(
        "insert into members (id, account_id, email, user_id, role) values ($1, $2, $3, $4, $5)
         returning id, account_id, email, user_id, role",
    )
    .bind(id.0)
    .bind(account.0)
    .bind(email)
    .bind(user.0)
    .bind(role.as_str())
    .fetch_one(connection)
    .await?;
    row.try_into()
}

/// An invitation to become a member.
pub struct Invitation<'a> {
    /// The member to be.
    pub id: MemberId,
    /// Where.
    pub account: AccountId,
    /// Who, in lower case.
    pub email: &'a str,
    /// What they will be.
    pub role: Role,
    /// What the invitation must hash to.
    pub digest: TokenDigest,
    /// When it runs out.
    pub expires_at: OffsetDateTime,
}

/// Invites somebody; [`ALREADY_MEMBER`] if they are a member or invited already.
pub async fn invite(store: &Store, invitation: &Invitation<'_>) -> Result<Member, StoreError> {
    let Invitation { id, account, email, role, digest, expires_at } = invitation;
    let row: Row = sqlx::query_as(
        "insert into members (id, account_id, email, role, invitation_digest, invitation_expires_at)
         values ($1, $2, $3, $4, $5, $6) returning id, account_id, email, user_id, role",
    )
    .bind(id.0)
    .bind(account.0)
    .bind(email)
    .bind(role.as_str())
    .bind(digest.0)
    .bind(expires_at)
    .fetch_one(&store.pool)
    .await?;
    row.try_into()
}

/// An invitation that is still good: its digest and whom it is for. Locked until the transaction
/// ends, so that it is used once.
pub async fn invitation(
    connection: &mut PgConnection,
    id: MemberId,
) -> Result<Option<(TokenDigest, String)>, StoreError> {
    let found: Option<(Vec<u8>, String)> = sqlx::query_as(
        "select invitation_digest, email from members
         where id = $1 and user_id is null and invitation_expires_at > now() for update",
    )
    .bind(id.0)
    .fetch_optional(connection)
    .await?;
    found.map(|(digest, email)| Ok((digest_of(digest)?, email))).transpose()
}

/// Turns an invitation into membership.
pub async fn accept(connection: &mut PgConnection, id: MemberId, user: UserId) -> Result<(), StoreError> {
    sqlx::query(
        "update members set user_id = $2, invitation_digest = null, invitation_expires_at = null
         where id = $1",
    )
    .bind(id.0)
    .bind(user.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// One page of an account's members, by email, and how many there are in all.
pub async fn list(
    store: &Store,
    account: AccountId,
    limit: i64,
    offset: i64,
) -> Result<(Vec<Member>, i64), StoreError> {
    let rows: Vec<Row> = sqlx::query_as(
        "select id, account_id, email, user_id, role from members where account_id = $1
         order by email limit $2 offset $3",
    )
    .bind(account.0)
    .bind(limit)
    .bind(offset)
    .fetch_all(&store.pool)
    .await?;
    let total = sqlx::query_scalar("select count(*) from members where account_id = $1")
        .bind(account.0)
        .fetch_one(&store.pool)
        .await?;
    Ok((rows.into_iter().map(Member::try_from).collect::<Result<_, _>>()?, total))
}

/// A member of an account.
pub async fn get(store: &Store, account: AccountId, id: MemberId) -> Result<Option<Member>, StoreError> {
    let row: Option<Row> = sqlx::query_as(
        "select id, account_id, email, user_id, role from members where account_id = $1 and id = $2",
    )
    .bind(account.0)
    .bind(id.0)
    .fetch_optional(&store.pool)
    .await?;
    row.map(Member::try_from).transpose()
}

/// Why a member was not changed.
#[derive(Debug, thiserror::Error)]
pub enum MemberChange {
    /// An account always has an owner.
    #[error("an account always has an owner")]
    LastOwner,
    /// Postgres.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<sqlx::Error> for MemberChange {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(error.into())
    }
}

/// Gives a member another role.
pub async fn set_role(store: &Store, member: &Member, role: Role) -> Result<(), MemberChange> {
    let mut transaction = store.pool.begin().await?;
    if role != Role::Owner {
        another_owner_than(&mut transaction, member).await?;
    }
    sqlx::query("update members set role = $2 where id = $1")
        .bind(member.id.0)
        .bind(role.as_str())
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Ends a membership, or takes an invitation back.
pub async fn delete(store: &Store, member: &Member) -> Result<(), MemberChange> {
    let mut transaction = store.pool.begin().await?;
    another_owner_than(&mut transaction, member).await?;
    sqlx::query("delete from members where id = $1").bind(member.id.0).execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(())
}

/// Makes sure that an owner remains who has come. All of them are locked, so that two owners who
/// leave at the same moment do not both find each other.
async fn another_owner_than(connection: &mut PgConnection, member: &Member) -> Result<(), MemberChange> {
    let owners: Vec<Uuid> = sqlx::query_scalar(
        "select id from members where account_id = $1 and role = 'owner' and user_id is not null
         order by id for update",
    )
    .bind(member.account.0)
    .fetch_all(connection)
    .await?;
    if owners == [member.id.0] { Err(MemberChange::LastOwner) } else { Ok(()) }
}
