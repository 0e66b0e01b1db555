//! The figures as a table for people and as JSON for programs.

use serde_json::{Map, Value, json};

use super::RATES;
use super::credits::Proof;
use super::figures::{Figures, Row, median};
use super::load::Body;

/// Whom the others are compared with.
const FLOOR: &str = "bare hyper";
/// What latencies are added to.
const DIRECT: &str = "direct";
/// The row whose callers need no token, meet no limit and pay nothing.
const UNGOVERNED: &str = "open gateway";
/// The rows that are compared with it.
const GOVERNED: &[&str] = &["governed", "credits", "host"];

type Figure = Box<dyn Fn(&Row, &Figures) -> Option<f64>>;

/// One measured thing: how it is called, in which unit, and how a contestant's row holds it.
struct Measure {
    key: String,
    title: String,
    decimals: usize,
    /// A ratio to the floor says something.
    compared: bool,
    figure: Figure,
}

/// A table whose lines are measures and whose columns are contestants.
pub(super) fn table(figures: &Figures) -> String {
    let mut lines = vec![
        std::iter::once(String::new()).chain(figures.rows.iter().map(|row| row.name.to_owned())).collect(),
    ];
    for measure in measures() {
        let floor =
            figures.rows.iter().find(|row| row.name == FLOOR).and_then(|row| (measure.figure)(row, figures));
        let cells = figures.rows.iter().map(|row| {
            let Some(value) = (measure.figure)(row, figures) else { return "–".to_owned() };
            let value_text = format!("{value:.*}", measure.decimals);
            match floor.filter(|floor| measure.compared && row.name != FLOOR && *floor > 0.0) {
                Some(floor) => format!("{value_text} (×{:.2})", value / floor),
                None => value_text,
            }
        });
        lines.push(std::iter::once(measure.title.clone()).chain(cells).collect::<Vec<String>>());
    }
    let mut text = aligned(&lines);
    text.push_str(
        "\nIn brackets: the ratio to bare hyper. Throughput is the best round, all else the median.\n",
    );
    if let Some((records, requests)) = figures.records {
        text.push_str(&format!(
            "{requests} requests reached the mock through Tollgate; Postgres has {records} records. More records than \
             requests are those that the load generator left behind, on its way out, before they were sent on.\n"
        ));
    }
    for proof in &figures.proofs {
        let Proof { name, records, holds, left_early, counted, granted, paid, left } = proof;
        let verdict = if proof.holds_together() { "as it must be" } else { "WHICH DOES NOT HOLD TOGETHER" };
        text.push_str(&format!(
            "{name}: {records} records, money set aside for {holds}, {left_early} left before that, {counted} counted by \
             the rate limit; of {granted} nano-dollars {paid} were paid and {left} are left: {verdict}.\n"
        ));
    }
    text
}

/// The same by contestant, with every round's figure.
pub(super) fn json(figures: &Figures, quick: bool) -> Value {
    let mut contestants = Map::new();
    for row in &figures.rows {
        let floor = figures.rows.iter().find(|row| row.name == FLOOR);
        let mut measured = Map::new();
        let mut ratios = Map::new();
        for measure in measures() {
            let Some(value) = (measure.figure)(row, figures) else { continue };
            measured.insert(measure.key.clone(), json!(value));
            if let Some(floor) =
                floor.filter(|_| measure.compared).and_then(|floor| (measure.figure)(floor, figures))
            {
                ratios.insert(measure.key, json!(value / floor));
            }
        }
        let reached: Map<String, Value> = RATES
            .iter()
            .map(|rate| (rate.to_string(), json!(row.latency(*rate, |latency| latency.reached_rate))))
            .collect();
        let throughput: Map<String, Value> =
            row.throughput.iter().map(|(body, rounds)| (format!("{body:?}"), json!(rounds))).collect();
        contestants.insert(
            row.name.to_owned(),
            json!({"figures": measured, "ratio_to_bare_hyper": ratios, "reached_rates": reached, "rounds": throughput}),
        );
    }
    json!({
        "quick": quick,
        "contestants": contestants,
        "records": figures.records.map(|(records, _)| records),
        "requests": figures.records.map(|(_, requests)| requests),
        "credits": figures.proofs.iter().map(proof).collect::<Vec<_>>(),
    })
}

fn proof(proof: &Proof) -> Value {
    let Proof { name, records, holds, left_early, counted, granted, paid, left } = proof;
    json!({
        "name": name, "records": records, "holds": holds, "left_early": left_early, "counted": counted, "granted": granted, "paid": paid,
        "left": left, "holds_together": proof.holds_together(),
    })
}

