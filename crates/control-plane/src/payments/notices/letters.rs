//! Notices as letters, through the operator's mail server.

use std::time::Duration;

use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};
use model::Secret;
use store::notices::deliveries::Delivery;
use time::format_description::well_known::Rfc3339;

use super::Failure;

const PATIENCE: Duration = Duration::from_secs(30);

/// Who carries letters.
#[derive(Debug, Clone)]
pub struct Letters {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl Letters {
    /// Through the server that `url` names, with its user and password in it.
    pub fn open(url: &Secret, from: &str) -> anyhow::Result<Self> {
        // What is wrong with the URL is not said: it has a password in it.
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(url.expose())
            .map_err(|_| anyhow::anyhow!("TOLLGATE_SMTP_URL is not an SMTP URL"))?
            .timeout(Some(PATIENCE))
            .build();
        let from = from.parse().map_err(|error| anyhow::anyhow!("TOLLGATE_SMTP_FROM: {error}"))?;
        Ok(Self { transport, from })
    }

    pub(super) async fn send(&self, delivery: &Delivery) -> Result<(), Failure> {
        let letter = letter(&self.from, delivery).map_err(|error| Failure::ForGood(error.to_string()))?;
        match self.transport.send(letter).await {
            Ok(_) => Ok(()),
            // The server knows that it will never take it.
            Err(error) if error.is_permanent() => Err(Failure::ForGood(error.to_string())),
            Err(error) => Err(Failure::ForNow(error.to_string())),
        }
    }
}

fn letter(from: &Mailbox, delivery: &Delivery) -> anyhow::Result<Message> {
    let Delivery { notice, account, account_name, balance, threshold, at, target, .. } = delivery;
    let to = Mailbox::new(None, target.parse::<Address>()?);
    let at = at.replace_nanosecond(0)?.format(&Rfc3339)?;
    let body = format!(
        "The credits of {account_name} have fallen below {threshold} dollars: at {at} there were {balance} \
         dollars left.\n\nWithout credits, requests that are paid from them are refused. You can buy more, \
         redeem a voucher, or let them be topped up by themselves.\n\nAccount {account}\nNotice {notice}\n",
    );
    // A name of several lines must not become headers of ours.
    let name: String = account_name.chars().filter(|char| !char.is_control()).collect();
    Ok(Message::builder()
        .from(from.clone())
        .to(to)
        .subject(format!("Low balance: {name} has less than {threshold} dollars left"))
        .message_id(Some(format!("<{}@tollgate>", delivery.id.simple())))
        .header(ContentType::TEXT_PLAIN)
        .body(body)?)
}

/// Whether a letter could be addressed so.
pub fn is_address(text: &str) -> bool {
    text.parse::<Address>().is_ok()
}
