//! The task that carries closed records to Redis, frees their slots once Postgres has them, says that
//! this process lives, and moves with every shard from era to era.

mod beats;
mod shard;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use model::Shard;
use process::failpoint;
use redis::{Pipeline, RedisResult, Value};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::link::{Link, is_from_no_primary};
use crate::meter::{Inbox, Shared};
use crate::protocol::{Scripts, calls, era_is_over};
use crate::stream::Position;
use shard::{Due, Sent, Waiting};

/// How long a record waits for company.
const GATHER: Duration = Duration::from_millis(1);
/// The longest sleep when nothing is closed.
const IDLE: Duration = Duration::from_secs(5);
/// Commands in one round trip.
const TOGETHER: usize = 256;
/// How often Redis is asked for its memory while there is something to send.
const MEMORY_CHECK: Duration = Duration::from_secs(2);
/// Above this share of Redis's memory records stay here, so that money keeps its room.
const MEMORY_SHARE: f64 = 0.7;
/// Above this share credits are refused.
const MEMORY_LEFT: f64 = 0.9;

struct Flusher {
    shared: Arc<Shared>,
    link: Link,
    shards: BTreeMap<Shard, Waiting>,
    memory_checked: Option<Instant>,
    redis_full: bool,
}

/// What one command of a round trip asked for.
enum Question {
    Memory,
    Of(Shard, Due),
}

/// Sends until told to stop; what is not posted by then stays in the spool.
pub(crate) async fn run(shared: Arc<Shared>, link: Link, stop: CancellationToken) {
    let mut flusher = Flusher::new(shared, link);
    loop {
        let pause = flusher.round().await;
        let woken = async {
            flusher.shared.wake.notified().await;
            tokio::time::sleep(GATHER).await;
        };
        tokio::select! {
            () = stop.cancelled() => break,
            () = woken => (),
            () = tokio::time::sleep(pause) => (),
        }
    }
    flusher.farewell().await;
}

impl Flusher {
    /// Begins by asking which eras are open, so that the first request of each shard need not wait, and
    /// with what there is to be buried.
    fn new(shared: Arc<Shared>, link: Link) -> Self {
        let former = shared.incarnations.former();
        let present = shared.incarnations.present();
        let shards = Shard::all().map(|shard| (shard, Waiting::new(shard, present, former.clone())));
        Self { shards: shards.collect(), shared, link, memory_checked: None, redis_full: false }
    }

    /// One round trip, if anything is due; answers how long nothing will be.
    async fn round(&mut self) -> Duration {
        self.look_into_inbox();
        let (questions, mut commands) = self.questions(Instant::now());
        if !questions.is_empty() {
            let answers = self.link.ask(&mut commands).await;
            self.shared.redis_up.store(answers.is_ok(), Ordering::Relaxed);
            match answers {
                Ok(answers) => {
                    questions.into_iter().zip(answers).for_each(|(q, answer)| self.hear(q, answer));
                }
                Err(_) => questions.into_iter().for_each(|question| self.hear_nothing(&question)),
            }
        }
        let now = Instant::now();
        let due = self.shards.values().filter_map(|waiting| waiting.next_due(&self.shared, self.redis_full));
        let pause =
            due.min().map_or(IDLE, |at| at.saturating_duration_since(now)).max(self.link.closed_for());
        // An answer of "not now" must not turn into a busy loop.
        if self.redis_full { pause.max(Duration::from_millis(50)).min(MEMORY_CHECK) } else { pause }
    }

    fn look_into_inbox(&mut self) {
        let Inbox { closed, doubts, watched, releases, dead, waiters } = self.shared.take_inbox();
        for record in closed {
            self.shard(record.shard).take(record);
        }
        doubts.into_iter().for_each(|shard| self.shard(shard).doubt());
        watched.into_iter().for_each(|shard| self.shard(shard).watch());
        for (shard, incarnation, hold) in releases {
            self.shard(shard).release(incarnation, hold);
        }
        for incarnation in dead {
            self.shards.values_mut().for_each(|waiting| waiting.bury(incarnation));
        }
        waiters.into_iter().for_each(|(shard, waiter)| self.shard(shard).tell_when_settled(waiter));
    }

    fn questions(&mut self, now: Instant) -> (Vec<Question>, Pipeline) {
        let (mut questions, mut commands) = (Vec::new(), redis::pipe());
        if !self.link.closed_for().is_zero() {
            return (questions, commands);
        }
        for (shard, waiting) in &mut self.shards {
            if questions.len() >= TOGETHER {
                break;
            }
            for (due, command) in waiting.due(&self.shared, now, self.redis_full) {
                commands.add_command(command);
                questions.push(Question::Of(*shard, due));
            }
        }
        let is_due = self.memory_checked.is_none_or(|at| now - at >= MEMORY_CHECK);
        if is_due && self.shards.values().any(|waiting| !waiting.is_idle()) {
            self.memory_checked = Some(now);
            commands.cmd("INFO").arg("memory");
            questions.push(Question::Memory);
        }
        (questions, commands)
    }

