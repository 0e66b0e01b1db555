use super::*;

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
