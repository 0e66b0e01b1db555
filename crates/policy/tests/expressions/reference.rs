//! Expressions as people have them in their policies today.

use std::sync::Arc;

use policy::{Scope, Template, Value};
use proptest::prelude::*;

use crate::stage::{Stage, come_to};

/// Facts with what rules before these have left.
fn stage() -> Stage {
    let tokens = ["client-a-token", "client-b-token"].map(|name| {
        let text = format!("${{'Bearer ' + secrets.get('gateway-auth', '{name}')}}");
        let template = Template::compile(&text, Scope::Request);
        Stage::default().with(None, |facts| template.map(|template| template.render(facts)))
    });
    let tokens = tokens.map(|token| match token {
        Ok(Ok(token)) => token,
        other => panic!("{other:?}"),
    });
    let vars = Arc::new([("valid_auth_headers".into(), Value::list(tokens.to_vec()))].into_iter().collect());
    let results = serde_json::json!({
        "rate_limit": {"limited": true, "bucket_key": "k"},
        "jwt_validation": {"tokens": [{"payload": {"sub": "someone", "scope": "read write"}, "verified": true}]},
        "restrict_ips": {"action": "deny"},
        "ai_gateway": {
            "status": "error",
            "error": {"code": "ERR_NGROK_3807", "message": "all failed"},
            "models_tried": [{"model": "gpt-4o", "requests_made": [{"response": {"status_code": 429}}]}],
        },
    });
    let Value::Map(actions) = Value::from_json(results) else { panic!("an object") };
    Stage { vars, actions, ..Stage::default() }
}

fn without_credentials() -> Stage {
    let mut stage = stage();
    stage.headers.clear();
    stage
}

#[test]
fn a_shared_token_protects_a_gateway() {
    let rules = [
        (
            "req.headers['authorization'][0] != 'Bearer ' + secrets.get('gateway-auth', 'access-token')",
            "false",
        ),
        ("!(req.headers['authorization'][0] in vars.valid_auth_headers)", "false"),
        ("!hasReqHeader('Authorization')", "false"),
        ("req.headers['x-api-key'][0] != secrets.get('gateway-auth', 'access-token')", "true"),
    ];
    come_to(&stage(), Scope::Request, &rules);
    // Whoever sends nothing is refused by each of them.
    come_to(&without_credentials(), Scope::Request, &rules.map(|(rule, _)| (rule, "true")));
}

#[test]
fn a_token_that_is_nearly_right_is_wrong() {
    let mut stage = stage();
    for sent in ["Bearer letmei", "Bearer letmeinn", "bearer letmein", "Bearer ", "Bearer Letmein"] {
        stage.headers.insert("authorization", sent.parse().unwrap());
        come_to(
            &stage,
            Scope::Request,
            &[
                (
                    "req.headers['authorization'][0] != 'Bearer ' + secrets.get('gateway-auth', 'access-token')",
                    "true",
                ),
                ("req.headers['authorization'][0] in vars.valid_auth_headers", "false"),
            ],
        );
    }
}

proptest! {
    #![proptest_config(crate::cases(1000))]

    /// Whatever is sent in the place of a token: a rule that refuses wrong ones refuses it, or fails.
    #[test]
    fn no_token_but_the_right_one_passes(
        sent in proptest::collection::vec(
            prop_oneof![
                "Bearer [a-z]{0,8}".prop_map(String::into_bytes),
                "[Bb]earer {0,2}letmein {0,1}".prop_map(String::into_bytes),
                proptest::collection::vec(0x20..=0xffu8, 0..12),
            ],
            0..3,
        ),
    ) {
        let mut stage = without_credentials();
        for value in &sent {
            if let Ok(value) = http::HeaderValue::from_bytes(value) {
                stage.headers.append("authorization", value.clone());
                stage.headers.append("x-api-key", value);
            }
        }
        let first = stage.headers.get("authorization").map(|value| value.as_bytes().to_vec());
        let right = first.as_deref() == Some(b"Bearer letmein");
        for rule in [
            "req.headers['authorization'][0] != 'Bearer ' + secrets.get('gateway-auth', 'access-token')",
            "req.headers.Authorization[0] != 'Bearer ' + secrets.get('gateway-auth', 'access-token')",
            "getReqHeader('Authorization')[0] != 'Bearer ' + secrets.get('gateway-auth', 'access-token')",
            "!(req.headers['authorization'][0] in vars.valid_auth_headers)",
            "!vars.valid_auth_headers.exists(valid, valid == req.headers['authorization'][0])",
            "!(req.headers['authorization'][0] == 'Bearer ' + secrets.get('gateway-auth', 'access-token'))",
        ] {
            let refuses = stage.value(rule, Scope::Request) != Ok(Value::Bool(false));
            prop_assert_eq!(refuses, !right, "{} with {:?}", rule, first);
        }
        let key = "req.headers['x-api-key'][0] != secrets.get('gateway-auth', 'access-token')";
        let first = stage.headers.get("x-api-key").map(|value| value.as_bytes().to_vec());
        let refuses = stage.value(key, Scope::Request) != Ok(Value::Bool(false));
        prop_assert_eq!(refuses, first.as_deref() != Some(b"letmein"));
    }
}

