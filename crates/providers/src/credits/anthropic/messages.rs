//! `POST messages`, and `POST messages/count_tokens`.

use super::super::facts::Mark;
use super::super::shape::Shape::{
    Any, Either, Flag, Kinds, List, Noted, Nothing, Number, Object, Text, Whole, Words,
};
use super::super::shape::{self, Field, field};
use super::{CACHE_CONTROL, FILE, KIND, SHARED, THINKING};

pub(super) const MESSAGES: &[Field] = &[
    MODEL,
    CONVERSATION,
    field("max_tokens", Whole).required().noted(Mark::Limit),
    field("stream", Flag).noted(Mark::Stream),
    SYSTEM,
    CACHE_CONTROL,
    field("temperature", Number),
    field("top_p", Number),
    field("top_k", Whole),
    field("stop_sequences", List(&Text)),
    field("metadata", Object(&[field("user_id", Text)])),
    field("service_tier", Words(&["auto", "standard_only"], TIER_RULE)).noted(Mark::Tier),
    THOUGHTS,
    TOOL_CHOICE,
    OFFERED,
    OUTPUT_CONFIG,
    SPEED,
    field("inference_geo", Words(&["global"], "must be `global` or left out: other places cost more")),
    field("container", Nothing("must be left out: what is run at the provider has no price here")),
    field("mcp_servers", Nothing("must be left out: what connectors do at the provider has no price here")),
    field("context_management", Nothing("must be left out: what it costs is not known here")),
    field("diagnostics", Nothing(SHARED)),
    field("user_profile_id", Nothing(SHARED)),
    field("workspace_id", Nothing(SHARED)),
];

pub(super) const COUNT_TOKENS: &[Field] =
    &[MODEL, CONVERSATION, SYSTEM, CACHE_CONTROL, THOUGHTS, TOOL_CHOICE, OFFERED, OUTPUT_CONFIG, SPEED];

const TIER_RULE: &str =
    "must be `standard_only` or `auto`: other tiers are not sold on credits. Use a key of your own for them";

const MODEL: Field = field("model", Text).required().noted(Mark::Model);
const CONVERSATION: Field = field("messages", List(&Object(MESSAGE))).required();
const SYSTEM: Field = field("system", Either(&[Text, List(&Kinds(&TEXTS))]));
const THOUGHTS: Field = field("thinking", Kinds(&THINKING));
const TOOL_CHOICE: Field = field("tool_choice", Any);
const OFFERED: Field = field("tools", List(&Kinds(&TOOLS))).noted(Mark::Explained);
const OUTPUT_CONFIG: Field =
    field("output_config", Object(&[field("effort", Text), field("format", Any).noted(Mark::Explained)]));
const SPEED: Field =
    field("speed", Words(&["standard"], "must be `standard`: what a faster answer costs is not known here"));

const MESSAGE: &[Field] =
    &[field("role", Text).required(), field("content", Either(&[Text, List(&Kinds(&BLOCKS))])).required()];

const TEXT: (&str, Option<&[Field]>) =
    ("text", Some(&[KIND, field("text", Text).required(), CACHE_CONTROL, field("citations", Any)]));

const IMAGE: (&str, Option<&[Field]>) = (
    "image",
    Some(&[
        KIND,
        field("source", Kinds(&IMAGE_SOURCE)).required(),
        field("transformations", Object(&[field("oversized_image", Text)])),
        CACHE_CONTROL,
    ]),
);

const DOCUMENT: (&str, Option<&[Field]>) = (
    "document",
    Some(&[
        KIND,
        field("source", Kinds(&DOCUMENT_SOURCE)).required(),
        CITATIONS,
        field("title", Text),
        field("context", Text),
        CACHE_CONTROL,
    ]),
);

const SEARCH_RESULT: (&str, Option<&[Field]>) = (
    "search_result",
    Some(&[
        KIND,
        field("content", List(&Kinds(&TEXTS))).required(),
        field("source", Text).required(),
        field("title", Text).required(),
        CITATIONS,
        CACHE_CONTROL,
    ]),
);

/// A document of which sources are told is cut into sentences, each with a mark that nothing bounds.
const CITATIONS: Field = field("citations", Object(&[field("enabled", Flag).noted(Mark::Cited)]));

const TEXTS: shape::Kinds = shape::Kinds { of: &[TEXT], untyped: None, refused: &[], rule: "must be `text`" };

