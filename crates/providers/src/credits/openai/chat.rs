//! `POST chat/completions`.

use super::super::facts::Mark;
use super::super::shape::Shape::{
    Any, Either, False, Flag, Kinds, List, Noted, Nothing, Number, Object, Text, Whole, Words,
};
use super::super::shape::{self, Field, field};
use super::{
    FILE_ID, PARALLEL_TOOL_CALLS, PROMPT_CACHE_BREAKPOINT, PROMPT_CACHE_KEY, PROMPT_CACHE_OPTIONS,
    PROMPT_CACHE_RETENTION, SAFETY_IDENTIFIER, STORED, TEMPERATURE, TIER_RULE, TIERS, TOOL_CHOICE,
    TOP_LOGPROBS, TOP_P, USER,
};

pub(super) const CHAT_COMPLETIONS: &[Field] = &[
    field("model", Text).required().noted(Mark::Model),
    field("messages", List(&Object(MESSAGE))).required(),
    field("stream", Flag).noted(Mark::Stream),
    field("stream_options", Object(STREAM_OPTIONS)),
    field("max_completion_tokens", Whole).noted(Mark::Limit),
    field("max_tokens", Whole).noted(Mark::Limit),
    field("n", Whole).noted(Mark::Copies),
    field("store", False(STORED)).noted(Mark::Store),
    field("service_tier", Words(TIERS, TIER_RULE)).noted(Mark::Tier),
    field("tools", List(&Kinds(&TOOLS))),
    TOOL_CHOICE,
    PARALLEL_TOOL_CALLS,
    field("functions", Any),
    field("function_call", Any),
    field("response_format", Any),
    field("modalities", List(&Noted(Mark::Modality, &MODALITY))),
    field("audio", Object(AUDIO)),
    field("reasoning_effort", Text),
    field("verbosity", Text),
    TEMPERATURE,
    TOP_P,
    field("frequency_penalty", Number),
    field("presence_penalty", Number),
    field("logit_bias", Any),
    field("logprobs", Flag),
    TOP_LOGPROBS,
    field("seed", Number),
    field("stop", Any),
    USER,
    SAFETY_IDENTIFIER,
    PROMPT_CACHE_KEY,
    PROMPT_CACHE_RETENTION,
    PROMPT_CACHE_OPTIONS,
    field("metadata", Nothing("must be left out: it labels stored answers, and none are stored")),
    field(
        "prediction",
        Nothing("must be left out: words that were predicted in vain are billed and not seen"),
    ),
    field("web_search_options", Nothing("must be left out: searches have no price here")),
    field("moderation", Nothing("must be left out: use the moderations endpoint")),
];

pub(super) const STREAM_OPTIONS: &[Field] =
    &[field("include_usage", Flag).noted(Mark::IncludeUsage), field("include_obfuscation", Flag)];

const MODALITY: shape::Shape = Words(&["text", "audio"], "must be `text` or `audio`");

const AUDIO: &[Field] = &[field("format", Text), field("voice", VOICE)];

pub(super) const VOICE: shape::Shape =
    Either(&[Text, Nothing("must be a voice's name: custom voices are the operator's own")]);

const MESSAGE: &[Field] = &[
    field("role", Text).required(),
    field("content", Either(&[Text, List(&Kinds(&PARTS))])),
    field("name", Text),
    field("refusal", Text),
    field("tool_calls", Any),
    field("tool_call_id", Text),
    field("function_call", Any),
    // What a client gets back and sends again.
    field("annotations", Any),
    field("audio", Nothing("must be left out: earlier sound is kept at the provider. Send its transcript")),
];

const PARTS: shape::Kinds = shape::Kinds {
    of: &[
        ("text", Some(&[TYPE, field("text", Text).required(), PROMPT_CACHE_BREAKPOINT])),
        ("refusal", Some(&[TYPE, field("refusal", Text).required()])),
        (
            "image_url",
            Some(&[TYPE, field("image_url", Object(IMAGE_URL)).required(), PROMPT_CACHE_BREAKPOINT]),
        ),
        (
            "input_audio",
            Some(&[
                TYPE,
                field("input_audio", Noted(Mark::Sound, &Object(INPUT_AUDIO))).required(),
                PROMPT_CACHE_BREAKPOINT,
            ]),
        ),
        (
            "file",
            Some(&[
                TYPE,
                field("file", Noted(Mark::File, &Object(FILE))).required(),
                PROMPT_CACHE_BREAKPOINT,
            ]),
        ),
    ],
    untyped: None,
    refused: &[],
    rule: "must be `text`, `refusal`, `image_url`, `input_audio` or `file`",
};

pub(super) const TYPE: Field = field("type", Text);

pub(super) const IMAGE_URL: &[Field] = &[
    field("url", Noted(Mark::Data, &Text)).required().noted(Mark::Picture),
    field("detail", Text).noted(Mark::Detail),
];

const INPUT_AUDIO: &[Field] = &[field("data", Text).required().noted(Mark::Data), field("format", Text)];

const FILE: &[Field] = &[
    field("file_id", Nothing(FILE_ID)),
    field("file_data", Text).required().noted(Mark::Data),
    field("filename", Text),
];

const TOOLS: shape::Kinds = shape::Kinds {
    of: &[("function", None), ("custom", None)],
    untyped: None,
    refused: &[],
    rule: "must be `function` or `custom`: tools that run at the provider have no price here",
};
