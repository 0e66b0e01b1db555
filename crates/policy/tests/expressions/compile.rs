//! What is found out before there is a request.

use policy::{Expression, Scope};

fn refused(text: &str, scope: Scope) -> (String, String) {
    let error = Expression::compile(text, scope).expect_err(text);
    (error.to_string(), text[error.range].to_owned())
}

#[test]
fn names_that_mean_nothing_are_refused_with_what_was_meant() {
    for (text, message, place) in [
        ("reqest.method == 'GET'", "there is no `reqest`; did you mean `req.method`?", "reqest"),
        ("req.metod == 'GET'", "there is no `req.metod`; did you mean `req.method`?", "req.metod"),
        (
            "true && conn.client_id == 'x'",
            "there is no `conn.client_id`; did you mean `conn.client_ip`?",
            "conn.client_id",
        ),
        ("req.method.name == 'x'", "there is no `req.method.name`", "req.method.name"),
        (
            "getReqHeadr('a')",
            "there is no function `getReqHeadr`; did you mean `getReqHeader`?",
            "getReqHeadr('a')",
        ),
        (
            "'a'.startWith('b')",
            "there is no function `startWith`; did you mean `startsWith`?",
            "'a'.startWith('b')",
        ),
        (
            "hash.sha265('a')",
            "there is no function `hash.sha265`; did you mean `hash.sha256`?",
            "hash.sha265('a')",
        ),
        (
            "[1].exist(x, x == 1)",
            "there is no function `exist`; did you mean `exists`?",
            "[1].exist(x, x == 1)",
        ),
        ("nothing_like_it_at_all", "there is no `nothing_like_it_at_all`", "nothing_like_it_at_all"),
        ("ai.models", "`ai.models` is not known when a request comes in", "ai.models"),
        ("lower('A')", "there is no function `lower`", "lower('A')"),
    ] {
        let (found, shown) = refused(text, Scope::Request);
        assert!(found.starts_with(message), "{text}: {found}");
        assert_eq!(shown, place, "{text}");
    }
}

#[test]
fn functions_take_as_many_arguments_as_they_take() {
    for (text, message) in [
        ("getReqHeader()", "`getReqHeader` takes 1 arguments"),
        ("'a'.replace('b')", "`replace` takes 2 or 3 arguments"),
        ("secrets.get('a', 'b', 'c')", "`secrets.get` takes 1 or 2 arguments"),
        ("[1].map(x)", "there is no function `map`"),
    ] {
        assert_eq!(refused(text, Scope::Request).0.split(';').next(), Some(message), "{text}");
    }
}

#[test]
fn what_cannot_be_read_is_shown_where_it_stands() {
    for (text, message, place) in [
        ("", "the expression ends too early", ""),
        ("1 +", "the expression ends too early", ""),
        ("req.method == 'GET", "the string does not end", "'GET"),
        ("'a\\qb'", "a backslash with something behind it that means nothing", "\\q"),
        ("a # b", "`#` has no meaning here", "#"),
        ("ä == 1", "`ä` has no meaning here", "ä"),
        ("(1", "missing `)`", ""),
        ("1 2", "extraneous input `2`", "2"),
        ("99999999999999999999", "invalid int literal", "9"),
        ("Foo{a: 1}", "there are no message types here", "{"),
        ("{?'a': 1}", "optional values are not offered", "{"),
        ("req.?method", "optional values are not offered", "req."),
    ] {
        let (found, shown) = refused(text, Scope::Request);
        assert_eq!((found.as_str(), shown.as_str()), (message, place), "{text}");
    }
}

#[test]
fn strategies_have_models_or_keys_and_rules_have_neither() {
    assert!(Expression::compile("ai.models.filter(m, m.id == 'x')", Scope::ModelStrategy).is_ok());
    assert!(Expression::compile("ai.keys", Scope::KeyStrategy).is_ok());
    assert!(Expression::compile("ai.keys", Scope::ModelStrategy).is_err());
    assert!(Expression::compile("ai.models", Scope::KeyStrategy).is_err());
    assert!(Expression::compile("['a'].only(['a'])", Scope::Request).is_err());
}

#[test]
fn comments_and_lines_are_no_hindrance() {
    assert!(Expression::compile("1 + // one\n  2 // two", Scope::Request).is_ok());
}

#[test]
fn what_is_never_true_or_false_is_known_before_there_is_a_request() {
    for (text, expected) in [
        ("req.headers['x-api-key'][0]", Some("a string")),
        ("req.headers['x-api-key']", Some("a list of values")),
        ("req.method", Some("a string or a number")),
        ("req.method + 'x'", Some("the result of a calculation")),
        ("[true]", Some("list")),
        ("vars", Some("a list or a map")),
        ("[1].filter(x, true)", Some("a list")),
        ("true ? 1 : 2", Some("int")),
        ("true ? 1 : vars.a", None),
        ("vars.a", None),
        ("vars.a == 1", None),
        ("false", None),
        ("getReqHeader('a')", None),
    ] {
        let expression = Expression::compile(text, Scope::Request).unwrap();
        assert_eq!(expression.never_a_condition(), expected, "{text}");
    }
}
