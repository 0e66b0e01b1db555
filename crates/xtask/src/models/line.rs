//! The lines of the three files, as `providers::models` reads the last of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the price list says of a model at a provider.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Listed {
    pub(super) provider: String,
    pub(super) model: String,
    pub(super) mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) operations: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) input: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) output: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) features: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
}

/// A model, in our table and in the catalogue.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Model {
    pub(super) id: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) author: String,
    /// Names that gateways know and providers do not.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) nicknames: Vec<String>,
    /// What the price list calls it: `chat`, `embedding` and so on.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) mode: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_output_tokens: Option<u64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) input: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) output: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) features: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) deprecated: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retires: Option<String>,
    /// Where each of the facts above is from: `table` or `list`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) sources: BTreeMap<String, String>,
    /// Who serves it. The first one is where it is at home.
    pub(super) offers: Vec<Offer>,
}

/// A model at a provider.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Offer {
    pub(super) provider: String,
    /// What the provider calls it.
    pub(super) model: String,
    /// Other names that the provider understands.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) aliases: Vec<String>,
    /// Facts where they differ from the model's; the source of all of them is the price list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) context_window: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) max_output_tokens: Option<u64>,
    /// The operations that take it; those of its mode if there are none here.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) operations: Vec<String>,
    /// Members of a body that the provider refuses for this model.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) unsupported_params: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) retires: Option<String>,
    /// The page that the price list names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) source: Option<String>,
}
