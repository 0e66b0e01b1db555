//! What Stripe says of its own accord.

use serde::Deserialize;
use serde_json::Value;
use store::payments::reversals::DisputeState;

use super::Intent;
use super::intents::id_or_object;

/// An event: its name, by which a repeated one is known, and its news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Stripe's name for it.
    pub id: String,
    /// What kind it is.
    pub kind: String,
    /// What it says.
    pub news: News,
}

/// What an event says, as far as it concerns us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// How an intent stands.
    Intent(Box<Intent>),
    /// How much of a payment was refunded in all.
    Refunded {
        /// The payment's intent.
        intent: String,
        /// In cents.
        cents: i64,
    },
    /// How a dispute about a payment stands.
    Dispute {
        /// Stripe's name for the dispute.
        id: String,
        /// The payment's intent.
        intent: String,
        /// In cents.
        cents: i64,
        /// How it stands.
        state: DisputeState,
    },
    /// Nothing.
    Nothing,
}

#[derive(Deserialize)]
struct Wire {
    id: String,
    r#type: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

#[derive(Deserialize)]
struct Charge {
    #[serde(default, deserialize_with = "id_or_object")]
    payment_intent: Option<String>,
    #[serde(default)]
    amount_refunded: i64,
}

#[derive(Deserialize)]
struct Dispute {
    id: String,
    #[serde(default, deserialize_with = "id_or_object")]
    payment_intent: Option<String>,
    amount: i64,
    status: String,
}

impl Event {
    /// Reads an event. Its object says more than its kind: a later event may tell of an earlier state.
    pub(super) fn of(body: &[u8]) -> Result<Self, serde_json::Error> {
        let Wire { id, r#type: kind, data } = serde_json::from_slice(body)?;
        let news = match kind.as_str() {
            kind if kind.starts_with("payment_intent.") => {
                News::Intent(Box::new(Intent::deserialize(data.object)?))
            }
            "charge.refunded" => {
                let Charge { payment_intent, amount_refunded } = Charge::deserialize(data.object)?;
                payment_intent
                    .map_or(News::Nothing, |intent| News::Refunded { intent, cents: amount_refunded })
            }
            kind if kind.starts_with("charge.dispute.") => {
                let Dispute { id, payment_intent, amount, status } = Dispute::deserialize(data.object)?;
                let state = dispute_state(&status);
                payment_intent.map_or(News::Nothing, |intent| News::Dispute {
                    id,
                    intent,
                    cents: amount,
                    state,
                })
            }
            _ => News::Nothing,
        };
        Ok(Self { id, kind, news })
    }
}

fn dispute_state(status: &str) -> DisputeState {
    match status {
        "won" => DisputeState::Won,
        // What was refunded is counted as a refund.
        "lost" => DisputeState::Lost,
        status if status.starts_with("warning_") => DisputeState::Inquiry,
        _ => DisputeState::Open,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::payments::stripe::IntentState;

    fn news(kind: &str, object: &Value) -> News {
        let event = json!({"id": "evt_1", "type": kind, "data": {"object": object}});
        Event::of(event.to_string().as_bytes()).unwrap().news
    }

    #[test]
    fn an_intent_is_read_whether_its_card_is_an_id_or_an_object() {
        for card in [json!("pm_1"), json!({"id": "pm_1", "object": "payment_method"})] {
            let intent = json!({"id": "pi_1", "status": "succeeded", "amount": 1050, "currency": "usd",
                "payment_method": card, "metadata": {"payment_id": "pay_00000000000000000000000000000007"}});
            let News::Intent(intent) = news("payment_intent.succeeded", &intent) else { panic!("no intent") };
            assert_eq!((intent.state, intent.received()), (IntentState::Succeeded, 1050));
            assert_eq!(intent.payment_method.as_deref(), Some("pm_1"));
            assert!(intent.payment().is_some());
        }
    }

    #[test]
    fn refunds_and_disputes_name_their_payment() {
        let charge = json!({"id": "ch_1", "payment_intent": "pi_1", "amount": 1050, "amount_refunded": 50});
        let refunded = News::Refunded { intent: "pi_1".to_owned(), cents: 50 };
        assert_eq!(news("charge.refunded", &charge), refunded);
        for (status, state) in [
            ("needs_response", DisputeState::Open),
            ("under_review", DisputeState::Open),
            ("warning_needs_response", DisputeState::Inquiry),
            ("warning_closed", DisputeState::Inquiry),
            ("won", DisputeState::Won),
            ("lost", DisputeState::Lost),
        ] {
            let dispute = json!({"id": "dp_1", "payment_intent": "pi_1", "amount": 9, "status": status});
            let expected =
                News::Dispute { id: "dp_1".to_owned(), intent: "pi_1".to_owned(), cents: 9, state };
            assert_eq!(news("charge.dispute.created", &dispute), expected);
        }
        // A charge of somebody else's on the same account, without an intent.
        assert_eq!(news("charge.refunded", &json!({"id": "ch_1", "amount_refunded": 1})), News::Nothing);
        assert_eq!(news("customer.created", &json!({"id": "cus_1"})), News::Nothing);
    }
}
