//! Accounts as customers of the payment provider, and the card that each left there.

use model::AccountId;
use sqlx::PgConnection;

use crate::{Store, StoreError};

/// An account as a customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payer {
    /// Its name at the provider.
    pub customer: String,
    /// The card that may be charged while nobody is there.
    pub card: Option<Card>,
}

/// A card, as far as anybody but the provider knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The provider's name for it.
    pub payment_method: String,
    /// Such as `visa`.
    pub brand: String,
    /// Its last digits.
    pub last4: String,
}

/// An account as a customer, if it is one.
pub async fn get(store: &Store, account: AccountId) -> Result<Option<Payer>, StoreError> {
    let row: Option<(String, Option<String>, String, String)> =
        sqlx::query_as("select customer, payment_method, brand, last4 from payers where account_id = $1")
            .bind(account.0)
            .fetch_optional(&store.pool)
            .await?;
    Ok(row.map(|(customer, payment_method, brand, last4)| Payer {
        customer,
        card: payment_method.map(|payment_method| Card { payment_method, brand, last4 }),
    }))
}

/// Notes that an account is this customer. Of two who come at the same time the first is right; the
/// answer says who the customer is.
pub async fn create(store: &Store, account: AccountId, customer: &str) -> Result<String, StoreError> {
    let customer = sqlx::query_scalar(
        "insert into payers (account_id, customer) values ($1, $2)
         on conflict (account_id) do update set customer = payers.customer returning customer",
    )
    .bind(account.0)
    .bind(customer)
    .fetch_one(&store.pool)
    .await?;
    Ok(customer)
}

/// Keeps the card that was charged last.
pub async fn keep_card(
    connection: &mut PgConnection,
    account: AccountId,
    card: &Card,
) -> Result<(), StoreError> {
    let Card { payment_method, brand, last4 } = card;
    sqlx::query("update payers set payment_method = $2, brand = $3, last4 = $4 where account_id = $1")
        .bind(account.0)
        .bind(payment_method)
        .bind(brand)
        .bind(last4)
        .execute(connection)
        .await?;
    Ok(())
}
