//! Lists, for callers and for people.

use super::*;

#[test]
fn a_list_has_each_model_once_in_the_callers_shape() {
    let open = open();
    let some =
        ["gpt-5", "openai:gpt-5", "claude-opus-4-6"].map(|name| open.resolve(name, RESPONSES).unwrap());
    let some = some.concat();
    let list: serde_json::Value = serde_json::from_slice(&listing::openai(&some, 7)).unwrap();
    let expected = serde_json::json!({ "object": "list", "data": [
        { "id": "gpt-5", "object": "model", "created": 7, "owned_by": "openai",
          "context_window": 400_000, "max_output_tokens": 128_000 },
        { "id": "claude-opus-4-6", "object": "model", "created": 7, "owned_by": "anthropic",
          "context_window": 1_000_000, "max_output_tokens": 128_000 },
    ]});
    assert_eq!(list, expected);
    let list: serde_json::Value = serde_json::from_slice(&listing::anthropic(&some[..1], 0)).unwrap();
    assert_eq!((&list["first_id"], &list["has_more"]), (&"gpt-5".into(), &false.into()));
    assert_eq!(list["data"][0]["created_at"], "1970-01-01T00:00:00Z");
}

#[test]
fn people_find_models_by_what_they_look_for() {
    let find = |query| listing::page(compiled(), Catalogue::current(), query, 0, 1000);
    let of = |provider| find(listing::Query { provider, ..Default::default() });
    assert_eq!(of("xai"), of("grok"));
    let all = find(listing::Query::default());
    assert_eq!((all.total, all.rows.len()), (compiled().all().len(), compiled().all().len()));
    let vision = listing::Query {
        author: "OpenAI",
        modality: "image",
        feature: "vision",
        text: "GPT-4",
        provider: "",
    };
    let found = find(vision);
    let row = found.rows.iter().find(|row| row.id == "gpt-4o").unwrap();
    assert_eq!(row.providers[0].pricing["text.input"], 2.5);
    assert!(row.aliases.contains(&"gpt-4o-2024-08-06".to_owned()) && found.rows.len() > 5);
    let page = listing::page(compiled(), Catalogue::current(), vision, 1, 2);
    assert_eq!((page.rows.as_slice(), page.total), (&found.rows[1..3], found.total));
    assert_eq!(find(listing::Query { text: "no such model", ..Default::default() }).total, 0);
}
