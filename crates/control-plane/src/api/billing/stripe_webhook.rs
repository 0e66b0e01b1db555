//! What Stripe says of its own accord arrives here: a body that is checked as it came, byte for byte.

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use serde_json::{Value, json};
use store::Store;
use time::OffsetDateTime;
use tracing::warn;

use crate::api::ApiState;
use crate::api::error::ApiError;
use crate::payments::stripe::News;
use crate::payments::{Payments, purchase, settling};

/// The one route. It belongs to Stripe's API, not to ours, so it is neither versioned nor described.
pub fn routes() -> Router<ApiState> {
    Router::new().route("/stripe/webhook", post(hear))
}

async fn hear(
    State(store): State<Store>,
    State(payments): State<Payments>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<axum::Json<Value>, ApiError> {
    let stripe = payments.provider.stripe().ok().filter(|stripe| stripe.hears()).ok_or(ApiError::NotFound)?;
    let now = OffsetDateTime::now_utc();
    let signature = headers.get("stripe-signature").and_then(|header| header.to_str().ok());
    let event = stripe.event(signature.unwrap_or_default(), &body, now).map_err(|error| {
        warn!(%error, "A call that says it is Stripe's is not: {error}");
        ApiError::Invalid {
            path: vec!["header".to_owned(), "Stripe-Signature".to_owned()],
            message: error.to_string(),
        }
    })?;
    // Stripe repeats what is refused; what cannot be read now could be by a later release.
    let event = event.map_err(|error| {
        warn!(%error, "An event of Stripe's cannot be read: {error}");
        ApiError::Invalid { path: vec!["body".to_owned()], message: "the event cannot be read".to_owned() }
    })?;
    let paid = settling::hear(&store, &event, now).await?;
    if let (Some(account), News::Intent(intent)) = (paid, &event.news) {
        purchase::keep_card(&store, stripe, account, intent).await;
    }
    Ok(axum::Json(json!({"received": true})))
}
