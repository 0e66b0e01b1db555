//! What strategies did for a request, for whoever wants to know why it went where it went: `model_selection`
//! and `api_key_selection` of `actions.ngrok.ai_gateway`, and `tollgate policy explain`.

use std::sync::Arc;

/// What all strategies did that were evaluated for a request. Those behind the first that came to anything
/// were not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Those of `model_selection`.
    pub models: Vec<ModelSelection>,
    /// Those of `api_key_selection`, for each model that is to be tried at a provider with keys of the policy's.
    pub keys: Vec<KeysOfModel>,
}

/// What a strategy of `model_selection` did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModelSelection {
    /// As it is written.
    pub strategy: String,
    /// Why it came to nothing, if it failed.
    pub error: Option<String>,
    /// What it came to.
    pub candidates_returned: Named,
    /// Those of them that the gateway allows.
    pub candidates_after_allowed_filter: Named,
    /// Those of them that the caller named, in his order; all of them if he named none.
    pub candidates_after_client_filter: Named,
    /// The same, if this is the strategy that counts.
    pub models_to_try: Named,
}

/// What the strategies of `api_key_selection` did for a model at a provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeysOfModel {
    /// `openai:gpt-4o`
    pub model: Arc<str>,
    /// What each of them did.
    pub selections: Vec<KeySelection>,
}

/// What a strategy of `api_key_selection` did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeySelection {
    /// As it is written.
    pub strategy: String,
    /// Why it came to nothing, if it failed.
    pub error: Option<String>,
    /// The ids of the keys that it came to.
    pub keys_to_try: Vec<Arc<str>>,
}

/// Models as `openai:gpt-4o`. There may be hundreds, of which the first ones tell enough.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Named {
    /// The first of them.
    pub names: Vec<Arc<str>>,
    /// How many there are.
    pub count: usize,
}

/// So many are told by their names.
const MOST_NAMED: usize = 50;

impl Named {
    /// The first of them, and how many they are.
    pub fn of<'a>(names: impl ExactSizeIterator<Item = &'a Arc<str>>) -> Self {
        Self { count: names.len(), names: names.take(MOST_NAMED).cloned().collect() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}
