//! What may be done on credits at Anthropic. A member that is not here is refused, and so is a beta, so
//! what Anthropic adds is refused until somebody has looked at it.

mod chat;
mod messages;

use super::facts::Mark;
use super::headers::Rule;
use super::pictures::Read;
use super::shape::Shape::{Object, Text, Whole, Words};
use super::shape::{self, Field, field};
use super::{Credits, Operation};
use crate::endpoint::Endpoint;

pub(crate) const ANTHROPIC: Credits = Credits {
    operations: &[
        post(Endpoint::Messages, messages::MESSAGES),
        post(Endpoint::CountTokens, messages::COUNT_TOKENS),
        post(Endpoint::ChatCompletions, chat::CHAT_COMPLETIONS),
    ],
    refused_models: &[],
    pictures: PICTURES,
    painted: &[],
    limit: "max_tokens",
    older_limit: &[],
    added: 64,
    retold: 0,
    completion_output: None,
    limits_thought: true,
    switchable: &[],
    may_be_fast: true,
    is_countable: false,
    headers: &[
        ("anthropic-version", Rule::One(VERSIONS, "must be `2026-10-21` or `2023-06-01`")),
        ("anthropic-beta", Rule::Some(BETAS, "must name only betas whose costs are known here")),
        ("anthropic-dangerous-direct-browser-access", Rule::Anything),
    ],
    // The SDKs' beta clients write it.
    queries: &["beta=true"],
    stores: false,
};

const fn post(endpoint: Endpoint, members: &'static [Field]) -> Operation {
    Operation { endpoint, members, default_model: None, modes: &[] }
}

/// The API's versions, which differ in what they refuse and not in what they bill.
const VERSIONS: &[&str] = &["2023-06-01", "2026-10-21"];

/// Betas that cost nothing beside tokens that are bounded, and keep nothing at the provider. Not among
/// them: longer contexts, which the list does not know, files, skills, code, connectors, contexts that the
/// provider edits or sums up, faster answers, and other models that help or step in.
const BETAS: &[&str] = &[
    "claude-code-20250219",
    "computer-use-2025-01-24",
    "computer-use-2025-11-24",
    "effort-2025-11-24",
    "extended-cache-ttl-2025-04-11",
    "fine-grained-tool-streaming-2025-05-14",
    "interleaved-thinking-2025-05-14",
    "model-context-window-exceeded-2025-08-26",
    "output-128k-2025-02-19",
    "pdfs-2024-09-25",
    "prompt-caching-2024-07-31",
    "structured-outputs-2025-11-13",
    "thinking-token-count-2026-05-13",
    "token-counting-2024-11-01",
    "token-efficient-tools-2025-02-19",
];

/// The most that a picture is read as by Anthropic's guide to vision: it is made smaller until it takes no
/// more. For later models the guide's table was not at hand; no picture may be larger than 8,000 by 8,000
/// pixels, of which each token covers 28 by 28.
const PICTURES: &[Read] = &[
    Read { model: "claude-haiku-4-5", low: 1_600, other: 1_600 },
    Read { model: "claude-sonnet-4-5", low: 1_600, other: 1_600 },
    Read { model: "claude-opus-4-5", low: 1_600, other: 1_600 },
    Read { model: "claude-sonnet-4-6", low: 1_600, other: 1_600 },
    Read { model: "claude-opus-4-6", low: 1_600, other: 1_600 },
    Read { model: "claude-opus-4-7", low: 4_784, other: 4_784 },
    Read { model: "claude-", low: 286 * 286, other: 286 * 286 },
];

const KIND: Field = field("type", Text);

/// Where the cache is to be used, and how long for: without a word five minutes.
const CACHE_CONTROL: Field = field("cache_control", Object(CACHED)).noted(Mark::Cached);
const CACHED: &[Field] = &[
    field("type", Words(&["ephemeral"], "must be `ephemeral`")).required(),
    field("ttl", Words(&["5m", "1h"], "must be `5m` or `1h`: what a longer cache costs is not known here"))
        .noted(Mark::Lifetime),
];

const FILE: &str =
    "must not be `file`: files lie in an account that all tenants share. Send the contents as `base64`";
const SHARED: &str = "must be left out: it names something in an account that all tenants share";

const THINKING: shape::Kinds = shape::Kinds {
    of: &[
        (
            "enabled",
            Some(&[
                KIND,
                field("budget_tokens", Whole).required().noted(Mark::Budget),
                field("display", Text),
            ]),
        ),
        ("adaptive", Some(&[KIND, field("display", Text)])),
        ("between_tools", Some(&[KIND])),
        ("disabled", Some(&[KIND])),
    ],
    untyped: None,
    refused: &[],
    rule: "must be `enabled`, `adaptive`, `between_tools` or `disabled`",
};

#[cfg(test)]
mod tests;