#[test]
fn results_of_actions_are_read_by_later_ones() {
    come_to(
        &stage(),
        Scope::Request,
        &[
            ("actions.ngrok.rate_limit.limited", "true"),
            ("actions.ngrok.jwt_validation.tokens[0].payload['sub']", "'someone'"),
            ("'write' in actions.ngrok.jwt_validation.tokens[0].payload.scope.split(' ')", "true"),
            ("actions.ngrok.restrict_ips.action == 'deny'", "true"),
            ("actions.ngrok.ai_gateway.status == 'error'", "true"),
            ("actions.ngrok.ai_gateway.error.code", "'ERR_NGROK_3807'"),
            ("actions.ngrok.ai_gateway.models_tried[0].requests_made[0].response.status_code", "429"),
            ("has(actions.ngrok.ai_gateway) && !has(actions.ngrok.http_request)", "true"),
        ],
    );
}

#[test]
fn rules_look_at_requests() {
    come_to(
        &stage(),
        Scope::Response,
        &[
            ("req.url.path.startsWith('/v1/')", "true"),
            ("req.url.path.matches('^/v1/(chat|models)')", "true"),
            ("req.method in ['GET', 'POST']", "true"),
            ("req.method == 'OPTIONS' && hasReqHeader('Origin')", "false"),
            ("req.content_length > 1048576", "false"),
            ("req.headers['user-agent'].exists(agent, agent.contains('curl'))", "true"),
            ("'Bearer' in req.headers['authorization'][0].split(' ')", "true"),
            ("conn.client_ip.startsWith('203.')", "true"),
            ("!inCidrRanges(conn.client_ip, ['203.0.113.0/24', '198.51.100.0/24'])", "false"),
            ("res.status_code >= 500", "false"),
            ("res.headers['content-type'][0].contains('event-stream')", "true"),
            ("timestamp(time.now) < timestamp('2030-01-01T00:00:00Z')", "true"),
            ("rand.double() < 2.0", "true"),
        ],
    );
}

#[test]
fn bodies_and_headers_are_written_with_what_is_known() {
    let stage = stage();
    for (text, expected) in [
        ("${req.id}", "req_1"),
        ("${'Bearer ' + secrets.get('openai', 'api-key')}", "Bearer sk-0123456789"),
        ("client=${conn.client_ip};host=${req.host}", "client=203.0.113.9;host=ai.example.com:8443"),
        ("{\"error\":${json.encode(actions.ngrok.ai_gateway.error.message)}}", "{\"error\":\"all failed\"}"),
        ("limit: ${actions.ngrok.rate_limit}", "limit: {\"bucket_key\":\"k\",\"limited\":true}"),
        ("${basic_auth.encode('user', 'pass')}", "Basic dXNlcjpwYXNz"),
        (
            "https://${req.host}${req.url.uri}",
            "https://ai.example.com:8443/v1/chat%20room?tag=a&tag=b&q=x%26y",
        ),
    ] {
        let template =
            Template::compile(text, Scope::Request).unwrap_or_else(|error| panic!("{text}: {error}"));
        let rendered = stage.with(None, |facts| template.render_text(facts)).unwrap();
        assert_eq!(rendered.as_str(), expected, "{text}");
    }
}
