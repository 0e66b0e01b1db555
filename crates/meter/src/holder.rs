//! The task that asks Redis for holds, on a connection of its own so that they do not wait behind
//! settlements. What is asked while a call is under way goes into the next one.

use std::sync::Arc;
use std::time::Instant;

use model::Shard;
use redis::{Pipeline, RedisError, RedisResult, Value};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::warn;
use uuid::Uuid;

use crate::leases::Asked;
use crate::link::{Link, is_from_no_primary};
use crate::meter::Shared;
use crate::protocol::calls::{self, Held, More, Wanted};
use crate::protocol::{Scripts, era_is_over};

/// Holds in one call, so that no call takes Redis long.
const TOGETHER: usize = 64;
/// Requests in one round trip.
const ROUND: usize = 1024;

/// What Redis says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    /// This, in this era.
    Held(Held, u64),
    /// No era is open in which anything could be set aside.
    NoEra,
    /// Nothing. It may have been done or not.
    Silent,
}

/// The way to the task.
#[derive(Debug)]
pub(crate) struct Holder(mpsc::UnboundedSender<Ask>);

#[derive(Debug)]
pub(crate) struct Ask {
    shard: Shard,
    incarnation: Uuid,
    what: What,
}

#[derive(Debug)]
enum What {
    Hold(Wanted, oneshot::Sender<Answer>),
    Extend(Box<More>, oneshot::Sender<Answer>),
    Lease(Box<Asked>),
}

impl Holder {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<Ask>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    pub(crate) async fn hold(&self, shard: Shard, incarnation: Uuid, wanted: Wanted) -> Answer {
        self.ask(shard, incarnation, |answer| What::Hold(wanted, answer)).await
    }

    pub(crate) async fn extend(&self, shard: Shard, incarnation: Uuid, more: More) -> Answer {
        self.ask(shard, incarnation, |answer| What::Extend(Box::new(more), answer)).await
    }

    /// In the background.
    pub(crate) fn ask_lease(&self, asked: Asked) {
        let (shard, incarnation) = (asked.shard, asked.incarnation);
        let _ = self.0.send(Ask { shard, incarnation, what: What::Lease(Box::new(asked)) });
    }

    async fn ask(
        &self,
        shard: Shard,
        incarnation: Uuid,
        what: impl FnOnce(oneshot::Sender<Answer>) -> What,
    ) -> Answer {
        let (sender, receiver) = oneshot::channel();
        let _ = self.0.send(Ask { shard, incarnation, what: what(sender) });
        receiver.await.unwrap_or(Answer::Silent)
    }
}

/// Asks until told to stop.
pub(crate) async fn run(
    shared: Arc<Shared>,
    mut link: Link,
    mut asks: mpsc::UnboundedReceiver<Ask>,
    stop: CancellationToken,
) {
    let mut gathered = Vec::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            count = asks.recv_many(&mut gathered, ROUND) => if count == 0 { return },
        }
        round(&shared, &mut link, std::mem::take(&mut gathered)).await;
    }
}

/// What one command of a round trip asks for.
struct Question {
    scripts: Scripts,
    asks: Vec<Ask>,
}

async fn round(shared: &Shared, link: &mut Link, asks: Vec<Ask>) {
    let asked_at = Instant::now();
    // Who does not wait any more is not asked for.
    let asks = asks.into_iter().filter(|ask| !ask.is_given_up());
    let mut questions: Vec<Question> = Vec::new();
    for ask in asks {
        let Some(scripts) = shared.eras.scripts(ask.shard) else {
            shared.doubt(ask.shard);
            ask.hear(shared, Answer::NoEra, asked_at);
            continue;
        };
        match questions.iter_mut().find(|question| question.takes(&ask)) {
            Some(question) => question.asks.push(ask),
            None => questions.push(Question { scripts, asks: vec![ask] }),
        }
    }
    if questions.is_empty() {
        return;
    }
    let mut commands = redis::pipe();
    questions.iter().for_each(|question| question.write(&mut commands));
    let Ok(answers) = link.ask(&mut commands).await else {
        let asks = questions.into_iter().flat_map(|question| question.asks);
        return asks.for_each(|ask| ask.hear(shared, Answer::Silent, asked_at));
    };
    let mut is_lost = false;
    for (question, answer) in questions.into_iter().zip(answers) {
        is_lost |= question.hear(shared, answer, asked_at);
    }
    if is_lost {
        link.leave();
    }
}

