//! Anthropic's dialect.

use serde_json::{Value, json};

use super::Simulator;

const MESSAGES: &str = "/v1/messages";

fn message(more: &Value) -> Value {
    let mut body = json!({
        "model": "claude-haiku-4-5", "max_tokens": 2000,
        "messages": [{"role": "user", "content": "Say hello to Ada"}],
    });
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

/// The names and payloads of a stream's events.
fn events(simulator: &Simulator, wishes: &str, more: &Value) -> Vec<(String, Value)> {
    let mut body = message(more);
    body["stream"] = json!(true);
    let (status, text) = simulator.post(MESSAGES, wishes, &body);
    assert_eq!(status, 200);
    let event = |event: &str| {
        let (name, data) = event.strip_prefix("event: ").unwrap().split_once("\ndata: ").unwrap();
        (name.to_owned(), serde_json::from_str(data).unwrap())
    };
    text.unwrap().split_terminator("\n\n").map(event).collect()
}

#[test]
fn a_streams_events_make_up_the_message_that_was_not_streamed() {
    let simulator = Simulator::start();
    let thinking = json!({"thinking": {"type": "enabled", "budget_tokens": 1024}});
    let whole = simulator.json(MESSAGES, &message(&thinking));
    let events = events(&simulator, "", &thinking);
    assert!(events.iter().all(|(name, payload)| payload["type"] == **name));
    let names: Vec<&str> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..3], ["message_start", "content_block_start", "ping"]);
    assert_eq!(names[names.len() - 3..], ["content_block_stop", "message_delta", "message_stop"]);
    let said = |member: &str| -> String {
        events.iter().filter_map(|(_, payload)| payload["delta"][member].as_str()).collect()
    };
    assert_eq!(whole["content"][0]["thinking"], said("thinking"));
    assert_eq!(whole["content"][1]["text"], said("text"));
    let (start, end) = (&events[0].1["message"]["usage"], &events[events.len() - 2].1["usage"]);
    assert_eq!(
        (&start["input_tokens"], &start["output_tokens"]),
        (&whole["usage"]["input_tokens"], &json!(1))
    );
    assert_eq!(end["output_tokens"], whole["usage"]["output_tokens"]);
}

#[test]
fn the_cache_is_read_and_written_for_either_time() {
    let simulator = Simulator::start();
    let usage = |ttl: &str| {
        let long = "word ".repeat(2000);
        let control = json!({"type": "ephemeral", "ttl": ttl});
        let system = json!([{"type": "text", "text": long, "cache_control": control}]);
        simulator.json(MESSAGES, &message(&json!({"system": system})))["usage"].clone()
    };
    let (short, long) = (usage("5m"), usage("1h"));
    assert!(short["cache_read_input_tokens"].as_u64() > Some(900));
    let written = |usage: &Value, member: &str| usage["cache_creation"][member].as_u64().unwrap();
    assert!(written(&short, "ephemeral_5m_input_tokens") > 400);
    assert_eq!(written(&short, "ephemeral_1h_input_tokens"), 0);
    assert_eq!(written(&long, "ephemeral_5m_input_tokens"), 0);
    assert_eq!(written(&long, "ephemeral_1h_input_tokens"), long["cache_creation_input_tokens"]);
    let wishes = "input_tokens=100; cached_tokens=10; cache_write_tokens=20; cache_write_long_tokens=30; output_tokens=5";
    let (_, text) = simulator.post(MESSAGES, wishes, &message(&json!({})));
    let wished: Value = serde_json::from_str(&text.unwrap()).unwrap();
    assert_eq!(
        (&wished["usage"]["input_tokens"], &wished["usage"]["output_tokens"]),
        (&json!(40), &json!(5))
    );
    let billed = simulator.arrivals().last().unwrap()["billed"].clone();
    assert_eq!((&billed["input_tokens"], &billed["cache_write_long_tokens"]), (&json!(100), &json!(30)));
}

