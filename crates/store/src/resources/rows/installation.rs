//! Rows of the whole installation, of which every proxy is told.

use model::AccountId;
use model::id::OperatorKeyId;
use model::resource::{Body, OperatorKey, ResourceId, ResourceKey};
use model::terms::{AccountTerms, OperatorSettings};
use serde_json::value::RawValue;
use sqlx::FromRow;
use sqlx::types::Json;
use uuid::Uuid;

use super::{ResourceRow, read};
use crate::StoreError;
use crate::operator_keys::cancel_of;

/// The queries of the one row that there is: pages begin at the lowest id and are over at the highest.
macro_rules! only_row {
    ($columns:literal, $condition:literal) => {
        const BY_IDS: &'static str = concat!(
            "select ",
            $columns,
            " from installation where ",
            $condition,
            " and '00000000-0000-0000-0000-000000000000' = any($1)"
        );
        const BY_ACCOUNTS: &'static str = Self::BY_IDS;
        const PAGE: &'static str = concat!(
            "select ",
            $columns,
            " from installation where ",
            $condition,
            " and $1 < 'ffffffff-ffff-ffff-ffff-ffffffffffff' limit $2"
        );
    };
}

#[derive(FromRow)]
pub(in crate::resources) struct InstallationRow {
    credentials_key: Vec<u8>,
    contents_key: Vec<u8>,
}

impl ResourceRow for InstallationRow {
    only_row!("credentials_key, contents_key", "credentials_key is not null");

    fn key(&self) -> ResourceKey {
        ResourceKey { account: AccountId::INSTALLATION, kind: ResourceId::Account }
    }

    fn body(self) -> Result<Body, StoreError> {
        let Self { credentials_key, contents_key } = self;
        Ok(Body::Account { credentials_key, contents_key, terms: AccountTerms::default() })
    }

    fn id(&self) -> Uuid {
        Uuid::max()
    }
}

#[derive(FromRow)]
pub(in crate::resources) struct TermsRow {
    settings: Json<Box<RawValue>>,
}

impl ResourceRow for TermsRow {
    only_row!("settings", "true");

    fn key(&self) -> ResourceKey {
        ResourceKey { account: AccountId::INSTALLATION, kind: ResourceId::Terms }
    }

    fn body(self) -> Result<Body, StoreError> {
        let settings: OperatorSettings = read(&self.settings, "operator's settings")?;
        Ok(Body::Terms(settings.terms))
    }

    fn id(&self) -> Uuid {
        Uuid::max()
    }
}

#[derive(FromRow)]
pub(in crate::resources) struct OperatorKeyRow {
    id: Uuid,
    provider: String,
    alias: String,
    priority: i32,
    cancel: Option<String>,
    sealed: Vec<u8>,
}

impl ResourceRow for OperatorKeyRow {
    const BY_IDS: &'static str =
        "select id, provider, alias, priority, cancel, sealed from operator_keys where id = any($1)";
    const BY_ACCOUNTS: &'static str =
        "select id, provider, alias, priority, cancel, sealed from operator_keys
         where '00000000-0000-0000-0000-000000000000' = any($1)";
    const PAGE: &'static str = "select id, provider, alias, priority, cancel, sealed from operator_keys
         where id > $1 order by id limit $2";

    fn key(&self) -> ResourceKey {
        let kind = ResourceId::OperatorKey(OperatorKeyId(self.id));
        ResourceKey { account: AccountId::INSTALLATION, kind }
    }

    fn body(self) -> Result<Body, StoreError> {
        let Self { id, provider, alias, priority, cancel, sealed } = self;
        Ok(Body::OperatorKey(OperatorKey {
            id: OperatorKeyId(id),
            provider,
            alias,
            priority: u32::try_from(priority).map_err(|_| StoreError::Unreadable("priority"))?,
            cancel: cancel_of(cancel.as_deref())?,
            sealed,
        }))
    }

    fn id(&self) -> Uuid {
        self.id
    }
}
