//! Who is told when the balance runs low.

use axum::extract::State;
use axum::http::Uri;
use model::document::{self, Mistake, boolean, integer, nullable, text};
use model::id::NoticeId;
use model::{Nanos, Secret};
use serde::Serialize;
use serde_json::Value;
use store::Store;
use store::accounts::Account;
use store::notices::deliveries::{self, Shown};
use store::notices::{self, NoticeSettings, Webhook};
use time::OffsetDateTime;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::of_cents;
use crate::api::authorized::{Authorized, BillingRead, BillingWrite};
use crate::api::body::Body;
use crate::api::envelope::{ApiResult, Envelope};
use crate::api::error::ApiError;
use crate::api::{ApiState, random};
use crate::payments::notices::letters;
use crate::payments::notices::webhooks::{SecretError, new_secret};
use crate::payments::{Payments, cents};

/// How many can be written to.
const MOST_EMAILS: usize = 5;
/// How many of the latest deliveries are shown.
const LATEST: i64 = 20;
/// The highest threshold, in cents: what an account holds at most.
const HIGHEST: u64 = 400_000_000;

pub(super) fn routes() -> OpenApiRouter<ApiState> {
    OpenApiRouter::new().routes(routes!(show, set))
}

/// Show who is told when the balance runs low
///
/// With the latest that were told, and whether it reached them.
#[utoipa::path(get, path = "/accounts/{account_id}/ai-gateway/billing/notices", tag = "Billing",
    responses((status = 200, body = Envelope<Notices>)))]
async fn show(
    account: Authorized<Account, BillingRead>,
    State(store): State<Store>,
    State(payments): State<Payments>,
) -> ApiResult<Notices> {
    let settings = notices::settings(&store, account.account).await?;
    let latest = deliveries::latest(&store, account.account, LATEST).await?;
    Ok(Envelope::of(Notices::of(settings, &payments, latest, None)))
}

/// Say who is to be told when the balance runs low
///
/// Replaces what was said before. Each time the balance falls below `threshold` everybody is told once.
/// A webhook's calls carry `Tollgate-Signature: t=<seconds>,v1=<hex>`: the HMAC-SHA256 of
/// `<seconds>.<body>` under the signing secret. That secret is in the answer which makes it and in no
/// other: when an address is set for the first time, and when `rotate_webhook_secret` asks for a new one.
#[utoipa::path(put, path = "/accounts/{account_id}/ai-gateway/billing/notices", tag = "Billing",
    request_body(content = NewNotices, example = json!({
        "threshold": 500,
        "webhook_url": "https://example.com/low-balance",
    })),
    responses((status = 200, body = Envelope<Notices>)))]
async fn set(
    account: Authorized<Account, BillingWrite>,
    State(store): State<Store>,
    State(payments): State<Payments>,
    Body(body): Body<Value>,
) -> ApiResult<Notices> {
    let NewNotices { threshold, emails, webhook_url, rotate_webhook_secret } = NewNotices::of(&body)?;
    if !emails.is_empty() && payments.letters.is_none() {
        let message = "no letters are sent here: the operator has set no TOLLGATE_SMTP_URL";
        return Err(ApiError::body("emails", message));
    }
    let account = account.account;
    let before = notices::settings(&store, account).await?.webhook.map(|webhook| webhook.secret);
    let (webhook, shown) = match (webhook_url, before) {
        (None, _) => (None, None),
        (Some(url), Some(secret)) if !rotate_webhook_secret => (Some(Webhook { url, secret }), None),
        (Some(url), _) => {
            let (shown, secret) = new_secret(&store, &payments.contents, account, random()?).await?;
            (Some(Webhook { url, secret }), Some(shown))
        }
    };
    let settings = NoticeSettings { threshold, emails, webhook };
    notices::set(&store, account, &settings).await?;
    let latest = deliveries::latest(&store, account, LATEST).await?;
    Ok(Envelope::of(Notices::of(settings, &payments, latest, shown)))
}

impl From<SecretError> for ApiError {
    fn from(error: SecretError) -> Self {
        match error {
            SecretError::Store(error) => error.into(),
            SecretError::Vault(error) => error.into(),
            SecretError::UnknownAccount => Self::NotFound,
        }
    }
}

