//! Reading the history of the configuration: what changed since a revision, and whether the
//! revision belongs to this history at all.

use std::collections::HashSet;
use std::time::Duration;

use model::id::{
    ApiTokenId, BoundKeyId, EndpointId, GatewayInternalId, GatewayTokenId, OperatorKeyId, PriceRuleId,
    ProviderKeyId, VaultSecretId,
};
use model::resource::{Resource, ResourceId, ResourceKey};
use model::{AccountId, Revision};
use sqlx::postgres::PgListener;
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::resources::Found;
use crate::shards::ERAS_CHANNEL;
use crate::{Store, StoreError, resources};

/// What a reader that has come to some revision lacks.
#[derive(Debug)]
pub enum Since {
    /// Nothing.
    Nothing,
    /// These changes, which lead to `head`.
    Changes {
        /// The revision that they lead to.
        head: Revision,
        /// What was changed and is there, as it is at `head`.
        upserted: Vec<Resource>,
        /// What was changed and is gone.
        removed: Vec<ResourceKey>,
    },
    /// More than can be told as changes: the revision is of another timeline, or so old that the
    /// outbox no longer reaches back to it, or too much has changed.
    Everything,
    /// The revision has not happened here: this database was set back.
    Unheard,
}

/// What changed after `revision`, if that is at most `limit` resources.
pub async fn since(store: &Store, revision: Revision, limit: usize) -> Result<Since, StoreError> {
    let mut tx = read_only(store).await?;
    changes(&mut tx, revision, limit, None).await
}

/// What changed after `revision` in the accounts that a reader knows, and everything of those that
/// it asks for, both as of one moment. Where there is too much to tell as changes, nothing is read
/// of the latter.
pub async fn since_of(
    store: &Store,
    revision: Revision,
    limit: usize,
    known: &[AccountId],
    asked: &[AccountId],
) -> Result<(Since, Found), StoreError> {
    let mut tx = read_only(store).await?;
    let since = changes(&mut tx, revision, limit, Some(known)).await?;
    let found = match since {
        Since::Nothing | Since::Changes { .. } => resources::of_accounts(&mut tx, asked).await?,
        Since::Everything | Since::Unheard => Found::default(),
    };
    Ok((since, found))
}

/// What changed in these accounts, or in all.
async fn changes(
    tx: &mut PgConnection,
    revision: Revision,
    limit: usize,
    accounts: Option<&[AccountId]>,
) -> Result<Since, StoreError> {
    let head = head(tx).await?;
    if head.timeline != revision.timeline {
        return Ok(Since::Everything);
    }
    if head.number == revision.number {
        return Ok(Since::Nothing);
    }
    if head.number < revision.number {
        return Ok(Since::Unheard);
    }
    // Revisions are pruned from the oldest on, and each has at least one row.
    let oldest: Option<i64> =
        sqlx::query_scalar("select min(revision) from config_outbox").fetch_one(&mut *tx).await?;
    if oldest.is_none_or(|oldest| oldest > row_number(revision) + 1) {
        return Ok(Since::Everything);
    }
    let rows: Vec<(Uuid, String, Uuid)> = sqlx::query_as(
        "select distinct account_id, kind, resource_id from config_outbox
         where revision > $1 and revision <= $2 and ($4::uuid[] is null or account_id = any($4))
         limit $3",
    )
    .bind(row_number(revision))
    .bind(row_number(head))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1))
    .bind(accounts.map(|accounts| accounts.iter().map(|account| account.0).collect::<Vec<Uuid>>()))
    .fetch_all(&mut *tx)
    .await?;
    if rows.len() > limit {
        return Ok(Since::Everything);
    }
    let keys = rows.into_iter().map(key).collect::<Result<Vec<_>, _>>()?;
    let found = resources::load(tx, &keys).await?;
    let there: HashSet<ResourceKey> =
        found.resources.iter().map(Resource::key).chain(found.unreadable.iter().copied()).collect();
    let removed = keys.into_iter().filter(|key| !there.contains(key)).collect();
    Ok(Since::Changes { head, upserted: found.resources, removed })
}

/// The newest revision.
pub async fn newest(store: &Store) -> Result<Revision, StoreError> {
    head(&mut *store.pool.acquire().await?).await
}

/// The newest revision that a transaction sees.
pub(crate) async fn head(connection: &mut PgConnection) -> Result<Revision, StoreError> {
    let (timeline, number): (Uuid, i64) =
        sqlx::query_as("select timeline, number from config_revision").fetch_one(connection).await?;
    let number = u64::try_from(number).map_err(|_| StoreError::Unreadable("revision"))?;
    Ok(Revision { timeline, number })
}

