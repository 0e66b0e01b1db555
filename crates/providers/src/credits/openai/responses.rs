//! `POST responses`.

use super::super::facts::Mark;
use super::super::shape::Shape::{
    Any, Either, False, Flag, Kinds, List, Noted, Nothing, Object, Text, Whole, Words,
};
use super::super::shape::{self, Field, field};
use super::chat::TYPE;
use super::{
    FILE_ID, IMAGE_FILE_ID, PARALLEL_TOOL_CALLS, PROMPT_CACHE_BREAKPOINT, PROMPT_CACHE_KEY,
    PROMPT_CACHE_OPTIONS, PROMPT_CACHE_RETENTION, SAFETY_IDENTIFIER, STORED, TEMPERATURE, TIER_RULE, TIERS,
    TOOL_CHOICE, TOP_LOGPROBS, TOP_P, USER,
};

pub(super) const RESPONSES: &[Field] = &[
    field("model", Text).required().noted(Mark::Model),
    field("input", Either(&[Text, List(&Kinds(&ITEMS))])).required(),
    field("instructions", Text),
    field("stream", Flag).noted(Mark::Stream),
    field("stream_options", Object(&[field("include_obfuscation", Flag)])),
    field("max_output_tokens", Whole).noted(Mark::Limit),
    field("store", False(STORED)).noted(Mark::Store),
    field("service_tier", Words(TIERS, TIER_RULE)).noted(Mark::Tier),
    field("tools", List(&Kinds(&TOOLS))),
    TOOL_CHOICE,
    PARALLEL_TOOL_CALLS,
    field("max_tool_calls", Whole),
    field("reasoning", Object(REASONING)),
    field("text", Any),
    field("include", List(&Words(INCLUDED, INCLUDE_RULE))),
    field("truncation", Text),
    TEMPERATURE,
    TOP_P,
    TOP_LOGPROBS,
    USER,
    SAFETY_IDENTIFIER,
    // Nothing is stored that it could label, so it only comes back in the answer.
    field("metadata", Any),
    PROMPT_CACHE_KEY,
    PROMPT_CACHE_RETENTION,
    PROMPT_CACHE_OPTIONS,
    field(
        "previous_response_id",
        Nothing("must be left out: no response is kept at the provider. Send the conversation in `input`"),
    ),
    field(
        "conversation",
        Nothing("must be left out: no conversation is kept at the provider. Send it in `input`"),
    ),
    field(
        "background",
        False("must be false or left out: an answer that is fetched later cannot be bounded"),
    ),
    field(
        "background_options",
        Nothing("must be left out: an answer that is fetched later cannot be bounded"),
    ),
    field(
        "prompt",
        Nothing("must be left out: stored prompts are the operator's own. Send the words in `input`"),
    ),
    field("context_management", Nothing("must be left out: what it costs is not known here")),
    field("moderation", Nothing("must be left out: use the moderations endpoint")),
];

const REASONING: &[Field] = &[
    field("effort", Text),
    field("summary", Text),
    field("generate_summary", Text),
    field("context", Text),
    field("mode", Words(&["standard"], "must be `standard`: what other modes cost is not known here")),
];

const INCLUDED: &[&str] =
    &["reasoning.encrypted_content", "message.output_text.logprobs", "message.input_image.image_url"];
const INCLUDE_RULE: &str = "must be `reasoning.encrypted_content`, `message.output_text.logprobs` or `message.input_image.image_url`";

const CONTENT: shape::Shape = Either(&[Text, List(&Kinds(&PARTS))]);