fn measures() -> Vec<Measure> {
    let mut measures = vec![
        measure("requests_per_second", "requests a second, 1 KB", 0, true, |row, _| row.rate(Body::Kilobyte)),
        measure("of_ungoverned", "  of those of the open gateway, %", 1, false, |row, figures| {
            let ungoverned = figures.rows.iter().find(|row| row.name == UNGOVERNED)?.rate(Body::Kilobyte)?;
            let governed = GOVERNED.iter().any(|name| row.name.starts_with(name));
            row.rate(Body::Kilobyte).filter(|_| governed).map(|rate| 100.0 * rate / ungoverned)
        }),
        measure("cpu_us_per_request", "µs of core a request", 1, true, |row, _| {
            row.cpu.get(&Body::Kilobyte).and_then(|rounds| median(rounds))
        }),
        measure("redis_cpu_us_per_request", "µs of Redis's core a request", 1, false, |row, _| {
            median(&row.redis_cpu)
        }),
        measure("requests_per_second_100kb", "requests a second, 100 KB", 0, true, |row, _| {
            row.rate(Body::HundredKilobytes)
        }),
        measure("cpu_us_per_100kb_request", "µs of core a 100 KB request", 1, true, |row, _| {
            row.cpu.get(&Body::HundredKilobytes).and_then(|rounds| median(rounds))
        }),
    ];
    for rate in RATES {
        measures.push(measure(
            &format!("p50_us_at_{rate}"),
            &format!("p50 at {rate}/s, µs"),
            0,
            false,
            move |row, _| row.latency(rate, |latency| latency.p50),
        ));
        measures.push(measure(
            &format!("p50_added_us_at_{rate}"),
            "  added",
            0,
            true,
            move |row, figures| {
                let direct = direct(figures)?.latency(rate, |latency| latency.p50)?;
                row.latency(rate, |latency| latency.p50)
                    .filter(|_| row.name != DIRECT)
                    .map(|p50| p50 - direct)
            },
        ));
        measures.push(measure(
            &format!("p99_us_at_{rate}"),
            &format!("p99 at {rate}/s, µs"),
            0,
            false,
            move |row, _| row.latency(rate, |latency| latency.p99),
        ));
        measures.push(measure(
            &format!("p99_added_us_at_{rate}"),
            "  added",
            0,
            true,
            move |row, figures| {
                let direct = direct(figures)?.latency(rate, |latency| latency.p99)?;
                row.latency(rate, |latency| latency.p99)
                    .filter(|_| row.name != DIRECT)
                    .map(|p99| p99 - direct)
            },
        ));
        measures.push(measure(
            &format!("max_us_at_{rate}"),
            &format!("slowest at {rate}/s, µs"),
            0,
            false,
            move |row, _| row.latency(rate, |latency| latency.max),
        ));
    }
    measures.extend([
        measure("cpu_us_per_chunk", "µs of core a streamed chunk", 2, true, |row, _| median(&row.chunk_cpu)),
        measure("first_chunk_us", "first chunk, µs", 0, true, |row, _| median(&row.first_chunk)),
        measure("idle_mb", "memory idle, MB", 1, false, |row, _| {
            row.idle.map(|memory| megabytes(memory.resident))
        }),
        measure("idle_anonymous_mb", "  without mapped files", 1, false, |row, _| {
            row.idle.map(|memory| megabytes(memory.anonymous))
        }),
        measure("loaded_mb", "memory after load, MB", 1, false, |row, _| {
            row.loaded.map(|memory| megabytes(memory.resident))
        }),
        measure("loaded_anonymous_mb", "  without mapped files", 1, false, |row, _| {
            row.loaded.map(|memory| megabytes(memory.anonymous))
        }),
        measure("start_ms", "start to first answer, ms", 1, false, |row, _| median(&row.start)),
    ]);
    measures
}

fn measure(
    key: &str,
    title: &str,
    decimals: usize,
    compared: bool,
    figure: impl Fn(&Row, &Figures) -> Option<f64> + 'static,
) -> Measure {
    Measure { key: key.to_owned(), title: title.to_owned(), decimals, compared, figure: Box::new(figure) }
}

fn direct(figures: &Figures) -> Option<&Row> {
    figures.rows.iter().find(|row| row.name == DIRECT)
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn aligned(lines: &[Vec<String>]) -> String {
    let columns = lines.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        lines.iter().filter_map(|line| line.get(column)).map(|cell| cell.chars().count()).max()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for line in lines {
        for (column, cell) in line.iter().enumerate() {
            let padding = " ".repeat(widths[column] - cell.chars().count());
            let (left, right) = if column == 0 { ("", padding.as_str()) } else { (padding.as_str(), "") };
            text.push_str(&format!("{left}{cell}{right}   "));
        }
        text.truncate(text.trim_end().len());
        text.push('\n');
    }
    text
}
