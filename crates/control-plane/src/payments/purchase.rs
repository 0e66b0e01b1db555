//! One purchase by a person: an intent is made, and a card that is known is charged at once. Without one
//! the buyer's browser goes on with the intent, and we hear of it.

use model::id::PaymentId;
use model::{AccountId, Nanos};
use store::ledger::{self, LedgerError};
use store::payments::payers::{self, Card, Payer};
use store::payments::{self, Origin, Payment, PaymentState};
use store::{Store, StoreError, operator_settings};
use time::{Duration, OffsetDateTime};
use tracing::warn;
use uuid::Uuid;

use super::purchase_fee;
use super::settling::{self, Came};
use super::stripe::{Intent, IntentState, Stripe, StripeError};

/// How many purchases of an account may be unfinished at a time.
const UNFINISHED: i64 = 20;
/// When a payment is looked at for the first time, should nobody say what became of it.
pub(super) const FIRST_LOOK: Duration = Duration::seconds(30);

/// What is to be bought, by whom.
#[derive(Debug, Clone)]
pub struct Purchase<'a> {
    /// For which account.
    pub account: AccountId,
    /// What people call it.
    pub account_name: &'a str,
    /// Who buys.
    pub email: Option<&'a str>,
    /// How much.
    pub amount: Nanos,
    /// With which card, if not with the one that is kept.
    pub payment_method: Option<String>,
}

/// A purchase that began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The provider's name for it.
    pub intent: String,
    /// What the buyer's browser needs if it has to go on.
    pub client_secret: Option<String>,
    /// Whether a card was known before.
    pub onboarded: bool,
    /// What is paid on top of the credits.
    pub fee: Nanos,
    /// The card that was charged.
    pub card: Option<Card>,
}

