//! Expressions that want too much.

use policy::expression::Failure;
use policy::{Expression, Scope, Value};

use crate::stage::Stage;

fn failure(text: &str) -> Failure {
    let expression =
        Expression::compile(text, Scope::Request).unwrap_or_else(|error| panic!("{text}: {error}"));
    let stage = Stage {
        vars: std::sync::Arc::new([("list".into(), big())].into_iter().collect()),
        ..Stage::default()
    };
    stage.with(None, |facts| expression.evaluate(facts)).expect_err(text).failure
}

fn big() -> Value {
    Value::list((0..1_000).map(Value::Int).collect())
}

#[test]
fn work_is_cut_off() {
    for text in [
        "vars.list.map(a, vars.list.map(b, vars.list.map(c, 1))).size() == 1",
        "vars.list.all(a, vars.list.all(b, vars.list.all(c, true)))",
        "vars.list.exists(a, vars.list.exists(b, vars.list.exists(c, false)))",
        "lists.range(10000).map(x, lists.range(10000)).size() > 1",
        "lists.range(100000).distinct().size() > 1",
        "vars.list.map(x, vars.list == vars.list).size() > 1",
        "vars.list.map(x, vars.list.sort()).size() > 1",
        "vars.list.map(x, 'a'.matches('a{100}' + string(x))).size() > 1",
        "vars.list.map(a, vars.list.exists(b, -1 in vars.list)).size() > 1",
        // What failed for want of work is not outvoted, in whichever place.
        "vars.list.all(a, vars.list.all(b, vars.list.all(c, true))) || true",
        "vars.list.exists(a, vars.list.exists(b, vars.list.exists(c, false))) && false",
        "[1, 2].exists(x, x == 2 || vars.list.all(a, vars.list.all(b, vars.list.all(c, true))))",
    ] {
        assert!(
            matches!(failure(text), Failure::TooMuchWork | Failure::TooLarge),
            "{text}: {:?}",
            failure(text)
        );
    }
}

#[test]
fn memory_is_cut_off() {
    // Each doubles what was before; a million times a million characters are never made.
    let doubled = format!("['x']{}.size()", ".map(s, s + s)".repeat(30));
    let lists = format!("[[1]]{}.size()", ".map(s, s + s)".repeat(30));
    let shared = format!("[1]{}.size()", ".map(s, [s, s])".repeat(30));
    for text in [
        doubled.as_str(),
        &lists,
        &shared,
        "lists.range(15000).map(x, 'x').join('0123456789012345678901234567890123456789'.replace('0', '0123456789012345678901234567890123456789'.replace('1', '0123456789012345678901234567890123456789')))",
        "lists.range(1000000000)",
        "'aaaaaaaaaaaaaaaaaaaa'.replace('a', 'aaaaaaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaa').replace('a', 'aaaaaaaaaaaaaaaaaaaa')",
    ] {
        assert!(
            matches!(failure(text), Failure::TooLarge | Failure::TooMuchWork),
            "{text}: {:?}",
            failure(text)
        );
    }
}

#[test]
fn values_are_not_nested_without_end() {
    let deep = |levels: usize| {
        Value::from_json(
            serde_json::from_str(&format!("{}{}", "[".repeat(levels), "]".repeat(levels))).unwrap(),
        )
    };
    let mut value = deep(100);
    let mut levels = 0;
    // Each expression nests what the one before it made, as `set-vars` can.
    let nest = Expression::compile("[[[[[[[[[[vars.v]]]]]]]]]]", Scope::Request).unwrap();
    let failure = loop {
        let vars = std::sync::Arc::new([("v".into(), value.clone())].into_iter().collect());
        let stage = Stage { vars, ..Stage::default() };
        match stage.with(None, |facts| nest.evaluate(facts)) {
            Ok(deeper) => value = deeper,
            Err(error) => break error.failure,
        }
        levels += 1;
        assert!(levels < 100);
    };
    assert_eq!(failure, Failure::TooLarge);
    assert!(value.to_json().is_ok());
}

