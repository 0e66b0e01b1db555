//! Rates records again by a price that was corrected, and posts what changes.

use model::Nanos;
use model::prices::Tier;
use model::usage::KeySource;
use store::ledger::{self, Cause, CauseKind, Destination, LedgerError, Missing, Source};
use store::reratings::{self, Candidate, Rerated, Rerating};
use store::{Store, StoreError};
use tracing::warn;
use uuid::Uuid;

/// Records that are looked at in one transaction.
const BATCH: i64 = 5_000;

/// Computes in the background. Should another control plane be at it, this one leaves it to that.
pub(crate) fn begin(store: &Store, id: Uuid) {
    let store = store.clone();
    tokio::spawn(async move {
        if let Err(error) = compute(&store, id).await {
            warn!(rerating.id = %id, %error, "The re-rating `{id}` was broken off; showing it goes on with it");
        }
    });
}

async fn compute(store: &Store, id: Uuid) -> Result<(), StoreError> {
    loop {
        let Some(rerating) = reratings::get(store, id).await? else { return Ok(()) };
        let mut tx = store.pool.begin().await?;
        if rerating.computed_at.is_some() || !reratings::lock(&mut tx, id).await? {
            return Ok(());
        }
        let (candidates, last) = reratings::candidates(&mut tx, &rerating, BATCH).await?;
        let rerated: Vec<_> =
            candidates.iter().filter_map(|candidate| rerated(&rerating, candidate)).collect();
        let cursor = last.filter(|_| candidates.len() as i64 == BATCH);
        reratings::advance(&mut tx, id, &rerated, cursor).await?;
        tx.commit().await?;
    }
}

/// What changes about a record; nothing if the price is not its own or comes to the same.
fn rerated(rerating: &Rerating, candidate: &Candidate) -> Option<Rerated> {
    let Candidate { evidence, cost, charge, paid } = candidate;
    let names = [&evidence.price_model, &evidence.model_served, &evidence.model_asked];
    let name = names.into_iter().find(|name| !name.is_empty())?;
    if !rerating.model_rule.fits(&rerating.model, name) {
        return None;
    }
    let cost_after =
        rerating.price.cost(&evidence.tokens, &evidence.units, Tier::from_word(&evidence.tier))?;
    let on_credits = evidence.key_source.as_deref() == Some(KeySource::Credits.as_str());
    // A request that was charged something else than its cost, such as nothing for a provider's failure,
    // stays what it was.
    let was_charged_its_cost = cost.is_some_and(|cost| cost.with_markup(evidence.markup_ppm) == *charge);
    let charged = on_credits && was_charged_its_cost;
    let charge_after = if charged { cost_after.with_markup(evidence.markup_ppm) } else { *charge };
    let due = if charge_after < *paid {
        charge_after - *paid
    } else if rerating.charges && charge_after > *charge {
        charge_after - *charge
    } else {
        Nanos::ZERO
    };
    let provider_due = if charged { cost_after - cost.unwrap_or_default() } else { Nanos::ZERO };
    if Some(cost_after) == *cost && due == Nanos::ZERO {
        return None;
    }
    Some(Rerated {
        record: evidence.id,
        account: evidence.account,
        cost_before: *cost,
        cost_after,
        charge_before: *charge,
        charge_after,
        due,
        provider_due,
    })
}

/// Posts each account's change in a transaction of its own, which its cause keeps from being posted
/// twice.
pub(crate) async fn post(store: &Store, rerating: &Rerating) -> Result<(), LedgerError> {
    let changes = reratings::changes(&mut *store.pool.acquire().await?, rerating.id).await?;
    for change in changes {
        let account = change.account;
        let cause = |kind| Cause::new(kind, format!("{}:{account}", rerating.id));
        let mut tx = store.pool.begin().await?;
        if change.due < Nanos::ZERO {
            let cause = cause(CauseKind::Rerating);
            let back = -change.due;
            ledger::deposit(&mut tx, account, back, Source::Revenue, &cause, &rerating.description).await?;
        } else if change.due > Nanos::ZERO {
            let cause = cause(CauseKind::Rerating);
            let (to, missing) = (Destination::Revenue, Missing::Owe);
            let description = &rerating.description;
            ledger::request_withdrawal(&mut tx, account, change.due, to, missing, &cause, description)
                .await?;
        }
        let provider = cause(CauseKind::ProviderRerating);
        ledger::correct_provider_cost(
            &mut tx,
            account,
            change.provider_due,
            &provider,
            &rerating.description,
        )
        .await?;
        tx.commit().await?;
    }
    let mut connection = store.pool.acquire().await?;
    Ok(reratings::posted(&mut connection, rerating.id).await?)
}
