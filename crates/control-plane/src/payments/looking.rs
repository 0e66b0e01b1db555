//! Payments of which nobody said how they ended are looked at: an event can be lost, an answer too, and
//! buyers leave in the middle.

use futures_util::StreamExt as _;
use store::payments::{self, Origin, Payment, PaymentState};
use store::{Store, StoreError};
use time::{Duration, OffsetDateTime};
use tracing::warn;

use super::purchase::keep_card;
use super::settling::{self, Came};
use super::stripe::{Intent, IntentState, Stripe, StripeError};

/// How many are looked at in one round, and at a time.
const BATCH: i64 = 100;
const CONCURRENT: usize = 8;
/// After that nobody is waited for. Stripe forgets the key of a request no earlier than this.
const LONGEST: Duration = Duration::hours(23);

/// Looks at every payment whose time has come.
pub async fn look(store: &Store, stripe: &Stripe, now: OffsetDateTime) -> Result<(), StoreError> {
    let waiting = payments::to_look_at(store, now, BATCH).await?;
    let looked = futures_util::stream::iter(waiting).for_each_concurrent(CONCURRENT, |payment| async move {
        if let Err(error) = look_at(store, stripe, &payment, now).await {
            let error = format!("{error:#}");
            warn!(payment = %payment.id, error, "Payment {} could not be looked at: {error}", payment.id);
        }
    });
    looked.await;
    Ok(())
}

async fn look_at(
    store: &Store,
    stripe: &Stripe,
    payment: &Payment,
    now: OffsetDateTime,
) -> anyhow::Result<()> {
    let age = now - payment.created_at;
    // Written first: whatever goes wrong with this payment, it does not go wrong all the time.
    let pause = (age / 2_i32).clamp(Duration::seconds(30), Duration::HOUR);
    payments::look_again(store, payment.id, now + pause).await?;
    let too_old = age >= LONGEST;
    match (&payment.intent, payment.origin) {
        (None, Origin::Auto) if !too_old => charge(store, stripe, payment, now).await,
        (None, _) => {
            // Without a name nothing of a person's purchase was ever confirmed. What a very old automatic
            // one came to only an event can say, and it would still be heard.
            let reason = "the payment provider could not be reached";
            settling::give_up(store, payment.id, PaymentState::Canceled, "unavailable", reason, now).await?;
        }
        (Some(name), _) => {
            let mut intent = stripe.intent(name).await?;
            if too_old && may_be_called_off(&intent) {
                intent = stripe.cancel(name).await?;
            }
            if settling::learn(store, payment.id, &intent, now).await? == Came::Credited {
                keep_card(store, stripe, payment.account, &intent).await;
            }
        }
    }
    Ok(())
}

/// Charges the card of an automatic top-up, again under the same key if nobody knows whether it was
/// charged already.
pub(super) async fn charge(store: &Store, stripe: &Stripe, payment: &Payment, now: OffsetDateTime) {
    if let Err(error) = try_charge(store, stripe, payment, now).await {
        // It stays as it is and is looked at again.
        let error = format!("{error:#}");
        warn!(payment = %payment.id, error, "The end of payment {} is not known yet: {error}", payment.id);
    }
}

async fn try_charge(
    store: &Store,
    stripe: &Stripe,
    payment: &Payment,
    now: OffsetDateTime,
) -> anyhow::Result<()> {
    let give_up = |code: String, reason: String| async move {
        settling::give_up(store, payment.id, PaymentState::Failed, &code, &reason, now).await
    };
    match stripe.charge(payment).await {
        Ok(intent) if intent.state == IntentState::RequiresAction => {
            let reason = "the card's owner has to confirm the payment";
            give_up("authentication_required".to_owned(), reason.to_owned()).await?;
            call_off(stripe, payment, &intent).await;
        }
        Ok(intent) => {
            settling::learn(store, payment.id, &intent, now).await?;
        }
        Err(StripeError::Declined { code, message, intent }) => {
            give_up(code, message).await?;
            if let Some(intent) = intent.filter(|intent| may_be_called_off(intent)) {
                call_off(stripe, payment, &intent).await;
            }
        }
        Err(StripeError::Refused(message)) => give_up("refused".to_owned(), message).await?,
        Err(error @ StripeError::Unavailable(_)) => return Err(error.into()),
    }
    Ok(())
}

async fn call_off(stripe: &Stripe, payment: &Payment, intent: &Intent) {
    if let Err(error) = stripe.cancel(&intent.id).await {
        warn!(payment = %payment.id, %error, "A failed payment could not be called off: {error}");
    }
}

fn may_be_called_off(intent: &Intent) -> bool {
    matches!(
        intent.state,
        IntentState::RequiresPaymentMethod | IntentState::RequiresConfirmation | IntentState::RequiresAction
    )
}
