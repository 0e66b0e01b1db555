//! The one timer of a request: it notices a provider that stands still, a token that was revoked, a
//! gateway that was deleted and a process that must end.
//!
//! It looks twice a second instead of being told, because being told means to sign up in a list that
//! all requests of the token share, and nearly all of them are over before anything happens.

use std::future::Future as _;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Watches over a request while it waits.
#[derive(Debug)]
pub struct Watch {
    /// Made when first waited for.
    timer: Option<Pin<Box<Sleep>>>,
    deadline: Instant,
    revoked: Option<CancellationToken>,
    deleted: CancellationToken,
    ending: CancellationToken,
}

/// Why a request may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// Nothing came until the deadline.
    Still,
    /// The caller's token was revoked.
    Revoked,
    /// The gateway was deleted.
    Deleted,
    /// The process ends.
    Ending,
}

impl Watch {
    /// A watch over something that must come within `patience` from now.
    pub fn new(
        patience: Duration,
        revoked: Option<CancellationToken>,
        deleted: CancellationToken,
        ending: CancellationToken,
    ) -> Self {
        Self { timer: None, deadline: Instant::now() + patience, revoked, deleted, ending }
    }

    /// Something must come within `patience` from now. Costs no more than reading the clock.
    pub fn expect_within(&mut self, patience: Duration) {
        let before = self.deadline;
        self.deadline = Instant::now() + patience;
        if self.deadline < before
            && let Some(timer) = &mut self.timer
        {
            timer.as_mut().reset(next_look(self.deadline));
        }
    }

    /// Nobody waits for it any more, so it goes on whatever becomes of the caller's token and gateway.
    pub fn is_unattended(&mut self) {
        self.revoked = None;
        self.deleted = CancellationToken::new();
    }

    /// Ready when the request may not go on.
    pub fn poll_alarm(&mut self, context: &mut Context<'_>) -> Poll<Alarm> {
        loop {
            let deadline = self.deadline;
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(next_look(deadline))));
            ready!(timer.as_mut().poll(context));
            if let Some(alarm) = self.look() {
                return Poll::Ready(alarm);
            }
            if let Some(timer) = &mut self.timer {
                timer.as_mut().reset(next_look(deadline));
            }
        }
    }

    /// What can be seen right now.
    pub fn look(&self) -> Option<Alarm> {
        if self.revoked.as_ref().is_some_and(CancellationToken::is_cancelled) {
            Some(Alarm::Revoked)
        } else if self.deleted.is_cancelled() {
            Some(Alarm::Deleted)
        } else if self.ending.is_cancelled() {
            Some(Alarm::Ending)
        } else {
            (Instant::now() >= self.deadline).then_some(Alarm::Still)
        }
    }
}

fn next_look(deadline: Instant) -> Instant {
    deadline.min(Instant::now() + LOOK_EVERY)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    fn watch(revoked: &CancellationToken) -> Watch {
        let (deleted, ending) = (CancellationToken::new(), CancellationToken::new());
        Watch::new(Duration::from_secs(60), Some(revoked.clone()), deleted, ending)
    }

    #[tokio::test]
    async fn a_deadline_is_met_and_a_later_one_replaces_it() {
        let mut watch = watch(&CancellationToken::new());
        watch.expect_within(Duration::from_millis(20));
        let begin = std::time::Instant::now();
        assert_eq!(poll_fn(|context| watch.poll_alarm(context)).await, Alarm::Still);
        assert!(begin.elapsed() >= Duration::from_millis(20));
        watch.expect_within(Duration::from_secs(60));
        assert_eq!(watch.look(), None);
    }

    #[tokio::test]
    async fn a_revoked_token_is_noticed_within_a_second() {
        let revoked = CancellationToken::new();
        let mut watch = watch(&revoked);
        watch.expect_within(Duration::from_secs(60));
        // The first byte came, and from now on less patience is asked for.
        assert!(poll_fn(|context| Poll::Ready(watch.poll_alarm(context))).await.is_pending());
        watch.expect_within(Duration::from_secs(30));
        let begin = std::time::Instant::now();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(30)).await;
            revoked.cancel();
        });
        assert_eq!(poll_fn(|context| watch.poll_alarm(context)).await, Alarm::Revoked);
        assert!(begin.elapsed() < Duration::from_secs(1));
    }
}
