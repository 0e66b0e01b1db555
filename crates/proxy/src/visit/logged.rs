//! What a gateway's policy has logged of a request, as its record has it: a JSON array of objects.

use policy::Value;

/// How much the entries of one request may take together. All records pass through Redis, and are kept there for
/// a while.
const MOST_BYTES: usize = 4096;

/// Adds entries. One that there is no room for leaves a word that it was there.
pub(super) fn add(logs: &mut String, entries: Vec<Value>) {
    for entry in entries {
        let Ok(text) = entry.to_json().map(|json| json.to_string()) else { continue };
        if !push(logs, &text) {
            push(logs, r#"{"error":"there was no room for the metadata"}"#);
        }
    }
}

fn push(logs: &mut String, entry: &str) -> bool {
    if logs.len() + entry.len() + 2 > MOST_BYTES {
        return false;
    }
    match logs.pop() {
        Some(_bracket) => logs.push(','),
        None => logs.push('['),
    }
    logs.push_str(entry);
    logs.push(']');
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(length: usize) -> Value {
        Value::map([("a", Value::from("x".repeat(length).as_str()))])
    }

    #[test]
    fn entries_stand_in_their_order_and_take_no_more_than_there_is() {
        let mut logs = String::new();
        add(&mut logs, vec![entry(1), entry(2)]);
        add(&mut logs, vec![entry(3)]);
        assert_eq!(logs, r#"[{"a":"x"},{"a":"xx"},{"a":"xxx"}]"#);
        add(&mut logs, vec![entry(5000), entry(1)]);
        assert!(logs.ends_with(r#",{"error":"there was no room for the metadata"},{"a":"x"}]"#), "{logs}");
        add(&mut logs, vec![entry(10); 1000]);
        assert!(logs.len() <= MOST_BYTES);
        assert!(serde_json::from_str::<serde_json::Value>(&logs).unwrap().is_array());
    }
}
