//! What a gateway says of providers and models.

use super::*;

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
    // Models that think take no temperature, and say so with an error.
    let [o3, gpt] = ["o3", "gpt-4o"]
        .map(|name| selection.resolve(name, CHAT).unwrap()[0].passes_param(CHAT, "temperature"));
    assert!(!o3 && gpt);
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
