//! The smaller endpoints.

use super::super::facts::Mark;
use super::super::shape::Shape::{
    Any, Either, False, Flag, Kinds, List, Noted, Number, Object, Text, Whole, Words,
};
use super::super::shape::{self, Field, field};
use super::chat::{IMAGE_URL, STREAM_OPTIONS, TYPE, VOICE};
use super::{SAFETY_IDENTIFIER, TEMPERATURE, TOP_P, USER};

pub(super) const COMPLETIONS: &[Field] = &[
    field("model", Text).required().noted(Mark::Model),
    field("prompt", Either(&[Text, List(&PROMPT)])).required(),
    field("stream", Flag).noted(Mark::Stream),
    field("stream_options", Object(STREAM_OPTIONS)),
    field("max_tokens", Whole).noted(Mark::Limit),
    field("n", Whole).noted(Mark::Copies),
    field("best_of", Whole).noted(Mark::BestOf),
    field(
        "echo",
        False("must be false or left out: whether what is echoed is billed as output is not known here"),
    ),
    field("suffix", Text),
    TEMPERATURE,
    TOP_P,
    field("frequency_penalty", Number),
    field("presence_penalty", Number),
    field("logit_bias", Any),
    field("logprobs", Whole),
    field("seed", Number),
    field("stop", Any),
    USER,
];

/// A prompt, or one token of the only one.
const PROMPT: shape::Shape = Either(&[Noted(Mark::Prompt, &Text), Noted(Mark::Prompt, &List(&Whole)), Whole]);

pub(super) const EMBEDDINGS: &[Field] = &[
    field("model", Text).required().noted(Mark::Model),
    field("input", Either(&[Text, List(&Either(&[Text, List(&Whole), Whole]))])).required(),
    field("dimensions", Whole),
    field("encoding_format", Text),
    USER,
];

pub(super) const MODERATIONS: &[Field] = &[
    field("model", Text).noted(Mark::Model),
    field("input", Either(&[Text, List(&Either(&[Text, Kinds(&MODERATED)]))])).required(),
];

const MODERATED: shape::Kinds = shape::Kinds {
    of: &[
        ("text", Some(&[TYPE, field("text", Text).required()])),
        ("image_url", Some(&[TYPE, field("image_url", Object(IMAGE_URL)).required()])),
    ],
    untyped: None,
    refused: &[],
    rule: "must be `text` or `image_url`",
};

pub(super) const IMAGE_GENERATIONS: &[Field] = &[
    field("model", Text).required().noted(Mark::Model),
    field("prompt", Text).required(),
    field("n", Whole).noted(Mark::Copies),
    field("size", Text).noted(Mark::Size),
    field("quality", Text).noted(Mark::Quality),
    field("background", Text),
    field("moderation", Text),
    field("output_compression", Whole),
    field(
        "output_format",
        Words(
            &["png", "jpeg", "webp"],
            "must be `png`, `jpeg` or `webp`: what other formats cost is not known here",
        ),
    ),
    field("partial_images", Whole).noted(Mark::Drafts),
    field("response_format", Text),
    field("style", Text),
    field("stream", Flag).noted(Mark::Stream),
    USER,
    SAFETY_IDENTIFIER,
];

pub(super) const SPEECH: &[Field] = &[
    field("model", Text).required().noted(Mark::Model),
    field("input", Text).required().noted(Mark::Spoken),
    field("voice", VOICE).required(),
    field("instructions", Text),
    field("response_format", Text),
    field("speed", Number),
    field("stream_format", Text),
];