#[test]
fn long_and_deep_expressions_are_refused() {
    for (text, message) in [
        ("1 + ".repeat(10_000) + "1", "an expression may have 16384 bytes"),
        ("1 + ".repeat(200) + "1", "the expression is nested too deeply"),
        ("(".repeat(100) + "1" + &")".repeat(100), "the expression is nested too deeply"),
        ("[".repeat(1_000), "the expression is nested too deeply"),
        ("a".to_owned() + &".a".repeat(1_000), "the expression is nested too deeply"),
        ("!".repeat(1_000) + "true", "the expression is nested too deeply"),
        ("-".repeat(1_000) + "1", "the expression is nested too deeply"),
        ("true ? 1 : ".repeat(500) + "1", "the expression is nested too deeply"),
        ("1 in ".repeat(500) + "[1]", "the expression is nested too deeply"),
        // Nothing is hidden in what looks like a string and is none.
        ("'\n".to_owned() + &".a".repeat(1_000) + "'", "the string does not end"),
        (
            "'\\z".to_owned() + &".a".repeat(1_000) + "'",
            "a backslash with something behind it that means nothing",
        ),
        ("xr'\\'".to_owned() + &".a".repeat(1_000), "the string does not end"),
    ] {
        let error = Expression::compile(&text, Scope::Request).unwrap_err();
        assert_eq!(error.message, message, "{}", &text[..40.min(text.len())]);
    }
    let long = vec!["req.method == 'GET'"; 500].join(" || ");
    assert!(Expression::compile(&long, Scope::Request).is_ok(), "many conditions are not deep");
    let ranges = vec!["'10.0.0.0/8'"; 1_000].join(", ");
    assert!(
        Expression::compile(&format!("inCidrRanges(conn.client_ip, [{ranges}])"), Scope::Request).is_ok()
    );
}

#[test]
fn reading_the_same_headers_again_costs_little_and_slow_patterns_cost_much() {
    let mut stage = Stage::default();
    for at in 0..100 {
        let name = http::HeaderName::from_bytes(format!("x-{at}").as_bytes()).unwrap();
        stage.headers.insert(name, http::HeaderValue::from_str(&"a".repeat(200)).unwrap());
    }
    let read = "lists.range(1000).all(x, req.headers.size() > 100)";
    assert_eq!(stage.value(read, Scope::Request), Ok(Value::Bool(true)));
    stage.headers.insert("x-long", http::HeaderValue::from_str(&"a".repeat(20_000)).unwrap());
    // Quick for any engine, and slow for one that follows all its states.
    let quick = "req.headers['x-long'][0].matches('^a+$')";
    let slow = "req.headers['x-long'][0].matches('(a|aa|aaa){1,200}b')";
    assert_eq!(stage.value(quick, Scope::Request), Ok(Value::Bool(true)));
    assert!(stage.value(slow, Scope::Request).is_err_and(|error| error.contains("does too much")));
}

#[test]
fn the_deepest_expressions_need_little_of_the_stack() {
    let nested =
        |open: &str, inner: &str, close: &str, times| open.repeat(times) + inner + &close.repeat(times);
    let texts = [
        nested("(", "1", ")", 24),
        nested("[", "1", "]", 24),
        nested("{'a': ", "1", "}", 24),
        nested("string(", "1", ")", 24),
        nested("[1].map(x, ", "1", ")", 24),
        nested("true ? ", "1", " : 1", 24),
        "true ? 1 : ".repeat(48) + "1",
        "1 + ".repeat(99) + "1",
        "vars".to_owned() + &".a".repeat(99),
        "vars.list".to_owned() + &"[0]".repeat(90),
        "'a'".to_owned() + &".trim()".repeat(45),
        "-(".repeat(24) + "1" + &")".repeat(24),
        nested("[1].map(x, [1].filter(y, ", "true", "))", 10),
    ];
    // Half of what threads have here: what calls us needs some as well.
    let run = move || {
        let stage = Stage::default();
        for text in texts {
            let outcome = Expression::compile(&text, Scope::Request);
            // Not all of them mean something; none may be refused for its depth alone.
            if let Err(error) = &outcome {
                assert!(!error.message.contains("deep"), "{text}: {error}");
            }
            let _ = outcome.map(|expression| stage.with(None, |facts| expression.evaluate(facts)));
        }
    };
    std::thread::Builder::new().stack_size(1 << 20).spawn(run).unwrap().join().unwrap();
}
