//! The provider's list of models as it looks on credits, in its own words: those that have a price. The
//! provider's own list would name what the operator fine-tuned.

use bytes::Bytes;
use model::AccountId;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::catalog::{Dialect, Provider};
use crate::prices::{Catalogue, Found};

/// A model in the provider's shape.
#[derive(Serialize)]
#[serde(untagged)]
enum Model<'a> {
    OpenAi {
        id: &'a str,
        object: &'static str,
        created: i64,
        owned_by: &'static str,
    },
    Google {
        name: String,
        #[serde(rename = "baseModelId")]
        id: &'a str,
        #[serde(rename = "inputTokenLimit")]
        input: Option<u64>,
        #[serde(rename = "outputTokenLimit")]
        output: Option<u64>,
    },
    Anthropic {
        #[serde(rename = "type")]
        kind: &'static str,
        id: &'a str,
        display_name: &'a str,
        created_at: String,
        lifecycle: &'static str,
        max_input_tokens: Option<u64>,
        max_tokens: Option<u64>,
    },
}

/// All of them at once.
#[derive(Serialize)]
#[serde(untagged)]
enum List<'a> {
    OpenAi { object: &'static str, data: Vec<Model<'a>> },
    Google { models: Vec<Model<'a>> },
    Anthropic { data: Vec<Model<'a>>, has_more: bool, first_id: Option<&'a str>, last_id: Option<&'a str> },
}

impl<'a> Model<'a> {
    fn of(provider: &'static Provider, id: &'a str, found: &Found<'_>, created: i64) -> Self {
        match provider.dialect {
            Dialect::OpenAi => Self::OpenAi { id, object: "model", created, owned_by: provider.slug },
            Dialect::Google => Self::Google {
                name: format!("models/{id}"),
                id,
                input: found.context_window(),
                output: found.max_output_tokens(),
            },
            Dialect::Anthropic => Self::Anthropic {
                kind: "model",
                id,
                display_name: id,
                created_at: OffsetDateTime::from_unix_timestamp(created)
                    .ok()
                    .and_then(|created| created.format(&Rfc3339).ok())
                    .unwrap_or_default(),
                lifecycle: "active",
                max_input_tokens: found.context_window(),
                max_tokens: found.max_output_tokens(),
            },
        }
    }
}

/// The answer to `GET models`.
pub fn list_of_models(
    provider: &'static Provider,
    catalogue: &Catalogue,
    account: AccountId,
    at: OffsetDateTime,
) -> Bytes {
    let list = catalogue.at(at);
    let created = list.map_or(0, |list| list.effective_from());
    let listed = list.into_iter().flat_map(|list| list.models(provider.slug)).map(|(name, _)| name);
    let mut names: Vec<&str> = listed.chain(catalogue.ruled(provider.slug)).collect();
    names.sort_unstable();
    names.dedup();
    let found = names.into_iter().filter_map(|name| catalogue.price(account, provider.slug, name, at));
    let may = found.filter(|found| found.price.is_priced() && is_shown(provider, found.name, found));
    let (ids, data): (Vec<_>, Vec<_>) =
        may.map(|found| (found.name, Model::of(provider, found.name, &found, created))).unzip();
    json(&match provider.dialect {
        Dialect::OpenAi => List::OpenAi { object: "list", data },
        Dialect::Google => List::Google { models: data },
        Dialect::Anthropic => {
            let (first_id, last_id) = (ids.first().copied(), ids.last().copied());
            List::Anthropic { data, has_more: false, first_id, last_id }
        }
    })
}

/// The answer to `GET models/{model}`; `None` if it has no price here, and is answered 404.
pub fn one_model(
    provider: &'static Provider,
    catalogue: &Catalogue,
    account: AccountId,
    model: &str,
    at: OffsetDateTime,
) -> Option<Bytes> {
    let found = catalogue.price(account, provider.slug, model, at)?;
    let created = catalogue.at(at).map_or(0, |list| list.effective_from());
    let is_shown = found.price.is_priced() && is_shown(provider, model, &found);
    is_shown.then(|| json(&Model::of(provider, model, &found, created)))
}

/// What may be asked here for anything is shown. Names such as `low/1024-x-1024/…` are prices of pictures by
/// their size and no models.
fn is_shown(provider: &Provider, model: &str, found: &Found<'_>) -> bool {
    let Some(credits) = provider.credits else { return false };
    let is_size = model.split('/').any(|part| part.contains("-x-"));
    let is_refused = credits.refused_models.iter().any(|(part, _)| model.contains(part));
    !is_size && !is_refused && credits.operations.iter().any(|operation| operation.sells(found))
}

fn json(value: &impl Serialize) -> Bytes {
    // Texts and integers have no way to fail.
    serde_json::to_vec(value).unwrap_or_default().into()
}
