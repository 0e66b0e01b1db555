//! Accounts that requests name and a narrowed subscription does not know: each is asked for once,
//! and waited for.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use model::AccountId;
use tokio::sync::{Notify, watch};

use crate::snapshot::SnapshotHandle;

/// What a request waits for an answer.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many accounts are asked for at a time; who names one more is told to try again.
const MOST_AT_ONCE: usize = 256;
/// How long an account that does not exist is not asked for again.
const REMEMBERED: Duration = Duration::from_secs(5);
/// How many such accounts are remembered.
const MOST_REMEMBERED: usize = 4096;

/// What requests want to know, and the subscription finds out.
#[derive(Debug, Default)]
pub struct Interests {
    inner: Mutex<Inner>,
    asked: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    waiting: HashMap<AccountId, Waiting>,
    unsent: Vec<AccountId>,
    nonexistent: HashSet<AccountId>,
    /// The same, the oldest first.
    learned: VecDeque<(Instant, AccountId)>,
}

#[derive(Debug)]
struct Waiting {
    since: Instant,
    /// Requests wait for its end.
    answer: watch::Sender<()>,
}

/// What became of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// The snapshot has the account.
    Known,
    /// There is no such account.
    Nonexistent,
    /// Nobody could say in time, or too much is asked at once.
    Unanswered,
}

impl Interests {
    /// Makes sure that the account is in the snapshot if it exists. Waits for two seconds at most.
    pub async fn ask(&self, snapshot: &SnapshotHandle, account: AccountId) -> Answer {
        if snapshot.load().account(account).is_some() {
            return Answer::Known;
        }
        let asked = self.with(|inner| inner.ask(account, Instant::now()));
        let mut answer = match asked {
            Asked::Nonexistent => return Answer::Nonexistent,
            Asked::TooMuch => return Answer::Unanswered,
            Asked::Before(answer) => answer,
            Asked::First(answer) => {
                self.asked.notify_one();
                answer
            }
        };
        // Its end is the answer, whose content lies in the snapshot.
        let _answered = tokio::time::timeout(PATIENCE, answer.changed()).await;
        if snapshot.load().account(account).is_some() {
            return Answer::Known;
        }
        let is_nonexistent = self.with(|inner| inner.nonexistent.contains(&account));
        if is_nonexistent { Answer::Nonexistent } else { Answer::Unanswered }
    }

    /// The accounts to ask the control plane for, as soon as there are any.
    pub(crate) async fn unsent(&self) -> Vec<AccountId> {
        loop {
            let unsent = self.with(|inner| std::mem::take(&mut inner.unsent));
            if !unsent.is_empty() {
                return unsent;
            }
            self.asked.notified().await;
        }
    }

    /// The control plane answered: what it knows of these accounts is in the snapshot.
    pub(crate) fn answered(&self, accounts: impl Iterator<Item = (AccountId, Existence)>) {
        let now = Instant::now();
        self.with(|inner| accounts.for_each(|(account, existence)| inner.answered(account, existence, now)));
    }

    /// Nobody is there to answer. Who waits does not wait longer.
    pub(crate) fn disconnected(&self) {
        self.with(|inner| {
            inner.waiting.clear();
            inner.unsent.clear();
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        // Nothing in here breaks off halfway.
        work(&mut self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// Whether the control plane knows an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Existence {
    Exists,
    Nonexistent,
}

enum Asked {
    Nonexistent,
    TooMuch,
    Before(watch::Receiver<()>),
    First(watch::Receiver<()>),
}

impl Inner {
    fn ask(&mut self, account: AccountId, now: Instant) -> Asked {
        self.forget(now);
        if self.nonexistent.contains(&account) {
            return Asked::Nonexistent;
        }
        // A question may get lost; then it is asked again.
        let is_open = |waiting: &Waiting| now.duration_since(waiting.since) < PATIENCE;
        if let Some(waiting) = self.waiting.get(&account).filter(|waiting| is_open(waiting)) {
            return Asked::Before(waiting.answer.subscribe());
        }
        if self.waiting.len() >= MOST_AT_ONCE {
            self.waiting.retain(|_, waiting| is_open(waiting));
        }
        if self.waiting.len() >= MOST_AT_ONCE {
            return Asked::TooMuch;
        }
        let (answer, asked) = watch::channel(());
        self.waiting.insert(account, Waiting { since: now, answer });
        self.unsent.push(account);
        Asked::First(asked)
    }

    fn answered(&mut self, account: AccountId, existence: Existence, now: Instant) {
        if existence == Existence::Nonexistent && self.nonexistent.insert(account) {
            self.learned.push_back((now, account));
            self.forget(now);
        }
        self.waiting.remove(&account);
    }

    /// Forgets what was learned long ago, and the oldest of what is too much.
    fn forget(&mut self, now: Instant) {
        while let Some(&(at, account)) = self.learned.front()
            && (self.learned.len() > MOST_REMEMBERED || now.duration_since(at) >= REMEMBERED)
        {
            self.learned.pop_front();
            self.nonexistent.remove(&account);
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn account(number: usize) -> AccountId {
        AccountId(Uuid::from_u128(number as u128))
    }

    #[test]
    fn an_account_is_asked_for_once_until_patience_ends() {
        let (mut inner, now) = (Inner::default(), Instant::now());
        assert!(matches!(inner.ask(account(1), now), Asked::First(_)));
        assert!(matches!(inner.ask(account(1), now), Asked::Before(_)));
        assert_eq!(inner.unsent, [account(1)]);
        assert!(matches!(inner.ask(account(1), now + PATIENCE), Asked::First(_)));
    }

    #[test]
    fn only_so_many_accounts_are_asked_for_at_once() {
        let (mut inner, now) = (Inner::default(), Instant::now());
        for number in 0..MOST_AT_ONCE {
            assert!(matches!(inner.ask(account(number), now), Asked::First(_)));
        }
        assert!(matches!(inner.ask(account(MOST_AT_ONCE), now), Asked::TooMuch));
        inner.answered(account(0), Existence::Exists, now);
        assert!(matches!(inner.ask(account(MOST_AT_ONCE), now), Asked::First(_)));
        assert!(matches!(inner.ask(account(0), now + PATIENCE), Asked::First(_)));
    }

    #[test]
    fn an_account_that_does_not_exist_is_remembered_briefly() {
        let (mut inner, now) = (Inner::default(), Instant::now());
        inner.answered(account(1), Existence::Nonexistent, now);
        assert!(matches!(inner.ask(account(1), now), Asked::Nonexistent));
        assert!(matches!(inner.ask(account(1), now + REMEMBERED), Asked::First(_)));
    }

    #[test]
    fn no_more_than_so_many_nonexistent_accounts_are_remembered() {
        let (mut inner, now) = (Inner::default(), Instant::now());
        for number in 0..MOST_REMEMBERED * 2 {
            inner.answered(account(number), Existence::Nonexistent, now);
        }
        assert_eq!((inner.nonexistent.len(), inner.learned.len()), (MOST_REMEMBERED, MOST_REMEMBERED));
        assert!(inner.nonexistent.contains(&account(MOST_REMEMBERED * 2 - 1)));
    }
}
