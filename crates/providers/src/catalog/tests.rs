use super::*;

#[test]
fn a_known_slug_that_is_not_served_says_so() {
    assert_eq!(find("openai").unwrap().root, "https://api.openai.com");
    assert_eq!(find("aws-bedrock"), Err(UnknownProvider::NotServed("aws-bedrock")));
    assert_eq!(find("opena1"), Err(UnknownProvider::Invalid));
    assert_eq!(compat_name("openai").unwrap().slug, "openai");
}

#[test]
fn a_custom_slug_is_a_slug() {
    assert!(is_slug("openai") && is_slug("custom-my_provider-2") && is_slug("z-ai") && is_slug("fal"));
    let long = format!("custom-{}", "a".repeat(65));
    let strange = ["", "nobody", "custom-", "custom-a/b", "custom-a\0", "xai", "OpenAI", &long];
    assert!(strange.iter().all(|slug| !is_slug(slug)));
}

#[test]
fn keys_are_kept_under_one_slug() {
    let slugs = ["xai", "Perplexity", "custom-x", "fal"].map(slug);
    assert_eq!(slugs, [Some("grok"), Some("perplexity-ai"), Some("custom-x"), Some("fal")]);
    assert_eq!((slug("nobody"), slug("")), (None, None));
}

#[test]
fn the_names_of_both_products_are_those_of_one_provider() {
    for (slug, names) in [
        ("openai", ["openAI", "open-ai", "open-AI"].as_slice()),
        ("anthropic", &["Anthropic"]),
        ("google-ai-studio", &["google", "Google", "gemini"]),
        ("deepseek", &["DeepSeek", "deep-seek"]),
        ("groq", &["groqcloud", "GROQ"]),
        ("openrouter", &["open-router"]),
        ("inceptionlabs", &["inception-labs", "inception"]),
        ("inference-net", &["inference.net", "inference_net"]),
        ("grok", &["xai", "XAI"]),
        ("perplexity-ai", &["perplexity"]),
        ("moonshotai", &["moonshot"]),
        ("z-ai", &["z.ai", "zai"]),
        ("together", &["together-ai"]),
    ] {
        assert_eq!(named(slug).unwrap().slug, slug);
        assert!(names.iter().all(|name| named(name).unwrap().slug == slug), "{slug}");
    }
    // In a path, case matters.
    assert_eq!(find("xai").unwrap().slug, "grok");
    assert!(find("XAI").is_err() && named("").is_none());
}

#[test]
fn every_provider_has_names_and_places_of_its_own() {
    let mut names = Vec::new();
    for provider in all() {
        names.extend(provider.names());
        assert!(provider.names().any(|name| name == provider.id) && !provider.name.is_empty());
        assert!(provider.names().all(|name| name == name.to_lowercase()), "{}", provider.slug);
        assert!(!provider.formats.is_empty() && provider.root.starts_with("https://"));
        assert_eq!(provider.prefix.is_empty(), !provider.prefix_spellings.contains(&provider.prefix));
        for place in provider.formats.iter().filter_map(|format| format.base).chain([provider.prefix]) {
            assert_eq!(place.trim_matches('/'), place);
        }
    }
    assert!(all().is_sorted_by_key(|provider| provider.slug));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
    assert!(NOT_SERVED.iter().all(|slug| !names.contains(slug)));
}

#[test]
fn a_format_is_found_where_it_offers_the_operation() {
    let perplexity = named("perplexity").unwrap();
    let base = |operation| perplexity.format(Dialect::OpenAi, operation).unwrap().base;
    assert_eq!((base("chat/completions"), base("responses"), base("other")), (None, Some("v1"), None));
    assert_eq!(perplexity.format(Dialect::Anthropic, "messages"), None);
}
