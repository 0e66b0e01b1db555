//! The provider's list of models as it looks on credits: those that have a price. The provider's own
//! list would name what the operator fine-tuned.

use bytes::Bytes;
use model::AccountId;
use serde::Serialize;
use time::OffsetDateTime;

use crate::catalog::Provider;
use crate::prices::Catalogue;

/// A model in OpenAI's shape.
#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: i64,
    owned_by: &'static str,
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Model<'a>>,
}

/// The answer to `GET models`.
pub fn list_of_models(provider: &'static Provider, catalogue: &Catalogue, at: OffsetDateTime) -> Bytes {
    let list = catalogue.at(at);
    let created = list.map_or(0, |list| list.effective_from());
    let names = list.into_iter().flat_map(|list| list.models(provider.slug));
    let may = names.filter(|(name, price)| price.is_priced() && is_shown(provider, name));
    let data = may.map(|(id, _)| Model { id, object: "model", created, owned_by: provider.slug });
    json(&List { object: "list", data: data.collect() })
}

/// The answer to `GET models/{model}`; `None` if it has no price here, and is answered 404.
pub fn one_model(
    provider: &'static Provider,
    catalogue: &Catalogue,
    account: AccountId,
    model: &str,
    at: OffsetDateTime,
) -> Option<Bytes> {
    let found = catalogue.price(account, provider.slug, model, at).filter(|_| is_shown(provider, model))?;
    let created = catalogue.at(at).map_or(0, |list| list.effective_from());
    found
        .price
        .is_priced()
        .then(|| json(&Model { id: model, object: "model", created, owned_by: provider.slug }))
}

/// Names with a slash are prices of picture sizes and no models; what is refused anyway is not shown.
fn is_shown(provider: &Provider, model: &str) -> bool {
    let refused = provider.credits.map_or(&[][..], |credits| credits.refused_models);
    !model.contains('/') && !refused.iter().any(|(part, _)| model.contains(part))
}

fn json(value: &impl Serialize) -> Bytes {
    // Texts and integers have no way to fail.
    serde_json::to_vec(value).unwrap_or_default().into()
}
