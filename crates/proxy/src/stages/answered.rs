//! What the gateway's traffic policy says of a provider's answer: it may change it, ask others about it, or tell
//! the caller something else. What the provider did is metered and paid for all the same.

mod came;

use bytes::Bytes;
use http::header::{self, HeaderMap};
use http::response::Parts;
use http::{Response, StatusCode};
use policy::Run;
use policy::actions::compress_response::Algorithm;
use policy::run::{Answer as Said, BodyWanted, Effect, Outcome, Relay, Step, Unavailable, Written};

use self::came::{Came, Described};
use super::consult::{Consulted, out_of_turn};
use super::inspect;
use crate::answer::Answer;
use crate::deps::Deps;
use crate::effects::{Whose, outcome};
use crate::headers;
use crate::refusal::{Listener, Refusal};
use crate::relayed::{Compressor, Messages, Relayed, Shown, unreadable};
use crate::visit;

/// An answer whose head has come, and nothing of which was sent.
pub(super) struct Answered {
    /// Its head, as the provider wrote it but for what concerns only the connections.
    pub(super) head: Parts,
    /// All else.
    pub(super) relayed: Relayed,
    /// Whether it is short and comes at once.
    pub(super) is_small: bool,
    /// Whether it is a stream of events.
    pub(super) is_stream: bool,
    /// Whom a refusal would be told.
    pub(super) listener: Listener,
}

/// Bodies up to this length are looked through where they are; larger ones would keep others waiting.
const AT_ONCE: usize = 64 * 1024;

/// The caller's answer, as the policy leaves it.
pub(super) async fn answer(answered: Answered, consulted: Box<Consulted>, deps: &Deps) -> Response<Answer> {
    let Answered { mut head, relayed, is_small, is_stream, listener } = answered;
    let reads_messages = is_stream && consulted.compiled.policy.reads_messages();
    let described = Described::by(&head.headers);
    let Consulted { run, whose, .. } = *consulted;
    let mut looking = Looking { deps, run: Some(run), whose, described, is_stream, came: Came::new(relayed) };
    let found = looking.look(head.status, std::mem::take(&mut head.headers)).await;
    let Looking { run, described, mut came, .. } = looking;
    let relay = match found {
        Err(refusal) => return came.broken(listener, refusal),
        Ok(Found::Instead(instead)) => return told_instead(listener, came, is_small, instead).await,
        Ok(Found::Relay(_)) if reads_messages && described.is_encoded() => {
            let refusal = unreadable("the stream is compressed, so that nothing in it can be read");
            return came.replaced(visit::told(listener, &refusal), Some(refusal));
        }
        Ok(Found::Relay(relay)) => relay,
    };
    (head.status, head.headers) = (relay.status, relay.headers);
    headers::strip_answer(&mut head.headers);
    let is_changed = relay.body.is_some() || relay.compress.is_some() || reads_messages;
    described.correct(&mut head.headers, is_changed);
    if reads_messages {
        head.headers.remove(header::ETAG);
    }
    if is_small && let Err((refusal, visit)) = came.read_small().await {
        return visit.refused(&refusal);
    }
    if let Some(read) = came.read() {
        let mut body = relay.body.unwrap_or(read);
        if let Some(algorithm) = relay.compress {
            body = compressed(algorithm, &mut head.headers, body).await;
        }
        return came.sent(head, body);
    }
    let messages = run.filter(|_| reads_messages);
    let messages = messages.map(|run| Messages::new(run, deps.bounds.max_buffered_bytes));
    // Of a length that is known, nobody waits for a part.
    let flushes = is_stream || described.length.is_none();
    let compressor = relay.compress.and_then(|algorithm| Compressor::begin(algorithm, flushes));
    if relay.compress.is_some() && compressor.is_none() {
        head.headers.remove(header::CONTENT_ENCODING);
    }
    came.flows(head, Shown::new(messages, compressor))
}

/// A policy that looks at an answer.
struct Looking<'d> {
    deps: &'d Deps,
    /// Away while it works where nobody waits for it.
    run: Option<Run>,
    whose: Whose,
    described: Described,
    is_stream: bool,
    came: Came,
}

