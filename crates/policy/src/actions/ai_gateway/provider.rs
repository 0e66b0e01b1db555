//! What a policy says of a provider.

use model::Secret;

use super::address::{BaseUrl, base_url};
use super::model::Model;
use crate::actions::texts::short_text;
use crate::document::place::Place;
use crate::facts::Facts;
use crate::problem::Code;
use crate::run::Failure;
use crate::template::Template;
use crate::value::Value;

/// A provider of the catalogue, or one of the policy's own.
pub struct Provider {
    /// Its id; that of the catalogue if it is there, however it was written.
    pub id: String,
    /// Its other names.
    pub id_aliases: Vec<String>,
    /// Whether the catalogue has it.
    pub known: bool,
    /// Where it is, if not where the catalogue says.
    pub base_url: Option<BaseUrl>,
    /// Its name for people.
    pub display_name: Option<String>,
    /// A sentence for people.
    pub description: Option<String>,
    /// Its web site.
    pub website: Option<String>,
    /// Whether it stays out.
    pub disabled: bool,
    /// Whatever strategies want to know of it.
    pub metadata: Value,
    /// What is said of its models.
    pub models: Vec<Model>,
    /// What it understands; empty if the policy does not say.
    pub supported_api_surfaces: Vec<Surface>,
    api_keys: Vec<Template>,
}

/// A format that a provider understands, or one surface of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Surface {
    /// Whose format it is.
    pub format: Format,
    /// The surface, if not all of them are meant.
    pub surface: Option<SurfaceName>,
    /// The members of the body that may be sent there; empty if all may.
    pub supported_params: Vec<String>,
}

/// Whose format a request is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// OpenAI's
    OpenAi,
    /// Anthropic's
    Anthropic,
}

/// A surface of a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SurfaceName {
    /// `/v1/chat/completions`
    ChatCompletions,
    /// `/v1/responses`
    Responses,
    /// `/v1/messages`
    Messages,
}

impl Provider {
    pub(super) fn read(place: &Place<'_>) -> Option<Self> {
        let known = &[
            "id",
            "id_aliases",
            "base_url",
            "display_name",
            "description",
            "website",
            "disabled",
            "metadata",
            "api_keys",
            "models",
            "supported_api_surfaces",
        ];
        let fields = place.fields(known)?;
        let id = fields.need("id", provider_name);
        let id_aliases = fields.or("id_aliases", Vec::new(), |place| place.list(0..=50, provider_name));
        let base_url = fields.maybe("base_url", base_url);
        let text = |name| fields.maybe(name, |place| place.text_of(0..=2048));
        let (display_name, description, website) =
            (text("display_name"), text("description"), text("website"));
        let disabled = fields.or("disabled", false, Place::boolean);
        let metadata = fields.or("metadata", nothing(), object);
        let api_keys = fields.or("api_keys", Vec::new(), |place| place.list(0..=100, api_key));
        let models = fields.or("models", Vec::new(), models);
        let surfaces =
            fields.or("supported_api_surfaces", Vec::new(), |place| place.list(0..=20, Surface::read));
        let id = id?;
        let in_catalogue = place.operator().provider(&id);
        if in_catalogue.is_none() && base_url == Some(None) {
            let names = place.operator().providers.iter().map(|provider| provider.id.as_str());
            let message = "A provider that is not in the catalogue needs a `base_url`.";
            return match place.nearest(&id, names) {
                Some(name) => place.wrong_so(Code::Missing, message, format!("Did you mean `{name}`?")),
                None => place.wrong(Code::Missing, message),
            };
        }
        Some(Self {
            known: in_catalogue.is_some(),
            id: in_catalogue.map_or(id, |provider| provider.id.clone()),
            id_aliases: id_aliases?,
            base_url: base_url?,
            display_name: display_name?,
            description: description?,
            website: website?,
            disabled: disabled?,
            metadata: metadata?,
            models: models?,
            supported_api_surfaces: surfaces?,
            api_keys: api_keys?,
        })
    }

    /// Whether the policy brings keys for it.
    pub fn has_keys(&self) -> bool {
        !self.api_keys.is_empty()
    }

    /// Its keys, in the order in which they are tried.
    pub(crate) fn keys(&self, facts: &Facts<'_>) -> Result<Vec<Secret>, Failure> {
        self.api_keys
            .iter()
            .map(|template| {
                let text = short_text(template, facts, 8192)?;
                if text.as_str().trim().is_empty() {
                    return Err(Failure::evaluation(format!("a key of provider `{}` is empty", self.id)));
                }
                Ok(Secret::new(text.as_str()))
            })
            .collect()
    }
}

impl Surface {
    fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["format", "surface", "supported_params"])?;
        let formats = [("openai", Format::OpenAi), ("anthropic", Format::Anthropic)];
        let format = fields.need("format", |place| place.choice(&formats));
        let surfaces = [
            ("chat-completions", SurfaceName::ChatCompletions),
            ("responses", SurfaceName::Responses),
            ("messages", SurfaceName::Messages),
        ];
        let surface = fields.maybe("surface", |place| {
            let surface = place.choice(&surfaces)?;
            let right = match format {
                Some(Format::OpenAi) => surface != SurfaceName::Messages,
                Some(Format::Anthropic) => surface == SurfaceName::Messages,
                None => true,
            };
            if right { Some(surface) } else { place.wrong(Code::Choice, "This format has no such surface.") }
        });
        let supported_params = fields.or("supported_params", Vec::new(), |place| {
            if surface == Some(None) {
                return place.wrong_so(
                    Code::UnknownField,
                    "`supported_params` belongs to one surface.",
                    "Say which with `surface`.",
                );
            }
            parameters(place)
        });
        Some(Self { format: format?, surface: surface?, supported_params: supported_params? })
    }
}

/// `[{name: …}]`
pub(super) fn parameters(place: &Place<'_>) -> Option<Vec<String>> {
    place.list(0..=500, |place| place.fields(&["name"])?.need("name", |place| place.text_of(1..=255)))
}

/// A name such as an id or an alias.
pub(super) fn name(place: &Place<'_>) -> Option<String> {
    place.text_of(1..=255)
}

/// A name that can stand before the colon of `provider:model`.
fn provider_name(place: &Place<'_>) -> Option<String> {
    let name = name(place)?;
    if name.contains(':') {
        return place.wrong(Code::Shape, "A provider's name has no `:`, which ends it in `provider:model`.");
    }
    Some(name)
}

/// `{value: …}`
fn api_key(place: &Place<'_>) -> Option<Template> {
    place.fields(&["value"])?.need("value", |place| {
        place.text_of(1..=8192)?;
        place.template()
    })
}

/// A map of whatever the author likes.
pub(super) fn object(place: &Place<'_>) -> Option<Value> {
    place.entries(0..=1000)?;
    place.constant()
}

pub(super) fn nothing() -> Value {
    Value::Map(Default::default())
}

fn models(place: &Place<'_>) -> Option<Vec<Model>> {
    place.list(0..=1000, Model::read)
}
