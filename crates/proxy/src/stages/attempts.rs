//! The attempts of a plan, one after the other, until one of them is worth handing on. Nothing of an
//! answer has reached the caller before that.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use model::usage::Outcome;
use providers::credits::Permit;
use providers::models::Candidate;

use super::admit;
use super::authenticate::Caller;
use super::consult::Consulted;
use super::dispatch::{self, Way};
use super::inspect::{self, Inquiry};
use super::notes::{self, Notes, Sent};
use super::patience::Patience;
use super::plan::Attempt;
use super::relay::Pending;
use super::resolve::{Place, Target};
use super::route::Credential;
use super::terms::Terms;
use crate::models;
use crate::rating::Rating;
use crate::refusal::{Refusal, Shape};
use crate::strategies::told::Chosen;
use crate::visit::Visit;

/// What is asked, by whom, and where.
pub struct Asking<'a> {
    /// The gateway.
    pub place: &'a Place,
    /// Who asks.
    pub caller: &'a Caller,
    /// What is asked.
    pub target: &'a Target,
}

/// What came of it.
pub enum Reply {
    /// A provider answers.
    Provider(Box<Pending>),
    /// We know the answer ourselves.
    Own(Bytes),
    /// The gateway's traffic policy knows it.
    Policy(Box<policy::run::Answer>),
}

/// Makes one attempt after the other, and tells the policy how that went.
pub async fn reply(
    visit: &mut Visit,
    asking: Asking<'_>,
    (plan, chosen): (Vec<Attempt>, Chosen),
    head: Parts,
    inquiry: Inquiry,
    consulted: Option<Box<Consulted>>,
) -> Result<Reply, Refusal> {
    let is_reported = consulted.as_ref().is_some_and(|consulted| consulted.reads_report());
    let mut notes = is_reported.then(|| Box::new(Notes::begin(visit, Some(&inquiry), chosen)));
    let asked = Instant::now();
    let terms = Terms::of(consulted.as_deref(), asking.target);
    let result = tried(visit, &asking, plan, head, inquiry, &terms, notes.as_deref_mut()).await;
    let Some(consulted) = consulted else { return result };
    consulted.fared(visit.deps(), asked, &result);
    concluded(visit, consulted, notes, result).await
}

/// What comes of a request that nobody could be asked, or that failed before anybody was.
pub async fn unasked(
    visit: &mut Visit,
    consulted: Option<Box<Consulted>>,
    refusal: Refusal,
) -> Result<Reply, Refusal> {
    let Some(consulted) = consulted else { return Err(refusal) };
    let chosen = match &refusal {
        Refusal::Unchosen(unchosen) => unchosen.chosen.clone(),
        _ => Chosen::default(),
    };
    let notes = consulted.reads_report().then(|| Box::new(Notes::begin(visit, None, chosen)));
    concluded(visit, consulted, notes, Err(refusal)).await
}

/// Lets the policy go on where it wants to when nobody answers well; else tells it what was done.
async fn concluded(
    visit: &mut Visit,
    mut consulted: Box<Consulted>,
    mut notes: Option<Box<Notes>>,
    result: Result<Reply, Refusal>,
) -> Result<Reply, Refusal> {
    let refusal = match result {
        Ok(Reply::Provider(mut pending)) => {
            let status = pending.dispatched.answer.status();
            let refusal = notes::failed(status)
                .then(|| Refusal::AllFailed(vec![answered(pending.rating.server.slug(), status)]));
            match refusal {
                Some(refusal) if consulted.continues() => {
                    if let Some(notes) = &mut notes {
                        notes.discarded(&mut pending, Patience::default()).await;
                    }
                    fail(visit, &pending);
                    refusal
                }
                refusal => {
                    if let Some(notes) = notes {
                        consulted.learns(&notes.report(refusal.as_ref().map(Refusal::reported)));
                    }
                    pending.consulted = Some(consulted);
                    return Ok(Reply::Provider(pending));
                }
            }
        }
        Err(refusal) if consulted.continues() && refusal.may_be_answered() => {
            visit.blame(&refusal);
            refusal
        }
        other => return other,
    };
    let report = notes.map(|notes| notes.report(Some(refusal.reported())));
    match consulted.goes_on(visit, report.as_ref()).await {
        Some(answer) => Ok(Reply::Policy(Box::new(answer))),
        None => Err(refusal),
    }
}

