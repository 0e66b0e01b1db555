//! Notices as signed calls to an address of the account's.

use std::time::Duration;

use egress::{Bounds, EgressError};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Request, StatusCode};
use model::account::SealedKeys;
use model::{AccountId, Secret};
use serde::Serialize;
use store::notices::deliveries::Delivery;
use store::notices::{self, Webhook};
use store::{Store, StoreError, accounts};
use time::OffsetDateTime;
use vault::{ContentsBox, ContentsKey, VaultError};

use super::{Failure, Payments};
use crate::payments::{cents, signature};

/// The header that carries the signature.
pub const SIGNATURE: &str = "tollgate-signature";
const BOUNDS: Bounds = Bounds { time: Duration::from_secs(10), bytes: 64 * 1024 };
const PURPOSE: &str = "notice-signing-secret";

/// What is sent.
#[derive(Debug, Serialize)]
struct Body {
    /// The same in every repetition.
    id: String,
    r#type: &'static str,
    account_id: AccountId,
    #[serde(with = "time::serde::rfc3339")]
    created_at: OffsetDateTime,
    data: LowBalance,
}

#[derive(Debug, Serialize)]
struct LowBalance {
    /// Cents, rounded down.
    balance: i64,
    balance_usd: String,
    threshold: i64,
    threshold_usd: String,
}

pub(super) async fn call(
    store: &Store,
    payments: &Payments,
    delivery: &Delivery,
    now: OffsetDateTime,
) -> Result<(), Failure> {
    let for_now = |error: &dyn std::fmt::Display| Failure::ForNow(error.to_string());
    // What signs is what is set now. An address that is not set any more is not called any more.
    let settings = notices::settings(store, delivery.account).await.map_err(|error| for_now(&error))?;
    let Some(Webhook { secret, .. }) = settings.webhook.filter(|webhook| webhook.url == delivery.target)
    else {
        return Err(Failure::ForGood("the address is not set any more".to_owned()));
    };
    let secret = open_secret(store, &payments.contents, delivery.account, &secret)
        .await
        .map_err(|error| for_now(&error))?;
    let body = serde_json::to_vec(&body(delivery)).map_err(|error| for_now(&error))?;
    let request = Request::post(&delivery.target)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("tollgate/", env!("CARGO_PKG_VERSION")))
        .header(SIGNATURE, signature::sign(&secret, now, &body))
        .body(body.into())
        .map_err(|error| Failure::ForGood(error.to_string()))?;
    match payments.egress.send(request, BOUNDS).await {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) if answer.status() == StatusCode::GONE => {
            Err(Failure::ForGood("it answered 410 Gone".to_owned()))
        }
        Ok(answer) => Err(Failure::ForNow(format!("it answered {}", answer.status()))),
        Err(error @ EgressError::Address(_)) => Err(Failure::ForGood(error.to_string())),
        Err(error) => Err(for_now(&error)),
    }
}

fn body(delivery: &Delivery) -> Body {
    let Delivery { notice, account, balance, threshold, at, .. } = delivery;
    Body {
        id: notice.to_string(),
        r#type: "low_balance",
        account_id: *account,
        created_at: *at,
        data: LowBalance {
            balance: cents(*balance),
            balance_usd: balance.to_string(),
            threshold: cents(*threshold),
            threshold_usd: threshold.to_string(),
        },
    }
}

/// Why a signing secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// Postgres said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vault said no.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// There is no such account.
    #[error("there is no such account")]
    UnknownAccount,
}

/// A new signing secret, and the same sealed under the account's own key.
pub(crate) async fn new_secret(
    store: &Store,
    contents: &ContentsBox,
    account: AccountId,
    random: [u8; 32],
) -> Result<(Secret, Vec<u8>), SecretError> {
    let secret = Secret::new(format!("whsec_{}", hex::encode(random)));
    let key = key(store, contents, account).await?;
    let sealed = key.seal(PURPOSE, &account.to_string(), secret.expose().as_bytes())?;
    Ok((secret, sealed))
}

async fn open_secret(
    store: &Store,
    contents: &ContentsBox,
    account: AccountId,
    sealed: &[u8],
) -> Result<Secret, SecretError> {
    let opened = key(store, contents, account).await?.open(PURPOSE, &account.to_string(), sealed)?;
    Ok(Secret::new(std::str::from_utf8(&opened).map_err(|_| VaultError::Malformed)?))
}

async fn key(store: &Store, contents: &ContentsBox, account: AccountId) -> Result<ContentsKey, SecretError> {
    let mut connection = store.pool.acquire().await.map_err(StoreError::from)?;
    let keys = accounts::sealed_keys(&mut connection, account).await?;
    let SealedKeys { contents: sealed, .. } = keys.ok_or(SecretError::UnknownAccount)?;
    Ok(contents.contents_key(account, &sealed)?)
}
