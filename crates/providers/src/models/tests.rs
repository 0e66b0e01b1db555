mod configured;
mod lists;

use proptest::prelude::*;

use super::*;
use crate::catalog::Dialect::{Anthropic, OpenAi};
use crate::catalog::custom::CustomBase;
use crate::catalog::{self, Dialect};
use crate::prices::Catalogue;

/// What our table has and the price list does not: models that are gone, or whose makers publish no price.
const UNPRICED: &[&str] = &[
    "anthropic:claude-3-5-sonnet-latest",
    "anthropic:claude-3-haiku-20240307",
    "anthropic:claude-opus-4-0",
    "anthropic:claude-opus-4-1",
    "anthropic:claude-sonnet-4-0",
    "google-ai-studio:gemini-2.0-flash",
    "google-ai-studio:gemini-2.0-flash-lite",
    "google-ai-studio:gemini-3-pro-preview",
    "groq:llama-3.1-8b-instant",
    "groq:llama-3.3-70b-versatile",
    "groq:meta-llama/llama-4-maverick-17b-128e-instruct",
    "groq:meta-llama/llama-4-scout-17b-16e-instruct",
    "groq:meta-llama/llama-guard-4-12b",
    "groq:moonshotai/kimi-k2-instruct-0905",
    "groq:qwen/qwen3-32b",
    "inceptionlabs:mercury-2",
    "inceptionlabs:mercury-coder-small-beta",
    "inference-net:meta-llama/llama-3.1-8b-instruct/fp-8",
];

const CHAT: Asked<'static> = Asked { dialect: OpenAi, operation: "chat/completions" };
const MESSAGES: Asked<'static> = Asked { dialect: Anthropic, operation: "messages" };
const RESPONSES: Asked<'static> = Asked { dialect: OpenAi, operation: "responses" };

fn compiled() -> &'static Models {
    &COMPILED
}

fn selection(providers: Vec<ConfiguredProvider>, restrictions: Restrictions) -> Selection {
    Selection::new(compiled(), providers, restrictions).unwrap()
}

fn open() -> Selection {
    selection(vec![], Restrictions::default())
}

/// Candidates as `provider:model`, with a question mark behind what is not known.
fn told(found: Result<Vec<Candidate<'_>>, NoModel>) -> Vec<String> {
    let tell = |candidate: &Candidate<'_>| {
        let mark = if candidate.known.is_some() { "" } else { "?" };
        format!("{}:{}{mark}", candidate.host.id(), candidate.upstream)
    };
    found.unwrap().iter().map(tell).collect()
}

fn custom(id: &str, base_url: &str, models: &[&str]) -> ConfiguredProvider {
    let models =
        models.iter().map(|id| ConfiguredModel { id: (*id).to_owned(), ..ConfiguredModel::default() });
    ConfiguredProvider {
        id: id.to_owned(),
        base: (!base_url.is_empty()).then(|| CustomBase::parse(base_url).unwrap()),
        models: models.collect(),
        ..ConfiguredProvider::default()
    }
}

#[test]
fn the_compiled_catalogue_can_be_read_and_holds_what_it_promises() {
    let models = Models::read(include_str!("../../data/models/catalogue.jsonl")).unwrap();
    assert!(models.all().len() > 700);
    for model in models.all() {
        assert!(model.nicknames.iter().all(|name| models.named(name).any(|known| known.model == model)));
        let said = |fact: &str| model.sources.iter().any(|(name, _)| name == fact);
        for (fact, is_there) in [
            ("context_window", model.context_window.is_some()),
            ("max_output_tokens", model.max_output_tokens.is_some()),
            ("input", !model.input.is_empty()),
            ("features", !model.features.is_empty()),
            ("deprecated", model.deprecated),
        ] {
            assert_eq!(said(fact), is_there, "{} {fact}", model.id);
        }
        for offer in &model.offers {
            for name in std::iter::once(&offer.model).chain(&offer.aliases) {
                let known = models.at(offer.provider, name).unwrap();
                assert_eq!((known.model, known.offer, known.upstream(name)), (model, offer, name.as_str()));
            }
        }
    }
}

