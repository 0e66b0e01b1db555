//! What a policy says of a model.

use super::provider::{name, nothing, object, parameters};
use crate::document::place::Place;
use crate::value::Value;

/// A model of a provider.
pub struct Model {
    /// The id that the provider understands.
    pub id: String,
    /// Other names for it.
    pub id_aliases: Vec<String>,
    /// Who made it, if not the provider.
    pub author_id: Option<String>,
    /// Its name for people.
    pub display_name: Option<String>,
    /// A sentence for people.
    pub description: Option<String>,
    /// Whether it stays out.
    pub disabled: bool,
    /// Whatever strategies want to know of it.
    pub metadata: Value,
    /// What it reads; empty if the policy does not say.
    pub input_modalities: Vec<Modality>,
    /// What it writes; empty if the policy does not say.
    pub output_modalities: Vec<Modality>,
    /// Tokens of a prompt and its completion.
    pub max_context_window: Option<u64>,
    /// Tokens of a completion.
    pub max_output_tokens: Option<u64>,
    /// What it can do, such as `tool-calling`.
    pub supported_features: Vec<String>,
    /// Members of the body that are never sent to it.
    pub unsupported_params: Vec<String>,
}

/// What a model reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Modality {
    /// `text`
    Text,
    /// `image`
    Image,
    /// `audio`
    Audio,
    /// `video`
    Video,
    /// `file`
    File,
}

impl Modality {
    const NAMES: [(&'static str, Self); 5] = [
        ("text", Self::Text),
        ("image", Self::Image),
        ("audio", Self::Audio),
        ("video", Self::Video),
        ("file", Self::File),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
            Self::Audio => "audio",
            Self::Video => "video",
            Self::File => "file",
        }
    }
}

impl Model {
    pub(super) fn read(place: &Place<'_>) -> Option<Self> {
        let known = &[
            "id",
            "id_aliases",
            "author_id",
            "display_name",
            "description",
            "disabled",
            "metadata",
            "input_modalities",
            "output_modalities",
            "max_context_window",
            "max_output_tokens",
            "supported_features",
            "unsupported_params",
        ];
        let fields = place.fields(known)?;
        let id = fields.need("id", name);
        let id_aliases = fields.or("id_aliases", Vec::new(), |place| place.list(0..=50, name));
        let author_id = fields.maybe("author_id", name);
        let text = |name| fields.maybe(name, |place| place.text_of(0..=2048));
        let (display_name, description) = (text("display_name"), text("description"));
        let disabled = fields.or("disabled", false, Place::boolean);
        let metadata = fields.or("metadata", nothing(), object);
        let modalities = |name| {
            fields.or(name, Vec::new(), |place| place.list(0..=5, |place| place.choice(&Modality::NAMES)))
        };
        let (input_modalities, output_modalities) =
            (modalities("input_modalities"), modalities("output_modalities"));
        let tokens =
            |name| fields.maybe(name, |place| place.integer(1..=1_000_000_000).map(i64::unsigned_abs));
        let (max_context_window, max_output_tokens) =
            (tokens("max_context_window"), tokens("max_output_tokens"));
        let supported_features =
            fields.or("supported_features", Vec::new(), |place| place.list(0..=100, name));
        let unsupported_params = fields.or("unsupported_params", Vec::new(), parameters);
        Some(Self {
            id: id?,
            id_aliases: id_aliases?,
            author_id: author_id?,
            display_name: display_name?,
            description: description?,
            disabled: disabled?,
            metadata: metadata?,
            input_modalities: input_modalities?,
            output_modalities: output_modalities?,
            max_context_window: max_context_window?,
            max_output_tokens: max_output_tokens?,
            supported_features: supported_features?,
            unsupported_params: unsupported_params?,
        })
    }
}
