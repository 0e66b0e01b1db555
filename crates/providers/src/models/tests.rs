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
fn a_gateways_own_providers_come_first_and_in_its_order() {
    let ollama = custom("ollama", "http://ollama.internal", &["llama3.2:1b", "gpt-4o"]);
    let mut azure = custom("my-azure", "https://me.openai.azure.com/openai/deployments/x", &["gpt-4o"]);
    azure.id_aliases = vec!["openai".to_owned()];
    azure.models[0].id_aliases = vec!["house-model".to_owned()];
    let selection = selection(vec![ollama, azure, custom("groq", "", &[])], Restrictions::default());
    let resolve = |name| told(selection.resolve(name, CHAT));
    assert_eq!(resolve("gpt-4o"), ["ollama:gpt-4o?", "my-azure:gpt-4o?", "openai:gpt-4o"]);
    assert_eq!(resolve("llama3.2:1b"), ["ollama:llama3.2:1b?"]);
    assert_eq!(resolve("Ollama:llama3.2:1b"), ["ollama:llama3.2:1b?"]);
    assert_eq!(resolve("ollama:other"), ["ollama:other?"]);
    // A configured alias becomes the configured id, and a configured name hides the catalogue's.
    assert_eq!(resolve("house-model"), ["my-azure:gpt-4o?"]);
    assert_eq!(resolve("openai:gpt-4o-mini"), ["my-azure:gpt-4o-mini?"]);
    assert_eq!(resolve("open-ai:gpt-4o-mini"), ["openai:gpt-4o-mini"]);
    let all = selection.everything(CHAT);
    let first: Vec<_> = all.iter().take(3).map(|candidate| candidate.upstream.as_ref()).collect();
    assert_eq!(first, ["llama3.2:1b", "gpt-4o", "gpt-4o"]);
    assert_eq!((all[3].host.id(), all[3].configured), ("groq", None));
    let hosts: Vec<_> = selection.hosts().iter().map(|host| host.id()).collect();
    assert_eq!(hosts[..4], ["ollama", "my-azure", "groq", "anthropic"]);
    assert_eq!(hosts.len(), catalog::all().len() + 2);
}

#[test]
fn a_configured_model_adds_to_the_one_of_the_catalogue() {
    let mut openai = custom("OpenAI", "", &["gpt-4o", "gpt-5-mini-2025-08-07", "my-tune"]);
    openai.models[0].id_aliases = vec!["flagship".to_owned()];
    openai.models[0].max_context_window = Some(1000);
    openai.models[0].unsupported_params = vec!["logprobs".to_owned()];
    let restrictions = Restrictions { only_configured_models: true, ..Restrictions::default() };
    let selection = selection(vec![openai], restrictions);
    let found = selection.resolve("flagship", CHAT).unwrap();
    let [model] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((model.host.slug(), model.id(), model.author()), ("openai", "gpt-4o", "openai"));
    assert_eq!((model.context_window(), model.max_output_tokens()), (Some(1000), Some(16_384)));
    assert!(model.features().iter().any(|feature| feature == "tool-calling"));
    assert!(model.aliases().contains(&"flagship".into()) && model.aliases().contains(&"gpt-4-omni".into()));
    assert!(!model.passes_param(CHAT, "logprobs") && model.passes_param(CHAT, "top_p"));
    let told = |name| told(selection.resolve(name, CHAT));
    assert_eq!(told("gpt-4o-2024-08-06"), ["OpenAI:gpt-4o-2024-08-06"]);
    assert_eq!(told("gpt-5-mini-2025-08-07"), ["OpenAI:gpt-5-mini-2025-08-07"]);
    assert_eq!(told("my-tune"), ["OpenAI:my-tune?"]);
    for refused in ["gpt-5-mini", "gpt-4o-mini", "openai:gpt-4o-mini", "claude-opus-4-6"] {
        let refusal = selection.resolve(refused, CHAT).unwrap_err();
        assert!(matches!(refusal, NoModel::ModelNotAllowed { .. }), "{refused}: {refusal}");
    }
    assert_eq!(selection.everything(CHAT).len(), 3);
}

#[test]
fn what_a_gateway_does_not_allow_is_refused_by_name() {
    let only = Restrictions { only_configured_providers: true, ..Restrictions::default() };
    let mut off = custom("anthropic", "", &[]);
    off.disabled = true;
    let mut openai = custom("openai", "", &["gpt-4o"]);
    openai.models[0].disabled = true;
    let selection = selection(vec![openai, off], only);
    let refusal = |name| selection.resolve(name, CHAT).unwrap_err().to_string();
    assert_eq!(refusal("gemini-2.5-pro"), "Provider 'google' is not allowed by gateway configuration");
    assert_eq!(refusal("google:x"), "Provider 'google' is not allowed by gateway configuration");
    assert_eq!(refusal("claude-opus-4-6"), "Provider 'anthropic' is not allowed by gateway configuration");
    assert_eq!(refusal("gpt-4o"), "Model 'gpt-4o' is not allowed by gateway configuration");
    assert_eq!(told(selection.resolve("gpt-4o-mini", CHAT)), ["openai:gpt-4o-mini"]);
}

