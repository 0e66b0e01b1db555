//! Rows as proxies are told of them: one resource at a time, by key, or all in parts.

mod rows;

use model::resource::{Resource, ResourceId, ResourceKey};
use model::{AccountId, Revision};
use sqlx::{PgConnection, Postgres, Transaction};
use uuid::Uuid;

use crate::{Store, StoreError, outbox};
use rows::hosts::{BoundKeyRow, EndpointRow, VaultSecretRow};
use rows::installation::{InstallationRow, OperatorKeyRow, TermsRow};
use rows::{AccountRow, ApiTokenRow, GatewayRow, GatewayTokenRow, PriceRuleRow, ProviderKeyRow};

/// What was found of the resources asked for.
#[derive(Debug, Default)]
pub struct Found {
    /// Those that are there.
    pub resources: Vec<Resource>,
    /// Those that are there, but mean nothing to this release. Proxies keep their last good versions.
    pub unreadable: Vec<ResourceKey>,
}

/// The newest versions of these resources.
pub async fn load(connection: &mut PgConnection, keys: &[ResourceKey]) -> Result<Found, StoreError> {
    let mut found = Found::default();
    for kind in Kind::ALL {
        let ids: Vec<Uuid> = keys.iter().filter_map(|key| kind.id_in(key)).collect();
        if !ids.is_empty() {
            kind.all(connection, By::Id, &ids, &mut found).await?;
        }
    }
    Ok(found)
}

/// All that these accounts have.
pub async fn of_accounts(connection: &mut PgConnection, accounts: &[AccountId]) -> Result<Found, StoreError> {
    let ids: Vec<Uuid> = accounts.iter().map(|account| account.0).collect();
    let mut found = Found::default();
    if !ids.is_empty() {
        for kind in Kind::ALL {
            kind.all(connection, By::Account, &ids, &mut found).await?;
        }
    }
    Ok(found)
}

/// Everything that proxies are told, as of one revision, read in parts: what is not read yet
/// takes no memory.
pub struct Everything {
    tx: Transaction<'static, Postgres>,
    revision: Revision,
    unread: Unread,
}

/// Where to read on.
enum Unread {
    After(Kind, Uuid),
    Accounts(Vec<AccountId>),
    Nothing,
}

/// How many accounts are read at a time where only some are wanted.
const ACCOUNTS_A_PART: usize = 64;

impl Everything {
    /// Begins to read.
    pub async fn begin(store: &Store) -> Result<Self, StoreError> {
        Self::reading(store, Unread::After(Kind::Installation, Uuid::nil())).await
    }

    /// Begins to read what these accounts have, and nothing else.
    pub async fn begin_of(store: &Store, accounts: Vec<AccountId>) -> Result<Self, StoreError> {
        Self::reading(store, Unread::Accounts(accounts)).await
    }

    async fn reading(store: &Store, unread: Unread) -> Result<Self, StoreError> {
        let mut tx = outbox::read_only(store).await?;
        let revision = outbox::head(&mut tx).await?;
        Ok(Self { tx, revision, unread })
    }

    /// The revision that all parts show.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// The next resources; `None` after the last. There are at most `limit` of them, except where
    /// single accounts are read.
    pub async fn next_part(&mut self, limit: i64) -> Result<Option<Found>, StoreError> {
        match &mut self.unread {
            Unread::Nothing => Ok(None),
            Unread::After(kind, after) => {
                let mut found = Found::default();
                let last = kind.page(&mut self.tx, *after, limit, &mut found).await?;
                self.unread = match last {
                    Some(id) => Unread::After(*kind, id),
                    None => kind.next().map_or(Unread::Nothing, |kind| Unread::After(kind, Uuid::nil())),
                };
                Ok(Some(found))
            }
            Unread::Accounts(accounts) if accounts.is_empty() => Ok(None),
            Unread::Accounts(accounts) => {
                let next = accounts.split_off(accounts.len().saturating_sub(ACCOUNTS_A_PART));
                of_accounts(&mut self.tx, &next).await.map(Some)
            }
        }
    }
}

/// The kinds of resource, in the order in which a proxy can make use of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// The installation's data keys, which travel as an account's.
    Installation,
    Terms,
    OperatorKey,
    PriceRule,
    Account,
    Gateway,
    ProviderKey,
    GatewayToken,
    BoundKey,
    ApiToken,
    VaultSecret,
    Endpoint,
}

/// What a list of ids names.
#[derive(Debug, Clone, Copy)]
enum By {
    Id,
    Account,
}

