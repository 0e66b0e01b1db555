//! `POST chat/completions`, in which Anthropic's models are asked in OpenAI's words. What Anthropic
//! documents as ignored may be there.

use super::super::facts::Mark;
use super::super::shape::Shape::{Any, Either, Flag, Kinds, List, Noted, Number, Object, Text, Whole};
use super::super::shape::{self, Field, field};
use super::{KIND, THINKING};

pub(super) const CHAT_COMPLETIONS: &[Field] = &[
    field("model", Text).required().noted(Mark::Model),
    field("messages", List(&Object(MESSAGE))).required(),
    field("stream", Flag).noted(Mark::Stream),
    field("stream_options", Object(&[field("include_usage", Flag).noted(Mark::IncludeUsage)])),
    field("max_tokens", Whole).noted(Mark::Limit),
    field("max_completion_tokens", Whole).noted(Mark::Limit),
    field("n", Whole).noted(Mark::Copies),
    field("temperature", Number),
    field("top_p", Number),
    field("stop", Any),
    field("tools", List(&Kinds(&TOOLS))).noted(Mark::Explained),
    field("tool_choice", Any),
    field("parallel_tool_calls", Flag),
    field("thinking", Kinds(&THINKING)),
    field("response_format", Any).noted(Mark::Explained),
    field("reasoning_effort", Text),
    field("frequency_penalty", Number),
    field("presence_penalty", Number),
    field("seed", Number),
    field("logit_bias", Any),
    field("logprobs", Flag),
    field("top_logprobs", Whole),
    field("user", Text),
];

const MESSAGE: &[Field] = &[
    field("role", Text).required(),
    field("content", Either(&[Text, List(&Kinds(&PARTS))])),
    field("name", Text),
    field("refusal", Text),
    field("tool_calls", Any),
    field("tool_call_id", Text),
    // What a client gets back and sends again.
    field("annotations", Any),
];

const PARTS: shape::Kinds = shape::Kinds {
    of: &[
        ("text", Some(&[KIND, field("text", Text).required()])),
        ("image_url", Some(&[KIND, field("image_url", Object(IMAGE_URL)).required()])),
    ],
    untyped: None,
    refused: &[],
    rule: "must be `text` or `image_url`",
};

const IMAGE_URL: &[Field] =
    &[field("url", Noted(Mark::Data, &Text)).required().noted(Mark::Picture), field("detail", Text)];

const TOOLS: shape::Kinds = shape::Kinds {
    of: &[("function", None)],
    untyped: None,
    refused: &[],
    rule: "must be `function`: tools that run at the provider have no price here",
};