#[test]
fn every_model_of_the_price_list_is_known_and_what_is_known_is_priced() {
    let prices = Catalogue::current();
    let (mut missing, mut unpriced) = (Vec::new(), Vec::new());
    for provider in catalog::all() {
        let buckets = [format!("{}-ai-", provider.slug), "ft:".to_owned()];
        for (model, price) in prices.models(provider.slug) {
            let is_bucket = buckets.iter().any(|bucket| model.starts_with(bucket.as_str()));
            if matches!(price.mode.as_str(), "chat" | "embedding" | "responses")
                && !is_bucket
                && price.is_priced()
            {
                // Or under the longer of the provider's two names for it.
                let path = format!("accounts/fireworks/models/{model}");
                if compiled().at(provider, model).or(compiled().at(provider, &path)).is_none() {
                    missing.push(format!("{}:{model}", provider.slug));
                }
            }
        }
    }
    for known in compiled().offers() {
        if prices.find(known.offer.provider.slug, &known.offer.model).is_none() {
            unpriced.push(format!("{}:{}", known.offer.provider.slug, known.offer.model));
        }
    }
    assert_eq!(missing, [""; 0]);
    unpriced.sort();
    assert_eq!(unpriced, UNPRICED);
}

#[test]
fn every_name_of_the_published_catalogue_leads_to_its_provider() {
    let open = open();
    for (name, asked, expected) in [
        ("gpt-4o", CHAT, "openai:gpt-4o"),
        ("GPT-4o", CHAT, "openai:gpt-4o"),
        ("openai/gpt-4o", CHAT, "openai:gpt-4o"),
        ("gpt-4o-2024-08-06", CHAT, "openai:gpt-4o-2024-08-06"),
        ("chatgpt-4o-latest", CHAT, "openai:chatgpt-4o-latest"),
        ("gpt-4-omni", CHAT, "openai:gpt-4o"),
        ("gpt-4-32k", CHAT, "openai:gpt-4-32k"),
        ("gpt-5-mini", CHAT, "openai:gpt-5-mini"),
        ("GPT-5 mini", CHAT, "openai:gpt-5-mini"),
        ("gpt5.3-codex", CHAT, "openai:gpt-5.3-codex"),
        ("gpt-3.5-turbo-16k", CHAT, "openai:gpt-3.5-turbo-16k"),
        ("text-embedding-3-small", CHAT, "openai:text-embedding-3-small"),
        ("claude-opus-4-6", CHAT, "anthropic:claude-opus-4-6"),
        ("claude-opus-4-6", MESSAGES, "anthropic:claude-opus-4-6"),
        ("claude-sonnet-4", MESSAGES, "anthropic:claude-sonnet-4-0"),
        ("claude-opus-4.1", MESSAGES, "anthropic:claude-opus-4-1"),
        ("claude-3-5-sonnet", MESSAGES, "anthropic:claude-3-5-sonnet-latest"),
        ("claude-3-5-sonnet-20241022", MESSAGES, "anthropic:claude-3-5-sonnet-20241022"),
        ("claude-haiku-3", MESSAGES, "anthropic:claude-3-haiku-20240307"),
        ("gemini-2.5-flash", CHAT, "google:gemini-2.5-flash"),
        ("gemini-3", CHAT, "google:gemini-3-pro-preview"),
        ("deepseek-chat", CHAT, "deepseek:deepseek-chat"),
        ("meta-llama/llama-3.3-70b-versatile", CHAT, "groq:llama-3.3-70b-versatile"),
        ("meta-llama/llama-3.1-8b-instant", CHAT, "groq:llama-3.1-8b-instant"),
        ("llama-3.1-8b", CHAT, "groq:llama-3.1-8b-instant"),
        ("llama-4-scout-17b-16e", CHAT, "groq:meta-llama/llama-4-scout-17b-16e-instruct"),
        ("kimi-k2", CHAT, "groq:moonshotai/kimi-k2-instruct-0905"),
        ("openai/gpt-oss-120b", CHAT, "groq:openai/gpt-oss-120b"),
        ("qwen3-32b", CHAT, "groq:qwen/qwen3-32b"),
    ] {
        assert_eq!(told(open.resolve(name, asked))[0], expected, "{name}");
    }
}

