//! The installation's own data keys, under which the operator's credentials are sealed: made once, at
//! the first start, sealed under the root keys like those of an account.

use model::AccountId;
use model::resource::{ResourceId, ResourceKey};
use store::{ConfigTx, Store, operator_keys};
use vault::{SealedKeys, Sealer};

/// Makes the keys unless they are there.
pub async fn ensure(store: &Store, sealer: &Sealer) -> anyhow::Result<()> {
    let mut tx = store.config_tx().await?;
    load_or_create(&mut tx, sealer).await?;
    tx.commit().await?;
    Ok(())
}

/// The keys that are there, or else new ones, which then are. Two who come at the same time meet at
/// the row's lock.
pub(crate) async fn load_or_create(tx: &mut ConfigTx, sealer: &Sealer) -> anyhow::Result<SealedKeys> {
    if let Some(keys) = operator_keys::installation_keys(tx).await? {
        return Ok(keys);
    }
    let keys = sealer.new_account_keys(AccountId::INSTALLATION)?;
    operator_keys::set_installation_keys(tx, &keys).await?;
    // Proxies that know an earlier release's configuration know no terms either.
    tx.touch(ResourceKey { account: AccountId::INSTALLATION, kind: ResourceId::Terms });
    Ok(keys)
}
