//! `verify-webhook`: requests that a known sender has signed with a shared secret.

mod senders;

use http::StatusCode;

use self::senders::{SENDERS, Sender, Signed};
use super::Next;
use crate::actions::texts::short_text;
use crate::document::place::Place;
use crate::run::{Answer, BodyOrEffect, BodyWanted, Effect, Exchange, Failure, Outcome, Refusal};
use crate::template::Template;
use crate::value::Value;

/// A sender and the secret that is shared with it.
pub struct VerifyWebhook {
    sender: &'static Sender,
    secret: Template,
    pub(super) enforce: bool,
}

impl VerifyWebhook {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["provider", "secret", "enforce"])?;
        let choices: Vec<(&'static str, &'static Sender)> =
            SENDERS.iter().map(|sender| (sender.name, sender)).collect();
        let sender = fields.need("provider", |place| place.choice(&choices));
        let secret = fields.need("secret", |place| {
            place.text_of(1..=1024)?;
            place.template()
        });
        let enforce = fields.or("enforce", true, Place::boolean);
        Some(Self { sender: sender?, secret: secret?, enforce: enforce? })
    }

    pub(crate) fn act(
        &self,
        exchange: &mut Exchange,
        answered: Option<(Effect, Outcome)>,
    ) -> Result<Next, Failure> {
        exchange.keep_body(answered)?;
        let body = match exchange.body(BodyWanted::Raw) {
            BodyOrEffect::Body(bytes) => bytes,
            BodyOrEffect::Effect(effect) => return Ok(Next::Ask(effect)),
        };
        let secret = exchange.look(|facts| short_text(&self.secret, facts, 4096))?;
        if secret.is_empty() {
            return Err(Failure::evaluation("the secret of `verify-webhook` is empty"));
        }
        let url = exchange.url();
        let signed = Signed {
            headers: &exchange.arrival.headers,
            url: &url,
            body: &body,
            now: exchange.arrival.now.unix_timestamp(),
        };
        let verified = self.sender.has_signed(&signed, secret.as_str());
        let mut found = vec![("verified", Value::from(verified))];
        if !verified {
            let message = "the signature is missing or not valid";
            let error = [("code", Value::from("ERR_NGROK_3204")), ("message", message.into())];
            found.push(("error", Value::map(error)));
        }
        exchange.found("verify_webhook", found);
        if verified || !self.enforce {
            return Ok(Next::Go);
        }
        let message = "The webhook's signature is missing or not valid.";
        Ok(Next::End(Answer::Refused(Refusal::new(StatusCode::FORBIDDEN, Some(3204), message))))
    }
}