#[test]
fn tools_are_called_with_input_of_their_schema() {
    let simulator = Simulator::start();
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]});
    let tools = json!({"tools": [{"name": "say_hello", "input_schema": schema}]});
    let answer = simulator.json(MESSAGES, &message(&tools));
    assert_eq!(
        (&answer["stop_reason"], &answer["content"][0]["name"]),
        (&json!("tool_use"), &json!("say_hello"))
    );
    assert_eq!(answer["content"][0]["input"], json!({"name": "Ada"}));
    let events = events(&simulator, "", &tools);
    let input: String =
        events.iter().filter_map(|(_, payload)| payload["delta"]["partial_json"].as_str()).collect();
    assert_eq!(input, "{\"name\":\"Ada\"}");
}

#[test]
fn errors_are_told_in_anthropics_words() {
    let simulator = Simulator::start();
    let refused = |wishes: &str, more: &Value| {
        let (status, body) = simulator.post(MESSAGES, wishes, &message(more));
        let body: Value = serde_json::from_str(&body.unwrap()).unwrap();
        assert_eq!(body["type"], "error");
        (status, body["error"]["type"].as_str().unwrap().to_owned())
    };
    for (status, kind) in [
        (401, "authentication_error"),
        (402, "billing_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (529, "overloaded_error"),
    ] {
        assert_eq!(refused(&format!("status={status}"), &json!({})), (status, kind.to_owned()));
    }
    assert_eq!(refused("", &json!({"model": "claude-nope"})).0, 404);
    for wrong in [
        json!({"max_tokens": 0}),
        json!({"max_tokens": 100_000}),
        json!({"messages": []}),
        json!({"thinking": {"type": "enabled", "budget_tokens": 2000}}),
    ] {
        assert_eq!(refused("", &wrong).0, 400, "{wrong}");
    }
    let broken = events(&simulator, "error_in_stream=1", &json!({}));
    let (name, payload) = broken.last().unwrap();
    assert_eq!((name.as_str(), &payload["error"]["type"]), ("error", &json!("overloaded_error")));
    let half = simulator.post(MESSAGES, "half_stream=1", &message(&json!({"stream": true})));
    assert!(half.1.is_err());
}

#[test]
fn keys_are_taken_in_either_header_and_models_are_told_in_the_callers_words() {
    let simulator = Simulator::start();
    let models = |header: &str, value: &str| {
        let url = format!("http://{}/v1/models", simulator.address);
        let call = simulator.agent.get(url).header(header, value).header("anthropic-version", "2023-06-01");
        let mut answer = call.call().unwrap();
        (answer.status().as_u16(), answer.body_mut().read_json::<Value>().unwrap())
    };
    for (header, value) in [("x-api-key", "sk-ant-api03-x"), ("authorization", "Bearer sk-ant-oat01-x")] {
        let (status, list) = models(header, value);
        assert_eq!(
            (status, &list["data"][0]["type"], &list["has_more"]),
            (200, &json!("model"), &json!(false))
        );
    }
    for (header, value) in [
        ("x-api-key", "tg_gw_1"),
        ("x-api-key", "ng-abc-g1-def"),
        ("authorization", "Bearer sk-invalid-1"),
        ("authorization", "x"),
    ] {
        assert_eq!(models(header, value).0, 401, "{value}");
    }
    let arrivals = simulator.arrivals();
    assert_eq!(arrivals[0]["x_api_key"], "sk-ant-api03-x");
    assert_eq!([&arrivals[2]["leaks"], &arrivals[3]["leaks"]], [&json!(["x-api-key"]); 2]);
}

#[test]
fn tokens_are_counted_and_not_billed_and_openais_words_are_understood() {
    let simulator = Simulator::start();
    let counted = simulator.json("/v1/messages/count_tokens", &message(&json!({})));
    let answer = simulator.json(MESSAGES, &message(&json!({})));
    assert_eq!(counted["input_tokens"], answer["usage"]["input_tokens"]);
    assert_eq!(simulator.arrivals()[0]["billed"]["input_tokens"], 0);
    let chat = simulator.json("/v1/chat/completions", &message(&json!({})));
    assert!(chat["choices"][0]["message"]["content"].is_string());
}
