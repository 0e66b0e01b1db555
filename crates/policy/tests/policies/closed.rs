//! Whatever guards a gateway fails closed: over policies made of every protective option, a request reaches a
//! provider only if the input of each guard is there and right.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use policy::Policy;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use crate::case::{Case, Outcome, Request};
use crate::cases;
use crate::drive::{Drive, Ended, operator};

/// A protective option, and what a request must bring for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    SharedToken,
    TokenList,
    FormerToken,
    BasicAuth,
    KeyHeader,
    Jwt,
    RateLimit,
    Addresses,
    AddressesInAnExpression,
    Webhook,
    AskElsewhere,
}

/// What the request brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Right,
    Missing,
    Malformed,
    /// What the guard compares with, or asks, is not there.
    Unanswered,
}

/// Where callers say who they are; a request has one such header.
fn speaks_in_authorization(guard: Guard) -> bool {
    matches!(guard, Guard::SharedToken | Guard::TokenList | Guard::FormerToken | Guard::BasicAuth)
}

struct Scene {
    request: Request,
    secrets: BTreeMap<String, String>,
    outcomes: Vec<Outcome>,
    rules: Vec<Json>,
}

impl Scene {
    fn header(&mut self, name: &str, value: &str) {
        self.request.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Brings a header as the input says; two that differ are as malformed as a wrong one.
    fn header_for(&mut self, input: Input, name: &str, right: &str, wrong: &str) {
        match input {
            Input::Right | Input::Unanswered => self.header(name, right),
            Input::Missing => {}
            Input::Malformed => self.header(name, wrong),
        }
    }

    fn secret(&mut self, input: Input, name: &str, value: &str) {
        if input != Input::Unanswered {
            self.secrets.insert(name.to_owned(), value.to_owned());
        }
    }

    fn add(&mut self, guard: Guard, input: Input, denies: bool, bare: bool, wrong: &str) {
        let no = if denies {
            json!({"type": "deny", "config": {"status_code": 401}})
        } else {
            json!({"type": "custom-response", "config": {"status_code": 401, "body": "no"}})
        };
        let unless = |expression: &str| vec![json!({"expressions": [expression], "actions": [no]})];
        let action = |kind: &str, config: Json| {
            let action = json!({"type": kind, "config": config});
            vec![if bare { action } else { json!({"name": kind, "actions": [action]}) }]
        };
        let rules = match guard {
            Guard::SharedToken => {
                self.secret(input, "a/shared", "s3cret");
                self.header_for(input, "authorization", "Bearer s3cret", wrong);
                unless("req.headers['authorization'][0] != 'Bearer ' + secrets.get('a', 'shared')")
            }
            // While tokens are changed, the former one is good as well.
            Guard::TokenList | Guard::FormerToken => {
                self.secret(input, "a/listed", "t0ken");
                self.secret(input, "a/former", "0ld");
                let right = if guard == Guard::TokenList { "Bearer t0ken" } else { "Bearer 0ld" };
                self.header_for(input, "authorization", right, wrong);
                let list = json!({"vars": [{"valid": ["${'Bearer ' + secrets.get('a', 'listed')}",
                    "${'Bearer ' + secrets.get('a', 'former')}"]}]});
                let mut rules = action("set-vars", list);
                rules.extend(unless("!(req.headers['authorization'][0] in vars.valid)"));
                rules
            }
            Guard::BasicAuth => {
                self.secret(input, "a/password", "correct-horse");
                self.header_for(input, "authorization", "Basic YWxpY2U6Y29ycmVjdC1ob3JzZQ==", wrong);
                action("basic-auth", json!({"credentials": ["alice:${secrets.get('a', 'password')}"]}))
            }
            Guard::KeyHeader => {
                self.secret(input, "a/key", "k3y");
                self.header_for(input, "x-api-key", "k3y", wrong);
                unless("req.headers['x-api-key'][0] != secrets.get('a', 'key')")
            }
            Guard::Jwt => {
                let (token, keys) = jwt();
                self.header_for(input, "x-token", &token, wrong);
                self.outcomes.push(if input == Input::Unanswered { Outcome::Unavailable } else { keys });
                action(
                    "jwt-validation",
                    json!({
                        "issuer": {"allow_list": [{"value": "https://idp.example/"}]},
                        "http": {"tokens": [{"type": "jwt", "method": "header", "name": "x-token", "prefix": "Bearer "}]},
                        "jws": {"allowed_algorithms": ["RS256"],
                            "keys": {"sources": {"additional_jkus": ["https://idp.example/keys"]}}},
                    }),
                )
            }
            Guard::RateLimit => {
                self.outcomes.push(match input {
                    Input::Right => Outcome::Within,
                    Input::Malformed => Outcome::Exceeded(3),
                    Input::Missing | Input::Unanswered => Outcome::Unavailable,
                });
                action(
                    "rate-limit",
                    json!({"name": "n", "algorithm": "sliding_window", "capacity": 10, "rate": "100/min",
                        "bucket_key": ["req.headers['authorization']", "conn.client_ip"]}),
                )
            }
            Guard::Addresses | Guard::AddressesInAnExpression => {
                // An address is always there; another one is as wrong as it gets.
                if input != Input::Right {
                    self.request.ip = "198.51.100.1".to_owned();
                }
                match guard {
                    Guard::Addresses => action("restrict-ips", json!({"allow": ["203.0.113.0/24"]})),
                    _ => unless("!inCidrRange(conn.client_ip, '203.0.113.0/24')"),
                }
            }
            Guard::Webhook => {
                self.secret(input, "a/hook", "hook-secret");
                self.header_for(input, "x-gitlab-token", "hook-secret", wrong);
                action(
                    "verify-webhook",
                    json!({"provider": "gitlab", "secret": "${secrets.get('a', 'hook')}"}),
                )
            }
            Guard::AskElsewhere => {
                self.outcomes.push(match input {
                    Input::Right => Outcome::Called { status: 200, body: r#"{"ok":true}"#.to_owned() },
                    Input::Malformed => Outcome::Called { status: 200, body: wrong.to_owned() },
                    Input::Missing => Outcome::Called { status: 200, body: String::new() },
                    Input::Unanswered => Outcome::Unavailable,
                });
                let mut rules = action("http-request", json!({"url": "https://authz.example/"}));
                rules.extend(unless("json.decode(actions.ngrok.http_request.res.body).ok != true"));
                rules
            }
        };
        self.rules.extend(rules);
    }
}

/// The first token and key set of the folder `jwt`.
fn jwt() -> (String, Outcome) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/policies/cases/jwt/cases.json");
    let cases: Vec<Case> = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    (cases[0].request.headers[0].1.clone(), cases[0].outcomes[0].clone())
}

fn guard() -> impl Strategy<Value = Guard> {
    prop::sample::select(vec![
        Guard::SharedToken,
        Guard::TokenList,
        Guard::FormerToken,
        Guard::BasicAuth,
        Guard::KeyHeader,
        Guard::Jwt,
        Guard::RateLimit,
        Guard::Addresses,
        Guard::AddressesInAnExpression,
        Guard::Webhook,
        Guard::AskElsewhere,
    ])
}

fn input() -> impl Strategy<Value = Input> {
    prop_oneof![
        3 => Just(Input::Right),
        1 => Just(Input::Missing),
        1 => Just(Input::Malformed),
        1 => Just(Input::Unanswered),
    ]
}

/// What a stranger might send: nothing of it is right anywhere.
fn wrong() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(String::new()),
        Just("Bearer ".to_owned()),
        Just("Bearer".to_owned()),
        Just("Bearer null".to_owned()),
        Just("Basic YWxpY2U6".to_owned()),
        Just("Basic !!!!".to_owned()),
        Just("true".to_owned()),
        Just("[]".to_owned()),
        Just("{".to_owned()),
        Just("Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlLyJ9.".to_owned()),
        "[ -~]{0,40}",
    ]
}

