//! Nothing that is written in a policy, and nothing that comes back from outside, makes us panic or work
//! without end; and no message says a secret.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::Policy;
use policy::run::{Effect, Message, Outcome, Step, Unavailable};
use proptest::prelude::*;

use crate::case::{self, Request};
use crate::drive::{Drive, operator, outcome};
use crate::{cases, folders, policy};

/// Drives a run with answers from a list of bytes, as far as it goes.
fn drive(policy: Policy, answers: &[u8]) {
    let policy = Arc::new(policy);
    let request = Request {
        headers: [("authorization", "Bearer a.b.c"), ("accept-encoding", "gzip"), ("x-api-key", "k")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..Request::default()
    };
    let mut run = Drive::new(&policy, &request, &BTreeMap::new()).run;
    let mut step = run.start();
    let mut answered = false;
    for answer in answers.iter().chain(std::iter::repeat_n(&0, 200)) {
        step = match step {
            Step::Respond(_) => return,
            Step::Relay(_) => {
                let mut message = Message { data: "x@y.example".into(), retry: Some("10".into()) };
                let _ = run.message(&mut message);
                return;
            }
            Step::Forward | Step::Ask(Effect::Dispatch(_)) if answered => return,
            Step::Forward | Step::Ask(Effect::Dispatch(_)) => {
                answered = true;
                run.response(http::StatusCode::OK, http::HeaderMap::new(), None)
            }
            Step::Ask(effect) => run.resume(come_back(&effect, *answer)),
        };
    }
    panic!("the run does not end");
}

fn come_back(effect: &Effect, answer: u8) -> Outcome {
    let called = case::Outcome::Called { status: 200 + u16::from(answer), body: "{\"a\":[]}".into() };
    let keys = case::Outcome::Keys(serde_json::json!({"keys": []}));
    let played = match (answer % 3, effect) {
        (0, _) => case::Outcome::Unavailable,
        (_, Effect::Count(_)) if answer < 128 => case::Outcome::Exceeded(u64::from(answer)),
        (_, Effect::Count(_)) => case::Outcome::Within,
        (_, Effect::Keys(_)) => keys,
        (_, Effect::Call(_)) => called,
        _ => case::Outcome::Passage("allow".into()),
    };
    match effect {
        Effect::RequestBody(_) | Effect::ResponseBody(_) if answer.is_multiple_of(3) => {
            Outcome::Body(Err(Unavailable))
        }
        Effect::RequestBody(_) | Effect::ResponseBody(_) => {
            Outcome::Body(Ok(vec![b'{', answer, b'}'].into()))
        }
        // Now and then something comes back that nobody asked for.
        _ if answer == 255 => Outcome::Body(Err(Unavailable)),
        effect => outcome(effect, Some(&played)).unwrap(),
    }
}

/// What somebody's editor, or somebody's malice, does to a text.
#[derive(Debug, Clone)]
enum Change {
    Delete(usize, usize),
    Repeat(usize, usize),
    Insert(usize, &'static str),
    Move(usize, usize, usize),
}

const INSERTS: &[&str] = &[
    "\n", " ", "  ", "-", "- ", ":", ": ", "[", "]", "{", "}", "'", "\"", "|", ">", "#", "&a ", "*a", "!!",
    "?", "${", "}", "\t", "\u{0}", "\u{feff}", "😀", "%", "@", "`", "---\n", "...", "~", "null", "1e999",
    "0x", "-1", "type: ", "config: ",
];

fn change() -> impl Strategy<Value = Change> {
    let at = || 0..10_000usize;
    prop_oneof![
        (at(), 1..40usize).prop_map(|(at, length)| Change::Delete(at, length)),
        (at(), 1..200usize).prop_map(|(at, length)| Change::Repeat(at, length)),
        (at(), prop::sample::select(INSERTS)).prop_map(|(at, text)| Change::Insert(at, text)),
        (at(), 1..80usize, at()).prop_map(|(at, length, to)| Change::Move(at, length, to)),
    ]
}

fn changed(text: &str, changes: &[Change]) -> String {
    let mut letters: Vec<char> = text.chars().collect();
    for change in changes {
        let length = letters.len();
        let place = |at: usize| if length == 0 { 0 } else { at % length };
        match change {
            Change::Delete(at, many) => drop(letters.drain(place(*at)..(place(*at) + many).min(length))),
            Change::Repeat(at, many) => {
                let part = letters[place(*at)..(place(*at) + many).min(length)].to_vec();
                letters.splice(place(*at)..place(*at), part);
            }
            Change::Insert(at, text) => drop(letters.splice(place(*at)..place(*at), text.chars())),
            Change::Move(at, many, to) => {
                let part: Vec<char> = letters.drain(place(*at)..(place(*at) + many).min(length)).collect();
                let to = (*to).min(letters.len());
                letters.splice(to..to, part);
            }
        }
    }
    letters.into_iter().collect()
}

proptest! {
    #![proptest_config(cases(6000))]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Policy::parse(&String::from_utf8_lossy(&bytes), &operator());
    }

    #[test]
    fn any_text_of_punctuation_is_read_or_refused(text in "[-\\[\\]{}:,'\"|>?&*!#%@` \n\tab1.$~]{0,200}") {
        let _ = Policy::parse(&text, &operator());
    }

    #[test]
    fn a_policy_that_was_tampered_with_is_refused_or_works(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec(change(), 1..6),
        answers in prop::collection::vec(any::<u8>(), 0..20),
    ) {
        let folders = folders();
        let folder: &std::path::PathBuf = which.get(&folders);
        let text = changed(&policy(folder), &changes);
        match Policy::parse(&text, &operator()) {
            Ok(policy) => drive(policy, &answers),
            Err(problems) => prop_assert!(problems.iter().count() > 0),
        }
    }
}

const CANARY: &str = "canary-0123456789abcdef";

#[test]
fn no_message_says_a_secret() {
    let secrets = format!(
        "on_http_request:
  - type: basic-auth
    config: {{ credentials: ['user:{CANARY}', '{CANARY}', ':{CANARY}'] }}
  - type: verify-webhook
    config: {{ provider: github, secret: '{CANARY}', enforce: '{CANARY}' }}
  - type: http-request
    config: {{ url: 'ftp://{CANARY}@a/', headers: {{ authorization: 'Bearer {CANARY}' }}, timeout: {CANARY} }}
  - type: set-vars
    config: {{ vars: [{{ a: '{CANARY}', b: 1 }}, {{ c: '${{secrets.get(\"{CANARY}\" }}' }}] }}
  - type: ai-gateway
    config:
      headers: {{ authorization: '{CANARY}' }}
      on_error: '{CANARY}'
      providers:
        - {{ id: openai, api_keys: [{{ value: '{CANARY}' }}, {{ value: '${{{CANARY}' }}], base_url: 'http://u:{CANARY}@h/' }}
"
    );
    let problems = Policy::parse(&secrets, &operator()).unwrap_err();
    let told = format!("{problems} {problems:?} {}", serde_json::to_string(&problems).unwrap());
    assert!(!told.contains(CANARY), "{told}");
    let right = format!(
        "on_http_request:
  - type: basic-auth
    config: {{ credentials: ['user:{CANARY}'] }}
  - type: http-request
    config: {{ url: 'https://a.example/?{CANARY}', headers: {{ authorization: '${{secrets.get(\"a\", \"b\")}}' }}, body: '{CANARY}' }}
  - type: ai-gateway
    config:
      headers: {{ x-key: '${{secrets.get(\"a\", \"b\")}}' }}
      body: {{ key: '{CANARY}' }}
      providers: [{{ id: openai, api_keys: [{{ value: '{CANARY}' }}] }}]
"
    );
    let policy = Arc::new(Policy::parse(&right, &operator()).unwrap());
    assert!(!format!("{policy:?}").contains(CANARY));
    let basic = format!("user:{CANARY}");
    let request = Request {
        headers: vec![("authorization".into(), format!("Basic {}", base64(&basic)))],
        ..Request::default()
    };
    let secrets = BTreeMap::from([("a/b".to_owned(), CANARY.to_owned())]);
    let mut run = Drive::new(&policy, &request, &secrets).run;
    let step = run.start();
    let Step::Ask(effect @ Effect::Call(_)) = &step else { panic!("{step:?}") };
    assert!(!format!("{step:?}").contains(CANARY), "{step:?}");
    let called = case::Outcome::Called { status: 200, body: String::new() };
    let step = run.resume(outcome(effect, Some(&called)).unwrap());
    assert!(matches!(step, Step::Ask(Effect::Dispatch(_))), "{step:?}");
    assert!(!format!("{step:?}").contains(CANARY), "{step:?}");
}

fn base64(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}
