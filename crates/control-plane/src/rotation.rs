//! Changes the operator's root keys while everything serves: `tollgate vault rotate`.
//!
//! Put a new key in front of each ring and restart every process, so that all of them can open both;
//! rotate; then take the old keys out and restart again. What proxies keep on disk they seal anew
//! whenever they write it; one that could not, starts from the control plane instead.

use model::AccountId;
use store::{Store, data_keys, operator_keys};
use tracing::info;
use uuid::Uuid;
use vault::{ContentsBox, Sealer};

use crate::api::receipt_keys::ReceiptKeys;
use crate::api::session_keys::SessionKeys;
use crate::push::Authority;

/// How many accounts are locked at a time. None of them is kept waiting for longer than a batch.
const BATCH: i64 = 256;

/// What a rotation did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Accounts whose data keys were wrapped anew.
    pub accounts: u64,
    /// Accounts whose data keys were under the first root keys already.
    pub already: u64,
}

/// Wraps whatever the root keys seal anew, under the first key of its ring. It can be broken off and
/// repeated at any time.
pub async fn rotate(store: &Store, sealer: &Sealer, contents: &ContentsBox) -> anyhow::Result<Rotation> {
    SessionKeys::rewrap(store, contents).await?;
    ReceiptKeys::rewrap(store, contents).await?;
    Authority::rewrap(store, contents).await?;
    rotate_installation(store, sealer).await?;
    let mut rotation = Rotation { accounts: 0, already: 0 };
    let mut last = AccountId(Uuid::nil());
    while let Some(next) = rotate_batch(store, sealer, last, &mut rotation).await? {
        last = next;
    }
    let Rotation { accounts, already } = rotation;
    info!(accounts, already, "Wrapped the data keys of {accounts} accounts anew, {already} had been before");
    Ok(rotation)
}

/// The keys under which the operator's own credentials are sealed.
async fn rotate_installation(store: &Store, sealer: &Sealer) -> anyhow::Result<()> {
    let mut tx = store.config_tx().await?;
    if let Some(keys) = operator_keys::installation_keys(&mut tx).await?
        && let Some(rewrapped) = sealer.rewrapped(AccountId::INSTALLATION, &keys)?
    {
        operator_keys::set_installation_keys(&mut tx, &rewrapped).await?;
        tx.commit().await?;
    }
    Ok(())
}

/// Rotates the accounts after `last`, and says which came last; nothing once there are no more.
async fn rotate_batch(
    store: &Store,
    sealer: &Sealer,
    last: AccountId,
    rotation: &mut Rotation,
) -> anyhow::Result<Option<AccountId>> {
    let mut tx = store.config_tx().await?;
    let batch = data_keys::after(&mut tx, last, BATCH).await?;
    for (account, keys) in &batch {
        match sealer.rewrapped(*account, keys)? {
            Some(rewrapped) => {
                data_keys::replace(&mut tx, *account, &rewrapped).await?;
                rotation.accounts += 1;
            }
            None => rotation.already += 1,
        }
    }
    tx.commit().await?;
    Ok(batch.last().map(|(account, _)| *account))
}
