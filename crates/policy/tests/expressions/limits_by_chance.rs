//! Expressions that nobody would write.

use std::sync::Arc;

use policy::facts::Choice;
use policy::{Expression, Scope, Template, Value};
use proptest::prelude::*;

use crate::cases;
use crate::grammar::Grammar;
use crate::stage::Stage;

const SCOPES: [Scope; 8] = [
    Scope::TcpConnect,
    Scope::Request,
    Scope::Response,
    Scope::EventStreamMessage,
    Scope::ModelStrategy,
    Scope::KeyStrategy,
    Scope::RequestRetry,
    Scope::ResponseRetry,
];

/// Things that stand alone.
fn leaf() -> impl Strategy<Value = String> {
    let fixed = [
        "1",
        "-1",
        "0",
        "2u",
        "1.5",
        "9223372036854775807",
        "'a'",
        "''",
        "'äöü'",
        "b'x'",
        "true",
        "null",
        "[]",
        "{}",
        "x",
        "y",
        "[1, 2, 3]",
        "['b', 'a', 'ä']",
        "{'a': 1, 'b': [2]}",
        "req.method",
        "req.headers",
        "req.url",
        "req.headers['x-tag']",
        "req.cookies",
        "req.url.query_params",
        "conn.client_ip",
        "conn",
        "time.now",
        "vars",
        "vars.list",
        "vars.text",
        "actions.ngrok",
        "res.headers",
        "secrets.get('openai', 'api-key')",
        "timestamp(time.now)",
        "duration('1h')",
        "ai.models",
        "ai.providers",
        "ai.keys",
        "lists.range(50)",
        "'10.0.0.0/8'",
        "'%s %d %x'",
        "'(a|b)*c'",
        "rand.int()",
        "last_attempt",
    ];
    prop_oneof![proptest::sample::select(fixed.to_vec()).prop_map(str::to_owned), "'[a-z%{}\\[\\]\"]{0,12}'"]
}

const METHODS: &[&str] = &[
    "size",
    "trim",
    "lower",
    "upper",
    "reverse",
    "flatten",
    "sort",
    "distinct",
    "join",
    "encodeJson",
    "decodeJson",
    "encodeBase64",
    "decodeBase64",
    "escapeUrl",
    "unescapeUrl",
    "parseUrl",
    "isURL",
    "isJson",
    "encodeQueryString",
    "decodeQueryString",
    "isPrivateIp",
    "md5",
    "sha256",
    "crc64",
    "getHours",
    "getFullYear",
    "random",
    "randomize",
];

const METHODS_OF_ONE: &[&str] = &[
    "contains",
    "startsWith",
    "endsWith",
    "matches",
    "charAt",
    "indexOf",
    "lastIndexOf",
    "substring",
    "split",
    "format",
    "join",
    "flatten",
    "only",
    "ignore",
    "onlyProviders",
    "get",
    "getMetadata",
    "getModel",
    "sortBy",
    "sha1",
    "getMinutes",
];

const METHODS_OF_TWO: &[&str] =
    &["replace", "substring", "slice", "indexOf", "lastIndexOf", "underCost", "split"];

const GLOBALS: &[&str] = &[
    "size",
    "string",
    "int",
    "uint",
    "double",
    "bool",
    "bytes",
    "timestamp",
    "duration",
    "type",
    "json.encode",
    "json.decode",
    "base64.encode",
    "base64.decode",
    "url.parse",
    "queryString.decode",
    "lists.range",
    "strings.quote",
    "hash.xxhash64",
    "getReqHeader",
    "getQueryParam",
    "getReqCookie",
    "secrets.get",
    "dyn",
];

const OPERATORS: &[&str] = &["+", "-", "*", "/", "%", "==", "!=", "<", "<=", ">", ">=", "&&", "||", "in"];

