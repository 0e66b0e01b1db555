//! Secrets can be used, and not seen.

use policy::expression::{Failure, SecretName};
use policy::{Expression, Scope, Template, Value};

use crate::stage::{Stage, come_to, fail};

#[test]
fn secrets_are_found_by_vault_and_name() {
    let stage = Stage::default();
    come_to(
        &stage,
        Scope::Request,
        &[
            ("secrets.get('openai', 'api-key') == 'sk-0123456789'", "true"),
            ("secrets.get('the-only-one') == 'alone'", "true"),
            (
                "req.headers['authorization'][0] == 'Bearer ' + secrets.get('gateway-auth', 'access-token')",
                "true",
            ),
            (
                "'letmein' in [secrets.get('gateway-auth', 'client-a-token'), secrets.get('gateway-auth', 'client-b-token')]",
                "true",
            ),
            ("secrets.get('openai', 'api-key').startsWith('sk-')", "true"),
        ],
    );
    fail(
        &stage,
        Scope::Request,
        &[
            ("secrets.get('openai', 'other')", "there is no secret `other` in vault `openai`"),
            ("secrets.get('other')", "there is no secret `other`"),
            // Who sends nothing must not be who knows it.
            (
                "req.headers['x-none'][0] == secrets.get('gateway-auth', 'empty')",
                "the secret `empty` is empty",
            ),
            ("{secrets.get('the-only-one'): 1}", "a secret cannot be a key of a map"),
            ("json.decode(secrets.get('the-only-one'))", "a secret cannot be taken apart"),
            ("bytes(secrets.get('the-only-one'))", "a secret cannot be made anything but a string"),
            ("int(secrets.get('the-only-one'))", "a secret cannot be made anything but a string"),
            ("duration(secrets.get('the-only-one'))", "a secret cannot be made anything but a string"),
            ("base64.decode(secrets.get('the-only-one'))", "a secret cannot be made bytes"),
        ],
    );
}

#[test]
fn whatever_is_made_of_a_secret_does_not_print() {
    let stage = Stage::default();
    for text in [
        "secrets.get('openai', 'api-key')",
        "'Bearer ' + secrets.get('openai', 'api-key')",
        "secrets.get('openai', 'api-key').upper()",
        "secrets.get('openai', 'api-key').substring(0, 20 - 10)",
        "secrets.get('openai', 'api-key').replace('-', '_')",
        "'x'.replace('x', secrets.get('openai', 'api-key'))",
        "secrets.get('openai', 'api-key').split('-')",
        "[secrets.get('openai', 'api-key')].join(',')",
        "['a', 'b'].join(secrets.get('openai', 'api-key'))",
        "secrets.get('openai', 'api-key').encodeBase64()",
        "secrets.get('openai', 'api-key').encodeBase64().decodeBase64()",
        "basic_auth.encode('user', secrets.get('openai', 'api-key'))",
        "json.encode({'key': secrets.get('openai', 'api-key')})",
        "{'key': [secrets.get('openai', 'api-key')]}",
        "'%s'.format([secrets.get('openai', 'api-key')])",
        "secrets.get('openai', 'api-key').escapeUrl()",
        "{'key': secrets.get('openai', 'api-key')}.encodeQueryString()",
        "secrets.get('openai', 'api-key').charAt(3)",
        "secrets.get('openai', 'api-key').reverse()",
        "strings.quote(secrets.get('openai', 'api-key'))",
        "string(secrets.get('openai', 'api-key'))",
        "string([secrets.get('openai', 'api-key')])",
    ] {
        let value = stage.value(text, Scope::Request).unwrap();
        assert!(value.is_secret(), "{text}");
        for shown in [format!("{value:?}"), format!("{:?}", value.redacted())] {
            assert!(
                !shown.contains("0123") && !shown.contains("3210") && shown.contains("****"),
                "{text}: {shown}"
            );
        }
        assert!(!value.redacted().to_json().unwrap().to_string().contains("0123"), "{text}");
    }
}

#[test]
fn no_error_says_a_secret() {
    let stage = Stage::default();
    for text in [
        "secrets.get('openai', 'api-key') + 1",
        "{'a': 1}[secrets.get('openai', 'api-key')]",
        "secrets.get(secrets.get('openai', 'api-key'))",
        "secrets.get('openai', secrets.get('openai', 'api-key'))",
        "int(secrets.get('openai', 'api-key'))",
        "timestamp(secrets.get('openai', 'api-key'))",
        "duration(secrets.get('openai', 'api-key'))",
        "'a'.matches('(' + secrets.get('openai', 'api-key'))",
        "url.parse(secrets.get('openai', 'api-key'))",
        "secrets.get('openai', 'api-key').decodeBase64()",
        "secrets.get('openai', 'api-key').charAt(100)",
        "secrets.get('openai', 'api-key') && true",
        "[1].map(x, secrets.get('openai', 'api-key'))[5]",
        "'%d'.format([secrets.get('openai', 'api-key')])",
        "inCidrRange(secrets.get('openai', 'api-key'), '10.0.0.0/8')",
        "secrets.get('openai', 'api-key').name",
        "lists.range(secrets.get('openai', 'api-key'))",
    ] {
        let expression = Expression::compile(text, Scope::Request).unwrap();
        let error = stage.with(None, |facts| expression.evaluate(facts)).unwrap_err();
        let shown = format!("{error} {error:?} {expression:?}");
        assert!(!shown.contains("0123"), "{text}: {shown}");
    }
}

#[test]
fn which_secrets_are_named_is_known_before_they_are_used() {
    let text = "${secrets.get('openai', 'api-key')} ${secrets.get('x')} ${vars.a + req.headers['X-Key'][0]}";
    let template = Template::compile(text, Scope::Request).unwrap();
    let name = |vault: Option<&str>, name: &str| SecretName {
        vault: vault.map(str::to_owned),
        name: name.to_owned(),
    };
    let uses = template.uses();
    assert!(uses.secrets.iter().eq(&[name(None, "x"), name(Some("openai"), "api-key")]));
    assert!(!uses.computed_secrets);
    assert!(uses.vars.iter().eq(["a"]) && uses.request_headers.iter().eq(["x-key"]));
    let asked =
        Expression::compile("hasReqHeader('X-Key') && getResHeader('A') == []", Scope::Response).unwrap();
    assert!(
        asked.uses().request_headers.iter().eq(["x-key"]) && asked.uses().response_headers.iter().eq(["a"])
    );
    let computed = Expression::compile("secrets.get('a', req.method)", Scope::Request).unwrap();
    assert!(computed.uses().computed_secrets && computed.uses().secrets.is_empty());
    let results = Expression::compile("actions.ngrok.rate_limit.limited", Scope::Request).unwrap();
    assert!(results.uses().actions.iter().eq(["rate_limit"]));
}

#[test]
fn a_missing_secret_is_an_error_of_its_own() {
    let stage = Stage::default();
    let expression = Expression::compile("'a' == secrets.get('v', 'n')", Scope::Request).unwrap();
    let error = stage.with(None, |facts| expression.holds(facts)).unwrap_err();
    assert_eq!(error.failure, Failure::NoSuchSecret { vault: Some("v".into()), name: "n".into() });
    assert_eq!(error.range, 7..expression.text().len());
}

#[test]
fn values_from_outside_can_be_told_apart_from_ours() {
    let json = serde_json::json!({"a": [1, 2.5, "x", null, true], "b": {"c": 18446744073709551615u64}});
    assert_eq!(Value::from_json(json.clone()).to_json().unwrap(), json);
}
