//! Top-level members of a body that a provider is not sent.

use std::borrow::Cow;
use std::ops::Range;

use bytes::Bytes;

use crate::scan::{self, Malformed};

/// A body without the members that do not pass, and what those are called. Every other byte stays.
pub fn without(body: &Bytes, passes: impl Fn(&str) -> bool) -> Result<(Bytes, Vec<String>), Malformed> {
    let (mut kept, mut removed) = (Vec::new(), Vec::new());
    let (mut begin, mut end) = (None, 0);
    scan::each_member(body, |raw, member| {
        let member = member();
        let name = name(raw);
        // A name that is none is a mistake of the caller's, and nobody's member.
        let passes = name.as_deref().is_some_and(&passes);
        // What stands between this member and the one before goes with this one.
        kept.extend(passes.then_some((end, member.name_start..member.span.end)));
        if !passes {
            removed.push(name.unwrap_or_else(|| String::from_utf8_lossy(raw)).into_owned());
        }
        begin.get_or_insert(member.name_start);
        end = member.span.end;
        Ok(())
    })?;
    let Some(begin) = begin.filter(|_| !removed.is_empty()) else { return Ok((body.clone(), removed)) };
    let mut left = Vec::with_capacity(body.len());
    left.extend_from_slice(&body[..begin]);
    for (index, (before, member)) in kept.into_iter().enumerate() {
        let from = if index == 0 { member.start } else { before };
        left.extend_from_slice(&body[Range { start: from, end: member.end }]);
    }
    left.extend_from_slice(&body[end..]);
    Ok((left.into(), removed))
}

/// A member's name, of which this stands between the quotes.
fn name(raw: &[u8]) -> Option<Cow<'_, str>> {
    if !raw.contains(&b'\\') {
        return str::from_utf8(raw).ok().map(Cow::Borrowed);
    }
    scan::unescaped(&[b"\"", raw, b"\""].concat()).map(|name| Cow::Owned(name.into_owned()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    fn left(body: &'static str, gone: &[&str]) -> (String, Vec<String>) {
        let (left, removed) =
            without(&Bytes::from_static(body.as_bytes()), |name| !gone.contains(&name)).unwrap();
        (String::from_utf8(left.to_vec()).unwrap(), removed)
    }

    #[test]
    fn members_go_with_their_commas() {
        for (body, expected) in [
            (r#"{"a":1,"b":2,"c":3}"#, r#"{"c":3}"#),
            (r#"{ "c" : [{"a":1}] , "a":1 , "b":2 }"#, r#"{ "c" : [{"a":1}] }"#),
            (r#"{"a":1, "c":3,  "b":2, "d":4}"#, r#"{"c":3, "d":4}"#),
            (r#"{"\u0061":1,"b":{}}"#, "{}"),
            (r#"{"a":1,"c":3,"a":2}"#, r#"{"c":3}"#),
            (" {\"c\":3} ", " {\"c\":3} "),
            ("{}", "{}"),
        ] {
            assert_eq!(left(body, &["a", "b"]).0, expected, "{body}");
        }
        assert_eq!(left(r#"{"a":1,"\u0062":2,"c":3}"#, &["a", "b"]).1, ["a", "b"]);
    }

    #[test]
    fn a_name_that_is_none_does_not_pass() {
        assert_eq!(left(r#"{"\ud800":1,"c":3}"#, &[]).0, r#"{"c":3}"#);
    }

    #[test]
    fn what_is_all_to_pass_is_not_copied() {
        let body = Bytes::from_static(br#"{"a":1}"#);
        assert_eq!(without(&body, |_| true).unwrap().0.as_ptr(), body.as_ptr());
    }

    proptest! {
        #[test]
        fn nothing_else_is_changed(
            members in prop::collection::vec(("[a-e]{1,2}", any::<i16>(), "[ \n\t]{0,2}"), 0..8),
            gone in "[a-e]",
        ) {
            let written = |(name, value, space): &(String, i16, String)| format!("{space}\"{name}\"{space}:{value}{space}");
            let body = format!("{{{}}}", members.iter().map(written).collect::<Vec<_>>().join(","));
            let goes = |name: &str| name.starts_with(&gone);
            let (left, removed) = without(&Bytes::from(body.clone()), |name| !goes(name)).unwrap();
            let mut expected: Map<String, Value> = serde_json::from_str(&body).unwrap();
            expected.retain(|name, _| !goes(name));
            prop_assert_eq!(serde_json::from_slice::<Value>(&left).unwrap(), json!(expected));
            let count = members.iter().filter(|(name, ..)| goes(name)).count();
            prop_assert_eq!(removed.len(), count);
        }
    }
}