/// What fails by the caller's own fault fails at once: nobody else would answer it otherwise.
async fn tried(
    visit: &mut Visit,
    asking: &Asking<'_>,
    plan: Vec<Attempt>,
    head: Parts,
    mut inquiry: Inquiry,
    terms: &Terms<'_>,
    mut notes: Option<&mut Notes>,
) -> Result<Reply, Refusal> {
    terms.note_rejected(visit, &inquiry, notes.as_deref_mut());
    let plan = terms.short_enough(visit, plan, &inquiry, notes.as_deref_mut()).await?;
    if plan.len() > 1 {
        visit.may_try_again();
    }
    let mut failures: Vec<Failure> = Vec::new();
    let (mut plan, mut head) = (plan.into_iter().peekable(), Some(head));
    while let Some(attempt) = plan.next() {
        let is_last = plan.peek().is_none();
        // The last one takes it with it: most requests have one attempt, and no copy is made for it.
        let head = if is_last { head.take() } else { head.clone() }.ok_or(Refusal::Bug)?;
        let server = attempt.server.clone();
        let fitted = match attempt.model.is_none() && notes.is_none() && terms.are_none() {
            true => None,
            false => fitted(asking.target, &attempt, &mut inquiry, terms, notes.as_deref_mut())?,
        };
        let asked = match fitted {
            Some(fitted) => fitted,
            // The only one, or the last, takes it as it is, without a copy.
            None if is_last => std::mem::replace(&mut inquiry, Inquiry::nothing()),
            None => inquiry.handed_over(),
        };
        let mut sent = notes.is_some().then(Sent::default);
        let way = (head, terms.patience, sent.as_mut());
        let mut result = attempted(visit, asking, attempt, asked, way).await;
        if let Some((notes, sent)) = notes.as_deref_mut().zip(sent) {
            notes.came(sent, &result);
        }
        let failure = Failure::of(server.slug(), &result);
        let is_last = is_last || terms.patience.is_over();
        let is_told = |failure: &Failure| is_last && failures.iter().all(|earlier| earlier.is_like(failure));
        let failure = match failure {
            Some(failure) if !is_told(&failure) => failure,
            _ => return result,
        };
        failures.push(failure);
        match &mut result {
            Err(refusal) => visit.blame(refusal),
            Ok(Reply::Provider(pending)) => {
                if let Some(notes) = &mut notes {
                    notes.discarded(pending, terms.patience).await;
                }
                fail(visit, pending);
            }
            Ok(Reply::Own(_) | Reply::Policy(_)) => (),
        }
        if is_last {
            break;
        }
        visit.again();
    }
    let failures = failures.into_iter().map(|failure| failure.text).collect();
    match terms.patience.is_over() {
        true => Err(Refusal::OutOfTime(failures)),
        false => Err(Refusal::AllFailed(failures)),
    }
}

/// What is asked of one of those who may be asked; nothing if that is what came.
fn fitted(
    target: &Target,
    attempt: &Attempt,
    inquiry: &mut Inquiry,
    terms: &Terms<'_>,
    notes: Option<&mut Notes>,
) -> Result<Option<Inquiry>, Refusal> {
    let model = attempt.model.as_ref().unwrap_or(&inquiry.model).clone();
    if let Some(notes) = notes {
        let candidate = terms.candidate(attempt, &model);
        notes.tries(attempt, &model, candidate.as_ref().map(Candidate::author).unwrap_or_default());
    }
    let fitting = terms.fitting(attempt, &model);
    if fitting.is_plain() {
        return Ok(None);
    }
    inquiry.fitted(target, &fitting).map(Some)
}