/// Starts a new timeline if this database is not where its timeline was last confirmed: restored
/// from a backup, copied, or promoted from a replica. Says whether it did.
///
/// Dumps restored over the same tables are seen by the tables' own ids; a whole machine set back is
/// not seen here, but by the first proxy that is ahead ([`Since::Unheard`]).
pub async fn confirm_timeline(store: &Store) -> Result<bool, StoreError> {
    let before: (Option<String>, String) = sqlx::query_as(
        "select place, concat_ws('/',
                (select system_identifier from pg_control_system()),
                left(pg_walfile_name(pg_current_wal_lsn()), 8),
                (select oid from pg_database where datname = current_database()),
                'config_revision'::regclass::oid)
         from config_revision",
    )
    .fetch_one(&store.pool)
    .await?;
    let (known, place) = before;
    if known.as_ref() == Some(&place) {
        return Ok(false);
    }
    // Another process may be here too: the first one moves the timeline, and the others find it moved.
    let moved = sqlx::query(
        "update config_revision set place = $1,
                timeline = case when place is null then timeline else gen_random_uuid() end
         where place is distinct from $1",
    )
    .bind(&place)
    .execute(&store.pool)
    .await?;
    Ok(moved.rows_affected() > 0 && known.is_some())
}

/// Starts a new timeline in place of `lost`, because revisions of it have been lost. Only the first
/// of those who notice does anything.
pub async fn abandon_timeline(store: &Store, lost: Uuid) -> Result<(), StoreError> {
    sqlx::query("update config_revision set timeline = gen_random_uuid() where timeline = $1")
        .bind(lost)
        .execute(&store.pool)
        .await?;
    Ok(())
}

/// Forgets changes that are older than `keep`. Who comes with an older revision gets everything.
pub async fn prune(store: &Store, keep: Duration) -> Result<u64, StoreError> {
    let pruned = sqlx::query("delete from config_outbox where at < now() - make_interval(secs => $1)")
        .bind(keep.as_secs_f64())
        .execute(&store.pool)
        .await?;
    Ok(pruned.rows_affected())
}

/// A connection of its own that hears of new revisions, revoked proxies and eras that have begun.
pub struct ConfigListener(PgListener);

/// What a [`ConfigListener`] heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Heard {
    /// There is a newer revision.
    Revision,
    /// A proxy was revoked.
    RevokedProxy(model::id::ProxyId),
    /// Money shards have moved on to other eras.
    Eras,
    /// The connection was lost and is there again: anything may have happened, also to the database.
    Reconnected,
}

impl ConfigListener {
    /// Begins to listen.
    pub async fn connect(store: &Store) -> Result<Self, StoreError> {
        let mut listener = PgListener::connect_with(&store.pool).await?;
        listener.listen_all(["config", "proxy_revoked", ERAS_CHANNEL]).await?;
        Ok(Self(listener))
    }

    /// Waits for the next news.
    pub async fn heard(&mut self) -> Result<Heard, StoreError> {
        let Some(notification) = self.0.try_recv().await? else { return Ok(Heard::Reconnected) };
        Ok(match notification.channel() {
            "proxy_revoked" => match notification.payload().parse() {
                Ok(proxy) => Heard::RevokedProxy(proxy),
                Err(_) => Heard::Reconnected,
            },
            ERAS_CHANNEL => Heard::Eras,
            _ => Heard::Revision,
        })
    }
}

/// A transaction that sees one moment and changes nothing.
pub(crate) async fn read_only(store: &Store) -> Result<Transaction<'static, Postgres>, StoreError> {
    Ok(store.pool.begin_with("begin isolation level repeatable read read only").await?)
}

fn row_number(revision: Revision) -> i64 {
    i64::try_from(revision.number).unwrap_or(i64::MAX)
}

/// The counterpart of what `ConfigTx` writes.
fn key((account, kind, id): (Uuid, String, Uuid)) -> Result<ResourceKey, StoreError> {
    let kind = match kind.as_str() {
        "account" => ResourceId::Account,
        "gateway" => ResourceId::Gateway(GatewayInternalId(id)),
        "gateway_token" => ResourceId::GatewayToken(GatewayTokenId(id)),
        "api_token" => ResourceId::ApiToken(ApiTokenId(id)),
        "provider_key" => ResourceId::ProviderKey(ProviderKeyId(id)),
        "operator_key" => ResourceId::OperatorKey(OperatorKeyId(id)),
        "terms" => ResourceId::Terms,
        "price_rule" => ResourceId::PriceRule(PriceRuleId(id)),
        "endpoint" => ResourceId::Endpoint(EndpointId(id)),
        "vault_secret" => ResourceId::VaultSecret(VaultSecretId(id)),
        "bound_key" => ResourceId::BoundKey(BoundKeyId(id)),
        _ => return Err(StoreError::Unreadable("kind of resource")),
    };
    Ok(ResourceKey { account: AccountId(account), kind })
}
