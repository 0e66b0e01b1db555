//! What may be done on credits at providers that are asked in OpenAI's words: what they have in common, and a
//! file for what is particular about each. A member that is in neither is refused, so what a provider
//! adds is refused until somebody has looked at it.

pub(crate) mod cerebras;
pub(crate) mod deepseek;
pub(crate) mod fireworks;
pub(crate) mod google;
pub(crate) mod groq;
pub(crate) mod hyperbolic;
pub(crate) mod inceptionlabs;
pub(crate) mod inference_net;
mod members;
mod messages;
pub(crate) mod mistral;
pub(crate) mod moonshotai;
pub(crate) mod openrouter;
pub(crate) mod perplexity;
pub(crate) mod together;
pub(crate) mod xai;
pub(crate) mod z_ai;

use super::shape::{Field, Shape, field};
use super::{Credits, Operation};
use crate::endpoint::Endpoint;

/// What most of them have in common.
const COMPATIBLE: Credits = Credits {
    operations: &[],
    refused_models: &[FINE_TUNED],
    pictures: &[],
    painted: &[],
    limit: "max_tokens",
    older_limit: &[],
    // Most run models that others made, and write the request anew for each by its template: with a word
    // on what the model is, the date, how to call tools, and how to answer.
    added: 512,
    retold: 3,
    completion_output: None,
    limits_thought: true,
    switchable: &[],
    may_be_fast: false,
    is_countable: false,
    headers: &[],
    queries: &[],
    stores: false,
};

const FINE_TUNED: (&str, &str) =
    ("ft:", "must not be a fine-tuned model: those are the operator's own. Use a key of your own");

const fn chat(members: &'static [Field]) -> Operation {
    Operation { endpoint: Endpoint::ChatCompletions, members, default_model: None, modes: &["chat"] }
}

const fn completions(members: &'static [Field]) -> Operation {
    let modes = &["chat", "completion"];
    Operation { endpoint: Endpoint::Completions, members, default_model: None, modes }
}

const fn embeddings(members: &'static [Field]) -> Operation {
    Operation { endpoint: Endpoint::Embeddings, members, default_model: None, modes: &["embedding"] }
}

/// A provider's own members before the shared ones, of which they hide those of the same names.
const fn joined<const N: usize>(own: &[Field], shared: &[Field]) -> [Field; N] {
    let mut all = [field("", Shape::Any); N];
    let mut at = 0;
    while at < N {
        all[at] = if at < own.len() { own[at] } else { shared[at - own.len()] };
        at += 1;
    }
    all
}

/// The table of a provider's own members and the shared ones.
macro_rules! with {
    ($own:expr, $shared:expr) => {{
        const OWN: &[$crate::credits::shape::Field] = $own;
        const ALL: [$crate::credits::shape::Field; OWN.len() + $shared.len()] =
            $crate::credits::compatible::joined(OWN, $shared);
        &ALL
    }};
}
use with;
