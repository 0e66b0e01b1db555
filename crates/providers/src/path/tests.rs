use proptest::prelude::*;

use super::*;
use crate::catalog;

fn openai() -> &'static Provider {
    catalog::find("openai").unwrap()
}

fn to(urls: &BaseUrls, rest: &str, query: Option<&str>) -> Result<String, InvalidPath> {
    let base = urls.of(openai());
    upstream(openai(), base, rest, query).map(|path| base.uri(path).to_string())
}

#[test]
fn the_version_is_inserted_kept_or_collapsed() {
    let urls = BaseUrls::default();
    for rest in ["chat/completions", "v1/chat/completions", "v1/v1/chat/completions", "/v1/chat/completions"]
    {
        assert_eq!(to(&urls, rest, None).unwrap(), "https://api.openai.com/v1/chat/completions");
    }
    assert_eq!(to(&urls, "v1beta/x", None).unwrap(), "https://api.openai.com/v1/v1beta/x");
    assert_eq!(to(&urls, "", Some("model=x")).unwrap(), "https://api.openai.com/v1?model=x");
    assert_eq!(operation(openai(), "v1/v1/files/a"), "files/a");
}

#[test]
fn an_override_takes_the_place_of_root_and_version() {
    let urls = BaseUrls::parse(" openai = http://127.0.0.1:9000/v1/ ,").unwrap();
    for rest in ["chat/completions", "v1/chat/completions"] {
        assert_eq!(to(&urls, rest, None).unwrap(), "http://127.0.0.1:9000/v1/chat/completions");
    }
    let urls = BaseUrls::parse("openai=http://mock/api").unwrap();
    assert_eq!(to(&urls, "v1/models", Some("")).unwrap(), "http://mock/api/models?");
}

#[test]
fn mistakes_in_overrides_are_named() {
    let mistakes = ["openai", "opena1=http://a", "openai=ftp://a", "openai=http://u:p@a", "openai=/v1"];
    for mistake in mistakes {
        assert!(BaseUrls::parse(mistake).is_err(), "{mistake}");
    }
    let twice = BaseUrls::parse("openai=http://a,openai=http://b");
    assert_eq!(twice, Err(InvalidBaseUrls::Twice("openai".to_owned())));
}

#[test]
fn a_path_cannot_leave_its_base() {
    let climbing = [
        "..",
        "../x",
        "v1/../../x",
        "a/./b",
        "a/%2e%2E/b",
        "a/.%2e",
        "%2e",
        "a%2f..%2fb",
        "a%2F%2e%2e%5cb",
        "a/%252e%252e/b",
        "a/%25252e./b",
        "..;x/b",
        "a/..",
    ];
    for rest in climbing {
        assert_eq!(to(&BaseUrls::default(), rest, None), Err(InvalidPath::DotSegment), "{rest}");
    }
    assert_eq!(to(&BaseUrls::default(), "a//b", None), Err(InvalidPath::EmptySegment));
    for rest in ["a\\b", "a\nb", "a%00b", "a%0d%0Ab", "a?b", "a#b", "a b", "a%2500"] {
        assert_eq!(to(&BaseUrls::default(), rest, None), Err(InvalidPath::Characters), "{rest}");
    }
}

#[test]
fn every_other_byte_stays() {
    let kept = [
        "models/ft:gpt-4o:org::a%2Fb",
        "files/a...b/",
        "x/.hidden",
        "x/...",
        "%",
        "a%zz",
        "caf%C3%A9/~!$&'()*+,;=",
    ];
    for rest in kept {
        let expected = format!("https://api.openai.com/v1/{rest}?q=%2e%2e/../&a=b%20c");
        assert_eq!(to(&BaseUrls::default(), rest, Some("q=%2e%2e/../&a=b%20c")).unwrap(), expected);
    }
}