impl Question {
    fn takes(&self, ask: &Ask) -> bool {
        let first = self.asks.first();
        first.is_some_and(|first| {
            first.shard == ask.shard
                && first.incarnation == ask.incarnation
                && first.wanted().is_some()
                && ask.wanted().is_some()
                && self.asks.len() < TOGETHER
        })
    }

    fn write(&self, commands: &mut Pipeline) {
        let Some(Ask { incarnation, what, .. }) = self.asks.first() else { return };
        let command = match what {
            What::Extend(more, _) => calls::extend(&self.scripts, *incarnation, more),
            What::Hold(..) | What::Lease(_) => {
                let wanted: Vec<&Wanted> = self.asks.iter().filter_map(Ask::wanted).collect();
                calls::hold(&self.scripts, *incarnation, &wanted)
            }
        };
        commands.add_command(command);
    }

    /// Says whether another server may be the one to ask by now.
    fn hear(self, shared: &Shared, answer: RedisResult<Value>, asked_at: Instant) -> bool {
        let Self { scripts, asks } = self;
        let (shard, era) = (scripts.shard(), scripts.era());
        if shared.eras.is_over(&scripts) {
            // Whatever was set aside ended with its era.
            asks.into_iter().for_each(|ask| ask.hear(shared, Answer::NoEra, asked_at));
            return false;
        }
        match answer.and_then(Value::extract_error).and_then(|answer| read(&asks, answer)) {
            Ok(answers) => {
                shared.watch(shard);
                for (ask, answer) in asks.into_iter().zip(answers) {
                    ask.hear(shared, Answer::Held(answer, era), asked_at);
                }
                false
            }
            Err(error) => {
                let is_over = era_is_over(&error);
                let answer = if is_over {
                    shared.doubt(shard);
                    Answer::NoEra
                } else {
                    warn!(shard = %shard, error = %error, "Redis refuses holds of shard {shard}");
                    Answer::Silent
                };
                asks.into_iter().for_each(|ask| ask.hear(shared, answer.clone(), asked_at));
                is_over || is_from_no_primary(&error)
            }
        }
    }
}

fn read(asks: &[Ask], answer: Value) -> Result<Vec<Held>, RedisError> {
    match asks.first().map(|ask| &ask.what) {
        Some(What::Extend(..)) => Ok(vec![Held::read(answer)?]),
        _ => Held::read_all(answer),
    }
}

impl Ask {
    fn wanted(&self) -> Option<&Wanted> {
        match &self.what {
            What::Hold(wanted, _) => Some(wanted),
            What::Lease(asked) => Some(&asked.wanted),
            What::Extend(..) => None,
        }
    }

    fn is_given_up(&self) -> bool {
        match &self.what {
            What::Hold(_, answer) | What::Extend(_, answer) => answer.is_closed(),
            What::Lease(_) => false,
        }
    }

    fn hear(self, shared: &Shared, answer: Answer, asked_at: Instant) {
        let Self { shard, incarnation, what } = self;
        let (id, is_unheard) = match what {
            What::Hold(wanted, listener) => {
                let was_taken = matches!(answer, Answer::Held(Held::Granted { .. }, _));
                (wanted.id, listener.send(answer).is_err() && was_taken)
            }
            What::Extend(more, listener) => {
                let _ = listener.send(answer);
                (more.id, false)
            }
            What::Lease(asked) => {
                let now = Instant::now();
                let is_known = match &answer {
                    Answer::Held(Held::Dead, _) => {
                        shared.is_dead(shard, incarnation);
                        shared.leases.refused(&asked, now);
                        true
                    }
                    Answer::Held(held, era) => shared.leases.answered(&asked, *era, held, asked_at, now),
                    Answer::NoEra | Answer::Silent => {
                        shared.leases.refused(&asked, now);
                        answer == Answer::NoEra
                    }
                };
                (asked.wanted.id, !is_known)
            }
        };
        // Nobody knows of it: whoever had asked has gone, or a lease may have been taken.
        if is_unheard {
            shared.release(shard, incarnation, id);
        }
    }
}
