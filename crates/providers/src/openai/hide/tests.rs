use proptest::prelude::*;

use super::*;

const CHOICE: &str = r#"data: {"id":"c","choices":[{"index":0,"delta":{"content":"\"usage\":{\"a\":1},\"choices\":[]"}}],"usage":null}"#;
const FILTERS: &str = r#"data: {"id":"c","choices":[],"prompt_filter_results":[{"i":0}],"usage":null}"#;
const USAGE: &str =
    r#"data: {"id":"c","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":1}}"#;
const LAST_CHOICE_WITH_USAGE: &str = r#"data: {"choices":[{"delta":{}}],"usage":{"prompt_tokens":1}}"#;
const DONE: &str = "data: [DONE]";

fn stream(events: &[&str], end: &str) -> String {
    events.iter().map(|event| format!("{event}{end}{end}")).collect()
}

fn filtered<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> String {
    let mut hide = HideUsageChunk::default();
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend_from_slice(&hide.filter(Bytes::copy_from_slice(chunk)));
    }
    out.extend_from_slice(&hide.finish());
    String::from_utf8(out).unwrap()
}

#[test]
fn the_extra_chunk_goes_and_everything_else_stays() {
    let kept = [": hello", CHOICE, FILTERS, LAST_CHOICE_WITH_USAGE, DONE];
    let sent = [": hello", CHOICE, FILTERS, USAGE, LAST_CHOICE_WITH_USAGE, DONE];
    for end in ["\n", "\r\n", "\r"] {
        assert_eq!(filtered([stream(&sent, end).as_bytes()]), stream(&kept, end));
    }
}

#[test]
fn a_stream_without_it_passes_uncopied() {
    let chunk = Bytes::from(stream(&[CHOICE, DONE], "\n"));
    assert_eq!(HideUsageChunk::default().filter(chunk.clone()).as_ptr(), chunk.as_ptr());
}

#[test]
fn an_event_is_held_only_while_it_could_be_the_one() {
    let mut hide = HideUsageChunk::default();
    let mut send = |text: &'static str| hide.filter(Bytes::from_static(text.as_bytes()));
    assert_eq!(send("data: {\"id\":\"c\",\"choices\":["), "");
    assert_eq!(send("{"), "data: {\"id\":\"c\",\"choices\":[{");
    assert_eq!(send("\"index\":0"), "\"index\":0");
    assert_eq!(send("}]}\n"), "}]}\n");
    assert_eq!(send("\ndata: {\"choi"), "\n");
    assert_eq!(send("ces\":[],\"usage\":n"), "data: {\"choices\":[],\"usage\":n");
    assert_eq!(send("ull}\n\ndata: {\"choices\":[],\"usage\":{}}\n"), "ull}\n\n");
    assert_eq!(send("\n"), "");
    assert_eq!(send("data: [D"), "data: [D");
    assert_eq!(send("ONE]\n\n"), "ONE]\n\n");
}

#[test]
fn a_stream_that_breaks_off_gives_up_what_was_held() {
    assert_eq!(filtered([b"data: {\"id\":" as &[u8]]), "data: {\"id\":");
    assert_eq!(filtered([USAGE.as_bytes()]), "");
}

proptest! {
    #[test]
    fn how_a_stream_is_cut_does_not_matter(
        order in prop::collection::vec(0..6_usize, 0..8),
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
        sizes in prop::collection::vec(1..90_usize, 1..40),
    ) {
        let kinds = [CHOICE, FILTERS, USAGE, LAST_CHOICE_WITH_USAGE, DONE, ": comment"];
        let events: Vec<_> = order.iter().map(|kind| kinds[*kind]).collect();
        let kept: Vec<_> = events.iter().copied().filter(|event| *event != USAGE).collect();
        let whole = stream(&events, end);
        let (mut rest, mut chunks) = (whole.as_bytes(), vec![]);
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break }
            let (chunk, after) = rest.split_at((*size).min(rest.len()));
            chunks.push(chunk);
            rest = after;
        }
        prop_assert_eq!(filtered(chunks), stream(&kept, end));
    }
}