impl Kind {
    const ALL: [Kind; 12] = [
        Kind::Installation,
        Kind::Terms,
        Kind::OperatorKey,
        Kind::PriceRule,
        Kind::Account,
        Kind::Gateway,
        Kind::ProviderKey,
        Kind::GatewayToken,
        Kind::BoundKey,
        Kind::ApiToken,
        Kind::VaultSecret,
        Kind::Endpoint,
    ];

    fn next(self) -> Option<Kind> {
        Self::ALL.into_iter().skip_while(|kind| *kind != self).nth(1)
    }

    fn id_in(self, key: &ResourceKey) -> Option<Uuid> {
        match (self, key.kind) {
            (Kind::Installation, ResourceId::Account) if key.account == AccountId::INSTALLATION => {
                Some(key.account.0)
            }
            (Kind::Terms, ResourceId::Terms) => Some(key.account.0),
            (Kind::OperatorKey, ResourceId::OperatorKey(id)) => Some(id.0),
            (Kind::PriceRule, ResourceId::PriceRule(id)) => Some(id.0),
            (Kind::Account, ResourceId::Account) => Some(key.account.0),
            (Kind::Gateway, ResourceId::Gateway(id)) => Some(id.0),
            (Kind::ProviderKey, ResourceId::ProviderKey(id)) => Some(id.0),
            (Kind::GatewayToken, ResourceId::GatewayToken(id)) => Some(id.0),
            (Kind::ApiToken, ResourceId::ApiToken(id)) => Some(id.0),
            (Kind::BoundKey, ResourceId::BoundKey(id)) => Some(id.0),
            (Kind::VaultSecret, ResourceId::VaultSecret(id)) => Some(id.0),
            (Kind::Endpoint, ResourceId::Endpoint(id)) => Some(id.0),
            _ => None,
        }
    }

    async fn all(
        self,
        connection: &mut PgConnection,
        by: By,
        ids: &[Uuid],
        found: &mut Found,
    ) -> Result<(), StoreError> {
        match self {
            Kind::Installation => rows::all::<InstallationRow>(connection, by, ids, found).await,
            Kind::Terms => rows::all::<TermsRow>(connection, by, ids, found).await,
            Kind::OperatorKey => rows::all::<OperatorKeyRow>(connection, by, ids, found).await,
            Kind::PriceRule => rows::all::<PriceRuleRow>(connection, by, ids, found).await,
            Kind::Account => rows::all::<AccountRow>(connection, by, ids, found).await,
            Kind::Gateway => rows::all::<GatewayRow>(connection, by, ids, found).await,
            Kind::ProviderKey => rows::all::<ProviderKeyRow>(connection, by, ids, found).await,
            Kind::GatewayToken => rows::all::<GatewayTokenRow>(connection, by, ids, found).await,
            Kind::ApiToken => rows::all::<ApiTokenRow>(connection, by, ids, found).await,
            Kind::BoundKey => rows::all::<BoundKeyRow>(connection, by, ids, found).await,
            Kind::VaultSecret => rows::all::<VaultSecretRow>(connection, by, ids, found).await,
            Kind::Endpoint => rows::all::<EndpointRow>(connection, by, ids, found).await,
        }
    }

    async fn page(
        self,
        connection: &mut PgConnection,
        after: Uuid,
        limit: i64,
        found: &mut Found,
    ) -> Result<Option<Uuid>, StoreError> {
        match self {
            Kind::Installation => rows::page::<InstallationRow>(connection, after, limit, found).await,
            Kind::Terms => rows::page::<TermsRow>(connection, after, limit, found).await,
            Kind::OperatorKey => rows::page::<OperatorKeyRow>(connection, after, limit, found).await,
            Kind::PriceRule => rows::page::<PriceRuleRow>(connection, after, limit, found).await,
            Kind::Account => rows::page::<AccountRow>(connection, after, limit, found).await,
            Kind::Gateway => rows::page::<GatewayRow>(connection, after, limit, found).await,
            Kind::ProviderKey => rows::page::<ProviderKeyRow>(connection, after, limit, found).await,
            Kind::GatewayToken => rows::page::<GatewayTokenRow>(connection, after, limit, found).await,
            Kind::ApiToken => rows::page::<ApiTokenRow>(connection, after, limit, found).await,
            Kind::BoundKey => rows::page::<BoundKeyRow>(connection, after, limit, found).await,
            Kind::VaultSecret => rows::page::<VaultSecretRow>(connection, after, limit, found).await,
            Kind::Endpoint => rows::page::<EndpointRow>(connection, after, limit, found).await,
        }
    }
}
