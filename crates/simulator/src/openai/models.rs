//! The models that the simulated account may use.

use serde::Serialize;

use crate::answer::{Answer, Refusal};

/// The models that are listed, with their dates.
const LISTED: [(&str, u64); 22] = [
    ("gpt-5", 1_754_425_777),
    ("gpt-5-mini", 1_754_425_928),
    ("gpt-5-nano", 1_754_426_384),
    ("gpt-5-mini-2025-08-07", 1_754_425_867),
    ("gpt-4.1", 1_744_316_542),
    ("gpt-4.1-mini", 1_744_318_173),
    ("gpt-4.1-nano", 1_744_321_707),
    ("gpt-4o", 1_715_367_049),
    ("gpt-4o-mini", 1_721_172_741),
    ("gpt-4o-mini-2024-07-18", 1_721_172_717),
    ("gpt-4-turbo", 1_712_361_441),
    ("gpt-3.5-turbo", 1_677_610_602),
    ("o3", 1_744_225_308),
    ("o3-mini", 1_737_146_383),
    ("o4-mini", 1_744_225_351),
    ("text-embedding-3-small", 1_705_948_997),
    ("text-embedding-3-large", 1_705_953_180),
    ("text-embedding-ada-002", 1_671_217_299),
    ("gpt-image-1", 1_745_517_030),
    ("whisper-1", 1_677_532_384),
    ("tts-1", 1_681_940_951),
    ("omni-moderation-latest", 1_731_689_265),
];

#[derive(Serialize)]
struct Model<'a> {
    id: &'a str,
    object: &'static str,
    created: u64,
    owned_by: &'static str,
}

#[derive(Serialize)]
struct List<T> {
    object: &'static str,
    data: Vec<T>,
}

pub(super) fn list() -> Answer {
    let data = LISTED.iter().map(|(id, created)| model(id, *created)).collect();
    Answer::json(&List { object: "list", data })
}

pub(super) fn retrieve(id: &str) -> Result<Answer, Refusal> {
    known(id)?;
    let created =
        LISTED.iter().find(|(listed, _)| *listed == id).map_or(1_700_000_000, |(_, created)| *created);
    Ok(Answer::json(&model(id, created)))
}

/// Refuses a model that nobody has, such as `gpt-nope`. Every provider that speaks OpenAI's dialect is played here, so
/// any other name is some provider's model.
pub(super) fn known(model: &str) -> Result<(), Refusal> {
    if model.contains("nope") { Err(Refusal::unknown_model(model)) } else { Ok(()) }
}

/// Whether a model thinks before it answers, and is billed for its thoughts.
pub(super) fn reasons(model: &str) -> bool {
    let model = model.strip_prefix("ft:").unwrap_or(model);
    ["o1", "o3", "o4", "gpt-5"].iter().any(|family| model.starts_with(family))
        && !model.contains("chat-latest")
}

/// How many tokens a model can say and think at most.
pub(super) fn most_output(model: &str) -> u64 {
    let model = model.strip_prefix("ft:").unwrap_or(model);
    let begins = |families: &[&str]| families.iter().any(|family| model.starts_with(family));
    match model {
        _ if begins(&["gpt-4.1"]) => 32_768,
        _ if begins(&["gpt-4o"]) => 16_384,
        _ if begins(&["gpt-4-turbo", "gpt-3.5"]) => 4_096,
        _ if begins(&["gpt-4"]) => 8_192,
        _ if begins(&["o1", "o3", "o4"]) => 100_000,
        _ => 128_000,
    }
}

/// The dated version that answers for a model's short name.
pub(super) fn served(model: &str) -> &str {
    match model {
        "gpt-4o" => "gpt-4o-2024-08-06",
        "gpt-4o-mini" => "gpt-4o-mini-2024-07-18",
        "gpt-4.1" => "gpt-4.1-2025-04-14",
        "gpt-4.1-mini" => "gpt-4.1-mini-2025-04-14",
        "gpt-4.1-nano" => "gpt-4.1-nano-2025-04-14",
        "gpt-5" => "gpt-5-2025-08-07",
        "gpt-5-mini" => "gpt-5-mini-2025-08-07",
        "gpt-5-nano" => "gpt-5-nano-2025-08-07",
        "gpt-3.5-turbo" => "gpt-3.5-turbo-0125",
        "gpt-4-turbo" => "gpt-4-turbo-2024-04-09",
        "o3" => "o3-2025-04-16",
        "o3-mini" => "o3-mini-2025-01-31",
        "o4-mini" => "o4-mini-2025-04-16",
        other => other,
    }
}

fn model(id: &str, created: u64) -> Model<'_> {
    Model { id, object: "model", created, owned_by: "system" }
}