    fn hear(&mut self, question: Question, answer: RedisResult<Value>) {
        let answer = answer.and_then(Value::extract_error);
        let (shard, due) = match question {
            Question::Memory => {
                let memory = answer.and_then(|answer| Ok(redis::from_redis_value::<String>(answer)?));
                return self.hear_memory(&memory.unwrap_or_default());
            }
            Question::Of(shard, due) => (shard, due),
        };
        let read = answer.and_then(|answer| self.take_answer(shard, &due, answer));
        let Err(error) = read else { return };
        if era_is_over(&error) || is_from_no_primary(&error) {
            self.link.leave();
        }
        let shared = Arc::clone(&self.shared);
        let waiting = self.shard(shard);
        match (&due, error.code()) {
            _ if era_is_over(&error) => {
                debug!(shard = %shard, "The era of shard {shard} is over; waiting for the next");
                waiting.era_is_over(&shared);
            }
            (Due::Settle(number), Some("GAP")) => waiting.is_out_of_step(&shared, *number),
            _ => {
                warn!(shard = %shard, error = %error, "Redis refuses what shard {shard} has to say");
                waiting.refused(&due);
            }
        }
    }

    fn take_answer(&mut self, shard: Shard, due: &Due, answer: Value) -> RedisResult<()> {
        match due {
            Due::Era => {
                let era = redis::from_redis_value::<Option<u64>>(answer)?;
                self.era_is(shard, era);
            }
            Due::Settle(number) => {
                failpoint("settled");
                let (entry, posted) = calls::settled(answer)?;
                let shared = Arc::clone(&self.shared);
                self.shard(shard).settled(&shared, Sent { number: *number, entry });
                failpoint("streamed");
                self.free(shard, posted);
            }
            Due::Declare => {
                let (posted, is_dead) = calls::declared(answer)?;
                let shared = Arc::clone(&self.shared);
                if let Some(incarnation) = self.shard(shard).declared(&shared)
                    && is_dead
                {
                    shared.is_dead(shard, incarnation);
                }
                self.free(shard, posted);
            }
            Due::Beat(incarnation) => {
                let heard = calls::heard(answer)?;
                let shared = Arc::clone(&self.shared);
                self.shard(shard).heard(&shared, *incarnation, &heard);
                self.free(shard, heard.posted);
            }
            Due::Bury(incarnation) => {
                let left = redis::from_redis_value::<usize>(answer)?;
                if left == 0 {
                    self.shard(shard).is_buried(*incarnation);
                    self.forget(*incarnation);
                }
            }
        }
        Ok(())
    }

    fn hear_nothing(&mut self, question: &Question) {
        match question {
            Question::Memory => self.memory_checked = None,
            Question::Of(shard, due) => self.shard(*shard).refused(due),
        }
    }

    /// Redis says which era is open, or that none is. One that is over by the control plane's word is
    /// none.
    fn era_is(&mut self, shard: Shard, era: Option<u64>) {
        let shared = Arc::clone(&self.shared);
        let waiting = self.shard(shard);
        let scripts = era.map(|era| Scripts::of(shard, era));
        match scripts.filter(|scripts| !shared.eras.is_over(scripts)) {
            Some(scripts) if waiting.is_new(&scripts) => self.move_on(shard, scripts),
            Some(scripts) => waiting.resume(&shared, scripts),
            None => {
                waiting.no_era();
                if waiting.is_behind(&shared) {
                    self.link.leave();
                }
            }
        }
    }

    /// Takes what is under way into a new era. Every request is found once: in the list of those under
    /// way, or, closed before it was looked for there, in the inbox.
    fn move_on(&mut self, shard: Shard, scripts: Scripts) {
        let (present, era) = (self.shared.incarnations.present(), scripts.era());
        self.shared.eras.close(shard);
        self.shared.leases.end_era(shard, era);
        let holds = self.shared.holds.all(shard);
        let holds = holds.iter().filter_map(|held| held.outlive(era, present)).collect();
        self.look_into_inbox();
        let shared = Arc::clone(&self.shared);
        self.shard(shard).begin(&shared, scripts, present, holds);
    }

    fn free(&mut self, shard: Shard, posted: Position) {
        let records = self.shard(shard).posted(posted);
        self.shared.posted(records);
    }

    /// Nothing is left of an incarnation once that is so in all shards.
    fn forget(&mut self, incarnation: Uuid) {
        if self.shards.values().all(|waiting| !waiting.is_to_bury(incarnation)) {
            self.shared.incarnations.is_buried(incarnation);
        }
    }

    fn hear_memory(&mut self, memory: &str) {
        let figure = |name: &str| {
            let line = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.and_then(|text| text.trim().parse::<f64>().ok()).unwrap_or(0.0)
        };
        let (used, bound) = (figure("used_memory"), figure("maxmemory"));
        let full = bound > 0.0 && used > bound * MEMORY_SHARE;
        if full && !self.redis_full {
            warn!(used, bound, "Redis is short of memory; records stay in the spool");
        }
        self.redis_full = full;
        self.shared.redis_is_full(bound > 0.0 && used > bound * MEMORY_LEFT);
    }

    /// Gives back what is leased and says bye, if Redis answers at once.
    async fn farewell(&mut self) {
        self.look_into_inbox();
        let mut commands = redis::pipe();
        for waiting in self.shards.values_mut() {
            waiting.farewell(&self.shared).into_iter().for_each(|command| _ = commands.add_command(command));
        }
        if !commands.is_empty() {
            let _ = self.link.ask(&mut commands).await;
        }
    }

    fn shard(&mut self, shard: Shard) -> &mut Waiting {
        let present = self.shared.incarnations.present();
        self.shards.entry(shard).or_insert_with(|| Waiting::new(shard, present, Vec::new()))
    }
}
