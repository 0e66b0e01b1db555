//! One request, from its arrival to its answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{Method, Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use crate::answer::Answer;
use crate::arrivals::Arrivals;
use crate::behaviour::{Behaviour, Failure, Failures};
use crate::delivery::{self, Body};
use crate::error::Refusal;
use crate::gates::Gates;
use crate::listener::{self, Abort, Unanswered};
use crate::question::{Dialect, Question};
use crate::{anthropic, control, credentials, google, openai};

/// Everything that outlives a request.
#[derive(Default)]
pub(crate) struct Simulator {
    /// What it is called where there are several.
    pub(crate) name: String,
    pub(crate) arrivals: Arc<Arrivals>,
    pub(crate) failures: Failures,
    pub(crate) gates: Gates,
    pub(crate) openai: openai::Shelf,
}

/// Serves the simulated provider until the process is told to stop.
pub(crate) async fn run(addr: SocketAddr, name: String) -> anyhow::Result<()> {
    let simulator = Arc::new(Simulator { name, ..Simulator::default() });
    listener::listen("Simulator", addr, move |request, abort| answer(Arc::clone(&simulator), request, abort))
        .await
}

async fn answer(
    simulator: Arc<Simulator>,
    request: Request<Incoming>,
    abort: Abort,
) -> Result<Response<Body>, Unanswered> {
    if request.uri().path() == "/healthz" {
        return Ok(Response::new(Body::whole("ok")));
    }
    if request.uri().path().starts_with(control::PREFIX) {
        return Ok(control::answer(&simulator, &request).await);
    }

    let started = Instant::now();
    let (head, body) = request.into_parts();
    let mut arrival = simulator.arrivals.begin(&head);
    let body = body.collect().await.map_err(|_| Unanswered)?.to_bytes();
    let mut question = Question::new(head, body);
    arrival.received(&question);
    let mut behaviour = Behaviour::taken_from(&mut question, &simulator.name);
    simulator.failures.spend(&mut behaviour);

    let answer = answered(&simulator, &question, &behaviour).await;
    if let (Ok(answer), false) = (&answer, behaviour.produces_nothing()) {
        arrival.accepted(answer.bill, behaviour.bills_on);
    }

    if !behaviour.latency.is_zero() {
        tokio::time::sleep(behaviour.latency).await;
    }
    let gate = behaviour.gate.as_deref().map(|name| simulator.gates.named(name));
    if let (Some(gate), None) = (&gate, behaviour.gate_after) {
        Arc::clone(gate).pass().await;
    }
    match behaviour.failure {
        Some(Failure::Hang) => std::future::pending().await,
        Some(Failure::Reset) => {
            abort.reset();
            arrival.broken();
            return Err(Unanswered);
        }
        Some(Failure::HangUp) => {
            arrival.broken();
            return Err(Unanswered);
        }
        _ => {}
    }
    if question.head.method == Method::HEAD {
        arrival.answered();
    }
    Ok(delivery::response(answer, question.dialect(), &behaviour, gate, arrival, started.elapsed()))
}

async fn answered(
    simulator: &Simulator,
    question: &Question,
    behaviour: &Behaviour,
) -> Result<Answer, Refusal> {
    credentials::check(question)?;
    if let Some(Failure::Status(status)) = behaviour.failure {
        let model = question.json.get("model").and_then(serde_json::Value::as_str).unwrap_or("gpt-4o-mini");
        return Err(match question.dialect() {
            Dialect::OpenAi => Refusal::of_status(status, model),
            Dialect::Anthropic => anthropic::refused(status, model),
            Dialect::Google => google::refused(status),
        });
    }
    match question.dialect() {
        Dialect::OpenAi => openai::answer(&simulator.openai, question, behaviour).await,
        Dialect::Anthropic => anthropic::answer(question, behaviour),
        Dialect::Google => google::answer(question, behaviour),
    }
}