fn expression() -> impl Strategy<Value = String> {
    use proptest::sample::select;
    leaf().prop_recursive(6, 60, 4, |inner| {
        let one = inner.clone();
        prop_oneof![
            (one.clone(), select(OPERATORS), one.clone()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (one.clone(), select(METHODS)).prop_map(|(a, m)| format!("{a}.{m}()")),
            (one.clone(), select(METHODS_OF_ONE), one.clone()).prop_map(|(a, m, b)| format!("{a}.{m}({b})")),
            (one.clone(), select(METHODS_OF_TWO), one.clone(), one.clone())
                .prop_map(|(a, m, b, c)| format!("{a}.{m}({b}, {c})")),
            (select(GLOBALS), one.clone()).prop_map(|(f, a)| format!("{f}({a})")),
            (
                one.clone(),
                select(&["map", "filter", "all", "exists", "exists_one", "sortBy"][..]),
                one.clone()
            )
                .prop_map(|(a, l, b)| format!("{a}.{l}(x, {b})")),
            (one.clone(), one.clone(), one.clone()).prop_map(|(a, b, c)| format!("{a}.map(y, {b}, {c})")),
            (one.clone(), one.clone()).prop_map(|(a, b)| format!("{a}[{b}]")),
            one.clone().prop_map(|a| format!("{a}.a")),
            one.clone().prop_map(|a| format!("has({a}.a)")),
            one.clone().prop_map(|a| format!("!{a}")),
            one.clone().prop_map(|a| format!("-{a}")),
            (one.clone(), one.clone(), one.clone()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
            proptest::collection::vec(one.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(", "))),
            (one.clone(), one).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
        ]
    })
}

/// Compiles and evaluates wherever that is possible, and looks at what comes out in every way.
fn exercise(text: &str) {
    exercise_in(text, &SCOPES);
}

fn exercise_in(text: &str, scopes: &[Scope]) {
    let vars = [
        ("list".into(), Value::list((0..300).map(Value::Int).collect())),
        ("text".into(), Value::text("lorem ipsum ".repeat(1_000))),
    ];
    let stage = Stage { vars: Arc::new(vars.into_iter().collect()), ..Stage::default() };
    let models = ["a", "b"].map(|id| Arc::new(policy::facts::ModelFacts::new("p", id)));
    // Loops give these names meaning; elsewhere they have none.
    let bound = format!("[1, 'a', [1, 2], {{'a': 2}}].map(x, [1, 'b'].map(y, {text}))");
    for text in [text, bound.as_str()] {
        for &scope in scopes {
            let Ok(expression) = Expression::compile(text, scope) else { continue };
            stage.with(Some(&Choice::of_models(&models)), |facts| {
                let outcome = expression.evaluate(facts);
                if let Ok(value) = &outcome {
                    assert!(value.fits(), "{text} made what cannot be walked");
                    let _ = (value.to_json(), value.redacted());
                }
                let shown = format!("{outcome:?}");
                assert!(!shown.contains("sk-0123456789"), "{text} shows a secret: {shown}");
                // Once more where what comes out decides something.
                match scope {
                    Scope::Request => drop(expression.holds(facts)),
                    Scope::ModelStrategy | Scope::KeyStrategy => drop(expression.choose(facts)),
                    _ => {}
                }
            });
        }
    }
}

proptest! {
    #![proptest_config(cases(500))]

    #[test]
    fn expressions_by_the_grammar_come_to_an_end(text in expression()) {
        exercise(&text);
    }

    #[test]
    fn expressions_that_mean_something_come_to_an_end(dice in proptest::collection::vec(any::<u8>(), 0..80)) {
        exercise_in(&Grammar::new(&dice).condition(), &[Scope::Request]);
        exercise_in(&Grammar::new(&dice).text(), &[Scope::Request]);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        exercise(&text);
        let _ = Template::compile(&text, Scope::Request);
    }

    #[test]
    fn any_order_of_symbols_is_read_or_refused(
        parts in proptest::collection::vec(
            proptest::sample::select(&[
                "(", ")", "[", "]", "{", "}", "'", "\"", "'''", "\\", "r'", "b\"", ".", "..", "?", ":", ",", "&&", "||",
                "&", "|", "=", "==", "!", "-", "+", "1", "1u", "0x", "1e", "1.5", "a", "in", "has(", "//", "\n", " ",
                "${", "$${", "}", "é", "\u{0}", "req.", "x.map(x,", "`", "\\u00", "null",
            ][..]),
            0..40,
        ),
    ) {
        let text = parts.concat();
        exercise(&text);
        if let Ok(template) = Template::compile(&text, Scope::Request) {
            let _ = Stage::default().with(None, |facts| template.render(facts));
        }
        let _ = Template::compile(&format!("${{{text}}}"), Scope::Request);
    }
}