/// What a path below a provider's slug becomes, in what is spoken there.
#[test]
fn every_provider_is_reached_however_its_clients_write_the_path() {
    use Auth::{Bearer, XApiKey, XGoogApiKey};
    let chat = "chat/completions";
    let table = [
        ("openai", "v1/responses", "https://api.openai.com/v1/responses", "responses", Bearer),
        ("anthropic", "v1/messages", "https://api.anthropic.com/v1/messages", "messages", XApiKey),
        ("anthropic", "messages", "https://api.anthropic.com/v1/messages", "messages", XApiKey),
        ("anthropic", "v1/models", "https://api.anthropic.com/v1/models", "models", XApiKey),
        ("anthropic", "v1/chat/completions", "https://api.anthropic.com/v1/chat/completions", chat, Bearer),
        (
            "google-ai-studio",
            "v1beta/models/gemini-2.5-pro:generateContent",
            "https://generativelanguage.googleapis.com/v1beta/models/gemini-2.5-pro:generateContent",
            "models/gemini-2.5-pro:generateContent",
            XGoogApiKey,
        ),
        (
            "google-ai-studio",
            "v1beta/openai/chat/completions",
            "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
            chat,
            Bearer,
        ),
        ("grok", "v1/chat/completions", "https://api.x.ai/v1/chat/completions", chat, Bearer),
        ("grok", "v1/messages", "https://api.x.ai/v1/messages", "messages", XApiKey),
        ("groq", "chat/completions", "https://api.groq.com/openai/v1/chat/completions", chat, Bearer),
        ("groq", "v1/chat/completions", "https://api.groq.com/openai/v1/chat/completions", chat, Bearer),
        ("groq", "openai/v1/models", "https://api.groq.com/openai/v1/models", "models", Bearer),
        ("openrouter", "v1/chat/completions", "https://openrouter.ai/api/v1/chat/completions", chat, Bearer),
        ("openrouter", "api/v1/models", "https://openrouter.ai/api/v1/models", "models", Bearer),
        ("openrouter", "v1/messages", "https://openrouter.ai/api/v1/messages", "messages", Bearer),
        ("deepseek", "chat/completions", "https://api.deepseek.com/chat/completions", chat, Bearer),
        ("deepseek", "v1/chat/completions", "https://api.deepseek.com/v1/chat/completions", chat, Bearer),
        (
            "deepseek",
            "anthropic/v1/messages",
            "https://api.deepseek.com/anthropic/v1/messages",
            "messages",
            XApiKey,
        ),
        ("perplexity-ai", "chat/completions", "https://api.perplexity.ai/chat/completions", chat, Bearer),
        ("perplexity-ai", "v1/responses", "https://api.perplexity.ai/v1/responses", "responses", Bearer),
        (
            "fireworks",
            "chat/completions",
            "https://api.fireworks.ai/inference/v1/chat/completions",
            chat,
            Bearer,
        ),
        (
            "fireworks",
            "inference/v1/models",
            "https://api.fireworks.ai/inference/v1/models",
            "models",
            Bearer,
        ),
        ("cerebras", "v1/chat/completions", "https://api.cerebras.ai/v1/chat/completions", chat, Bearer),
        ("mistral", "chat/completions", "https://api.mistral.ai/v1/chat/completions", chat, Bearer),
        ("together", "chat/completions", "https://api.together.xyz/v1/chat/completions", chat, Bearer),
        ("z-ai", "chat/completions", "https://api.z.ai/api/paas/v4/chat/completions", chat, Bearer),
        (
            "z-ai",
            "api/paas/v4/chat/completions",
            "https://api.z.ai/api/paas/v4/chat/completions",
            chat,
            Bearer,
        ),
        ("moonshotai", "v1/v1/chat/completions", "https://api.moonshot.ai/v1/chat/completions", chat, Bearer),
    ];
    let urls = BaseUrls::default();
    for (slug, rest, expected, operation, auth) in table {
        let provider = catalog::find(slug).unwrap();
        let base = urls.of(provider);
        let uri = base.uri(upstream(provider, base, rest, None).unwrap()).to_string();
        let found = native(provider, rest);
        assert_eq!((uri.as_str(), found.operation, found.auth), (expected, operation, auth), "{slug}/{rest}");
        assert_eq!(
            found.dialect == Dialect::Anthropic,
            operation == "messages" || rest == "v1/models" && slug == "anthropic"
        );
    }
}

/// What a path of a host becomes at a provider, in a format that it serves.
#[test]
fn every_format_is_reached_below_its_own_base() {
    use Dialect::{Anthropic, OpenAi};
    let (chat, messages) = ("/v1/chat/completions", "/v1/messages");
    let table = [
        ("openai", OpenAi, chat, "https://api.openai.com/v1/chat/completions"),
        ("anthropic", OpenAi, chat, "https://api.anthropic.com/v1/chat/completions"),
        ("anthropic", Anthropic, messages, "https://api.anthropic.com/v1/messages"),
        ("google", OpenAi, chat, "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions"),
        ("deepseek", OpenAi, chat, "https://api.deepseek.com/v1/chat/completions"),
        ("deepseek", Anthropic, messages, "https://api.deepseek.com/anthropic/v1/messages"),
        ("groq", OpenAi, chat, "https://api.groq.com/openai/v1/chat/completions"),
        ("mistral", OpenAi, chat, "https://api.mistral.ai/v1/chat/completions"),
        ("xai", OpenAi, chat, "https://api.x.ai/v1/chat/completions"),
        ("xai", Anthropic, messages, "https://api.x.ai/v1/messages"),
        ("openrouter", OpenAi, chat, "https://openrouter.ai/api/v1/chat/completions"),
        ("openrouter", Anthropic, messages, "https://openrouter.ai/api/v1/messages"),
        ("together", OpenAi, chat, "https://api.together.xyz/v1/chat/completions"),
        ("fireworks", OpenAi, chat, "https://api.fireworks.ai/inference/v1/chat/completions"),
        ("cerebras", OpenAi, chat, "https://api.cerebras.ai/v1/chat/completions"),
        ("perplexity", OpenAi, chat, "https://api.perplexity.ai/chat/completions"),
        ("perplexity", OpenAi, "/v1/responses", "https://api.perplexity.ai/v1/responses"),
        ("hyperbolic", OpenAi, chat, "https://api.hyperbolic.xyz/v1/chat/completions"),
        ("inceptionlabs", OpenAi, chat, "https://api.inceptionlabs.ai/v1/chat/completions"),
        ("inference-net", OpenAi, chat, "https://api.inference.net/v1/chat/completions"),
        ("moonshotai", OpenAi, chat, "https://api.moonshot.ai/v1/chat/completions"),
        ("moonshotai", Anthropic, messages, "https://api.moonshot.ai/anthropic/v1/messages"),
        ("z-ai", OpenAi, chat, "https://api.z.ai/api/paas/v4/chat/completions"),
        ("z-ai", Anthropic, messages, "https://api.z.ai/api/anthropic/v1/messages"),
    ];
    let urls = BaseUrls::default();
    for (name, dialect, path, expected) in table {
        let provider = catalog::named(name).unwrap();
        let operation = path.trim_start_matches("/v1/");
        let base = urls.of_format(provider, provider.format(dialect, operation).unwrap());
        for path in [path.to_owned(), format!("/v1{path}"), path.replace('/', "//")] {
            assert_eq!(base.uri(below(&base, &path, None).unwrap()).to_string(), expected, "{name}");
        }
    }
}

