//! What a conversation is made of.

use super::super::facts::Mark;
use super::super::shape::Shape::{Any, Either, Inline, Kinds, List, Noted, Nothing, Object, Text, Words};
use super::super::shape::{self, Field, field};

/// A message.
pub(super) const MESSAGE: &[Field] = &[
    // Moonshot has a role that brings back what was kept in a cache.
    field("role", Words(ROLES, ROLE_RULE)).required(),
    field("content", Either(&[Text, List(&Kinds(&PARTS))])),
    field("name", Text),
    field("refusal", Text),
    field("tool_calls", Any).noted(Mark::Retold),
    field("tool_call_id", Text),
    field("function_call", Any).noted(Mark::Retold),
    field("audio", Nothing("must be left out: earlier sound is kept at the provider. Send its transcript")),
    field("prefix", Nothing("must be left out: what a beta does and costs is not known here")),
    // What a client gets back and sends again.
    field("annotations", Any),
    field("reasoning", Any),
    field("reasoning_content", Text),
    field("reasoning_details", Any),
];

const ROLES: &[&str] = &["system", "developer", "user", "assistant", "tool", "function"];
const ROLE_RULE: &str = "must be `system`, `developer`, `user`, `assistant`, `tool` or `function`: others may bring what is kept \
     in an account that all tenants share";

const PARTS: shape::Kinds =
    shape::Kinds { of: &[TEXT, REFUSAL, IMAGE], untyped: None, refused: &[], rule: PARTS_RULE };

pub(super) const TEXT: (&str, Option<&[Field]>) = ("text", Some(&[TYPE, field("text", Text).required()]));
const REFUSAL: (&str, Option<&[Field]>) = ("refusal", Some(&[TYPE, field("refusal", Text).required()]));
pub(super) const IMAGE: (&str, Option<&[Field]>) =
    ("image_url", Some(&[TYPE, field("image_url", Object(IMAGE_URL)).required()]));

const PARTS_RULE: &str =
    "must be `text`, `refusal` or `image_url`: files, sound and films have no bound or price here";

pub(super) const TYPE: Field = field("type", Text);

const IMAGE_URL: &[Field] = &[
    field("url", Noted(Mark::Data, &Inline(INLINE))).required().noted(Mark::Picture),
    field("detail", Text).noted(Mark::Detail),
];

/// Moonshot reads `ms://…`, and Google addresses of its own, from the account whose key is used.
const INLINE: &str = "must be the picture itself, as `data:image/png;base64,…`: an address may name a file in an account that \
     all tenants share";
