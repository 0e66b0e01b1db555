//! Splices: replacing or inserting the bytes of single top-level members, while every other byte of
//! a body stays as it came.

use std::ops::Range;

use bytes::Bytes;

use crate::scan::Member;

/// Changes to one body, to be applied together. Positions are those of the body that was scanned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Splices(Vec<(Range<usize>, Vec<u8>)>);

impl Splices {
    /// Puts another value in the place of a member's.
    pub fn replace(&mut self, member: &Member, value: impl Into<Vec<u8>>) {
        self.0.push((member.span.clone(), value.into()));
    }

    /// Adds a member, first in the object that `body` is. `value` is JSON.
    pub fn insert(&mut self, body: &[u8], name: &str, value: &str) {
        let Some(brace) = body.iter().position(|byte| *byte == b'{') else { return };
        let first = body[brace + 1..].iter().find(|byte| !byte.is_ascii_whitespace());
        // Two insertions into an empty object would want a comma between them as well.
        let alone = first == Some(&b'}') && !self.0.iter().any(|(span, _)| span.start == brace + 1);
        let comma = if alone { "" } else { "," };
        self.0.push((brace + 1..brace + 1, format!("\"{name}\":{value}{comma}").into_bytes()));
    }

    /// Takes a member out of the object that `body` is, with the comma that it brought.
    pub fn remove(&mut self, body: &[u8], member: &Member) {
        let Member { name_start, span, .. } = member;
        let space = |byte: &u8| byte.is_ascii_whitespace();
        let after = span.end + body[span.end..].iter().take_while(|byte| space(byte)).count();
        if body.get(after) == Some(&b',') {
            let next = after + 1 + body[after + 1..].iter().take_while(|byte| space(byte)).count();
            return self.0.push((*name_start..next, Vec::new()));
        }
        let before = body[..*name_start].iter().rev().take_while(|byte| space(byte)).count();
        let comma = name_start - before - usize::from(body[..name_start - before].last() == Some(&b','));
        self.0.push((comma..span.end, Vec::new()));
    }

    /// Puts another member in the place of one. `value` is JSON.
    pub fn rename(&mut self, member: &Member, name: &str, value: &str) {
        self.0.push((member.name_start..member.span.end, format!("\"{name}\":{value}").into_bytes()));
    }

    /// Whether there is nothing to change.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The body with all changes; without any, the same bytes uncopied.
    pub fn apply(mut self, body: &Bytes) -> Bytes {
        if self.0.is_empty() {
            return body.clone();
        }
        // A later insertion at the same place stands before an earlier one, which brought no comma if
        // it found the object empty.
        self.0.reverse();
        // What is inserted where something is taken out stands before it.
        self.0.sort_by_key(|(span, _)| (span.start, span.end));
        let added: usize = self.0.iter().map(|(_, value)| value.len()).sum();
        let mut spliced = Vec::with_capacity(body.len() + added);
        let mut copied = 0;
        for (span, value) in self.0 {
            spliced.extend_from_slice(&body[copied..span.start]);
            spliced.extend_from_slice(&value);
            copied = span.end;
        }
        spliced.extend_from_slice(&body[copied..]);
        spliced.into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::scan;

    #[test]
    fn every_other_byte_stays() {
        let body = Bytes::from_static(b" { \"a\" : 1.50 , \"model\":\"openai/x\" ,\"z\":{ } }\n");
        let [model] = scan::members(&body, &["model"]).unwrap();
        let mut splices = Splices::default();
        splices.replace(&model.unwrap(), "\"x\"");
        splices.insert(&body, "stream_options", "{}");
        let spliced = splices.apply(&body);
        let expected: &[u8] = b" {\"stream_options\":{}, \"a\" : 1.50 , \"model\":\"x\" ,\"z\":{ } }\n";
        assert_eq!(spliced, expected);
    }

    #[test]
    fn an_empty_object_takes_any_number_of_members() {
        let body = Bytes::from_static(b"{ }");
        let mut splices = Splices::default();
        splices.insert(&body, "a", "1");
        splices.insert(&body, "b", "2");
        assert_eq!(splices.apply(&body), "{\"b\":2,\"a\":1 }");
    }

    #[test]
    fn a_member_goes_with_its_comma() {
        for (body, left) in [
            (r#"{"models":["a"],"x":1}"#, r#"{"x":1}"#),
            (r#"{ "models" : ["a"] , "x":1}"#, r#"{ "x":1}"#),
            (r#"{"x":1, "models":["a"]}"#, r#"{"x":1}"#),
            (r#"{"x":1,"models":["a"],"y":2 }"#, r#"{"x":1,"y":2 }"#),
            (r#"{"models":[]}"#, "{}"),
        ] {
            let body = Bytes::from_static(body.as_bytes());
            let [models] = scan::members(&body, &["models"]).unwrap();
            let mut splices = Splices::default();
            splices.remove(&body, &models.unwrap());
            assert_eq!(splices.apply(&body), left);
        }
        let body = Bytes::from_static(br#"{"models":["a"],"model":"b"}"#);
        let [models] = scan::members(&body, &["models"]).unwrap();
        let mut splices = Splices::default();
        splices.remove(&body, models.as_ref().unwrap());
        splices.insert(&body, "stream_options", "{}");
        assert_eq!(splices.apply(&body), r#"{"stream_options":{},"model":"b"}"#);
        let mut splices = Splices::default();
        splices.rename(&models.unwrap(), "other", "1");
        assert_eq!(splices.apply(&body), r#"{"other":1,"model":"b"}"#);
    }

    #[test]
    fn nothing_to_change_copies_nothing() {
        let body = Bytes::from_static(b"{}");
        assert_eq!(Splices::default().apply(&body).as_ptr(), body.as_ptr());
    }

    proptest! {
        #[test]
        fn a_splice_changes_its_members_and_nothing_else(
            before in prop::collection::btree_map("[a-d]{1,2}", any::<i32>(), 0..4),
            text in ".*",
            inserted: bool,
        ) {
            let mut value = json!(before);
            value["model"] = json!("openai/m");
            value["text"] = json!(text);
            let body = Bytes::from(serde_json::to_vec_pretty(&value).unwrap());
            let [model] = scan::members(&body, &["model"]).unwrap();
            let mut splices = Splices::default();
            splices.replace(&model.unwrap(), "\"m\"");
            value["model"] = json!("m");
            if inserted {
                splices.insert(&body, "stream_options", "{\"include_usage\":true}");
                value["stream_options"] = json!({"include_usage": true});
            }
            prop_assert_eq!(serde_json::from_slice::<Value>(&splices.apply(&body)).unwrap(), value);
        }
    }
}
