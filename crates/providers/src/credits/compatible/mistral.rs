//! Mistral AI.

use super::super::Credits;
use super::super::shape::Shape::{Any, Either, Flag, Kinds, List, Nothing, Object, Text, Whole};
use super::super::shape::{self, Field, field};
use super::members::{CHAT, EMBEDDINGS, SEVERAL};
use super::messages::{IMAGE, MESSAGE, TEXT, TYPE};
use super::{COMPATIBLE, FINE_TUNED, chat, embeddings, with};

/// It tells the usage of every stream, and refuses to be asked for it. What is thought is text like any
/// other, within the limit. Agents, libraries and the reading of documents are operations of their own.
pub(crate) const MISTRAL: Credits = Credits {
    operations: &[
        chat(with!(
            &[
                field("messages", List(&Object(MESSAGES))).required(),
                field(
                    "stream_options",
                    Nothing(
                        "must be left out: this provider refuses it, and tells the usage of every stream"
                    ),
                ),
                SEVERAL,
                field("random_seed", Whole),
                field("safe_prompt", Flag),
                field("prompt_mode", Text),
                field("guardrails", Nothing("must be left out: what they cost is not known here")),
            ],
            CHAT
        )),
        embeddings(with!(&[field("output_dimension", Whole), field("output_dtype", Text)], EMBEDDINGS)),
    ],
    refused_models: &[
        FINE_TUNED,
        ("voxtral", "must not be a model that listens: sound has no bound here"),
        ("-ocr", "must not be a model that reads documents: pages have no bound here"),
    ],
    ..COMPATIBLE
};

const MESSAGES: &[Field] = with!(
    &[
        // The answer goes on from here.
        field("prefix", Flag),
        field("content", Either(&[Text, List(&Kinds(&PARTS))])),
    ],
    MESSAGE
);

const PARTS: shape::Kinds = shape::Kinds {
    of: &[
        TEXT,
        IMAGE,
        ("thinking", Some(&[TYPE, field("thinking", Any), field("signature", Text), field("closed", Flag)])),
    ],
    untyped: None,
    refused: &[],
    rule: "must be `text`, `image_url` or `thinking`: documents, files and sound have no bound here",
};