#[test]
fn a_surface_lets_only_what_it_names_pass() {
    let mut vllm = custom("vllm", "http://localhost:8000", &["m"]);
    vllm.surfaces = vec![ConfiguredSurface {
        dialect: OpenAi,
        operation: Some("chat/completions".to_owned()),
        supported_params: vec!["messages".to_owned()],
    }];
    let mut claude = custom("proxy", "https://a.example/v1", &["m2"]);
    claude.surfaces =
        vec![ConfiguredSurface { dialect: Anthropic, operation: None, supported_params: vec![] }];
    let selection = selection(vec![vllm, claude], Restrictions::default());
    let found = selection.resolve("m", CHAT).unwrap();
    let passes = |asked, name| found[0].passes_param(asked, name);
    assert!(passes(CHAT, "messages") && passes(CHAT, "model") && !passes(CHAT, "stream"));
    assert!(passes(RESPONSES, "stream"));
    assert_eq!(told(selection.resolve("m2", MESSAGES)), ["proxy:m2?"]);
    assert!(selection.resolve("m2", CHAT).is_err() && selection.resolve("m", MESSAGES).is_err());
    let groq = selection.resolve("groq:openai/gpt-oss-20b", CHAT).unwrap();
    assert!(!groq[0].passes_param(CHAT, "logprobs"));
}

#[test]
fn names_that_mean_two_things_are_refused() {
    let new = |providers| Selection::new(compiled(), providers, Restrictions::default()).map(|_| ());
    let nowhere = custom("mine", "", &[]);
    assert_eq!(new(vec![nowhere]), Err(InvalidSelection::NoBaseUrl("mine".to_owned())));
    let twice = vec![custom("openai", "", &[]), custom("OpenAI", "", &[])];
    assert_eq!(new(twice), Err(InvalidSelection::ProviderTwice("OpenAI".to_owned())));
    assert_eq!(new(vec![custom("groq", "", &["a", "A"])]), Err(InvalidSelection::ModelTwice("A".to_owned())));
    let mut alias = custom("groq", "", &["a", "b"]);
    alias.models[1].id_aliases = vec!["A".to_owned()];
    assert_eq!(new(vec![alias]), Err(InvalidSelection::ModelTwice("A".to_owned())));
    assert_eq!(new(vec![custom("groq", "", &[""])]), Err(InvalidSelection::Empty));
    assert_eq!(new(vec![custom("groq", "", &["a"]), custom("openai", "", &["a"])]), Ok(()));
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

#[test]
fn a_list_has_each_model_once_in_the_callers_shape() {
    let open = open();
    let some =
        ["gpt-5", "openai:gpt-5", "claude-opus-4-6"].map(|name| open.resolve(name, RESPONSES).unwrap());
    let some = some.concat();
    let list: serde_json::Value = serde_json::from_slice(&listing::openai(&some, 7)).unwrap();
    let expected = serde_json::json!({ "object": "list", "data": [
        { "id": "gpt-5", "object": "model", "created": 7, "owned_by": "openai",
          "context_window": 400_000, "max_output_tokens": 128_000 },
        { "id": "claude-opus-4-6", "object": "model", "created": 7, "owned_by": "anthropic",
          "context_window": 1_000_000, "max_output_tokens": 128_000 },
    ]});
    assert_eq!(list, expected);
    let list: serde_json::Value = serde_json::from_slice(&listing::anthropic(&some[..1], 0)).unwrap();
    assert_eq!((&list["first_id"], &list["has_more"]), (&"gpt-5".into(), &false.into()));
    assert_eq!(list["data"][0]["created_at"], "1970-01-01T00:00:00Z");
}

#[test]
fn people_find_models_by_what_they_look_for() {
    let find = |query| listing::page(compiled(), Catalogue::current(), query, 0, 1000);
    let of = |provider| find(listing::Query { provider, ..Default::default() });
    assert_eq!(of("xai"), of("grok"));
    let all = find(listing::Query::default());
    assert_eq!((all.total, all.rows.len()), (compiled().all().len(), compiled().all().len()));
    let vision = listing::Query {
        author: "OpenAI",
        modality: "image",
        feature: "vision",
        text: "GPT-4",
        provider: "",
    };
    let found = find(vision);
    let row = found.rows.iter().find(|row| row.id == "gpt-4o").unwrap();
    assert_eq!(row.providers[0].pricing["text.input"], 2.5);
    assert!(row.aliases.contains(&"gpt-4o-2024-08-06".to_owned()) && found.rows.len() > 5);
    let page = listing::page(compiled(), Catalogue::current(), vision, 1, 2);
    assert_eq!((page.rows.as_slice(), page.total), (&found.rows[1..3], found.total));
    assert_eq!(find(listing::Query { text: "no such model", ..Default::default() }).total, 0);
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
    assert!(speaks(OpenAi) && speaks(Anthropic));
}
