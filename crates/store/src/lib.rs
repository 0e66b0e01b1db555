//! All SQL, one file per noun: functions on a connection or a transaction that know nothing of
//! HTTP, gRPC or Redis, and see secrets only sealed or hashed.

pub mod accounts;
pub mod api_tokens;
pub mod bound_keys;
pub mod certificate_authority;
mod config_tx;
pub mod data_keys;
pub mod endpoints;
pub mod gateway_tokens;
pub mod gateways;
pub mod installation;
pub mod ip_policies;
pub mod join_tokens;
pub mod last_used;
pub mod ledger;
pub mod logs;
pub mod members;
pub mod notices;
pub mod operator_keys;
pub mod operator_settings;
pub mod operators;
pub mod outbox;
pub mod payments;
pub mod price_rules;
pub mod provider_keys;
pub mod proxies;
pub mod receipts;
pub mod reratings;
pub mod resources;
pub mod sessions;
pub mod shards;
pub mod signing_keys;
pub mod usage;
pub mod users;
pub mod vault_secrets;
pub mod vaults;
pub mod vouchers;
mod window;

pub use config_tx::ConfigTx;
pub use window::Window;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection as _, Executor as _, PgConnection, PgPool};

/// The migrations of this release.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations");

/// The role as which everything but migrations works.
pub const RUNTIME_ROLE: &str = "tollgate_runtime";

/// Postgres, spoken to as the runtime role.
#[derive(Debug, Clone)]
pub struct Store {
    /// For queries that change nothing that proxies are told.
    pub pool: PgPool,
}

/// Why Postgres did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The address cannot be read.
    #[error("DATABASE_URL is not a Postgres URL")]
    Address(#[source] sqlx::Error),
    /// A query failed.
    #[error("Postgres refused a query")]
    Query(#[from] sqlx::Error),
    /// A migration failed.
    #[error("a migration failed")]
    Migration(#[from] sqlx::migrate::MigrateError),
    /// A stored value does not mean anything to this release.
    #[error("the stored {0} means nothing to this release")]
    Unreadable(&'static str),
}

impl StoreError {
    /// The named constraint that a change ran into, if that is what happened. The call site turns
    /// the name into an answer.
    pub fn constraint(&self) -> Option<&str> {
        match self {
            StoreError::Query(sqlx::Error::Database(error)) => error.constraint(),
            _ => None,
        }
    }

    /// Whether a caller's value cannot be a Postgres value at all: texts and documents with NUL, numbers
    /// beyond its range.
    pub fn is_about_a_value(&self) -> bool {
        match self {
            StoreError::Query(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| ["22021", "22P05", "22003"].contains(&code.as_ref()))
            }
            _ => false,
        }
    }

    /// Whether Postgres is away, rather than unwilling.
    pub fn is_away(&self) -> bool {
        use sqlx::Error::{Io, PoolClosed, PoolTimedOut};
        match self {
            // Class 57: an operator, or a server that is starting or stopping, ended the connection.
            StoreError::Query(sqlx::Error::Database(error)) => {
                error.code().is_some_and(|code| code.starts_with("57P"))
            }
            StoreError::Query(Io(_) | PoolTimedOut | PoolClosed) => true,
            _ => false,
        }
    }
}

impl Store {
    /// Connects as the runtime role.
    pub async fn connect(url: &str) -> Result<Self, StoreError> {
        // A caller who waits longer than this is better told that Postgres is away.
        let patience = std::time::Duration::from_secs(5);
        let options = PgPoolOptions::new().max_connections(32).acquire_timeout(patience);
        Self::open(options, address(url)?).await
    }

    /// Connects as the runtime role, with options of the caller's; `#[sqlx::test]` hands them out.
    pub async fn open(pool: PgPoolOptions, address: PgConnectOptions) -> Result<Self, StoreError> {
        let pool = pool
            .after_connect(|connection, _| {
                Box::pin(async move { connection.execute("set role tollgate_runtime").await.map(drop) })
            })
            .connect_with(address)
            .await?;
        Ok(Self { pool })
    }

    /// Begins a change of configuration.
    pub async fn config_tx(&self) -> Result<ConfigTx, StoreError> {
        Ok(ConfigTx::new(self.pool.begin().await?))
    }
}

/// Brings the database up to this release. Needs the owner's credentials; processes that start at
/// the same time wait for each other under sqlx's advisory lock.
pub async fn migrate(url: &str) -> Result<(), StoreError> {
    let mut connection = PgConnection::connect_with(&address(url)?).await?;
    MIGRATIONS.run_direct(None, &mut connection, false).await?;
    connection.close().await?;
    Ok(())
}

fn address(url: &str) -> Result<PgConnectOptions, StoreError> {
    url.parse().map_err(StoreError::Address)
}
