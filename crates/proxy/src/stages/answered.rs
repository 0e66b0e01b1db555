//! What the gateway's traffic policy says of a provider's answer: it may change it, ask others about it, or tell
//! the caller something else. What the provider did is metered and paid for all the same.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderValue};
use http::response::Parts;
use http::{Response, StatusCode};
use http_body::Body as _;
use policy::Run;
use policy::actions::compress_response::Algorithm;
use policy::run::{Answer as Said, BodyWanted, Effect, Outcome, Relay, Step, Unavailable, Written};

use super::consult::{Consulted, unserved};
use super::inspect;
use crate::answer::Answer;
use crate::deps::Deps;
use crate::effects::{Whose, outcome};
use crate::headers;
use crate::refusal::{Listener, Refusal};
use crate::relayed::{Compressor, Ended, Messages, NotWhole, Relayed, Shown, unreadable};
use crate::visit::{self, Visit};

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

/// An answer's body.
enum Came {
    /// Nothing of it was read.
    Coming(Box<Relayed>),
    /// All of it was.
    Whole(Bytes, Box<Ended>),
}

/// What was found out about an answer.
enum Found {
    Relay(Relay),
    Instead(Said),
}

/// Bodies up to this length are looked through where they are; larger ones would keep others waiting.
const AT_ONCE: usize = 64 * 1024;

/// The caller's answer, as the policy leaves it.
pub(super) async fn answer(
    answered: Answered,
    consulted: Box<Consulted>,
    deps: &Arc<Deps>,
) -> Response<Answer> {
    let Answered { mut head, relayed, is_small, is_stream, listener } = answered;
    let reads_messages = is_stream && consulted.compiled.policy.reads_messages();
    let said = Head::of(&head.headers);
    let Consulted { run, whose, .. } = *consulted;
    let answer = (head.status, std::mem::take(&mut head.headers));
    let (found, run, mut came) = match looked_at(
        deps,
        (run, whose),
        answer,
        (Came::Coming(Box::new(relayed)), &said, is_stream),
    )
    .await
    {
        Ok(looked_at) => looked_at,
        Err((refusal, came)) => return came.broken(listener, refusal),
    };
    let relay = match found {
        Found::Instead(instead) => return told_instead(listener, came, is_small, instead).await,
        Found::Relay(_) if reads_messages && said.is_encoded() => {
            let refusal = unreadable("the stream is compressed, so that nothing in it can be read");
            return came.replaced(visit::told(listener, &refusal), Some(refusal));
        }
        Found::Relay(relay) => relay,
    };
    (head.status, head.headers) = (relay.status, relay.headers);
    headers::strip_answer(&mut head.headers);
    said.correct(&mut head.headers, relay.body.is_some() || relay.compress.is_some() || reads_messages);
    if reads_messages {
        head.headers.remove(header::ETAG);
    }
    if is_small && let Came::Coming(relayed) = came {
        came = match relayed.whole().await {
            Ok((bytes, ended)) => Came::Whole(bytes, Box::new(ended)),
            Err((refusal, visit)) => return visit.refused(&refusal),
        };
    }
    match came {
        Came::Whole(bytes, ended) => {
            let mut ended = *ended;
            let mut body = relay.body.unwrap_or(bytes);
            if let Some(algorithm) = relay.compress {
                body = compressed(algorithm, &mut head.headers, body).await;
            }
            let record = ended.visit.record();
            (record.status, record.response_bytes) = (head.status.as_u16(), body.len() as u64);
            ended.visit.mark(&mut head.headers);
            ended.close();
            Response::from_parts(head, Answer::Whole(body))
        }
        Came::Coming(mut relayed) => {
            let messages = reads_messages.then(|| Messages::new(run, deps.bounds.max_buffered_bytes));
            // Of a length that is known, nobody waits for a part.
            let flushes = is_stream || said.length.is_none();
            let compressor = relay.compress.and_then(|algorithm| Compressor::begin(algorithm, flushes));
            if relay.compress.is_some() && compressor.is_none() {
                head.headers.remove(header::CONTENT_ENCODING);
            }
            relayed.show(Shown::new(messages, compressor));
            if let Some(visit) = relayed.visit() {
                visit.record().status = head.status.as_u16();
            }
            relayed.mark(&mut head.headers);
            Response::from_parts(head, Answer::Relayed(relayed))
        }
    }
}

