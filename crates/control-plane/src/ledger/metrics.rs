//! What the ledger has done and how far it is behind.

use std::sync::LazyLock;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use meter::desk::Entry;
use model::Nanos;
use prometheus::{
    Counter, Gauge, Histogram, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, register_counter,
    register_gauge, register_histogram, register_int_counter, register_int_counter_vec, register_int_gauge,
    register_int_gauge_vec,
};
use store::usage::Inserted;

use super::demands::Fault;

static HELD: LazyLock<Option<IntGauge>> = LazyLock::new(|| {
    register_int_gauge!("tollgate_ledger_held", "Whether this process runs the ledger desks").ok()
});
static TENURES: LazyLock<Option<IntCounter>> = LazyLock::new(|| {
    register_int_counter!("tollgate_ledger_tenures_total", "Times that the desks were taken over here").ok()
});
static RECORDS: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    let help = "Usage records by what became of them: new, corrected, duplicate, unreadable";
    register_int_counter_vec!("tollgate_ledger_records_total", help, &["outcome"]).ok()
});
static BATCH_SECONDS: LazyLock<Option<Histogram>> = LazyLock::new(|| {
    register_histogram!("tollgate_ledger_batch_seconds", "Seconds that it took to write a batch to Postgres")
        .ok()
});
static ERAS: LazyLock<Option<IntCounter>> = LazyLock::new(|| {
    let help = "New eras of shards, opened because Redis had lost the old ones";
    register_int_counter!("tollgate_ledger_eras_opened_total", help).ok()
});
static FAULTS: LazyLock<Option<IntGaugeVec>> = LazyLock::new(|| {
    let help = "1 for what is wrong with the settings of Redis: evicts, cluster and replica keep the desks \
                closed";
    register_int_gauge_vec!("tollgate_ledger_redis_faults", help, &["fault"]).ok()
});
static SHORTFALL: LazyLock<Option<Counter>> = LazyLock::new(|| {
    let help = "Dollars that requests cost beyond what their accounts had, at the operator's expense";
    register_counter!("tollgate_ledger_shortfall_dollars_total", help).ok()
});
static REAPED: LazyLock<Option<IntCounter>> = LazyLock::new(|| {
    let help = "Starts of proxies that fell silent and whose holds were ended";
    register_int_counter!("tollgate_ledger_reaped_total", help).ok()
});
static GAPS: LazyLock<Option<IntCounter>> = LazyLock::new(|| {
    let help = "Deposits that Redis refused because one before them is missing there";
    register_int_counter!("tollgate_ledger_credit_gaps_total", help).ok()
});
// A time instead of a number of seconds, since it goes on telling the truth while the desk is stuck.
static POSTED_UNTIL: LazyLock<Option<Gauge>> = LazyLock::new(|| {
    let help = "Unix time up to which all usage that reached Redis is in Postgres; the lag is \
                time() - max(tollgate_ledger_posted_until_seconds)";
    register_gauge!("tollgate_ledger_posted_until_seconds", help).ok()
});

/// Shows every metric from the start, so that the first event is an increase. How far the ledger has
/// come is left out: a process that stands by does not know.
pub(super) fn begin() {
    if let Some(gauge) = &*HELD {
        gauge.set(0);
    }
    if let Some(records) = &*RECORDS {
        for outcome in ["new", "corrected", "duplicate", "unreadable"] {
            records.with_label_values(&[outcome]);
        }
    }
    Fault::WORDS.iter().for_each(|word| fault(word, false));
    let _registered = (&*TENURES, &*BATCH_SECONDS, &*ERAS, &*SHORTFALL, &*REAPED, &*GAPS);
}

/// The desks are run here for as long as it lives.
pub(super) struct Held(());

impl Held {
    pub(super) fn new() -> Self {
        if let Some(counter) = &*TENURES {
            counter.inc();
        }
        if let Some(gauge) = &*HELD {
            gauge.set(1);
        }
        Self(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(gauge) = &*HELD {
            gauge.set(0);
        }
    }
}

/// The oldest entries that are not posted yet have been read. Their times are Redis's.
pub(super) fn read(entries: &[Entry]) {
    let oldest = entries.iter().map(|entry| Duration::from_millis(entry.position.milliseconds)).min();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    if let Some(gauge) = &*POSTED_UNTIL {
        gauge.set(oldest.unwrap_or_else(now).as_secs_f64());
    }
}

/// What one transaction did.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Written {
    pub(super) records: usize,
    pub(super) inserted: Inserted,
    pub(super) unreadable: usize,
    pub(super) shortfall: Nanos,
}

/// The transaction is committed.
pub(super) fn written(written: Written, took: Duration) {
    let Written { records, inserted: Inserted { new, corrected }, unreadable, shortfall } = written;
    let duplicate = (records as u64).saturating_sub(new + corrected);
    if let Some(counters) = &*RECORDS {
        counters.with_label_values(&["new"]).inc_by(new);
        counters.with_label_values(&["corrected"]).inc_by(corrected);
        counters.with_label_values(&["duplicate"]).inc_by(duplicate);
        counters.with_label_values(&["unreadable"]).inc_by(unreadable as u64);
    }
    if let Some(counter) = &*SHORTFALL {
        counter.inc_by(shortfall.approximate_dollars());
    }
    if let Some(histogram) = &*BATCH_SECONDS {
        histogram.observe(took.as_secs_f64());
    }
}

/// So many shards have begun new eras.
pub(super) fn eras_opened(shards: usize) {
    if let Some(counter) = &*ERAS {
        counter.inc_by(shards as u64);
    }
}

/// Something is wrong with the settings of Redis, or no longer.
pub(super) fn fault(word: &str, is_there: bool) {
    if let Some(gauges) = &*FAULTS {
        gauges.with_label_values(&[word]).set(i64::from(is_there));
    }
}

/// What a start of a proxy held has been ended.
pub(super) fn reaped() {
    if let Some(counter) = &*REAPED {
        counter.inc();
    }
}

/// A deposit cannot be told.
pub(super) fn gap() {
    if let Some(counter) = &*GAPS {
        counter.inc();
    }
}
