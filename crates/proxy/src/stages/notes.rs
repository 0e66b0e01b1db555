//! What is noted of the work of an `ai-gateway` action, for a policy whose rules read it. Of other requests
//! nothing is.

use std::time::{Duration, Instant};

use http::{HeaderValue, Response, header};
use http_body_util::BodyExt as _;
use policy::actions::ai_gateway::report::{self, MOST_BODY_ON_ERROR, Report, Tried};

use super::attempts::Reply;
use super::inspect::Inquiry;
use super::patience::Patience;
use super::plan::Attempt;
use super::relay::Pending;
use super::route::Credential;
use crate::headers;
use crate::refusal::Refusal;
use crate::strategies::told::{Chosen, KeySelection, ModelSelection};
use crate::upstream::AnswerBody;
use crate::visit::{Visit, bounded};

/// How long the beginning of a failed answer's body is waited for.
const BODY_TAKES: Duration = Duration::from_secs(1);

/// What was done so far.
pub struct Notes {
    report: Report,
    chosen: Chosen,
    /// How long the request took before these began.
    before: Duration,
    began: Instant,
    /// How long providers were waited for.
    waited: Duration,
}

/// What one attempt sends, and when.
#[derive(Default)]
pub struct Sent {
    url: String,
    api_key: String,
    at: Option<Instant>,
}

impl Sent {
    /// A request goes there, with such a key.
    pub fn leaves(&mut self, url: String, credential: &Credential, header: Option<&HeaderValue>) {
        self.url = url;
        self.at = Some(Instant::now());
        // What the operator pays with is not told to those who use it.
        let header = header.filter(|_| !matches!(credential, Credential::Credits));
        let text = header.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = text
            .get(..7)
            .filter(|scheme| scheme.eq_ignore_ascii_case("bearer "))
            .map_or(text, |_| &text[7..]);
        self.api_key = report::redacted(key.trim());
    }
}

impl Notes {
    /// Nothing was done yet but choosing.
    pub fn begin(visit: &Visit, inquiry: Option<&Inquiry>, chosen: Chosen) -> Self {
        let report = Report {
            model: inquiry.map(|inquiry| inquiry.model_asked.clone()).unwrap_or_default(),
            models: inquiry.map(|inquiry| some(&inquiry.alternatives)).unwrap_or_default(),
            selection: chosen.models.iter().map(selection).collect(),
            ..Report::default()
        };
        Self { report, chosen, before: visit.age(), began: Instant::now(), waited: Duration::ZERO }
    }

    /// The prompt has so many tokens by our estimate.
    pub fn estimated(&mut self, tokens: u64) {
        self.report.input_tokens.get_or_insert(tokens);
    }

    /// A model is not tried.
    pub fn rejected(&mut self, model: &str, reason: &str) {
        if self.report.rejected.iter().all(|rejected| rejected.model != model) {
            self.report
                .rejected
                .push(report::Rejected { model: model.to_owned(), reason: reason.to_owned() });
        }
    }

    /// Somebody is about to be asked.
    pub fn tries(&mut self, attempt: &Attempt, model: &str, author: &str) {
        let provider = attempt.server.id();
        if self.report.tried.last().is_some_and(|tried| tried.model == model && tried.provider == provider) {
            return;
        }
        let name = format!("{provider}:{model}");
        let keys = self.chosen.keys.iter().find(|keys| *keys.model == *name);
        self.report.tried.push(Tried {
            model: model.to_owned(),
            provider: provider.to_owned(),
            author: author.to_owned(),
            keys: keys.map(|keys| keys.selections.iter().map(key_selection).collect()).unwrap_or_default(),
            requests: Vec::new(),
        });
    }

    /// That was asked, and this came of it. What was refused here before it was sent is no request.
    pub fn came(&mut self, sent: Sent, result: &Result<Reply, Refusal>) {
        let (Some(tried), Some(at)) = (self.report.tried.last_mut(), sent.at) else { return };
        let took = at.elapsed();
        self.waited += took;
        let mut request = report::Request {
            url: sent.url,
            api_key: sent.api_key,
            total: took,
            ..report::Request::default()
        };
        match result {
            Ok(Reply::Provider(pending)) => {
                let status = pending.dispatched.answer.status();
                let mut headers = pending.dispatched.answer.headers().clone();
                if pending.rating.markup().is_some() {
                    headers::strip_operators(&mut headers);
                }
                request.first_byte = Some(took);
                request.error = failed(status).then(|| format!("the answer was {status}"));
                request.response = Some(report::Response { status, headers, body_on_error: Vec::new() });
            }
            Ok(Reply::Own(_) | Reply::Policy(_)) => (),
            Err(refusal) => request.error = Some(refusal.to_string()),
        }
        tried.requests.push(request);
    }

    /// The answer that came last goes to nobody, so that its beginning can be looked at.
    pub async fn discarded(&mut self, pending: &mut Pending, patience: Patience) {
        let last = self.report.tried.last_mut().and_then(|tried| tried.requests.last_mut());
        let Some(report::Request { response: Some(response), total, .. }) = last else { return };
        let began = Instant::now();
        response.body_on_error = beginning(&mut pending.dispatched.answer, patience).await;
        *total += began.elapsed();
        self.waited += began.elapsed();
    }

    /// All of it, with the reason why nobody answered, if nobody did.
    pub fn report(mut self, error: Option<report::Error>) -> Report {
        self.report.error = error;
        self.report.gateway_latency = (self.before + self.began.elapsed()).saturating_sub(self.waited);
        self.report
    }
}

/// The first of the names that a caller wrote, who may write any number.
fn some(names: &[String]) -> Vec<String> {
    names.iter().take(50).map(|name| bounded(name, 256)).collect()
}

/// Whether a status says that something went wrong.
pub fn failed(status: http::StatusCode) -> bool {
    status.is_client_error() || status.is_server_error()
}

/// The first bytes of a body that can be read as they are.
async fn beginning(answer: &mut Response<AnswerBody>, patience: Patience) -> Vec<u8> {
    let mut begun = Vec::new();
    if answer.headers().get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return begun;
    }
    let reading = async {
        while begun.len() < MOST_BODY_ON_ERROR
            && let Some(Ok(frame)) = answer.body_mut().frame().await
        {
            let data = frame.data_ref().map(|data| &**data).unwrap_or_default();
            begun.extend_from_slice(&data[..data.len().min(MOST_BODY_ON_ERROR - begun.len())]);
        }
    };
    // What has come until then is told.
    let _ = tokio::time::timeout(patience.within(BODY_TAKES), reading).await;
    begun
}

fn selection(selection: &ModelSelection) -> report::Selection {
    let ModelSelection {
        strategy,
        error,
        candidates_returned,
        candidates_after_allowed_filter,
        candidates_after_client_filter,
        models_to_try,
    } = selection;
    report::Selection {
        strategy: strategy.clone(),
        error: error.clone(),
        returned: candidates_returned.names.clone(),
        allowed: candidates_after_allowed_filter.names.clone(),
        named: candidates_after_client_filter.names.clone(),
        to_try: models_to_try.names.clone(),
    }
}

fn key_selection(selection: &KeySelection) -> report::KeySelection {
    let KeySelection { strategy, error, keys_to_try } = selection;
    report::KeySelection { strategy: strategy.clone(), error: error.clone(), to_try: keys_to_try.clone() }
}