/// Who is to be told.
#[derive(Debug, ToSchema)]
struct NewNotices {
    /// Below which balance, in cents; absent or null for no notice.
    #[schema(value_type = Option<u64>)]
    threshold: Option<Nanos>,
    /// Who is written to, at most five.
    #[schema(value_type = Option<Vec<String>>)]
    emails: Vec<String>,
    /// What is called: a public `https://` or `http://` address.
    #[schema(value_type = Option<String>)]
    webhook_url: Option<String>,
    /// Whether the signing secret is replaced by a new one.
    #[schema(value_type = Option<bool>)]
    rotate_webhook_secret: bool,
}

impl NewNotices {
    fn of(body: &Value) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| {
            let threshold = document.optional("threshold", None, nullable(integer(1..=HIGHEST)));
            let emails = document.optional("emails", Vec::new(), addresses);
            let webhook_url = document.optional("webhook_url", None, nullable(web_address));
            let rotate = document.optional("rotate_webhook_secret", false, boolean);
            // An answer can be sent back.
            document.ignored(&["threshold_usd", "webhook_secret", "letters", "latest"]);
            Some(Self {
                threshold: threshold?.map(of_cents),
                emails: emails?,
                webhook_url: webhook_url?,
                rotate_webhook_secret: rotate?,
            })
        })
    }
}

fn addresses(value: &Value) -> Result<Vec<String>, String> {
    let list = document::texts(MOST_EMAILS)(value)?;
    if list.iter().all(|address| address.len() <= 254 && letters::is_address(address)) {
        Ok(list)
    } else {
        Err("must be a list of e-mail addresses".to_owned())
    }
}

/// Where it leads is looked at when it is called: a name may mean something else by then.
fn web_address(value: &Value) -> Result<String, String> {
    let address = text(1..=2048)(value)?;
    let uri: Uri = address.parse().map_err(|_| "must be a web address".to_owned())?;
    egress::check(&uri).map_err(|error| error.to_string())?;
    Ok(address)
}

/// Who is told.
#[derive(Debug, Serialize, ToSchema)]
struct Notices {
    /// Below which balance, in cents.
    threshold: Option<i64>,
    threshold_usd: Option<String>,
    emails: Vec<String>,
    /// Whether letters can be sent here at all.
    letters: bool,
    webhook_url: Option<String>,
    /// What signs the calls, in the answer that makes it and in no other.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_secret: Option<String>,
    /// The latest notices, the newest first.
    latest: Vec<NoticeDelivery>,
}

/// Somebody who was told, or is to be.
#[derive(Debug, Serialize, ToSchema)]
struct NoticeDelivery {
    #[schema(value_type = String)]
    notice_id: NoticeId,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    balance_usd: String,
    threshold_usd: String,
    /// `email` or `webhook`.
    channel: String,
    target: String,
    /// `pending`, `delivered` or `given_up`.
    status: String,
    /// What went wrong last.
    #[serde(skip_serializing_if = "String::is_empty")]
    error: String,
}

impl Notices {
    fn of(settings: NoticeSettings, payments: &Payments, latest: Vec<Shown>, secret: Option<Secret>) -> Self {
        let NoticeSettings { threshold, emails, webhook } = settings;
        Self {
            threshold: threshold.map(cents),
            threshold_usd: threshold.map(|threshold| threshold.to_string()),
            emails,
            letters: payments.letters.is_some(),
            webhook_url: webhook.map(|webhook| webhook.url),
            webhook_secret: secret.map(|secret| secret.expose().to_owned()),
            latest: latest.into_iter().map(NoticeDelivery::from).collect(),
        }
    }
}

impl From<Shown> for NoticeDelivery {
    fn from(shown: Shown) -> Self {
        let Shown { notice, balance, threshold, at, channel, target, state, error } = shown;
        Self {
            notice_id: notice,
            at,
            balance_usd: balance.to_string(),
            threshold_usd: threshold.to_string(),
            channel,
            target,
            status: state,
            error,
        }
    }
}
