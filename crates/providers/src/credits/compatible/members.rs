//! The members that bodies have at most providers.

use super::super::facts::Mark;
use super::super::shape::Shape::{
    Any, Either, False, Flag, Kinds, List, Noted, Nothing, Number, Object, One, Text, Whole, Words,
};
use super::super::shape::{self, Field, field};
use super::messages::{MESSAGE, TYPE};

const OTHER_TIERS: &str =
    "must be left out: other tiers are not sold on credits. Use a key of your own for them";
const OTHER_LIMIT: &str =
    "must be called `max_tokens`: it is not known that this provider reads the other name";
const STORED: &str = "must be false or left out: what is stored lies in an account that all tenants share";
const ONE: &str = "must be 1 or left out: how several answers are billed is not known here";
const ECHO: &str = "must be false or left out: whether what is echoed is billed as output is not known here";

/// `POST chat/completions`.
pub(super) const CHAT: &[Field] = &[
    field("model", Text).required().noted(Mark::Model),
    field("messages", List(&Object(MESSAGE))).required(),
    field("stream", Flag).noted(Mark::Stream),
    STREAM_OPTIONS,
    MAX_TOKENS,
    field("max_completion_tokens", Nothing(OTHER_LIMIT)),
    field("n", One(ONE)),
    field("tools", List(&Kinds(&TOOLS))).noted(Mark::Explained),
    field("tool_choice", Any),
    field("parallel_tool_calls", Flag),
    field("response_format", Any).noted(Mark::Explained),
    field("reasoning_effort", Text).noted(Mark::Thinks),
    TEMPERATURE,
    TOP_P,
    FREQUENCY_PENALTY,
    PRESENCE_PENALTY,
    LOGIT_BIAS,
    field("logprobs", Flag),
    field("top_logprobs", Whole),
    SEED,
    STOP,
    USER,
    field("modalities", List(&Words(&["text"], "must be `text`: other output has no bound here"))),
    field("audio", Nothing("must be left out: sound has no bound here")),
    field("store", False(STORED)),
    field("metadata", Nothing("must be left out: it labels stored answers, and none are stored")),
    field("service_tier", Nothing(OTHER_TIERS)),
    field(
        "prediction",
        Nothing("must be left out: words that were predicted in vain are billed and not seen"),
    ),
    field("web_search_options", Nothing(SEARCHES)),
];

/// `POST completions`.
pub(super) const COMPLETIONS: &[Field] = &[
    field("model", Text).required().noted(Mark::Model),
    field("prompt", Either(&[Text, List(&Noted(Mark::Prompt, &Text))])).required(),
    field("stream", Flag).noted(Mark::Stream),
    STREAM_OPTIONS,
    MAX_TOKENS,
    field("n", One(ONE)),
    field("best_of", Nothing("must be left out: answers that are not told are billed all the same")),
    field("echo", False(ECHO)),
    field("suffix", Text),
    field("logprobs", Any),
    TEMPERATURE,
    TOP_P,
    FREQUENCY_PENALTY,
    PRESENCE_PENALTY,
    LOGIT_BIAS,
    SEED,
    STOP,
    USER,
];

/// `POST embeddings`.
pub(super) const EMBEDDINGS: &[Field] = &[
    field("model", Text).required().noted(Mark::Model),
    field("input", Either(&[Text, List(&Text)])).required(),
    field("dimensions", Whole),
    field("encoding_format", Text),
    USER,
];

pub(super) const SEARCHES: &str = "must be left out: searches have no price here";

/// Several answers, each of which is held.
pub(super) const SEVERAL: Field = field("n", Whole).noted(Mark::Copies);
pub(super) const MAX_TOKENS: Field = field("max_tokens", Whole).noted(Mark::Limit);
pub(super) const MAX_COMPLETION_TOKENS: Field = field("max_completion_tokens", Whole).noted(Mark::Limit);

/// How to choose words, at those who serve open models.
pub(super) const TOP_K: Field = field("top_k", Number);
pub(super) const MIN_P: Field = field("min_p", Number);
pub(super) const REPETITION_PENALTY: Field = field("repetition_penalty", Number);

const STREAM_OPTIONS: Field = field(
    "stream_options",
    Object(&[field("include_usage", Flag).noted(Mark::IncludeUsage), field("include_obfuscation", Flag)]),
);
const TEMPERATURE: Field = field("temperature", Number);
const TOP_P: Field = field("top_p", Number);
const FREQUENCY_PENALTY: Field = field("frequency_penalty", Number);
const PRESENCE_PENALTY: Field = field("presence_penalty", Number);
const LOGIT_BIAS: Field = field("logit_bias", Any);
const SEED: Field = field("seed", Number);
const STOP: Field = field("stop", Any);
const USER: Field = field("user", Text);

// No other members: some servers read names without regard to case, and a `Type` there would be another one.
const TOOLS: shape::Kinds = shape::Kinds {
    of: &[("function", Some(&[TYPE, field("function", Object(FUNCTION)).required(), field("strict", Flag)]))],
    untyped: None,
    refused: &[],
    rule: "must be `function`: tools that run at the provider have no price here",
};

const FUNCTION: &[Field] = &[
    field("name", Text).required(),
    field("description", Text),
    field("parameters", Any),
    field("strict", Flag),
];

/// Whether to think, where that is said by an object.
pub(super) const THINKING: Field = field("thinking", Kinds(&SWITCH));

const SWITCH: shape::Kinds = shape::Kinds {
    of: &[
        ("enabled", Some(&[TYPE.noted(Mark::Thinks), field("keep", Text), field("clear_thinking", Flag)])),
        ("disabled", Some(&[TYPE.noted(Mark::ThinksNot)])),
    ],
    untyped: None,
    refused: &[],
    rule: "must be `enabled` or `disabled`",
};
