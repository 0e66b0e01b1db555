use proptest::prelude::*;
use serde_json::Value;

use super::*;

const NAMES: [&str; 3] = ["model", "stream", "usage"];

fn found(body: &str) -> Result<[Option<String>; 3], Malformed> {
    let members = members(body.as_bytes(), &NAMES)?;
    Ok(members.map(|member| member.map(|member| body[member.span].to_owned())))
}

#[test]
fn members_are_found_wherever_they_stand() {
    let body =
        " {\"a\" : {\"model\":1,\"x\":[\"}\",\"\\\"]\"]}, \"stream\":true ,\n\"mod\\u0065l\" : \"g\\\"}\"} ";
    assert_eq!(found(body).unwrap(), [Some("\"g\\\"}\"".into()), Some("true".into()), None]);
    assert_eq!(found("{}").unwrap(), [None, None, None]);
    let member = members(b"{ \"usage\": [1] }", &NAMES).unwrap()[2].clone().unwrap();
    assert_eq!(member, Member { name_start: 2, span: 11..14, kind: Kind::List });
}

#[test]
fn a_member_that_stands_there_twice_is_named() {
    assert_eq!(found(r#"{"model":"a","mo\u0064el":"b"}"#), Err(Malformed::Twice("model")));
    assert_eq!(found(r#"{"stream":true,"stream":true}"#), Err(Malformed::Twice("stream")));
    assert!(found(r#"{"other":1,"other":2,"Model":3,"models":4,"mode":5}"#).is_ok());
}

#[test]
fn what_is_not_an_object_is_refused() {
    for body in ["", " ", "[]", "1", "null", "\"{}\"", "\u{feff}{}"] {
        assert_eq!(found(body), Err(Malformed::NotAnObject), "{body}");
    }
    let broken = [
        "{",
        "{\"",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,",
        "{\"a\":1,}",
        "{,}",
        "{\"a\" 1}",
        "{} x",
        "{}{}",
        "{\"a\":[}",
        "{\"a\":{]}",
        "{\"a\":\"\\\"}",
        "{\"a\":tru}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":-}",
        "{\"a\":1e}",
        "{\"a\":+1}",
        "{\"a\":NaN}",
        "{'a':1}",
        "{a:1}",
        "{\"a\":[1}",
        "{\"a\":\"\\",
    ];
    for body in broken {
        assert!(matches!(found(body), Err(Malformed::Broken(_))), "{body}");
    }
    assert_eq!(members(b"{\"a\":\"\xff\"}", &NAMES), Err(Malformed::NotUtf8));
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(found(&nested(MAX_DEPTH - 1)).is_ok());
    assert_eq!(found(&nested(MAX_DEPTH)), Err(Malformed::TooDeep));
    assert_eq!(found(&"{\"a\":".repeat(1_000_000)), Err(Malformed::TooDeep));
}

#[test]
fn strings_are_read_with_their_escapes() {
    let read = |text: &str| unescaped(text.as_bytes()).map(|text| text.into_owned());
    assert_eq!(read(r#""a\n\u00e9\ud83d\ude00\/""#).as_deref(), Some("a\né😀/"));
    for broken in
        [r#""\x""#, r#""\ud83d""#, r#""\ud83d\u0041""#, r#""\udc00""#, r#""\u+123""#, "\"\n\"", "\"\\\""]
    {
        assert_eq!(read(broken), None, "{broken}");
    }
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
        r#"["\\\[\]{}:,é ]*"#.prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 64, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            object(inner).prop_map(Value::from),
        ]
    })
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = serde_json::Map<String, Value>> {
    let name = prop_oneof!["model|stream|usage", r#"["\\{}a]*"#];
    prop::collection::btree_map(name, inner, 0..8).prop_map(|map| map.into_iter().collect())
}

proptest! {
    #[test]
    fn the_scan_finds_what_a_full_parse_finds(value in object(json()), pretty: bool) {
        let value = Value::from(value);
        let body = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        let parsed = serde_json::from_slice::<Value>(&body).unwrap();
        let members = members(&body, &NAMES).unwrap();
        for (name, member) in NAMES.iter().zip(members) {
            let read = member.map(|member| serde_json::from_slice::<Value>(&body[member.span]).unwrap());
            prop_assert_eq!(read.as_ref(), parsed.get(name));
        }
    }

    #[test]
    fn what_the_scan_refuses_a_full_parse_refuses_too(text in r#"\{?["\\:,\[\]{}0-9a\-.eE truefalsn]{0,24}\}?"#) {
        if let Err(error) = members(text.as_bytes(), &[]) {
            let parsed = serde_json::from_str::<serde_json::Map<String, Value>>(&text);
            prop_assert!(parsed.is_err(), "{} was refused: {}", text, error);
        }
    }

    #[test]
    fn cutting_a_body_anywhere_is_noticed(value in object(json()), cut: prop::sample::Index) {
        let body = serde_json::to_vec(&Value::from(value)).unwrap();
        prop_assert!(members(&body[..cut.index(body.len())], &NAMES).is_err());
    }

    #[test]
    fn any_bytes_are_survived(body: Vec<u8>) {
        let _ = members(&body, &NAMES);
    }
}
