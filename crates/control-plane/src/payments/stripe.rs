//! Stripe, over HTTPS: customers, payment intents, cards. No more than what buying credits needs.
//!
//! No money moves before the intent's name is known here: an intent is made first and confirmed then. An
//! automatic top-up is one call, because Stripe wants it so, and is repeated under the same key until its
//! answer is known.

mod events;
mod intents;

use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model::{AccountId, Secret};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use store::payments::Payment;
use store::payments::payers::Card;
use time::OffsetDateTime;

pub use events::{Event, News};
pub use intents::{Intent, IntentState};

use super::signature::{self, BadSignature};

/// The release of Stripe's API whose answers are read here.
const VERSION: HeaderValue = HeaderValue::from_static("2024-06-20");
/// Stripe gives up after less.
const PATIENCE: Duration = Duration::from_secs(40);
/// No answer of Stripe's is nearly as long, in bytes.
const LONGEST: usize = 1024 * 1024;

/// Stripe, as one of its customers' accounts.
pub struct Stripe {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    /// Without a slash at the end.
    base: String,
    authorization: HeaderValue,
    webhook_secrets: Vec<Secret>,
    publishable_key: Option<String>,
}

/// Why Stripe did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StripeError {
    /// The card was declined, or its owner has to be asked.
    #[error("{message}")]
    Declined {
        /// Stripe's word for why.
        code: String,
        /// Stripe's sentence, written for the buyer.
        message: String,
        /// What became of the intent.
        intent: Option<Box<Intent>>,
    },
    /// The request is one that Stripe does not take.
    #[error("{0}")]
    Refused(String),
    /// Nobody knows whether it was done.
    #[error("the payment provider cannot be reached: {0}")]
    Unavailable(String),
}

/// An error as Stripe writes it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Complaint {
    r#type: String,
    code: Option<String>,
    decline_code: Option<String>,
    message: String,
    payment_intent: Option<Value>,
}

