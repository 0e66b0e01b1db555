//! Strings with expressions in them.

use policy::{Scope, Template, Value};

use crate::stage::Stage;

fn render(text: &str) -> Result<Value, String> {
    let template =
        Template::compile(text, Scope::Request).map_err(|error| format!("{error} at {:?}", error.range))?;
    Stage::default().with(None, |facts| template.render(facts)).map_err(|error| error.to_string())
}

#[test]
fn a_single_expression_keeps_its_type() {
    assert_eq!(render("${1 + 1}"), Ok(Value::Int(2)));
    assert_eq!(render("${[1, 'a']}"), Ok(Value::list(vec![Value::Int(1), Value::from("a")])));
    assert_eq!(
        render("${{'a': {'b': '}'}}}"),
        Ok(Value::map([("a", Value::map([("b", Value::from("}"))]))]))
    );
    assert_eq!(render("${true}"), Ok(Value::Bool(true)));
    assert_eq!(render("${ req.method }"), Ok(Value::from("POST")));
}

#[test]
fn everything_else_is_written_into_the_string() {
    for (text, expected) in [
        ("plain", "plain"),
        ("", ""),
        ("a ${1}b${'c'}", "a 1bc"),
        ("${1}${2}", "12"),
        ("is: ${{'a': [1, null]}}", "is: {\"a\":[1,null]}"),
        ("${duration('90s')} ${timestamp(0)} ${b'x'} ${1.5} ${null}", "90s 1970-01-01T00:00:00Z x 1.5 null"),
        ("cost: 5$ or $5 {}", "cost: 5$ or $5 {}"),
        ("not $${1 + 1} but ${1 + 1}", "not ${1 + 1} but 2"),
        ("$${", "${"),
        ("$$${1}", "$${1}"),
        ("${'a}b'}${\"${\"}", "a}b${"),
        ("${'''it's } here'''} ${r'\\'}", "it's } here \\"),
        ("${1 // a comment with }\n}.", "1."),
    ] {
        assert_eq!(render(text), Ok(Value::from(expected)), "{text}");
    }
}

#[test]
fn mistakes_are_shown_where_they_stand() {
    for (text, expected) in [
        ("abc ${1 +} def", "the expression ends too early at 9..9"),
        ("abc ${", "`${` without `}` at 4..6"),
        ("abc ${{'a': 1}", "`${` without `}` at 4..14"),
        ("abc ${'x}", "the string does not end at 6..9"),
        ("abc ${}", "the expression ends too early at 6..6"),
        ("é ${methd}", "there is no `methd` at 5..10"),
        ("${req.methd}", "there is no `req.methd`; did you mean `req.method`? at 2..11"),
    ] {
        assert_eq!(render(text), Err(expected.to_owned()), "{text}");
    }
}

#[test]
fn a_secret_in_a_string_makes_it_a_secret() {
    let value = render("Bearer ${secrets.get('openai', 'api-key')}").unwrap();
    assert_eq!(format!("{value:?}"), "****");
    assert_eq!(value.as_str(), Some("Bearer sk-0123456789"));
}
