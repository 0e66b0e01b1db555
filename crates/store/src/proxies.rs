//! Enrolled proxies, their certificates, and how far each has come.

use model::Revision;
use model::id::{JoinTokenId, ProxyId};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use time::OffsetDateTime;
use uuid::Uuid;

use crate::{Store, StoreError};

/// An enrolled proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct Proxy {
    /// Its id.
    pub id: ProxyId,
    /// What it called itself when it joined.
    pub name: String,
    /// When it joined.
    pub created_at: OffsetDateTime,
    /// When it was shut out, if it was.
    pub revoked_at: Option<OffsetDateTime>,
    /// What it said last, if it ever did.
    pub report: Option<Report>,
}

/// What a proxy said of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// When it was last connected.
    pub seen_at: OffsetDateTime,
    /// Which release it runs.
    pub software_version: String,
    /// The revision that it serves; `None` while it serves nothing.
    pub serving: Option<Revision>,
    /// The resources that it cannot serve.
    pub refused: Vec<Refused>,
    /// The settings that it obeys, if it ever said so.
    pub obeys: Option<Vec<String>>,
}

/// A resource that a proxy cannot serve in its newest version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Whose it is.
    pub account_id: String,
    /// What it is.
    pub kind: String,
    /// Which one.
    pub id: String,
    /// The proxy's reason.
    pub reason: String,
}

/// A certificate that proves to be a proxy.
#[derive(Debug, Clone, Copy)]
pub struct CertificateRow {
    /// SHA-256 of the certificate.
    pub digest: [u8; 32],
    /// When it ends.
    pub expires_at: OffsetDateTime,
}

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    name: String,
    created_at: OffsetDateTime,
    revoked_at: Option<OffsetDateTime>,
    last_seen_at: Option<OffsetDateTime>,
    software_version: Option<String>,
    acknowledged_timeline: Option<Uuid>,
    acknowledged_revision: Option<i64>,
    refused: Json<Vec<Refused>>,
    obeys: Option<Vec<String>>,
}

impl From<Row> for Proxy {
    fn from(row: Row) -> Self {
        let Row {
            id,
            name,
            created_at,
            revoked_at,
            last_seen_at,
            software_version,
            acknowledged_timeline,
            acknowledged_revision,
            refused: Json(refused),
            obeys,
        } = row;
        let number = acknowledged_revision.and_then(|number| u64::try_from(number).ok());
        let serving =
            acknowledged_timeline.zip(number).map(|(timeline, number)| Revision { timeline, number });
        let report = last_seen_at.zip(software_version).map(|(seen_at, software_version)| Report {
            seen_at,
            software_version,
            serving,
            refused,
            obeys,
        });
        Self { id: ProxyId(id), name, created_at, revoked_at, report }
    }
}

/// Proxies that ever joined, the newest first, and how many there are.
pub async fn list(store: &Store, limit: i64, offset: i64) -> Result<(Vec<Proxy>, i64), StoreError> {
    let rows: Vec<Row> = sqlx::query_as("select * from proxies order by id desc limit $1 offset $2")
        .bind(limit)
        .bind(offset)
        .fetch_all(&store.pool)
        .await?;
    let total = sqlx::query_scalar("select count(*) from proxies").fetch_one(&store.pool).await?;
    Ok((rows.into_iter().map(Proxy::from).collect(), total))
}

/// One proxy.
pub async fn get(store: &Store, id: ProxyId) -> Result<Option<Proxy>, StoreError> {
    let row: Option<Row> =
        sqlx::query_as("select * from proxies where id = $1").bind(id.0).fetch_optional(&store.pool).await?;
    Ok(row.map(Proxy::from))
}

