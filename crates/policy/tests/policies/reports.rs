//! What a policy is told of the work of its `ai-gateway` action.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, StatusCode};
use policy::Policy;
use policy::actions::ai_gateway::report::{
    Error, KeySelection, Rejected, Report, Request, Response, Selection, Tried, redacted,
};
use serde_json::json;

use crate::case;
use crate::drive::Drive;

const POLICY: &str = "
on_http_request:
  - type: ai-gateway
    config: { on_error: continue }
  - type: custom-response
    config: { body: \"${actions.ngrok.ai_gateway}\" }
";

fn asked() -> case::Request {
    let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    case::Request {
        headers: vec![
            header("authorization", "Bearer ng-abcdefghijklmnopqrst-g1-0123456789"),
            header("cookie", "session=abcdefghijklmnopqrstuvwxyz"),
            header("user-agent", "OpenAI/Python 2.0"),
            header("x-team", "blue"),
        ],
        ..case::Request::default()
    }
}

fn failed() -> Tried {
    let headers = HeaderMap::from_iter([
        (http::header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (http::header::SET_COOKIE, HeaderValue::from_static("a=abcdefghijklmnopqrstuvwxyz")),
    ]);
    let requests = vec![
        Request {
            error: Some("`openai` answered 500".to_owned()),
            url: "https://api.openai.com/v1/chat/completions".to_owned(),
            api_key: redacted("sk-proj-abcdefghijklmnop7890"),
            response: Some(Response {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                headers,
                body_on_error: b"{}".to_vec(),
            }),
            first_byte: Some(Duration::from_millis(20)),
            total: Duration::from_millis(30),
        },
        Request {
            error: Some("it took too long".to_owned()),
            total: Duration::from_secs(30),
            ..Request::default()
        },
    ];
    let keys =
        vec![KeySelection { strategy: "ai.keys".to_owned(), error: None, to_try: vec!["key-1".into()] }];
    let (model, provider, author) = ("gpt-4o".to_owned(), "openai".to_owned(), "openai".to_owned());
    Tried { model, provider, author, keys, requests }
}

#[test]
fn a_failure_is_told_whole_and_no_key_with_it() {
    let policy = Arc::new(Policy::parse(POLICY, &crate::drive::operator()).unwrap());
    let run = Drive::new(&policy, &asked(), &Default::default()).run;
    let report = Report {
        error: Some(Error { code: "ERR_NGROK_3807".to_owned(), message: "All providers failed".to_owned() }),
        model: "gpt-4o".to_owned(),
        models: vec!["gpt-4".to_owned()],
        rejected: vec![Rejected { model: "openai:gpt-4".to_owned(), reason: "too long".to_owned() }],
        input_tokens: Some(9),
        gateway_latency: Duration::from_millis(3),
        selection: vec![Selection {
            strategy: "ai.models".to_owned(),
            returned: vec!["openai:gpt-4o".into()],
            ..Selection::default()
        }],
        tried: vec![failed()],
    };
    let told = run.told(&report).to_json().unwrap();
    let expected = json!({
        "status": "error",
        "error": { "code": "ERR_NGROK_3807", "message": "All providers failed" },
        "client": {
            "method": "POST",
            "path": "/v1/chat/completions",
            "request_headers": {
                "authorization": ["Bearer ng-abcd...6789"],
                "cookie": ["..."],
                "host": ["gateway.example"],
                "user-agent": ["OpenAI/Python 2.0"],
                "x-team": ["blue"],
            },
            "user_agent": "OpenAI/Python 2.0",
            "model": "gpt-4o",
            "models": ["gpt-4"],
            "api_key_hash": told["client"]["api_key_hash"],
            "rejected_models": [{ "model": "openai:gpt-4", "reason": "too long" }],
        },
        "input_ngrok_tokens": 9,
        "output_ngrok_tokens": 0,
        "gateway_latency_ms": 3,
        "model_selection": [{
            "strategy": "ai.models",
            "error": null,
            "candidates_returned": ["openai:gpt-4o"],
            "candidates_after_allowed_filter": [],
            "candidates_after_client_filter": [],
            "models_to_try": [],
        }],
        "models_tried": [{
            "model": "gpt-4o",
            "provider": "openai",
            "author": "openai",
            "api_key_selection": [{ "strategy": "ai.keys", "error": null, "keys_to_try": ["key-1"] }],
            "requests_made": [
                {
                    "status": "error",
                    "error": "`openai` answered 500",
                    "upstream_input_tokens": 0,
                    "upstream_output_tokens": 0,
                    "request": {
                        "url": "https://api.openai.com/v1/chat/completions",
                        "api_key": "sk-proj...7890",
                    },
                    "response": {
                        "status_code": 500,
                        "headers": { "content-type": ["application/json"], "set-cookie": ["..."] },
                        "body_on_error": "{}",
                    },
                    "upstream_latency": { "time_to_first_byte_ms": 20, "total_ms": 30 },
                },
                {
                    "status": "error",
                    "error": "it took too long",
                    "upstream_input_tokens": 0,
                    "upstream_output_tokens": 0,
                    "request": { "url": "", "api_key": "" },
                    "response": { "status_code": 0, "headers": {}, "body_on_error": "" },
                    "upstream_latency": { "time_to_first_byte_ms": null, "total_ms": 30_000 },
                },
            ],
        }],
    });
    assert_eq!(told, expected);
    assert_eq!(told["client"]["api_key_hash"].as_str().unwrap().len(), 64);
}

#[test]
fn a_success_says_who_answered() {
    let policy = Arc::new(Policy::parse(POLICY, &crate::drive::operator()).unwrap());
    let run = Drive::new(&policy, &asked(), &Default::default()).run;
    let answered = Tried {
        model: "claude-haiku-4-5".to_owned(),
        provider: "anthropic".to_owned(),
        author: "anthropic".to_owned(),
        requests: vec![Request { response: Some(Response::default()), ..Request::default() }],
        ..Tried::default()
    };
    let report = Report { tried: vec![failed(), answered], ..Report::default() };
    let told = run.told(&report).to_json().unwrap();
    assert_eq!(
        told["success"],
        json!({
            "model_index": 1,
            "request_index": 0,
            "model": "claude-haiku-4-5",
            "provider": "anthropic",
            "author": "anthropic",
        })
    );
    assert_eq!((&told["status"], &told["error"]), (&json!("success"), &json!(null)));
    assert_eq!(told["models_tried"][1]["requests_made"][0]["response"]["status_code"], 200);
}

#[test]
fn it_is_known_which_policies_read_it() {
    let reads = |expression: &str| {
        let text = format!(
            "on_http_response: [{{ expressions: [\"{expression}\"], actions: [{{ type: custom-response }}] }}]"
        );
        let policy = Policy::parse(&text, &crate::drive::operator())
            .unwrap_or_else(|problems| panic!("{expression}: {problems}"));
        policy.uses().reads_result_of("ai_gateway")
    };
    for expression in [
        "actions.ngrok.ai_gateway.status == 'error'",
        "actions.ngrok['ai_gateway'].status == 'error'",
        "has(actions.ngrok.ai_gateway)",
        "actions.ngrok[req.method] == 1",
        "actions.ngrok.exists(name, name == 'x')",
        "size(actions) > 0",
    ] {
        assert!(reads(expression), "{expression}");
    }
    for expression in
        ["actions.ngrok.rate_limit.limited", "res.status_code == 500", "actions.ngrok['log'].x == 1"]
    {
        assert!(!reads(expression), "{expression}");
    }
}
