//! The simulator as its callers meet it: a process that speaks HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod billing;
mod google;
mod messages;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

struct Simulator {
    process: Child,
    address: String,
    agent: ureq::Agent,
}

impl Simulator {
    fn start() -> Self {
        Self::called("simulator")
    }

    fn called(name: &str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_simulator"))
            .args(["--addr", "127.0.0.1:0", "--name", name])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit('/').next().unwrap().to_owned();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { process, address, agent }
    }

    fn post(&self, path: &str, wishes: &str, body: &Value) -> (u16, Result<String, ureq::Error>) {
        let mut answer = self
            .agent
            .post(format!("http://{}{path}", self.address))
            .header("authorization", "Bearer sk-test")
            .header("anthropic-version", "2023-06-01")
            .header("content-type", "application/json")
            .header("x-simulator", wishes)
            .send(body.to_string())
            .unwrap();
        (answer.status().as_u16(), answer.body_mut().read_to_string())
    }

    fn json(&self, path: &str, body: &Value) -> Value {
        let (status, body) = self.post(path, "", body);
        assert_eq!(status, 200, "{body:?}");
        serde_json::from_str(&body.unwrap()).unwrap()
    }

    fn events(&self, path: &str, body: &Value) -> Vec<Value> {
        let text = self.post(path, "", body).1.unwrap();
        let payloads = text.lines().filter_map(|line| line.strip_prefix("data: "));
        payloads
            .filter(|payload| *payload != "[DONE]")
            .map(|json| serde_json::from_str(json).unwrap())
            .collect()
    }

    fn arrivals(&self) -> Vec<Value> {
        let url = format!("http://{}/_simulator/requests", self.address);
        self.agent.get(url).call().unwrap().body_mut().read_json().unwrap()
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn chat(more: Value) -> Value {
    let mut body =
        json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Say hello to Ada"}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

const CHAT: &str = "/v1/chat/completions";

#[test]
fn a_streams_deltas_are_the_answer_that_was_not_streamed() {
    let simulator = Simulator::start();
    let whole = simulator.json(CHAT, &chat(json!({})));
    let events =
        simulator.events(CHAT, &chat(json!({"stream": true, "stream_options": {"include_usage": true}})));
    let text: String =
        events.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(whole["choices"][0]["message"]["content"], text);
    let (last, earlier) = events.split_last().unwrap();
    assert_eq!(last["usage"], whole["usage"]);
    assert_eq!(last["choices"], json!([]));
    assert!(earlier.iter().all(|event| event.get("usage") == Some(&Value::Null)));
}

#[test]
fn a_streamed_response_ends_with_the_whole_response() {
    let simulator = Simulator::start();
    let events =
        simulator.events("/v1/responses", &json!({"model": "gpt-4o", "input": "Hi", "stream": true}));
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds[..4],
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added"
        ]
    );
    assert_eq!(
        kinds[kinds.len() - 4..],
        [
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed"
        ]
    );
    let text: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    let response = &events.last().unwrap()["response"];
    assert_eq!(response["output"][0]["content"][0]["text"], text);
    assert!(response["usage"]["total_tokens"].as_u64().unwrap() > 0);
    assert!(events.iter().enumerate().all(|(at, event)| event["sequence_number"] == at));
}

#[test]
fn a_tool_that_the_prompt_speaks_of_is_called_with_arguments_of_its_schema() {
    let simulator = Simulator::start();
    let tools = json!([{"type": "function", "function": {"name": "say_hello", "parameters": {
        "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"],
    }}}]);
    let answer = simulator.json(CHAT, &chat(json!({"tools": tools})));
    assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls");
    let call = &answer["choices"][0]["message"]["tool_calls"][0]["function"];
    assert_eq!(call, &json!({"name": "say_hello", "arguments": "{\"name\":\"Ada\"}"}));
}

#[test]
fn a_gateways_own_token_is_refused_and_noted() {
    let simulator = Simulator::start();
    let url = format!("http://{}/v1/models", simulator.address);
    for (key, status) in [("tg_gw_secret", 401), ("sk-invalid-1", 401), ("sk-anything", 200)] {
        let answer =
            simulator.agent.get(&url).header("authorization", format!("Bearer {key}")).call().unwrap();
        assert_eq!(answer.status().as_u16(), status, "{key}");
    }
    let leaks: Vec<Value> = simulator.arrivals().iter().map(|arrival| arrival["leaks"].clone()).collect();
    assert_eq!(leaks, [json!(["authorization"]), json!([]), json!([])]);
}

#[test]
fn answers_break_where_they_were_asked_to() {
    let simulator = Simulator::start();
    assert!(simulator.post(CHAT, "half_json", &chat(json!({}))).1.is_err());
    assert!(simulator.post(CHAT, "half_stream=2", &chat(json!({"stream": true}))).1.is_err());
    let (status, body) = simulator.post(CHAT, "status=429", &chat(json!({})));
    assert_eq!((status, body.unwrap().contains("rate_limit_exceeded")), (429, true));
    let retried =
        chat(json!({"metadata": {"simulator": "fail_times=1; status=503; key=a", "test_id": "retried"}}));
    assert_eq!((simulator.post(CHAT, "", &retried).0, simulator.post(CHAT, "", &retried).0), (503, 200));
    let arrivals = simulator.arrivals();
    assert_eq!(arrivals.iter().filter(|arrival| arrival["test_id"] == "retried").count(), 2);
}

#[test]
fn a_connection_ends_before_the_answer_or_after_its_head() {
    let simulator = Simulator::start();
    let sent = |wishes: &str| {
        let call = simulator.agent.post(format!("http://{}{CHAT}", simulator.address));
        let call = call.header("authorization", "Bearer sk-test").header("x-simulator", wishes);
        call.send(chat(json!({})).to_string()).map(|mut answer| answer.body_mut().read_to_string().is_err())
    };
    assert!(sent("hang_up").is_err());
    assert!(sent("head_only").unwrap(), "the head is there, and nothing of the body");
    let (status, body) = simulator.post(CHAT, "head_only", &chat(json!({"stream": true})));
    assert_eq!((status, body.is_err()), (200, true));
    let states: Vec<_> = simulator.arrivals().iter().map(|arrival| arrival["state"].clone()).collect();
    assert_eq!(states, ["broken"; 3]);
    assert!(simulator.arrivals().iter().all(|arrival| arrival["billed"]["input_tokens"] == 0));
}

#[test]
fn one_of_several_fails_alone() {
    let simulator = Simulator::called("groq");
    let said = |text: &str| {
        simulator.post(CHAT, "", &chat(json!({"messages": [{"role": "user", "content": text}]}))).0
    };
    assert_eq!(said("[groq: status=500]"), 500);
    assert_eq!(said("[openai: status=500]"), 200);
    assert_eq!(said("[simulator: status=503]"), 503);
}
