//! What the simulator says that it billed.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

use super::{CHAT, Simulator, chat};

/// A question with a mark that names it and one that says what is wished for.
fn marked(id: &str, wishes: &str, more: Value) -> Value {
    let content = format!("[id:{id}] Say hello to Ada. [simulator: {wishes}]");
    let mut body = chat(more);
    body["messages"] = json!([{"role": "user", "content": content}]);
    body
}

impl Simulator {
    fn billed(&self, id: &str) -> (String, u64, u64) {
        let arrivals = self.arrivals();
        let arrival = arrivals.iter().find(|arrival| arrival["test_id"] == id).expect("the request");
        let billed = |member: &str| arrival["billed"][member].as_u64().unwrap();
        (arrival["state"].as_str().unwrap().to_owned(), billed("input_tokens"), billed("output_tokens"))
    }

    fn begin(&self, body: &Value) -> TcpStream {
        let body = body.to_string();
        let mut stream = TcpStream::connect(&self.address).unwrap();
        let head = format!(
            "POST {CHAT} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer sk-a\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body.as_bytes()).unwrap();
        stream
    }

    fn gate(&self, method: &str, query: &str) -> Value {
        let url = format!("http://{}/_simulator/gate{query}", self.address);
        let request = ureq::http::Request::builder().method(method).uri(url).body(()).unwrap();
        self.agent.run(request).unwrap().body_mut().read_json().unwrap()
    }

    fn is_over(&self, id: &str) -> (String, u64, u64) {
        for _ in 0..500 {
            let billed = self.billed(id);
            if !matches!(billed.0.as_str(), "arriving" | "waiting" | "answering") {
                return billed;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end: {:?}", self.arrivals());
    }
}

#[test]
fn a_whole_answer_is_billed_as_its_usage_says() {
    let simulator = Simulator::start();
    for (id, more) in [("whole", json!({})), ("stream", json!({"stream": true}))] {
        let body = marked(id, "words=40; input_tokens=9", more);
        assert_eq!(simulator.post(CHAT, "", &body).0, 200);
        assert_eq!(simulator.billed(id), ("answered".to_owned(), 9, 40));
    }
    let usage =
        &simulator.json(CHAT, &marked("above", "output_tokens=700", json!({"max_tokens": 10})))["usage"];
    assert_eq!(usage["completion_tokens"], 700);
    assert_eq!(simulator.billed("above").2, 700);
    let embedded = json!({"model": "text-embedding-3-small", "input": "[id:vector] Hello"});
    let usage = &simulator.json("/v1/embeddings", &embedded)["usage"];
    assert_eq!(simulator.billed("vector").1, usage["prompt_tokens"].as_u64().unwrap());
}

#[test]
fn what_is_thought_and_said_together_stays_within_the_limit() {
    let simulator = Simulator::start();
    let limited = |member: &str, limit: u64, wishes: &str, model: &str| {
        let answer = simulator.json(CHAT, &marked("limited", wishes, json!({member: limit, "model": model})));
        let usage = &answer["usage"];
        assert_eq!(answer["choices"][0]["finish_reason"], "length");
        (
            usage["completion_tokens"].as_u64().unwrap(),
            usage["completion_tokens_details"]["reasoning_tokens"].as_u64().unwrap(),
        )
    };
    assert_eq!(limited("max_tokens", 30, "words=40", "gpt-4o"), (30, 0));
    assert_eq!(limited("max_completion_tokens", 30, "words=40", "gpt-4o"), (30, 0));
    assert_eq!(
        limited("max_completion_tokens", 300, "words=400; reasoning_tokens=250", "o4-mini"),
        (300, 250)
    );
    assert_eq!(limited("max_completion_tokens", 100, "reasoning_tokens=250", "o4-mini"), (100, 100));
    let response = simulator.json(
        "/v1/responses",
        &json!({"model": "gpt-4o", "input": "[simulator: words=40]", "max_output_tokens": 20}),
    );
    assert_eq!(
        (&response["status"], &response["usage"]["output_tokens"]),
        (&json!("incomplete"), &json!(20))
    );
}

#[test]
fn a_refusal_is_not_billed() {
    let simulator = Simulator::start();
    assert_eq!(simulator.post(CHAT, "", &marked("error", "status=500", json!({}))).0, 500);
    assert_eq!(simulator.billed("error"), ("answered".to_owned(), 0, 0));
    let mut reset = simulator.begin(&marked("reset", "reset", json!({})));
    assert!(reset.read(&mut [0; 16]).is_err());
    assert_eq!(simulator.billed("reset"), ("broken".to_owned(), 0, 0));
}

#[test]
fn an_error_in_the_middle_bills_what_came() {
    let simulator = Simulator::start();
    let body = marked("error", "words=40; input_tokens=9; error_in_stream=7", json!({"stream": true}));
    assert!(simulator.post(CHAT, "", &body).1.unwrap().contains("server_error"));
    assert_eq!(simulator.billed("error"), ("broken".to_owned(), 9, 7));
    let body = marked("cut", "words=40; input_tokens=9; half_stream=7", json!({"stream": true}));
    assert!(simulator.post(CHAT, "", &body).1.is_err());
    assert_eq!(simulator.billed("cut"), ("broken".to_owned(), 9, 7));
}

#[test]
fn who_hangs_up_is_billed_what_was_produced_or_everything_as_the_provider_does() {
    let simulator = Simulator::start();
    let wishes = "words=40; input_tokens=9; reasoning_tokens=5; gate; gate_after=7";
    let streamed = json!({"stream": true});
    for (id, also, output) in [("stops", "", 5 + 7), ("goes on", "; bills_on", 5 + 40)] {
        let body = marked(id, &format!("{wishes}{also}"), streamed.clone());
        let mut stream = simulator.begin(&body);
        simulator.gate("GET", "?waiting=1");
        let mut first = [0; 64];
        stream.read_exact(&mut first).unwrap();
        drop(stream);
        assert_eq!(simulator.is_over(id), ("cancelled".to_owned(), 9, output));
    }
}

#[test]
fn who_hangs_up_before_the_answer_is_billed_the_input() {
    let simulator = Simulator::start();
    for (id, wishes) in [("late", "latency_ms=60000"), ("never", "hang"), ("waiting", "gate=closed")] {
        let stream = simulator.begin(&marked(id, &format!("{wishes}; words=40; input_tokens=9"), json!({})));
        while simulator.arrivals().iter().all(|arrival| arrival["billed"]["input_tokens"] != 9) {
            std::thread::sleep(Duration::from_millis(5));
        }
        drop(stream);
        assert_eq!(simulator.is_over(id), ("cancelled".to_owned(), 9, 0));
        simulator.agent.delete(format!("http://{}/_simulator/requests", simulator.address)).call().unwrap();
    }
}

#[test]
fn answers_wait_at_the_gate_until_it_is_opened() {
    let simulator = Simulator::start();
    std::thread::scope(|scope| {
        let ask = |id: &str| simulator.post(CHAT, "", &marked(id, "gate=one", json!({}))).0;
        let asked = [scope.spawn(move || ask("first")), scope.spawn(move || ask("second"))];
        assert_eq!(simulator.gate("GET", "?name=one&waiting=2"), json!({"open": false, "waiting": 2}));
        assert_eq!(
            (simulator.billed("first").0, simulator.billed("second").0),
            ("waiting".into(), "waiting".into())
        );
        simulator.gate("PUT", "?name=one");
        for thread in asked {
            assert_eq!(thread.join().unwrap(), 200);
        }
        assert_eq!(ask("third"), 200);
    });
    assert_eq!(simulator.gate("GET", "?name=one"), json!({"open": true, "waiting": 0}));
}

#[test]
fn a_prompt_is_counted_as_openais_cookbook_counts_it() {
    let simulator = Simulator::start();
    // Three for the message, one for its role, four for its text, three for the beginning of the answer.
    let usage = &simulator.json(
        CHAT,
        &json!({"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hello, world!"}]}),
    )["usage"];
    assert_eq!(usage["prompt_tokens"], 3 + 1 + 4 + 3);
}