/// Enrols a proxy with its first certificate, which uses the join token up. `false` if the token
/// was used, revoked or too old by now.
pub async fn enrol(
    store: &Store,
    join_token: JoinTokenId,
    proxy: ProxyId,
    name: &str,
    certificate: CertificateRow,
) -> Result<bool, StoreError> {
    let mut tx = store.pool.begin().await?;
    sqlx::query("insert into proxies (id, name) values ($1, $2)")
        .bind(proxy.0)
        .bind(name)
        .execute(&mut *tx)
        .await?;
    let used = sqlx::query(
        "update join_tokens set proxy_id = $2
         where id = $1 and proxy_id is null and revoked_at is null and expires_at > now()",
    )
    .bind(join_token.0)
    .bind(proxy.0)
    .execute(&mut *tx)
    .await?;
    if used.rows_affected() == 0 {
        return Ok(false);
    }
    insert_certificate(&mut *tx, proxy, certificate).await?;
    tx.commit().await?;
    Ok(true)
}

/// Adds a renewed certificate, and forgets those that have ended.
pub async fn add_certificate(
    store: &Store,
    proxy: ProxyId,
    certificate: CertificateRow,
) -> Result<(), StoreError> {
    insert_certificate(&store.pool, proxy, certificate).await?;
    sqlx::query("delete from proxy_certificates where proxy_id = $1 and expires_at < now()")
        .bind(proxy.0)
        .execute(&store.pool)
        .await?;
    Ok(())
}

/// The proxy that a certificate proves to be, unless it was revoked.
pub async fn by_certificate(store: &Store, digest: [u8; 32]) -> Result<Option<ProxyId>, StoreError> {
    let id: Option<Uuid> = sqlx::query_scalar(
        "select p.id from proxies p join proxy_certificates c on c.proxy_id = p.id
         where c.digest = $1 and c.expires_at > now() and p.revoked_at is null",
    )
    .bind(digest)
    .fetch_optional(&store.pool)
    .await?;
    Ok(id.map(ProxyId))
}

/// Keeps which settings a proxy obeys that has just connected.
pub async fn set_obeys(store: &Store, proxy: ProxyId, obeys: &[String]) -> Result<(), StoreError> {
    sqlx::query("update proxies set obeys = $2 where id = $1 and obeys is distinct from $2")
        .bind(proxy.0)
        .bind(obeys)
        .execute(&store.pool)
        .await?;
    Ok(())
}

/// Keeps what a connected proxy says. `false` if it has been revoked.
pub async fn report(
    store: &Store,
    proxy: ProxyId,
    software_version: &str,
    serving: Option<Revision>,
    refused: &[Refused],
) -> Result<bool, StoreError> {
    let number = serving.map(|revision| i64::try_from(revision.number).unwrap_or(i64::MAX));
    let reported = sqlx::query(
        "update proxies set last_seen_at = now(), software_version = $2, acknowledged_timeline = $3,
                acknowledged_revision = $4, refused = $5
         where id = $1 and revoked_at is null",
    )
    .bind(proxy.0)
    .bind(software_version)
    .bind(serving.map(|revision| revision.timeline))
    .bind(number)
    .bind(Json(refused))
    .execute(&store.pool)
    .await?;
    Ok(reported.rows_affected() > 0)
}

/// Shuts a proxy out, and tells every control plane to cut it off. `false` if there is none that is
/// not shut out already.
pub async fn revoke(store: &Store, proxy: ProxyId) -> Result<bool, StoreError> {
    let mut tx = store.pool.begin().await?;
    let revoked = sqlx::query("update proxies set revoked_at = now() where id = $1 and revoked_at is null")
        .bind(proxy.0)
        .execute(&mut *tx)
        .await?;
    sqlx::query("select pg_notify('proxy_revoked', $1)").bind(proxy.to_string()).execute(&mut *tx).await?;
    tx.commit().await?;
    Ok(revoked.rows_affected() > 0)
}

async fn insert_certificate(
    executor: impl sqlx::PgExecutor<'_>,
    proxy: ProxyId,
    certificate: CertificateRow,
) -> Result<(), StoreError> {
    let CertificateRow { digest, expires_at } = certificate;
    sqlx::query("insert into proxy_certificates (digest, proxy_id, expires_at) values ($1, $2, $3)")
        .bind(digest)
        .bind(proxy.0)
        .bind(expires_at)
        .execute(executor)
        .await?;
    Ok(())
}
