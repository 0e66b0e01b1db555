//! How long it takes to compile expressions, and to evaluate them for a request:
//! `cargo run --release -p policy --example speed`.

use std::hint::black_box;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use model::Secret;
use policy::facts::{
    Choice, Connection, Endpoint, Latencies, Metrics, ModelFacts, Randomness, Remembered, Request, Secrets,
};
use policy::value::List;
use policy::{Expression, Facts, Scope, Template};
use time::OffsetDateTime;

const RULES: &[&str] = &[
    "req.method == 'POST'",
    "req.headers['authorization'][0] != 'Bearer ' + secrets.get('gateway-auth', 'access-token')",
    "inCidrRanges(conn.client_ip, ['10.0.0.0/8', '192.168.0.0/16', '203.0.113.0/24'])",
    "req.url.path.startsWith('/v1/') && !req.url.path.matches('^/v1/(files|batches)')",
    "hasReqHeader('X-Tenant') && getReqHeader('X-Tenant')[0] in ['a', 'b', 'c']",
    "req.url.query_params['model'][0] == 'x'",
    "timestamp(time.now).getHours('America/New_York') >= 9",
    "req.headers.exists(name, name.startsWith('x-forwarded'))",
    "hash.sha256(req.headers['authorization'][0])",
];

const TEMPLATES: &[&str] =
    &["Bearer ${secrets.get('gateway-auth', 'access-token')}", "{\"id\":\"${req.id}\"}"];

const STRATEGIES: &[&str] = &[
    "ai.models",
    "ai.models.only(['gpt-4o', 'claude-sonnet'])",
    "ai.models.filter(m, m.provider_id == 'p1')",
    "ai.models.filter(m, 'vision' in m.supported_features).sortBy('price')",
    "ai.models.sortBy(m, m.metrics.global.latency.upstream_ms_avg)",
];

fn main() {
    let headers = headers();
    let (uri, random) = (Uri::from_static("/v1/chat/completions?model=x"), Randomness::seeded(1));
    let now = OffsetDateTime::UNIX_EPOCH;
    let address = IpAddr::from([203, 0, 113, 9]);
    let connection = Connection {
        client_ip: address,
        client_port: 50123,
        server_ip: address,
        server_port: 443,
        started_at: now,
        tls: None,
    };
    let endpoint = Endpoint {
        id: "ep_1".into(),
        url: "https://ai.example.com".into(),
        host: "ai.example.com".into(),
        port: 443,
        protocol: "https",
    };
    let request = Request {
        id: "req_1",
        method: &Method::POST,
        scheme: "https",
        authority: "ai.example.com",
        uri: &uri,
        version: Version::HTTP_11,
        headers: &headers,
        received_at: now,
        body_received_at: None,
    };
    let secret = Arc::new(Secret::new("letmein"));
    let find = |_: Option<&str>, _: &str| Some(secret.clone());
    let facts = Facts {
        secrets: Secrets::new(&find),
        connection: Some(&connection),
        endpoint: Some(&endpoint),
        request: Some(&request),
        ..Facts::new(now, &random)
    };
    for text in RULES {
        println!(
            "compile {:?}, evaluate {:?}: {text}",
            compiling(text, Scope::Request),
            evaluating(text, &facts)
        );
    }
    for text in TEMPLATES {
        let Ok(template) = Template::compile(text, Scope::Request) else { continue };
        println!("render {:?}: {text}", timed(20_000, || drop(black_box(template.render(&facts)))));
    }
    let models = models(400);
    let metrics = |at: usize, _: policy::facts::MetricsOf<'_>| Metrics {
        latency: Latencies { upstream: ((at * 7919 % 1000) as u32, 0), ..Latencies::default() },
        ..Metrics::default()
    };
    let choice = Choice { metrics: &metrics, ..Choice::of_models(&models) };
    let facts = Facts { choice: Some(&choice), ..facts };
    for text in STRATEGIES {
        let Ok(strategy) = Expression::compile(text, Scope::ModelStrategy) else { continue };
        let remembered = Remembered::default();
        let again = Choice { remembered: Some(&remembered), ..choice };
        let again = Facts { choice: Some(&again), ..facts };
        println!(
            "choose of {} models {:?}, again {:?}: {text}",
            models.len(),
            timed(500, || drop(black_box(strategy.choose(&facts)))),
            timed(500, || drop(black_box(strategy.choose(&again))))
        );
    }
}

fn compiling(text: &str, scope: Scope) -> Duration {
    timed(200, || drop(black_box(Expression::compile(black_box(text), scope))))
}

fn evaluating(text: &str, facts: &Facts<'_>) -> Duration {
    match Expression::compile(text, Scope::Request) {
        Ok(expression) => timed(20_000, || drop(black_box(expression.evaluate(black_box(facts))))),
        Err(error) => panic!("{text}: {error}"),
    }
}

/// What a client of an SDK sends, about.
fn headers() -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in
        ["accept", "accept-encoding", "content-length", "content-type", "host", "user-agent", "x-tenant"]
    {
        headers.insert(name, HeaderValue::from_static("some value of usual length"));
    }
    for name in
        ["x-stainless-lang", "x-stainless-os", "x-stainless-arch", "x-stainless-runtime", "x-request-id"]
    {
        headers.insert(name, HeaderValue::from_static("unknown"));
    }
    headers
        .insert("authorization", HeaderValue::from_static("Bearer ng-0123456789abcdef-g1-0123456789abcdef"));
    headers
}

fn models(count: usize) -> Vec<Arc<ModelFacts>> {
    let features: Arc<List> = Arc::new(["tool-calling", "vision"].into_iter().collect());
    (0..count)
        .map(|at| ModelFacts {
            supported_features: features.clone(),
            prices: vec![("text.input", (at * 31 % 97) as f64), ("text.output", 1.0)],
            ..ModelFacts::new(["p1", "p2", "p3"][at % 3], &format!("model-{at}"))
        })
        .map(Arc::new)
        .collect()
}

/// How long one of so many takes.
fn timed(times: u32, mut work: impl FnMut()) -> Duration {
    let began = Instant::now();
    (0..times).for_each(|_| work());
    began.elapsed() / times
}