#[test]
fn a_prefix_forces_its_provider_and_what_follows_is_its_model() {
    let open = open();
    for (name, expected) in [
        ("openai:gpt-4o", "openai:gpt-4o"),
        ("OpenAI:gpt-4o", "openai:gpt-4o"),
        ("openai:some-new-model", "openai:some-new-model?"),
        ("openai:ft:gpt-4o:me::x", "openai:ft:gpt-4o:me::x?"),
        ("anthropic:claude-opus-4-6", "anthropic:claude-opus-4-6"),
        ("openrouter:anthropic/claude-3.5-sonnet", "openrouter:anthropic/claude-3.5-sonnet?"),
        ("hyperbolic:meta-llama/Llama-3.3-70B-Instruct", "hyperbolic:meta-llama/Llama-3.3-70B-Instruct"),
        ("inceptionlabs:mercury-coder-small-beta", "inceptionlabs:mercury-coder-small-beta"),
        (
            "inference.net:meta-llama/llama-3.1-8b-instruct/fp-8",
            "inference-net:meta-llama/llama-3.1-8b-instruct/fp-8",
        ),
        ("groq:meta-llama/llama-3.3-70b-versatile", "groq:llama-3.3-70b-versatile"),
        ("grok:grok-4.3", "xai:grok-4.3"),
        ("gemini:gemini-2.5-pro", "google:gemini-2.5-pro"),
        // Not at this provider, so it is taken at its word.
        ("mistral:gpt-4o", "mistral:gpt-4o?"),
    ] {
        assert_eq!(told(open.resolve(name, CHAT)), [expected], "{name}");
    }
}

#[test]
fn what_nobody_knows_is_refused_with_what_may_have_been_meant() {
    let unknown = |name: &str| match open().resolve(name, CHAT) {
        Err(NoModel::Unknown { nearest, .. }) => nearest,
        found => panic!("{name}: {found:?}"),
    };
    assert_eq!(unknown("gpt-4p")[0], "gpt-4");
    assert!(unknown("claude-opus-46").contains(&"claude-opus-4-6".to_owned()));
    assert_eq!(unknown("groq/no-such")[0], "groq:no-such");
    assert!(unknown("llama3.2:1b").is_empty());
    assert!(unknown("openai:").is_empty() || unknown("openai:")[0].starts_with("openai"));
    assert!(unknown(&"x".repeat(100_000)).is_empty());
    let said = open().resolve("gpt-4oo", CHAT).unwrap_err().to_string();
    assert!(
        said.starts_with("No matching models found: `gpt-4oo`") && said.contains("did you mean `gpt-4o`")
    );
}

#[test]
fn a_format_leaves_those_who_speak_it() {
    let open = open();
    assert_eq!(told(open.resolve("claude-opus-4-6", MESSAGES)), ["anthropic:claude-opus-4-6"]);
    let refused = open.resolve("gpt-4o", MESSAGES).unwrap_err();
    assert!(matches!(refused, NoModel::OtherFormat { dialect: Anthropic, .. }), "{refused}");
    // Perplexity has it for responses only.
    assert_eq!(told(open.resolve("gpt-5", CHAT)), ["openai:gpt-5"]);
    assert_eq!(told(open.resolve("gpt-5", RESPONSES)), ["openai:gpt-5", "perplexity:openai/gpt-5"]);
    assert_eq!(told(open.resolve("o3-pro", CHAT)), ["openai:o3-pro"]);
}

#[test]
fn without_a_name_everything_is_to_choose_from_in_order() {
    let open = open();
    let all = open.resolve("ngrok/auto", CHAT).unwrap();
    assert!(is_auto("") && is_auto("NGROK/auto") && !is_auto("auto"));
    assert!(all.is_sorted_by_key(|candidate| candidate.host.id()) && all.len() > 500);
    assert!(all.iter().all(|candidate| candidate.takes("chat/completions")));
    assert!(!all.iter().any(|candidate| candidate.upstream.contains("embedding-3")));
    let messages = open.everything(MESSAGES);
    assert!(messages.iter().all(|candidate| candidate.host.speaks(Anthropic)));
    assert!(messages.iter().any(|candidate| candidate.upstream == "claude-opus-4-6"));
}

