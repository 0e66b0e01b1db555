//! What was measured, by contestant.

use std::collections::BTreeMap;

use super::contestants::{Contestant, Spent};
use super::credits::Proof;
use super::load::{Body, Outcome};
use super::process::Memory;

/// The chunks of one of the mock's streams.
const CHUNKS: f64 = 100.0;

/// Everything, in the order in which contestants were first measured.
#[derive(Default)]
pub(super) struct Figures {
    pub(super) rows: Vec<Row>,
    /// Records in Postgres, and requests that reached the mock through Tollgate.
    pub(super) records: Option<(u64, u64)>,
    pub(super) proofs: Vec<Proof>,
}

/// One contestant's figures, one of each for every round.
#[derive(Default)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) throughput: BTreeMap<Body, Vec<f64>>,
    /// Microseconds of a core for each request, of the proxy and of Redis.
    pub(super) cpu: BTreeMap<Body, Vec<f64>>,
    pub(super) redis_cpu: Vec<f64>,
    /// By rate.
    pub(super) latency: BTreeMap<u32, Vec<Latency>>,
    /// Microseconds of a core for each chunk of a stream.
    pub(super) chunk_cpu: Vec<f64>,
    /// Microseconds until a stream's first chunk.
    pub(super) first_chunk: Vec<f64>,
    pub(super) idle: Option<Memory>,
    pub(super) loaded: Option<Memory>,
    /// Milliseconds.
    pub(super) start: Vec<f64>,
}

/// Microseconds.
#[derive(Clone, Copy)]
pub(super) struct Latency {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) max: f64,
    pub(super) reached_rate: f64,
}

impl Figures {
    pub(super) fn throughput(
        &mut self,
        contestant: &Contestant,
        body: Body,
        outcome: &Outcome,
        spent: &Spent,
    ) {
        let row = self.row(contestant);
        row.throughput.entry(body).or_default().push(outcome.rate());
        row.cpu.entry(body).or_default().push(microseconds_each(spent.cpu, spent.answered));
        if let (Body::Kilobyte, Some(cpu)) = (body, spent.redis_cpu) {
            row.redis_cpu.push(microseconds_each(cpu, spent.answered));
        }
    }

    pub(super) fn latency(&mut self, contestant: &Contestant, rate: u32, outcome: &Outcome) {
        let latency = Latency {
            p50: outcome.p50.into(),
            p99: outcome.p99.into(),
            max: outcome.max.into(),
            reached_rate: outcome.rate(),
        };
        self.row(contestant).latency.entry(rate).or_default().push(latency);
    }

    pub(super) fn streams(&mut self, contestant: &Contestant, spent: &Spent) {
        self.row(contestant).chunk_cpu.push(microseconds_each(spent.cpu, spent.answered) / CHUNKS);
    }

    pub(super) fn first_chunk(&mut self, contestant: &Contestant, microseconds: f64) {
        self.row(contestant).first_chunk.push(microseconds);
    }

    pub(super) fn idle_memory(&mut self, contestant: &Contestant, memory: Memory) {
        self.row(contestant).idle = Some(memory);
    }

    pub(super) fn loaded_memory(&mut self, contestant: &Contestant, memory: Memory) {
        self.row(contestant).loaded = Some(memory);
    }

    pub(super) fn start(&mut self, contestant: &Contestant, milliseconds: Vec<f64>) {
        self.row(contestant).start = milliseconds;
    }

    fn row(&mut self, contestant: &Contestant) -> &mut Row {
        let at = self.rows.iter().position(|row| row.name == contestant.name).unwrap_or_else(|| {
            self.rows.push(Row { name: contestant.name, ..Row::default() });
            self.rows.len() - 1
        });
        &mut self.rows[at]
    }
}

impl Row {
    /// The best round.
    pub(super) fn rate(&self, body: Body) -> Option<f64> {
        self.throughput.get(&body)?.iter().copied().max_by(f64::total_cmp)
    }

    /// The median of one figure of the latencies at `rate`.
    pub(super) fn latency(&self, rate: u32, figure: impl Fn(&Latency) -> f64) -> Option<f64> {
        median(&self.latency.get(&rate)?.iter().map(figure).collect::<Vec<_>>())
    }
}

/// The middle of some figures, if there are any.
pub(super) fn median(figures: &[f64]) -> Option<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        length if length % 2 == 0 => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
        _ => Some(sorted[middle]),
    }
}

fn microseconds_each(nanoseconds: u64, requests: u64) -> f64 {
    nanoseconds as f64 / 1e3 / requests.max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between() {
        assert_eq!(median(&[3.0, 1.0, 2.0, 10.0]), Some(2.5));
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[]), None);
    }
}