/// Walks through the rules for answers, and does what they ask for. If the answer breaks off meanwhile, that is
/// what is told.
async fn looked_at(
    deps: &Arc<Deps>,
    (mut run, whose): (Run, Whose),
    (status, headers): (StatusCode, HeaderMap),
    (mut came, said, is_stream): (Came, &Head, bool),
) -> Result<(Found, Run, Came), (Refusal, Came)> {
    let mut is_large = false;
    let mut step = run.response(status, headers, None);
    let found = loop {
        let outcome = match step {
            Step::Relay(relay) => break Found::Relay(relay),
            Step::Respond(answer) => break Found::Instead(answer),
            Step::Forward | Step::Ask(Effect::Dispatch(_) | Effect::RequestBody(_)) => {
                break Found::Instead(Said::Refused(unserved()));
            }
            // To look through a stream as a whole would be to keep it back until it ends.
            Step::Ask(Effect::ResponseBody(_)) if is_stream => Outcome::Body(Err(Unavailable)),
            Step::Ask(Effect::ResponseBody(wanted)) => {
                let body;
                (came, body) = came.whole(deps).await?;
                let body = match (body, wanted) {
                    (Some(body), BodyWanted::Plain) => {
                        inspect::plain(&deps.bounds, &said.encoding, &body).await.ok().flatten()
                    }
                    (body, _) => body,
                };
                is_large |= body.as_ref().is_some_and(|body| body.len() > AT_ONCE);
                Outcome::Body(body.ok_or(Unavailable))
            }
            Step::Ask(effect) => outcome(&deps.effects, whose, effect).await,
        };
        if !is_large {
            step = run.resume(outcome);
            continue;
        }
        let resumed = tokio::task::spawn_blocking(move || {
            let step = run.resume(outcome);
            (run, step)
        });
        (run, step) = match resumed.await {
            Ok(resumed) => resumed,
            Err(_) => return Err((Refusal::Bug, came)),
        };
    };
    if let Some(visit) = came.visit() {
        visit.log(run.take_logs());
    }
    Ok((found, run, came))
}

/// What the provider says of its body.
struct Head {
    /// `content-encoding`, and nothing else.
    encoding: HeaderMap,
    length: Option<HeaderValue>,
}

impl Head {
    fn of(headers: &HeaderMap) -> Self {
        let mut encoding = HeaderMap::new();
        for value in headers.get_all(header::CONTENT_ENCODING) {
            encoding.append(header::CONTENT_ENCODING, value.clone());
        }
        Self { encoding, length: headers.get(header::CONTENT_LENGTH).cloned() }
    }

    fn is_encoded(&self) -> bool {
        self.encoding.values().any(|encoding| encoding != "identity")
    }

    /// Lets headers say of the length what is true, whatever the policy wrote.
    fn correct(&self, headers: &mut HeaderMap, is_changed: bool) {
        match &self.length {
            Some(length) if !is_changed && headers.contains_key(header::CONTENT_LENGTH) => {
                headers.insert(header::CONTENT_LENGTH, length.clone());
            }
            _ => {
                headers.remove(header::CONTENT_LENGTH);
            }
        }
    }
}

impl Came {
    fn visit(&mut self) -> Option<&mut Visit> {
        match self {
            Self::Coming(relayed) => relayed.visit(),
            Self::Whole(_, ended) => Some(&mut ended.visit),
        }
    }

    /// All of it, if there is room.
    async fn whole(self, deps: &Deps) -> Result<(Self, Option<Bytes>), (Refusal, Self)> {
        let relayed = match self {
            Self::Whole(bytes, ended) => return Ok((Self::Whole(bytes.clone(), ended), Some(bytes))),
            Self::Coming(relayed) => relayed,
        };
        match relayed.whole_within(&deps.bounds).await {
            Ok((bytes, ended)) => Ok((Self::Whole(bytes.clone(), Box::new(ended)), Some(bytes))),
            Err(NotWhole::TooLong(relayed)) => Ok((Self::Coming(Box::new(relayed)), None)),
            Err(NotWhole::Broken(refusal, relayed)) => Err((refusal, Self::Coming(Box::new(relayed)))),
        }
    }

    /// It could not go on.
    fn broken(mut self, listener: Listener, refusal: Refusal) -> Response<Answer> {
        let mut response = visit::told(listener, &refusal);
        self.note(&mut response);
        match self {
            Self::Coming(relayed) => relayed.broken(refusal),
            Self::Whole(_, mut ended) => {
                ended.visit.blame(&refusal);
                ended.close();
            }
        }
        response
    }

    /// The caller is sent this instead.
    fn replaced(mut self, mut response: Response<Answer>, refusal: Option<Refusal>) -> Response<Answer> {
        self.note(&mut response);
        match self {
            Self::Coming(relayed) => relayed.replaced(refusal),
            Self::Whole(_, mut ended) => {
                match refusal {
                    Some(refusal) => ended.visit.blame(&refusal),
                    None => ended.visit.replaced(),
                }
                ended.close();
            }
        }
        response
    }

    /// Writes into the record what the caller is sent, and marks that as all answers are.
    fn note(&mut self, response: &mut Response<Answer>) {
        let Some(visit) = self.visit() else { return };
        visit.mark(response.headers_mut());
        let record = visit.record();
        record.status = response.status().as_u16();
        record.response_bytes = response.body().size_hint().lower();
        record.response_content_type = visit::content_type(response.headers()).chars().take(128).collect();
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
    if is_small && let Came::Coming(relayed) = came {
        came = match relayed.whole().await {
            Ok((bytes, ended)) => Came::Whole(bytes, Box::new(ended)),
            Err((broken, visit)) => {
                drop(visit.refused(&broken));
                return response;
            }
        };
    }
    came.replaced(response, refusal)
}

/// As the policy's author wrote it, but for what concerns only the connection and what would be mistaken
/// for ours.
pub(super) async fn as_written(Written { status, mut headers, body, compress }: Written) -> Response<Answer> {
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