#[test]
fn a_catalogue_that_says_nonsense_is_refused_by_its_line() {
    let read =
        |text: &str| Models::read(text).map(|models| models.all().len()).map_err(|error| error.to_string());
    let line = r#"{"id":"a","offers":[{"provider":"openai","model":"a"}],"new":1}"#;
    assert_eq!(read(&format!("{line}\n\n")), Ok(1));
    assert_eq!(read(&format!("{line}\n{line}")), Err("`a` names two models".to_owned()));
    assert!(read(&line.replace("openai", "nobody")).unwrap_err().starts_with("line 1: `nobody`"));
    assert!(read("{}").unwrap_err().starts_with("line 1 is no model"));
    assert!(read(r#"{"id":"a","offers":[]}"#).is_err());
}

proptest! {
    #[test]
    fn any_text_means_candidates_or_is_refused(
        provider in "(openai|OLLAMA|xai|inference\\.net|[a-z./]{0,6})?",
        colon in ":{0,2}",
        model in "(gpt-4o|llama3\\.2:1b|[a-zé/:. -]{0,12}|\\PC{0,40})",
    ) {
        let ollama = custom("ollama", "http://ollama.internal", &["llama3.2:1b"]);
        let selection = selection(vec![ollama], Restrictions::default());
        let name = format!("{provider}{colon}{model}");
        for asked in [CHAT, MESSAGES] {
            let Ok(found) = selection.resolve(&name, asked) else { continue };
            prop_assert!(!found.is_empty());
            prop_assert!(found.iter().all(|candidate| candidate.host.speaks(asked.dialect)));
            // A model without a name is nobody's.
            prop_assert!(found.iter().all(|candidate| !candidate.upstream.is_empty()));
            let explicit = name.split_once(':').filter(|(_, model)| !model.is_empty());
            if let Some(host) = explicit.and_then(|(prefix, _)| selection.host(prefix)) {
                prop_assert!(found.len() == 1 && found[0].host.is(host));
            }
        }
    }

    #[test]
    fn a_provider_is_asked_for_what_it_understands(index in any::<prop::sample::Index>(), upper in any::<bool>()) {
        let offers: Vec<_> = compiled().offers().collect();
        let known = offers[index.index(offers.len())];
        let name = if upper { known.offer.model.to_uppercase() } else { known.offer.model.clone() };
        let (open, name) = (open(), format!("{}:{name}", known.offer.provider.id));
        let dialect = known.offer.provider.formats[0].dialect;
        let found = open.resolve(&name, Asked { dialect, operation: "" }).unwrap();
        prop_assert_eq!(found[0].upstream.as_ref(), known.offer.model.as_str());
    }
}

#[test]
fn every_dialect_is_somebodys() {
    let speaks =
        |dialect: Dialect| catalog::all().iter().any(|provider| provider.format(dialect, "").is_some());
    assert!(speaks(OpenAi) && speaks(Anthropic) && speaks(Dialect::Google));
}

#[test]
fn surfaces_that_are_named_leave_out_the_others_of_their_format() {
    let surface = |dialect, operation: Option<&str>| ConfiguredSurface {
        dialect,
        operation: operation.map(str::to_owned),
        supported_params: Vec::new(),
    };
    let own = |id: &str, surfaces| ConfiguredProvider {
        id: id.to_owned(),
        base: Some(CustomBase::parse("https://a.example").unwrap()),
        surfaces,
        models: vec![ConfiguredModel { id: "m".to_owned(), ..ConfiguredModel::default() }],
        ..ConfiguredProvider::default()
    };
    let chats = own("chats", vec![surface(Dialect::OpenAi, Some("chat/completions"))]);
    let both = vec![surface(Dialect::OpenAi, Some("responses")), surface(Dialect::Anthropic, None)];
    let providers = vec![chats, own("responds", both), own("all", Vec::new())];
    let selection = Selection::new(Models::current(), providers, Restrictions::default()).unwrap();
    let asked = |dialect, operation| {
        let found = selection.resolve("m", Asked { dialect, operation }).unwrap();
        found.iter().map(|candidate| candidate.host.id().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(asked(Dialect::OpenAi, "chat/completions"), ["chats", "all"]);
    assert_eq!(asked(Dialect::OpenAi, "responses"), ["responds", "all"]);
    assert_eq!(asked(Dialect::OpenAi, "embeddings"), ["chats", "responds", "all"]);
    assert_eq!(asked(Dialect::Anthropic, "messages"), ["responds"]);
}