/// One attempt.
async fn attempted(
    visit: &mut Visit,
    asking: &Asking<'_>,
    attempt: Attempt,
    mut inquiry: Inquiry,
    (head, patience, sent): (Parts, Patience, Option<&mut Sent>),
) -> Result<Reply, Refusal> {
    let Asking { place, caller, target } = *asking;
    let Attempt { server, model, credential, watched } = attempt;
    visit.watched = watched;
    let quota = server.provider.quota;
    let is_told = matches!(visit.shape, Shape::Ngrok(_)) && !inquiry.model.is_empty();
    let model = model.as_ref().or(is_told.then_some(&inquiry.model));
    visit.asked = model.map(|model| format!("{}:{model}", server.id()));
    visit.removed = std::mem::take(&mut inquiry.removed);
    visit.output_limit = inquiry.output_limit;
    server.slug().clone_into(&mut visit.record().provider);
    let facts = match credential {
        Credential::None
        | Credential::Request(..)
        | Credential::Stored(_)
        | Credential::Bound(_)
        | Credential::Policy(_) => None,
        Credential::Credits => match inspect::permit(server.provider, target, &head, &inquiry)? {
            Permit::Call(facts) => Some(facts),
            list => return models::on_credits(visit, place, server.provider, list).map(Reply::Own),
        },
    };
    let whom = (&server, target.endpoint, &credential);
    let snapshot = visit.deps().snapshot.load_full();
    let arrival = visit.arrival();
    let rating = Rating::new(&snapshot, arrival, place, caller, whom, &mut inquiry, &head.headers)?;
    let rating = Arc::new(rating);
    let asked = admit::Asked {
        place,
        caller,
        credential: &credential,
        facts,
        inquiry: &mut inquiry,
        rating: &rating,
    };
    let admission = admit::admission(visit, asked).await?;
    let way = Way { place, caller, target, server, credential, patience, sent };
    let dispatched = dispatch::dispatched(visit, way, admission, head, &mut inquiry).await?;
    visit.answered(quota, dispatched.answer.status(), dispatched.answer.headers());
    let hides_usage = inquiry.hides_usage;
    Ok(Reply::Provider(Box::new(Pending { dispatched, rating, hides_usage, consulted: None })))
}

/// Why somebody else may be asked.
struct Failure {
    text: String,
    class: u16,
}

impl Failure {
    /// Nothing if nobody else would do better.
    fn of(provider: &str, result: &Result<Reply, Refusal>) -> Option<Self> {
        match result {
            Ok(Reply::Own(_) | Reply::Policy(_)) => None,
            Ok(Reply::Provider(pending)) => {
                let status = pending.dispatched.answer.status();
                let text = answered(provider, status);
                fails_over(status).then(|| Self { text, class: status.as_u16() / 100 })
            }
            Err(refusal) if refusal.is_of_one_provider() => {
                Some(Self { text: refusal.to_string(), class: refusal.status().as_u16() })
            }
            Err(_) => None,
        }
    }

    /// Whether a caller who is told of one of them knows about the other.
    fn is_like(&self, other: &Self) -> bool {
        self.class == other.class
    }
}

fn answered(provider: &str, status: StatusCode) -> String {
    format!("`{provider}` answered {status}")
}

/// Whether somebody else may do better: not where the provider says that the request is wrong, unless it
/// means who asks, or when.
fn fails_over(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 408 | 429 | 500..)
}

/// Notes an answer that nobody is sent.
fn fail(visit: &mut Visit, pending: &Pending) {
    let record = visit.record();
    record.status = pending.dispatched.answer.status().as_u16();
    record.outcome = Outcome::Failed;
    record.cause = "failed_over".to_owned();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_else_is_asked_what_is_wrong_with_the_request() {
        let over = [401, 403, 408, 429, 500, 502, 529];
        let stays = [200, 201, 301, 400, 404, 409, 413, 422];
        let fails_over = |status: &u16| fails_over(StatusCode::from_u16(*status).unwrap());
        assert!(over.iter().all(fails_over) && !stays.iter().any(fails_over));
    }
}
