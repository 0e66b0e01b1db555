//! What the payment provider said of its own accord: each event is heard once, however often it comes.

use std::time::Duration;

use sqlx::PgConnection;

use crate::{Store, StoreError};

/// Notes an event, and says whether it is new. Whoever comes second waits for the first one's
/// transaction.
pub async fn note(connection: &mut PgConnection, id: &str, kind: &str) -> Result<bool, StoreError> {
    let noted = sqlx::query("insert into payment_events (id, kind) values ($1, $2) on conflict do nothing")
        .bind(id)
        .bind(kind)
        .execute(connection)
        .await?;
    Ok(noted.rows_affected() > 0)
}

/// Forgets events that nobody will repeat any more. One that came again all the same would change
/// nothing: what it says is known of its payment.
pub async fn prune(store: &Store, keep: Duration) -> Result<u64, StoreError> {
    let pruned = sqlx::query("delete from payment_events where at < now() - make_interval(secs => $1)")
        .bind(keep.as_secs_f64())
        .execute(&store.pool)
        .await?;
    Ok(pruned.rows_affected())
}
