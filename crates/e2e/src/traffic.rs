//! Requests that can be found again at both ends: each carries an id in its body, which the
//! provider keeps, and the same id as its event id, which the record keeps.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::ensure;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::http::Call;
use crate::system::{Record, System};
use crate::tenant::{Tenant, greeting};

/// What the ids of these requests begin with; others are no part of the story.
pub const PREFIX: &str = "request-";

/// How many requests are under way at once.
const LANES: usize = 4;

/// A request's id and the status of its answer, if one came.
type Answered = (String, Option<u16>);

/// Requests being sent in the background.
#[derive(Debug)]
pub struct Traffic {
    lanes: Vec<JoinHandle<Vec<Answered>>>,
    done: watch::Receiver<usize>,
}

impl Traffic {
    /// Starts sending requests of these numbers with the caller's own key to one proxy, as fast as
    /// they are answered. `headers` are added to each.
    pub fn start(
        tenant: &Tenant,
        proxy: &str,
        token: &str,
        numbers: Range<usize>,
        headers: &[(&str, &str)],
    ) -> Self {
        let headers: Vec<(String, String)> =
            headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let (tenant, proxy, token) = (tenant.clone(), proxy.to_owned(), token.to_owned());
        Self::of(numbers, LANES, Duration::ZERO, move |_, id| {
            let mut body = greeting();
            body["metadata"] = serde_json::json!({"test_id": id});
            let call = tenant.chat(&proxy).bearer("sk-caller-0123456789abcdef").json(&body);
            let call = call.header("cf-aig-authorization", &token).header("cf-aig-event-id", id);
            headers.iter().fold(call, |call, (name, value)| call.header(name, value))
        })
    }

    /// Starts sending requests of these numbers, so many at a time, as `call` makes them of their
    /// number and id. Ids are all of one length. Who is told to come again later does so for as long
    /// as his patience lasts.
    pub fn of(
        numbers: Range<usize>,
        lanes: usize,
        patience: Duration,
        call: impl Fn(usize, &str) -> Call + Send + Sync + 'static,
    ) -> Self {
        let (progress, done) = watch::channel(0);
        let (progress, call) = (Arc::new(progress), Arc::new(call));
        let next = Arc::new(AtomicUsize::new(numbers.start));
        let lane = || {
            let (call, progress, next) = (Arc::clone(&call), Arc::clone(&progress), Arc::clone(&next));
            tokio::spawn(async move {
                let mut answers = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end {
                        return answers;
                    }
                    let id = format!("{PREFIX}{number:06}");
                    let asked = Instant::now();
                    let status = loop {
                        let answered = call(number, &id).send().await;
                        let status = answered.ok().map(|answer| answer.status);
                        if status != Some(503) || asked.elapsed() >= patience {
                            break status;
                        }
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    };
                    answers.push((id, status));
                    progress.send_modify(|done| *done += 1);
                }
            })
        };
        Self { lanes: (0..lanes).map(|_| lane()).collect(), done }
    }

    /// Waits until so many requests have ended, well or badly.
    pub async fn ended(&mut self, count: usize) -> anyhow::Result<()> {
        self.done.wait_for(|&done| done >= count).await?;
        Ok(())
    }

    /// Waits for all of them: the status of each, `None` where the connection broke.
    pub async fn finish(self) -> anyhow::Result<BTreeMap<String, Option<u16>>> {
        let mut answers = BTreeMap::new();
        for lane in self.lanes {
            answers.extend(lane.await?);
        }
        Ok(answers)
    }
}

/// Checks promise 4: the records are, as a set, the requests that reached the provider, and none
/// stands there twice. A request may have a record without having reached the provider only if
/// its proxy died, or the provider could not be reached.
pub async fn nothing_is_lost(system: &System) -> anyhow::Result<Vec<Record>> {
    let reached: BTreeSet<String> = system
        .reached_the_provider()
        .await?
        .iter()
        .filter_map(|request| Some(request.get("test_id")?.as_str()?.to_owned()))
        .collect();
    ensure!(!reached.is_empty(), "no request reached the provider");
    let covers = |records: &[Record]| {
        let recorded: BTreeSet<&str> = records.iter().map(|record| record.event_id.as_str()).collect();
        reached.iter().all(|id| recorded.contains(id.as_str()))
    };
    let records = system.records_when("a record for each request that reached the provider", covers).await?;
    let mut seen = BTreeSet::new();
    for record in records.iter().filter(|record| record.event_id.starts_with(PREFIX)) {
        ensure!(seen.insert(&record.event_id), "{} is recorded twice: {records:#?}", record.event_id);
        let known = reached.contains(&record.event_id)
            || matches!(&*record.outcome, "abandoned" | "failed" | "refused");
        ensure!(
            known,
            "{} is recorded as {} and never reached the provider",
            record.event_id,
            record.outcome
        );
    }
    Ok(records)
}