const ITEMS: shape::Kinds = shape::Kinds {
    of: &[
        ("message", Some(MESSAGE)),
        (
            "function_call",
            Some(&[
                TYPE,
                field("id", Text),
                field("call_id", Text),
                field("name", Text),
                field("namespace", Text),
                field("arguments", Text).required(),
                field("status", Text),
                field("async", Flag),
                field("caller", Any),
            ]),
        ),
        ("function_call_output", Some(CALL_OUTPUT)),
        (
            "custom_tool_call",
            Some(&[
                TYPE,
                field("id", Text),
                field("call_id", Text),
                field("name", Text),
                field("namespace", Text),
                field("input", Text).required(),
                field("status", Text),
                field("async", Flag),
                field("caller", Any),
            ]),
        ),
        ("custom_tool_call_output", Some(CALL_OUTPUT)),
        // Without its encrypted content it would be looked for in what is stored.
        (
            "reasoning",
            Some(&[
                TYPE,
                field("id", Text),
                field("summary", Any),
                field("content", Any),
                field("encrypted_content", Text).required(),
                field("status", Text),
            ]),
        ),
        (
            "local_shell_call",
            Some(&[
                TYPE,
                field("id", Text),
                field("call_id", Text),
                field("action", Any).required(),
                field("status", Text),
            ]),
        ),
        ("local_shell_call_output", Some(CALL_OUTPUT)),
        (
            "apply_patch_call",
            Some(&[
                TYPE,
                field("id", Text),
                field("call_id", Text),
                field("operation", Any).required(),
                field("status", Text),
                field("caller", Any),
            ]),
        ),
        ("apply_patch_call_output", Some(CALL_OUTPUT)),
    ],
    // What has neither a type nor a role could be a reference to something stored.
    untyped: Some(&[
        field("role", Text).required(),
        field("content", CONTENT).required(),
        field("phase", Text),
    ]),
    refused: &[(
        "item_reference",
        "must not be `item_reference`: nothing is kept at the provider. Send the item itself",
    )],
    rule: "must be an item that carries its own contents: `message`, `function_call`, `function_call_output`, \
           `custom_tool_call`, `custom_tool_call_output`, `reasoning`, or a call of `local_shell` or \
           `apply_patch` and its output",
};

const MESSAGE: &[Field] = &[
    TYPE,
    field("id", Text),
    field("role", Text).required(),
    field("content", CONTENT).required(),
    field("status", Text),
    field("phase", Text),
];

const CALL_OUTPUT: &[Field] = &[
    TYPE,
    field("id", Text),
    field("call_id", Text),
    field("name", Text),
    field("namespace", Text),
    field("output", CONTENT).required(),
    field("status", Text),
    field("caller", Any),
];

const PARTS: shape::Kinds = shape::Kinds {
    of: &[
        ("input_text", Some(&[TYPE, field("text", Text).required(), PROMPT_CACHE_BREAKPOINT])),
        (
            "output_text",
            Some(&[TYPE, field("text", Text).required(), field("annotations", Any), field("logprobs", Any)]),
        ),
        ("refusal", Some(&[TYPE, field("refusal", Text).required()])),
        (
            "input_image",
            Some(&[
                TYPE,
                field("file_id", Nothing(IMAGE_FILE_ID)),
                field("detail", Text).noted(Mark::Detail),
                field("image_url", Noted(Mark::Data, &Text)).required().noted(Mark::Picture),
                PROMPT_CACHE_BREAKPOINT,
            ]),
        ),
        (
            "input_file",
            Some(&[
                TYPE,
                field("file_id", Nothing(FILE_ID)),
                field("file_data", Noted(Mark::Data, &Text)).noted(Mark::File),
                field("file_url", Noted(Mark::Data, &Text)).noted(Mark::File),
                field("filename", Text),
                field("detail", Text),
                PROMPT_CACHE_BREAKPOINT,
            ]),
        ),
    ],
    untyped: None,
    refused: &[],
    rule: "must be `input_text`, `output_text`, `refusal`, `input_image` or `input_file`",
};

const AT_PROVIDER: &str = "must be `function`, `custom`, `namespace`, `local_shell` or `apply_patch`: tools that run at the provider have \
     no price here";

const TOOLS: shape::Kinds = shape::Kinds {
    of: &[
        ("function", None),
        ("custom", None),
        ("local_shell", None),
        ("apply_patch", None),
        (
            "namespace",
            Some(&[
                TYPE,
                field("name", Text),
                field("description", Text),
                field("tools", List(&Kinds(&TOOLS_OF_NAMESPACE))).required(),
            ]),
        ),
    ],
    untyped: None,
    refused: &[],
    rule: AT_PROVIDER,
};

const TOOLS_OF_NAMESPACE: shape::Kinds = shape::Kinds {
    of: &[("function", None), ("custom", None)],
    untyped: None,
    refused: &[],
    rule: AT_PROVIDER,
};