/// Why nothing was bought.
#[derive(Debug, thiserror::Error)]
pub enum PurchaseError {
    /// The ledger or the database said no.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// Stripe said no, or nothing.
    #[error(transparent)]
    Stripe(#[from] StripeError),
    /// The amount is not one that can be bought.
    #[error("must be from {0} to {1} dollars")]
    Amount(Nanos, Nanos),
    /// Too many purchases wait for their buyers.
    #[error("too many purchases are unfinished")]
    TooManyUnfinished,
}

impl From<StoreError> for PurchaseError {
    fn from(error: StoreError) -> Self {
        Self::Ledger(error.into())
    }
}

impl From<sqlx::Error> for PurchaseError {
    fn from(error: sqlx::Error) -> Self {
        Self::Ledger(error.into())
    }
}

/// Begins a purchase.
pub async fn begin(
    store: &Store,
    stripe: &Stripe,
    purchase: Purchase<'_>,
    now: OffsetDateTime,
) -> Result<Begun, PurchaseError> {
    let account = purchase.account;
    let payer = payer(store, stripe, &purchase).await?;
    let kept = payer.card.as_ref().map(|card| card.payment_method.clone());
    let payment_method = purchase.payment_method.or(kept);
    let payment =
        keep(store, account, purchase.amount, payer.customer, payment_method, purchase.email, now).await?;
    let intent = match stripe.create_intent(&payment).await {
        Ok(intent) => intent,
        // An intent that was made and not heard of charges nothing, and nobody can go on with it.
        Err(error) => {
            if matches!(error, StripeError::Refused(_) | StripeError::Declined { .. }) {
                refused(store, &payment, &error, now).await?;
            }
            return Err(error.into());
        }
    };
    settling::learn(store, payment.id, &intent, now).await?;
    let begun = Begun {
        intent: intent.id.clone(),
        client_secret: None,
        onboarded: payer.card.is_some(),
        fee: payment.fee,
        card: payer.card,
    };
    if payment.payment_method.is_none() || intent.state != IntentState::RequiresConfirmation {
        return Ok(Begun { client_secret: intent.client_secret, ..begun });
    }
    // Whoever does not know the end yet may ask for it; to buy again would be to buy twice.
    let Some(intent) = confirm(store, stripe, &payment, &intent.id, now).await? else { return Ok(begun) };
    match settling::learn(store, payment.id, &intent, now).await? {
        Came::Credited => {
            let card = keep_card(store, stripe, account, &intent).await;
            Ok(Begun { card: card.or(begun.card), ..begun })
        }
        Came::Open => Ok(Begun { client_secret: intent.client_secret, ..begun }),
        Came::Stranded | Came::Failed(_) => Ok(begun),
    }
}

/// Charges the card. If that is declined nobody goes on with this intent. `None` if Stripe did not say
/// what became of it.
async fn confirm(
    store: &Store,
    stripe: &Stripe,
    payment: &Payment,
    intent: &str,
    now: OffsetDateTime,
) -> Result<Option<Intent>, PurchaseError> {
    match stripe.confirm(payment, intent).await {
        Ok(intent) => Ok(Some(intent)),
        Err(error @ StripeError::Unavailable(_)) => {
            warn!(payment = %payment.id, %error, "The end of payment {} is not known yet: {error}", payment.id);
            Ok(None)
        }
        Err(error) => {
            refused(store, payment, &error, now).await?;
            if let Err(error) = stripe.cancel(intent).await {
                warn!(payment = %payment.id, %error, "A declined payment could not be called off: {error}");
            }
            Err(error.into())
        }
    }
}

async fn refused(
    store: &Store,
    payment: &Payment,
    error: &StripeError,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    settling::give_up(store, payment.id, PaymentState::Failed, "refused", &error.to_string(), now).await
}

/// Writes a purchase down before anybody is asked for money.
async fn keep(
    store: &Store,
    account: AccountId,
    amount: Nanos,
    customer: String,
    payment_method: Option<String>,
    email: Option<&str>,
    now: OffsetDateTime,
) -> Result<Payment, PurchaseError> {
    let mut tx = store.pool.begin().await?;
    let settings = operator_settings::get(&mut tx).await?;
    if amount < settings.minimum_topup || amount > settings.maximum_topup {
        return Err(PurchaseError::Amount(settings.minimum_topup, settings.maximum_topup));
    }
    if ledger::balance(&mut tx, account).await?.total() + amount > ledger::MAXIMUM {
        return Err(LedgerError::TooMuch.into());
    }
    if payments::pending(&mut tx, account).await? >= UNFINISHED {
        return Err(PurchaseError::TooManyUnfinished);
    }
    let payment = Payment {
        id: PaymentId(Uuid::now_v7()),
        account,
        origin: Origin::Manual,
        customer,
        payment_method,
        amount,
        fee: purchase_fee(amount, settings.purchase_fee_ppm),
        intent: None,
        state: PaymentState::Pending,
        error: String::new(),
        refunded: 0,
        created_by: email.map(str::to_owned),
        created_at: now,
        settled_at: None,
    };
    payments::create(&mut tx, &payment, now + FIRST_LOOK).await?;
    tx.commit().await?;
    Ok(payment)
}

/// The account as a customer, which it becomes with its first purchase.
async fn payer(store: &Store, stripe: &Stripe, purchase: &Purchase<'_>) -> Result<Payer, PurchaseError> {
    if let Some(payer) = payers::get(store, purchase.account).await? {
        return Ok(payer);
    }
    let name = purchase.account_name;
    let customer = stripe.create_customer(purchase.account, name, purchase.email).await?;
    Ok(Payer { customer: payers::create(store, purchase.account, &customer).await?, card: None })
}

/// Keeps the card of a purchase that succeeded, for automatic top-ups. That it cannot be looked at now
/// changes nothing about the purchase.
pub async fn keep_card(store: &Store, stripe: &Stripe, account: AccountId, intent: &Intent) -> Option<Card> {
    let kept = async {
        let Some(method) = intent.payment_method.as_deref() else { return anyhow::Ok(None) };
        let card = stripe.card(method).await?;
        payers::keep_card(&mut *store.pool.acquire().await?, account, &card).await?;
        Ok(Some(card))
    };
    kept.await.unwrap_or_else(|error| {
        warn!(error = format!("{error:#}"), "The card of a purchase could not be kept: {error:#}");
        None
    })
}

/// What became of a purchase: as it is known here, or as Stripe says when it is asked.
pub async fn status(
    store: &Store,
    stripe: Option<&Stripe>,
    payment: &Payment,
    now: OffsetDateTime,
) -> Result<Came, PurchaseError> {
    match (payment.state, stripe, payment.intent.as_deref()) {
        (PaymentState::Succeeded, ..) => Ok(Came::Credited),
        (PaymentState::Stranded, ..) => Ok(Came::Stranded),
        (_, Some(stripe), Some(name)) => {
            let intent = stripe.intent(name).await?;
            let came = settling::learn(store, payment.id, &intent, now).await?;
            if came == Came::Credited {
                keep_card(store, stripe, payment.account, &intent).await;
            }
            Ok(came)
        }
        (PaymentState::Pending, ..) => Ok(Came::Open),
        (PaymentState::Failed | PaymentState::Canceled, ..) => Ok(Came::Failed(payment.error.clone())),
    }
}
