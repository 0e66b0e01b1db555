//! What is true of every call's course: it is timed, counted, ended in time, and written down if it
//! may have changed something.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use axum::extract::{MatchedPath, Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use prometheus::{HistogramVec, register_histogram_vec};
use tracing::{debug, info};

use super::error::ApiError;
use super::spans::Spans;

/// No call takes this long; who is still sending by then will not finish.
const DEADLINE: Duration = Duration::from_secs(60);

static SECONDS: LazyLock<Option<HistogramVec>> = LazyLock::new(|| {
    let help = "Seconds that calls of the management API took";
    register_histogram_vec!("tollgate_api_request_seconds", help, &["method", "route", "status"]).ok()
});

pub(super) async fn observe(State(spans): State<Option<Spans>>, request: Request, next: Next) -> Response {
    let started = Instant::now();
    let span = spans.as_ref().map(|spans| (spans, spans.begin(request.headers())));
    let method = request.method().clone();
    // The route and never the path: ids of tenants belong neither into labels nor into logs.
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = matched.map_or("none", |path| path.strip_prefix("/client/v4").unwrap_or(path)).to_owned();
    let response = match tokio::time::timeout(DEADLINE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::TimedOut.into_response(),
    };
    let status = response.status();
    let elapsed = started.elapsed();
    if let Some(seconds) = &*SECONDS {
        let labels = [known(&method), &route, status.as_str()];
        seconds.with_label_values(&labels).observe(elapsed.as_secs_f64());
    }
    if let Some((spans, begun)) = span {
        spans.end(&begun, known(&method), &route, status.as_u16());
    }
    let milliseconds = elapsed.as_millis() as u64;
    if method.is_safe() {
        debug!(http.request.method = %method, http.route = route, http.response.status_code = status.as_u16(),
            milliseconds, "{method} {route} was answered with {status}");
    } else {
        info!(http.request.method = %method, http.route = route, http.response.status_code = status.as_u16(),
            milliseconds, "{method} {route} was answered with {status}");
    }
    response
}

/// A method as a label: callers can invent methods, and labels must not grow with them.
fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}