type Choice = (Guard, Input, bool, bool, String);

proptest! {
    #![proptest_config(cases(3000))]
    #[test]
    fn a_request_reaches_a_provider_only_if_every_guard_is_content(
        choices in prop::collection::vec((guard(), input(), any::<bool>(), any::<bool>(), wrong()), 1..5),
        harmless in any::<bool>(),
        gateway in any::<bool>(),
    ) {
        let mut scene = Scene {
            request: Request::default(),
            secrets: BTreeMap::new(),
            outcomes: Vec::new(),
            rules: Vec::new(),
        };
        if harmless {
            scene.rules.push(json!({"expressions": ["vars.nobody_set_this == 1"],
                "actions": [{"type": "log", "config": {"metadata": {"a": "${vars.nor_this}"}}}]}));
        }
        let mut chosen: Vec<Choice> = Vec::new();
        for choice in choices {
            let again = chosen.iter().any(|(guard, ..)| {
                *guard == choice.0 || speaks_in_authorization(*guard) && speaks_in_authorization(choice.0)
            });
            if !again {
                scene.add(choice.0, choice.1, choice.2, choice.3, &choice.4);
                chosen.push(choice);
            }
        }
        if gateway {
            scene.rules.push(json!({"type": "ai-gateway"}));
        }
        let text = json!({"on_http_request": scene.rules}).to_string();
        let policy = Policy::parse(&text, &operator());
        prop_assert!(policy.is_ok(), "{}", policy.unwrap_err());
        let mut drive = Drive::new(&Arc::new(policy.unwrap()), &scene.request, &scene.secrets);
        let ended = drive.play(&scene.outcomes);
        // Addresses that two guards look at are right only if both think so.
        let content = chosen.iter().all(|(_, input, ..)| *input == Input::Right);
        let reached = matches!(ended, Ok(Ended::Dispatch | Ended::Forward));
        prop_assert_eq!(reached, content, "{:?}", ended);
    }
}