const BLOCKS: shape::Kinds = shape::Kinds {
    of: &[
        TEXT,
        IMAGE,
        DOCUMENT,
        SEARCH_RESULT,
        ("thinking", Some(&[KIND, field("thinking", Text).required(), field("signature", Text).required()])),
        ("redacted_thinking", Some(&[KIND, field("data", Text).required()])),
        (
            "tool_use",
            Some(&[
                KIND,
                field("id", Text).required(),
                field("name", Text).required(),
                field("input", Any).required(),
                field("caller", Kinds(&CALLER)),
                CACHE_CONTROL,
            ]),
        ),
        (
            "tool_result",
            Some(&[
                KIND,
                field("tool_use_id", Text).required(),
                field("content", Either(&[Text, List(&Kinds(&RESULTS))])),
                field("is_error", Flag),
                CACHE_CONTROL,
            ]),
        ),
    ],
    untyped: None,
    refused: &[(
        "container_upload",
        "must not be `container_upload`: files lie in an account that all tenants share",
    )],
    rule: "must be `text`, `image`, `document`, `search_result`, `thinking`, `redacted_thinking`, `tool_use` or \
           `tool_result`: tools that run at the provider have no price here",
};

const RESULTS: shape::Kinds = shape::Kinds {
    of: &[TEXT, IMAGE, DOCUMENT, SEARCH_RESULT],
    untyped: None,
    refused: &[],
    rule: "must be `text`, `image`, `document` or `search_result`",
};

const CALLER: shape::Kinds =
    shape::Kinds { of: &[("direct", Some(&[KIND]))], untyped: None, refused: &[], rule: "must be `direct`" };

const IMAGE_SOURCE: shape::Kinds = shape::Kinds {
    of: &[
        (
            "base64",
            Some(&[
                KIND,
                field("media_type", Text),
                field("data", Noted(Mark::Data, &Text)).required().noted(Mark::Picture),
            ]),
        ),
        ("url", Some(&[KIND, field("url", Noted(Mark::Data, &Text)).required().noted(Mark::Picture)])),
    ],
    untyped: None,
    refused: &[("file", FILE)],
    rule: "must be `base64` or `url`",
};

const DOCUMENT_SOURCE: shape::Kinds = shape::Kinds {
    of: &[
        (
            "base64",
            Some(&[
                KIND,
                field("media_type", Text),
                field("data", Noted(Mark::Data, &Text)).required().noted(Mark::File),
            ]),
        ),
        ("url", Some(&[KIND, field("url", Noted(Mark::Data, &Text)).required().noted(Mark::File)])),
        ("text", Some(&[KIND, field("media_type", Text), field("data", Text).required()])),
        ("content", Some(&[KIND, field("content", Either(&[Text, List(&Kinds(&PIECES))])).required()])),
    ],
    untyped: None,
    refused: &[("file", FILE)],
    rule: "must be `base64`, `url`, `text` or `content`",
};

const PIECES: shape::Kinds =
    shape::Kinds { of: &[TEXT, IMAGE], untyped: None, refused: &[], rule: "must be `text` or `image`" };

/// What a tool may be told: that only the model itself calls it.
const CALLERS: Field = field(
    "allowed_callers",
    List(&Words(&["direct"], "must be `direct`: code that runs at the provider has no price here")),
);

const TOOL: &[Field] = &[
    KIND,
    field("name", Text).required(),
    field("description", Text),
    field("input_schema", Any).required(),
    field("input_examples", Any),
    field("strict", Flag),
    field("eager_input_streaming", Flag),
    field("defer_loading", Flag),
    CALLERS,
    CACHE_CONTROL,
];

/// A tool that Anthropic describes and the caller runs.
const OWN_TOOL: Option<&[Field]> = Some(&[
    KIND.noted(Mark::Explained),
    field("name", Text).required(),
    field("max_characters", Whole),
    field("display_width_px", Whole),
    field("display_height_px", Whole),
    field("display_number", Whole),
    field("enable_zoom", Flag),
    field("input_examples", Any),
    field("strict", Flag),
    field("defer_loading", Flag),
    CALLERS,
    CACHE_CONTROL,
]);

const TOOLS: shape::Kinds = shape::Kinds {
    of: &[
        ("custom", Some(TOOL)),
        ("bash_20250124", OWN_TOOL),
        ("computer_20250124", OWN_TOOL),
        ("computer_20251124", OWN_TOOL),
        ("memory_20250818", OWN_TOOL),
        ("text_editor_20250124", OWN_TOOL),
        ("text_editor_20250429", OWN_TOOL),
        ("text_editor_20250728", OWN_TOOL),
    ],
    untyped: Some(TOOL),
    refused: &[(
        "mcp_toolset",
        "must not be `mcp_toolset`: what connectors do at the provider has no price here",
    )],
    rule: "must be `custom`, or a version of `bash`, `computer`, `memory` or `text_editor` that is known here: tools \
           that run at the provider have no price here",
};