#[test]
fn an_override_that_says_a_place_is_not_given_it_twice() {
    let urls = BaseUrls::parse("deepseek=http://a/v1,google=http://b,groq=http://c/v1").unwrap();
    let to = |name, dialect, path| {
        let provider = catalog::named(name).unwrap();
        let base = urls.of_format(provider, provider.format(dialect, "").unwrap());
        base.uri(below(&base, path, Some("a=b")).unwrap()).to_string()
    };
    assert_eq!(to("deepseek", Dialect::OpenAi, "/v1/x"), "http://a/v1/x?a=b");
    assert_eq!(to("deepseek", Dialect::Anthropic, "/v1/x/"), "http://a/anthropic/v1/x/?a=b");
    assert_eq!(to("google", Dialect::OpenAi, "/v1/x"), "http://b/v1beta/openai/x?a=b");
    assert_eq!(to("groq", Dialect::OpenAi, "/v1"), "http://c/v1?a=b");
    let twice = BaseUrls::parse("grok=http://a,xai=http://b");
    assert_eq!(twice, Err(InvalidBaseUrls::Twice("xai".to_owned())));
}

/// Whether a server that undoes percent signs as often as it can would still find a path below a base.
fn stays_below(base: &str, path: &str) -> bool {
    let mut decoded = path.to_owned();
    while let Some(at) = decoded.find("%25") {
        decoded.replace_range(at..at + 3, "%");
    }
    let decoded = decoded.replace("%2f", "/").replace("%2F", "/").replace("%5c", "/").replace("%5C", "/");
    let decoded = decoded.replace("%2e", ".").replace("%2E", ".").replace('\\', "/");
    let climbs = |segment: &str| matches!(segment.split(';').next(), Some("." | ".."));
    path.starts_with(base) && !decoded.split('/').any(climbs)
}

const PIECES: &[&str] = &[
    "/",
    "//",
    ".",
    "..",
    "%2e",
    "%2E",
    "%252e",
    "%2f",
    "%5c",
    "%25",
    "2f",
    "2e",
    "\\",
    ";",
    "v1",
    "v1beta",
    "openai",
    "anthropic",
    "chat",
    "completions",
    "messages",
    "?",
    "#",
    " ",
    "%00",
    "é",
    "a",
    ":",
    "@",
    "http:",
];

proptest! {
    #[test]
    fn no_path_leaves_the_base_of_its_provider(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 0..12),
        provider in prop::sample::select(catalog::all()),
    ) {
        let (path, urls) = (pieces.concat(), BaseUrls::default());
        if let Ok(found) = upstream(provider, urls.of(provider), &path, None) {
            let base = urls.of(provider).rooted(provider, "");
            prop_assert!(stays_below(base.trim_end_matches('/'), found.path()), "{path} {found}");
            prop_assert_eq!(found.query(), None);
        }
        for format in provider.formats {
            let base = urls.of_format(provider, format);
            if let Ok(found) = below(&base, &path, Some("q")) {
                prop_assert!(stays_below(&base.path, found.path()), "{path} {found}");
                prop_assert_eq!(found.query(), Some("q"));
                let uri = base.uri(found);
                prop_assert_eq!(uri.authority(), Some(&base.authority));
            }
        }
    }

    #[test]
    fn any_text_is_a_path_or_refused(path in ".*", base_url in ".*") {
        for provider in catalog::all() {
            _ = upstream(provider, &Base::of(provider), &path, Some(&path));
            _ = native(provider, &path);
        }
        if let Ok(base) = Base::configured(&base_url) {
            _ = below(&base, &path, None);
        }
    }
}