impl Stripe {
    /// Stripe at `base`, with its secret key, the secrets that sign its webhooks, and the key that
    /// buyers' browsers are given.
    pub fn new(
        base: &str,
        key: &Secret,
        webhook_secrets: Vec<Secret>,
        publishable_key: Option<String>,
    ) -> anyhow::Result<Self> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", key.expose()))?;
        authorization.set_sensitive(true);
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(Duration::from_secs(10)));
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_native_roots()?
            .with_no_client_auth();
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        let base = base.trim_end_matches('/').to_owned();
        let client = Client::builder(TokioExecutor::new()).build(https);
        Ok(Self { http: client, base, authorization, webhook_secrets, publishable_key })
    }

    /// Whether what Stripe says of its own accord can be believed at all.
    pub fn hears(&self) -> bool {
        !self.webhook_secrets.is_empty()
    }

    /// What buyers' browsers show Stripe's form with.
    pub fn publishable_key(&self) -> Option<&str> {
        self.publishable_key.as_deref()
    }

    /// What Stripe says of its own accord, if it is Stripe who says it.
    pub fn event(
        &self,
        signature: &str,
        body: &[u8],
        now: OffsetDateTime,
    ) -> Result<Result<Event, serde_json::Error>, BadSignature> {
        signature::check(&self.webhook_secrets, signature, body, now)?;
        Ok(Event::of(body))
    }

    /// Makes an account a customer, once.
    pub async fn create_customer(
        &self,
        account: AccountId,
        name: &str,
        email: Option<&str>,
    ) -> Result<String, StripeError> {
        let account = account.to_string();
        let mut form = vec![("name", name), ("metadata[account_id]", &account)];
        form.extend(email.map(|email| ("email", email)));
        // Stripe refuses a key that comes again with another name or address.
        let asked = Sha256::digest(format!("{account}\0{name}\0{}", email.unwrap_or_default()));
        let key = format!("customer-{}", hex::encode(asked));
        let customer = self.post("/v1/customers", &form, Some(&key)).await?;
        text(&customer, "id")
    }

    /// Makes an intent that charges nothing yet.
    pub async fn create_intent(&self, payment: &Payment) -> Result<Intent, StripeError> {
        let form = intents::form(payment);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.post("/v1/payment_intents", &form, Some(&payment.id.to_string())).await.and_then(read_intent)
    }

    /// Charges the card of an intent, while its owner is there.
    pub async fn confirm(&self, payment: &Payment, intent: &str) -> Result<Intent, StripeError> {
        let key = format!("{}-confirm", payment.id);
        let path = format!("/v1/payment_intents/{intent}/confirm");
        self.post(&path, &[], Some(&key)).await.and_then(read_intent)
    }

    /// Makes an intent and charges its card, while nobody is there.
    pub async fn charge(&self, payment: &Payment) -> Result<Intent, StripeError> {
        let mut form = intents::form(payment);
        form.extend([("confirm", "true".to_owned()), ("off_session", "true".to_owned())]);
        let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.post("/v1/payment_intents", &form, Some(&payment.id.to_string())).await.and_then(read_intent)
    }

    /// How an intent stands.
    pub async fn intent(&self, intent: &str) -> Result<Intent, StripeError> {
        let path = format!("/v1/payment_intents/{intent}");
        self.call(Method::GET, &path, &[], None).await.and_then(read_intent)
    }

    /// Calls an intent off.
    pub async fn cancel(&self, intent: &str) -> Result<Intent, StripeError> {
        let path = format!("/v1/payment_intents/{intent}/cancel");
        self.post(&path, &[], None).await.and_then(read_intent)
    }

    /// What may be shown of a card.
    pub async fn card(&self, payment_method: &str) -> Result<Card, StripeError> {
        let path = format!("/v1/payment_methods/{payment_method}");
        let found = self.call(Method::GET, &path, &[], None).await?;
        let of_card = |name: &str| found["card"][name].as_str().unwrap_or_default().to_owned();
        Ok(Card {
            payment_method: payment_method.to_owned(),
            brand: of_card("brand"),
            last4: of_card("last4"),
        })
    }

    async fn post(
        &self,
        path: &str,
        form: &[(&str, &str)],
        idempotency_key: Option<&str>,
    ) -> Result<Value, StripeError> {
        self.call(Method::POST, path, form, idempotency_key).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        form: &[(&str, &str)],
        idempotency_key: Option<&str>,
    ) -> Result<Value, StripeError> {
        let refused = |error: &dyn std::fmt::Display| StripeError::Refused(error.to_string());
        let body = serde_urlencoded::to_string(form).map_err(|error| refused(&error))?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(AUTHORIZATION, &self.authorization)
            .header("stripe-version", VERSION)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        let request = request.body(Full::from(body)).map_err(|error| refused(&error))?;
        let unavailable = |error: &dyn std::fmt::Display| StripeError::Unavailable(error.to_string());
        let exchange = async {
            let answer = self.http.request(request).await.map_err(|error| unavailable(&error))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST).collect().await;
            Ok((status, body.map_err(|error| unavailable(&error))?.to_bytes()))
        };
        let (status, body) = tokio::time::timeout(PATIENCE, exchange)
            .await
            .map_err(|_| StripeError::Unavailable("no answer in time".to_owned()))??;
        answer(status, &body)
    }
}

impl std::fmt::Debug for Stripe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Stripe({})", self.base)
    }
}

fn answer(status: StatusCode, body: &[u8]) -> Result<Value, StripeError> {
    if status.is_success() {
        return serde_json::from_slice(body).map_err(|error| StripeError::Unavailable(error.to_string()));
    }
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let complaint = Complaint::deserialize(&body["error"]).unwrap_or_default();
    match status {
        StatusCode::PAYMENT_REQUIRED => Err(StripeError::Declined {
            code: complaint.decline_code.or(complaint.code).unwrap_or_else(|| "card_declined".to_owned()),
            message: complaint.message,
            intent: complaint.payment_intent.and_then(|intent| read_intent(intent).ok()).map(Box::new),
        }),
        // Another request with the same key is under way, or too many are.
        StatusCode::CONFLICT | StatusCode::TOO_MANY_REQUESTS => {
            Err(StripeError::Unavailable(complaint.message))
        }
        status if status.is_client_error() => {
            let Complaint { r#type, message, .. } = complaint;
            Err(StripeError::Refused(format!("{message} ({}, {type})", status.as_u16())))
        }
        status => Err(StripeError::Unavailable(format!("it answered {status}"))),
    }
}

fn read_intent(intent: Value) -> Result<Intent, StripeError> {
    Intent::deserialize(intent).map_err(|error| StripeError::Unavailable(error.to_string()))
}

fn text(object: &Value, name: &str) -> Result<String, StripeError> {
    let missing = || StripeError::Unavailable(format!("the answer has no `{name}`"));
    object[name].as_str().map(str::to_owned).ok_or_else(missing)
}
