//! The task that carries closed records to Redis and frees their slots once Postgres has them.

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

use crate::link::Link;
use crate::meter::Shared;
use crate::protocol::calls::{self, Batch};
use crate::protocol::{Scripts, era_is_over};
use crate::spool::Slot;
use crate::stream::{Position, era_key};
use shard::{Due, Waiting};

/// How long a record waits for company.
const GATHER: Duration = Duration::from_millis(1);
/// The longest sleep when nothing is closed.
const IDLE: Duration = Duration::from_secs(5);
/// Batches in one round trip.
const BATCHES: usize = 256;
/// How often Redis is asked for its memory while there is something to send.
const MEMORY_CHECK: Duration = Duration::from_secs(2);
/// Above this share of Redis's memory records stay here, so that money keeps its room.
const MEMORY_SHARE: f64 = 0.7;

/// What one command of a round trip asked for.
enum Question {
    Memory,
    Era(Shard),
    Settle(Shard, Vec<Slot>),
    Beat(Shard),
}

struct Flusher {
    shared: Arc<Shared>,
    link: Link,
    shards: BTreeMap<Shard, Waiting>,
    memory_checked: Option<Instant>,
    redis_full: bool,
}

/// Sends until told to stop; what is not posted by then stays in the spool.
pub(crate) async fn run(shared: Arc<Shared>, link: Link, stop: CancellationToken) {
    let mut flusher =
        Flusher { shared, link, shards: BTreeMap::new(), memory_checked: None, redis_full: false };
    loop {
        let pause = flusher.round().await;
        let woken = async {
            flusher.shared.wake.notified().await;
            tokio::time::sleep(GATHER).await;
        };
        tokio::select! {
            () = stop.cancelled() => return,
            () = woken => (),
            () = tokio::time::sleep(pause) => (),
        }
    }
}

impl Flusher {
    /// One round trip, if anything is due; answers how long nothing will be.
    async fn round(&mut self) -> Duration {
        for (shard, slot) in self.shared.take_closed() {
            self.shards.entry(shard).or_default().closed.push_back(slot);
        }
        let (questions, mut commands) = self.questions(Instant::now());
        if !questions.is_empty() {
            let answers = self.link.ask(&mut commands).await;
            self.shared.redis_up.store(answers.is_ok(), Ordering::Relaxed);
            match answers {
                Ok(answers) => {
                    questions.into_iter().zip(answers).for_each(|(q, answer)| self.hear(q, answer))
                }
                Err(_) => questions.into_iter().for_each(|question| self.take_back(question)),
            }
        }
        let now = Instant::now();
        let next = self.shards.values().filter_map(|shard| shard.next_due(self.redis_full)).min();
        let pause = next.map_or(IDLE, |at| at.saturating_duration_since(now)).max(self.link.closed_for());
        // An answer of "not now" must not turn into a busy loop.
        if self.redis_full { pause.max(Duration::from_millis(50)).min(MEMORY_CHECK) } else { pause }
    }

    fn questions(&mut self, now: Instant) -> (Vec<Question>, Pipeline) {
        let (mut questions, mut commands) = (Vec::new(), redis::pipe());
        if !self.link.closed_for().is_zero() {
            return (questions, commands);
        }
        for (shard, waiting) in &mut self.shards {
            while questions.len() < BATCHES {
                match waiting.due(now, self.redis_full) {
                    Due::Nothing => break,
                    Due::Era => {
                        commands.cmd("GET").arg(era_key(*shard));
                        questions.push(Question::Era(*shard));
                    }
                    Due::Settle(slots, scripts, (incarnation, number)) => {
                        let encoded = batch(slots.iter().map(|slot| self.shared.spool.closed_bytes(slot)));
                        let batch = Batch { number, encoded, length: slots.len(), groups: Vec::new() };
                        commands.add_command(calls::settle(&scripts, incarnation, &batch));
                        questions.push(Question::Settle(*shard, slots));
                    }
                    Due::Beat(command) => {
                        commands.add_command(command);
                        questions.push(Question::Beat(*shard));
                    }
                }
            }
        }
        if !self.shards.is_empty() && self.memory_checked.is_none_or(|at| now - at >= MEMORY_CHECK) {
            self.memory_checked = Some(now);
            commands.cmd("INFO").arg("memory");
            questions.push(Question::Memory);
        }
        (questions, commands)
    }

    fn hear(&mut self, question: Question, answer: RedisResult<Value>) {
        let answer = answer.and_then(Value::extract_error);
        match (question, answer) {
            (Question::Memory, Ok(answer)) => {
                self.hear_memory(&redis::from_redis_value::<String>(answer).unwrap_or_default());
            }
            (Question::Era(shard), Ok(answer)) => {
                let era = redis::from_redis_value::<Option<u64>>(answer).ok().flatten();
                self.shard(shard).era_is(era.map(|era| Scripts::of(shard, era)));
            }
            (Question::Settle(shard, slots), Ok(answer)) => {
                failpoint("settled");
                match calls::settled(answer) {
                    Ok((entry, posted)) => {
                        self.shard(shard).sent(entry, slots);
                        failpoint("streamed");
                        self.free(shard, posted);
                    }
                    _ => self.shard(shard).put_back(slots),
                }
            }
            (Question::Beat(shard), Ok(answer)) => {
                self.free(shard, calls::heard(answer).map(|heard| heard.posted).unwrap_or_default());
            }
            (question, Err(error)) => {
                match &question {
                    Question::Settle(shard, _) | Question::Beat(shard) if era_is_over(&error) => {
                        debug!(shard = %shard, "The era of shard {shard} is over; waiting for the next");
                        self.shard(*shard).era_is_over();
                    }
                    Question::Settle(shard, _) | Question::Beat(shard) => {
                        warn!(shard = %shard, error = %error, "Redis refuses records of shard {shard}");
                        self.shard(*shard).refused();
                    }
                    Question::Era(_) | Question::Memory => (),
                }
                self.take_back(question);
            }
        }
    }

    fn free(&mut self, shard: Shard, posted: Position) {
        let slots = self.shard(shard).posted(posted);
        self.shared.posted(slots);
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
    }

    /// Whatever was not done for certain is done again.
    fn take_back(&mut self, question: Question) {
        match question {
            Question::Settle(shard, slots) => self.shard(shard).put_back(slots),
            Question::Memory => self.memory_checked = None,
            Question::Era(shard) => self.shard(shard).refused(),
            Question::Beat(_) => (),
        }
    }

    fn shard(&mut self, shard: Shard) -> &mut Waiting {
        self.shards.entry(shard).or_default()
    }
}

/// A `proto::UsageBatch` of records that are encoded already: field 1, length-delimited, repeated.
fn batch<'a>(records: impl Iterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut batch = Vec::with_capacity(1 << 15);
    for record in records {
        prost::encoding::encode_key(1, prost::encoding::WireType::LengthDelimited, &mut batch);
        prost::encoding::encode_varint(record.len() as u64, &mut batch);
        batch.extend_from_slice(record);
    }
    batch
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;

    #[test]
    fn a_batch_of_encoded_records_reads_as_a_batch() {
        let records = [1, 2].map(|number| crate::samples::record(number).to_wire());
        let encoded = records.each_ref().map(|record| record.encode_to_vec());
        let batch = batch(encoded.iter().map(Vec::as_slice));
        assert_eq!(proto::UsageBatch::decode(&*batch).unwrap().records, records);
    }
}
