//! Lists of models that we answer ourselves on credits: the provider's own ones would name what the
//! operator keeps there.

use bytes::Bytes;
use providers::catalog::Provider;
use providers::credits::{self, Permit};
use providers::prices::Catalogue;

use crate::refusal::Refusal;
use crate::stages::resolve::Place;
use crate::visit::Visit;

/// The models that credits can pay for, or the one that is asked about.
pub(crate) fn on_credits(
    visit: &Visit,
    place: &Place,
    provider: &'static Provider,
    permit: Permit,
) -> Result<Bytes, Refusal> {
    let (snapshot, at) = (visit.deps().snapshot.load(), visit.arrival().moment());
    let ruled = snapshot.installation().and_then(|installation| installation.catalogue());
    let catalogue = ruled.map_or(Catalogue::current(), |ruled| ruled);
    let Permit::Model(model) = permit else { return Ok(credits::list_of_models(provider, catalogue, at)) };
    credits::one_model(provider, catalogue, place.account_id, &model, at)
        .ok_or(Refusal::NoSuchModel { model })
}
