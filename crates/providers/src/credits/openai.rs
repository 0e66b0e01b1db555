//! What may be done on credits at OpenAI. A member that is not here is refused, so what OpenAI adds is
//! refused until somebody has looked at it.

mod chat;
mod others;
mod responses;

use super::pictures::{Made, Read};
use super::shape::Shape::{Any, Nothing, Number, Object, Text, Whole, Words};
use super::shape::{Field, field};
use super::{Credits, Operation};
use crate::endpoint::Endpoint;

pub(crate) const OPENAI: Credits = Credits {
    operations: &[
        post(Endpoint::ChatCompletions, chat::CHAT_COMPLETIONS),
        post(Endpoint::Completions, others::COMPLETIONS),
        post(Endpoint::Responses, responses::RESPONSES),
        post(Endpoint::Embeddings, others::EMBEDDINGS),
        Operation {
            endpoint: Endpoint::Moderations,
            members: others::MODERATIONS,
            default_model: Some("omni-moderation-latest"),
            modes: &[],
        },
        post(Endpoint::ImageGenerations, others::IMAGE_GENERATIONS),
        post(Endpoint::Speech, others::SPEECH),
    ],
    refused_models: &[
        ("ft:", "must not be a fine-tuned model: those are the operator's own. Use a key of your own"),
        ("-search-", "must not be a model that searches the web: searches have no price here"),
        ("deep-research", "must not be a model that needs tools at the provider: those have no price here"),
        ("computer-use", "must not be a model that needs tools at the provider: those have no price here"),
        ("-realtime", "must not be a realtime model: nothing bounds a session before it begins"),
    ],
    pictures: PICTURES,
    painted: PAINTED,
    // Those that think take nothing else.
    limit: "max_completion_tokens",
    older_limit: &["gpt-3.5", "gpt-4"],
    added: 64,
    retold: 0,
    completion_output: Some(16),
    limits_thought: true,
    switchable: &[],
    may_be_fast: true,
    is_countable: true,
    headers: &[],
    queries: &[],
    stores: true,
};

const fn post(endpoint: Endpoint, members: &'static [Field]) -> Operation {
    Operation { endpoint, members, default_model: None, modes: &[] }
}

/// The most that OpenAI's guide to images says a picture is read as, at low detail and at any other.
/// Models that cut a picture into tiles read at most eight and a base; those that cut it into patches at
/// most 1,536 times the model's factor. The first that fits holds, so longer names come first.
const PICTURES: &[Read] = &[
    Read { model: "gpt-4o-mini", low: 2_833, other: 2_833 + 8 * 5_667 },
    Read { model: "gpt-4.1-mini", low: 2_489, other: 2_489 },
    Read { model: "gpt-4.1-nano", low: 3_779, other: 3_779 },
    Read { model: "o4-mini", low: 2_642, other: 2_642 },
    Read { model: "gpt-5-mini", low: 2_489, other: 2_489 },
    Read { model: "gpt-5-nano", low: 3_779, other: 3_779 },
    Read { model: "gpt-4o", low: 85, other: 85 + 8 * 170 },
    Read { model: "chatgpt-4o", low: 85, other: 85 + 8 * 170 },
    Read { model: "gpt-4.1", low: 85, other: 85 + 8 * 170 },
    Read { model: "gpt-4-turbo", low: 85, other: 85 + 8 * 170 },
    Read { model: "o1", low: 75, other: 75 + 8 * 150 },
    Read { model: "o3", low: 75, other: 75 + 8 * 150 },
    // Later models take up to 10,000 patches at `original` detail, which `auto` may choose. What their
    // factor is, the guide and the bills differ about, so it is the greatest that any model has: 2.46.
    Read { model: "gpt-5", low: 24_600, other: 24_600 },
    Read { model: "gpt-6", low: 24_600, other: 24_600 },
];

/// The tokens of a picture that is made, from the table in OpenAI's guide to image generation, by its
/// quality: square, and oblong. A draft is another hundred. The guide has no table for models from
/// `gpt-image-2` on: the highest quality was seen to take 7,024 tokens for the square one, and twice as
/// many and more are held for every quality. Of sizes and qualities that are not here nobody knows.
const PAINTED: &[Made] = &[
    Made {
        model: "gpt-image-1",
        tokens: &[("low", 272, 408), ("medium", 1_056, 1_584), ("high", 4_160, 6_240)],
    },
    Made {
        model: "chatgpt-image",
        tokens: &[("low", 272, 408), ("medium", 1_056, 1_584), ("high", 4_160, 6_240)],
    },
    Made {
        model: "gpt-image-2",
        tokens: &[("low", 16_384, 16_384), ("medium", 16_384, 16_384), ("high", 16_384, 16_384)],
    },
];

const TIERS: &[&str] = &["auto", "default"];
const TIER_RULE: &str =
    "must be `default` or `auto`: other tiers are not sold on credits. Use a key of your own for them";
const STORED: &str = "must be false or left out: what is stored lies in an account that all tenants share";
const CACHE_RULE: &str = "must be `30m`: what a longer cache costs is not known here";
const FILE_ID: &str =
    "must be left out: files lie in an account that all tenants share. Send the contents in `file_data`";
const IMAGE_FILE_ID: &str =
    "must be left out: files lie in an account that all tenants share. Send the picture in `image_url`";

const CACHE_BREAKPOINT: &[Field] = &[field("mode", Text), field("ttl", Words(&["30m"], CACHE_RULE))];
const CACHE_OPTIONS: &[Field] = &[
    field("mode", Text),
    field("ttl", Words(&["30m"], CACHE_RULE)),
    field("comparison_response_id", Nothing("must be left out: no response is kept at the provider")),
];

/// Members that the text endpoints have in common: how to choose words, and whom for.
const TEMPERATURE: Field = field("temperature", Number);
const TOP_P: Field = field("top_p", Number);
const TOP_LOGPROBS: Field = field("top_logprobs", Whole);
const USER: Field = field("user", Text);
const SAFETY_IDENTIFIER: Field = field("safety_identifier", Text);
const PROMPT_CACHE_KEY: Field = field("prompt_cache_key", Text);
const PROMPT_CACHE_RETENTION: Field = field("prompt_cache_retention", Text);
const PROMPT_CACHE_OPTIONS: Field = field("prompt_cache_options", Object(CACHE_OPTIONS));
const PARALLEL_TOOL_CALLS: Field = field("parallel_tool_calls", super::shape::Shape::Flag);
const TOOL_CHOICE: Field = field("tool_choice", Any);
const PROMPT_CACHE_BREAKPOINT: Field = field("prompt_cache_breakpoint", Object(CACHE_BREAKPOINT));