/// What was found out about an answer.
enum Found {
    Relay(Relay),
    Instead(Said),
}

impl Looking<'_> {
    /// Walks through the rules for answers, and does what they ask for. If the answer breaks off meanwhile,
    /// that is what is told.
    async fn look(&mut self, status: StatusCode, headers: HeaderMap) -> Result<Found, Refusal> {
        let run = self.run.as_mut().ok_or(Refusal::Bug)?;
        let (mut step, mut is_large) = (run.response(status, headers, None), false);
        let found = loop {
            let outcome = match step {
                Step::Relay(relay) => break Found::Relay(relay),
                Step::Respond(answer) => break Found::Instead(answer),
                Step::Forward | Step::Ask(Effect::Dispatch(_) | Effect::RequestBody(_)) => {
                    break Found::Instead(Said::Refused(out_of_turn()));
                }
                Step::Ask(Effect::ResponseBody(wanted)) => {
                    let body = self.body(wanted).await?;
                    is_large |= body.as_ref().is_some_and(|body| body.len() > AT_ONCE);
                    Outcome::Body(body.ok_or(Unavailable))
                }
                Step::Ask(effect) => outcome(&self.deps.effects, self.whose, effect).await,
            };
            step = self.resumed(outcome, is_large).await?;
        };
        if let (Some(run), Some(visit)) = (&mut self.run, self.came.visit()) {
            visit.log(run.take_logs());
        }
        Ok(found)
    }

    /// The answer's body in the form that is wanted, if it can be read. To look through a stream as a whole
    /// would be to keep it back until it ends.
    async fn body(&mut self, wanted: BodyWanted) -> Result<Option<Bytes>, Refusal> {
        if self.is_stream {
            return Ok(None);
        }
        let bounds = &self.deps.bounds;
        Ok(match (self.came.whole(bounds).await?, wanted) {
            (Some(body), BodyWanted::Plain) => {
                inspect::plain(bounds, &self.described.encoding, &body).await.ok().flatten()
            }
            (body, _) => body,
        })
    }

    async fn resumed(&mut self, outcome: Outcome, is_large: bool) -> Result<Step, Refusal> {
        let mut run = self.run.take().ok_or(Refusal::Bug)?;
        let (run, step) = if is_large {
            let resuming = tokio::task::spawn_blocking(move || {
                let step = run.resume(outcome);
                (run, step)
            });
            resuming.await.map_err(|_| Refusal::Bug)?
        } else {
            let step = run.resume(outcome);
            (run, step)
        };
        self.run = Some(run);
        Ok(step)
    }
}

/// What the policy says in the place of the provider's answer. A short one of those is read to its end first,
/// and counted as if it had been sent.
async fn told_instead(listener: Listener, mut came: Came, is_small: bool, said: Said) -> Response<Answer> {
    let (response, refusal) = match said {
        Said::Written(written) => (as_written(written).await, None),
        Said::Refused(refusal) => {
            let refusal = Refusal::Policy(Box::new(refusal));
            (visit::told(listener, &refusal), Some(refusal))
        }
    };
    if is_small && let Err((broken, visit)) = came.read_small().await {
        drop(visit.refused(&broken));
        return response;
    }
    came.replaced(response, refusal)
}

/// As the policy's author wrote it, but for what concerns only the connection and what would be mistaken
/// for ours.
pub(super) async fn as_written(written: Written) -> Response<Answer> {
    let Written { status, mut headers, body, compress } = written;
    headers::strip_answer(&mut headers);
    headers.remove(header::CONTENT_LENGTH);
    let body = match compress {
        Some(algorithm) => compressed(algorithm, &mut headers, body).await,
        None => body,
    };
    let mut response = Response::new(Answer::Whole(body));
    (*response.status_mut(), *response.headers_mut()) = (status, headers);
    response
}

/// A body in fewer bytes, or as it was if there is no room for that.
async fn compressed(algorithm: Algorithm, headers: &mut HeaderMap, body: Bytes) -> Bytes {
    let shorter = if body.is_empty() { None } else { Compressor::whole(algorithm, body.clone()).await };
    shorter.unwrap_or_else(|| {
        headers.remove(header::CONTENT_ENCODING);
        body
    })
}
