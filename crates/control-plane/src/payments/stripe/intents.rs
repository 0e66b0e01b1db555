//! Payment intents: what is asked for and how it stands.

use model::id::PaymentId;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use store::payments::{Origin, Payment};

/// A payment intent.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Intent {
    /// Stripe's name for it.
    pub id: String,
    /// How it stands.
    #[serde(rename = "status")]
    pub state: IntentState,
    /// What is or was to be paid, in the smallest unit of the currency.
    pub amount: i64,
    /// What was paid of it, where Stripe says so.
    pub amount_received: Option<i64>,
    /// In small letters.
    pub currency: String,
    /// What the buyer's browser needs to go on with it.
    pub client_secret: Option<String>,
    /// The card.
    #[serde(default, deserialize_with = "id_or_object")]
    pub payment_method: Option<String>,
    /// Why the last attempt failed.
    #[serde(default)]
    pub last_payment_error: Option<Failure>,
    #[serde(default)]
    metadata: Metadata,
}

/// How an intent stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IntentState {
    /// The buyer has not named a card, or the last one was declined.
    RequiresPaymentMethod,
    /// The card has not been charged.
    RequiresConfirmation,
    /// The card's owner has to be asked.
    RequiresAction,
    /// The bank takes its time.
    Processing,
    /// The money is there.
    Succeeded,
    /// It was called off.
    Canceled,
    /// Something that we do not ask for.
    #[serde(other)]
    Other,
}

/// Why an attempt failed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Failure {
    /// Stripe's word.
    pub code: Option<String>,
    /// Stripe's sentence, written for the buyer.
    pub message: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
struct Metadata {
    payment_id: Option<String>,
}

impl Intent {
    /// The payment that it was made for, as we told Stripe.
    pub fn payment(&self) -> Option<PaymentId> {
        self.metadata.payment_id.as_deref()?.parse().ok()
    }

    /// What was paid, in cents.
    pub fn received(&self) -> i64 {
        self.amount_received.unwrap_or(self.amount)
    }

    /// Why the last attempt failed: a code, and a sentence for the buyer.
    pub fn failure(&self) -> Option<(String, String)> {
        let Failure { code, message } = self.last_payment_error.clone()?;
        let code = code.unwrap_or_else(|| "card_declined".to_owned());
        Some((code, message.unwrap_or_else(|| "the card was declined".to_owned())))
    }
}

/// What Stripe is asked to make. The same payment always asks the same, or its key would be refused.
pub(super) fn form(payment: &Payment) -> Vec<(&'static str, String)> {
    let mut form = vec![
        ("amount", payment.cents().to_string()),
        ("currency", "usd".to_owned()),
        ("customer", payment.customer.clone()),
        ("payment_method_types[]", "card".to_owned()),
        ("metadata[payment_id]", payment.id.to_string()),
        ("metadata[account_id]", payment.account.to_string()),
    ];
    form.extend(payment.payment_method.clone().map(|method| ("payment_method", method)));
    if payment.origin == Origin::Manual {
        // The card is kept for automatic top-ups.
        form.push(("payment_method_options[card][setup_future_usage]", "off_session".to_owned()));
    }
    form
}

/// Stripe writes a related object as its id, or whole.
pub(super) fn id_or_object<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(id) => Some(id),
        Value::Object(object) => object.get("id").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    })
}
