//! How credits are bought: by card at Stripe, by hand or when the balance falls; and how people are told
//! that it fell. Without a key for Stripe everything here but the telling is off, and says so.

pub mod auto_topups;
mod desk;
mod looking;
pub mod metrics;
pub mod notices;
pub mod purchase;
mod reversing;
pub mod settling;
pub mod signature;
pub mod stripe;

use std::sync::Arc;

use clap::Args;
use egress::{Egress, EgressConfig};
use model::{Nanos, Secret};
use tracing::warn;
use vault::ContentsBox;

pub use desk::run;
pub use looking::look;
use notices::letters::Letters;
use stripe::Stripe;

/// Who takes payments and how people are told things.
#[derive(Debug, Clone, Args)]
pub struct PaymentsConfig {
    /// Stripe's secret key; without it no card can be charged
    #[arg(long, env = "STRIPE_SECRET_KEY", hide_env_values = true)]
    pub stripe_secret_key: Option<Secret>,
    /// what signs Stripe's webhooks, `whsec_…`; several, while it is changed, separated by commas
    #[arg(long, env = "STRIPE_WEBHOOK_SECRET", hide_env_values = true)]
    pub stripe_webhook_secret: Option<Secret>,
    /// what buyers' browsers show Stripe's form with, `pk_…`
    #[arg(long, env = "STRIPE_PUBLISHABLE_KEY")]
    pub stripe_publishable_key: Option<String>,
    /// where Stripe is
    #[arg(long, env = "TOLLGATE_STRIPE_URL", default_value = "https://api.stripe.com")]
    pub stripe_url: String,
    /// the mail server, such as `smtps://name:password@mail.example.com`; without it no letters are sent
    #[arg(long, env = "TOLLGATE_SMTP_URL", hide_env_values = true)]
    pub smtp_url: Option<Secret>,
    /// who letters are from
    #[arg(long, env = "TOLLGATE_SMTP_FROM", default_value = "Tollgate <tollgate@localhost>")]
    pub smtp_from: String,
    /// what tenants' webhooks may reach
    #[command(flatten)]
    pub egress: EgressConfig,
}

/// As if nothing were set.
impl Default for PaymentsConfig {
    fn default() -> Self {
        Self {
            stripe_secret_key: None,
            stripe_webhook_secret: None,
            stripe_publishable_key: None,
            stripe_url: "https://api.stripe.com".to_owned(),
            smtp_url: None,
            smtp_from: "Tollgate <tollgate@localhost>".to_owned(),
            egress: EgressConfig::default(),
        }
    }
}

/// All of it, ready to be used. Clones share everything.
#[derive(Debug, Clone)]
pub struct Payments {
    /// Who takes payments.
    pub provider: Provider,
    /// Who carries letters, if anybody does.
    pub letters: Option<Letters>,
    /// The way to tenants' webhooks.
    pub egress: Egress,
    /// Opens and seals what signs them.
    pub contents: ContentsBox,
}

/// Who takes payments.
#[derive(Debug, Clone)]
pub enum Provider {
    /// Nobody: credits are granted by the operator and by vouchers.
    Off,
    /// Stripe.
    Stripe(Arc<Stripe>),
}

/// Nobody takes payments here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", Off::MESSAGE)]
pub struct Off;

impl Off {
    /// For people.
    pub const MESSAGE: &str = "Card top-up is off: this installation has no payment provider. The operator can \
                               grant credits, and vouchers can be redeemed";
}

impl Provider {
    /// Stripe, where a card is to be charged.
    pub fn stripe(&self) -> Result<&Stripe, Off> {
        match self {
            Self::Off => Err(Off),
            Self::Stripe(stripe) => Ok(stripe),
        }
    }
}

impl Payments {
    /// Opens what the configuration names.
    pub fn open(config: &PaymentsConfig, contents: &ContentsBox) -> anyhow::Result<Self> {
        let letters = match given(config.smtp_url.as_ref()) {
            Some(url) => Some(Letters::open(url, &config.smtp_from)?),
            None => None,
        };
        Ok(Self {
            provider: provider(config)?,
            letters,
            egress: Egress::new(&config.egress),
            contents: contents.clone(),
        })
    }
}

fn provider(config: &PaymentsConfig) -> anyhow::Result<Provider> {
    let Some(key) = given(config.stripe_secret_key.as_ref()) else { return Ok(Provider::Off) };
    let secrets = given(config.stripe_webhook_secret.as_ref()).map(Secret::expose).unwrap_or_default();
    let secrets: Vec<Secret> =
        secrets.split(',').map(str::trim).filter(|secret| !secret.is_empty()).map(Secret::new).collect();
    if secrets.is_empty() {
        warn!("STRIPE_WEBHOOK_SECRET is not set: Stripe is asked for news, but not listened to");
    }
    let publishable = config.stripe_publishable_key.clone().filter(|key| !key.is_empty());
    Ok(Provider::Stripe(Arc::new(Stripe::new(&config.stripe_url, key, secrets, publishable)?)))
}

/// Compose files set variables that nobody filled in to nothing.
fn given(secret: Option<&Secret>) -> Option<&Secret> {
    secret.filter(|secret| !secret.expose().trim().is_empty())
}

/// Nano-dollars in a cent.
pub(crate) const CENT: i64 = 10_000_000;

/// Whole cents, rounded down: nobody is shown what he does not have.
pub(crate) fn cents(amount: Nanos) -> i64 {
    amount.0.div_euclid(CENT)
}

/// The fee on a purchase: so many millionths of it, rounded half up to a cent, which is the least that a
/// card can be charged.
pub fn purchase_fee(amount: Nanos, ppm: i64) -> Nanos {
    let exact = i128::from(amount.0) * i128::from(ppm.max(0));
    let cent = i128::from(CENT) * 1_000_000;
    let cents = (exact + cent / 2).div_euclid(cent);
    Nanos(i64::try_from(cents * i128::from(CENT)).unwrap_or(i64::MAX / CENT * CENT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fee_is_whole_cents() {
        for (cents, ppm, fee) in [(1000, 50_000, 50), (1001, 50_000, 50), (1010, 50_000, 51), (1000, 0, 0)] {
            assert_eq!(purchase_fee(Nanos(cents * CENT), ppm), Nanos(fee * CENT), "{cents} at {ppm}");
        }
        assert_eq!(purchase_fee(Nanos(i64::MAX), 1_000_000).0 % CENT, 0);
    }
}
