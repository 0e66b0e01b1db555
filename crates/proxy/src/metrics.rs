//! What is counted, for Prometheus. Labels are words of ours or of the catalogue, never a caller's.

use meter::{Denied, Meter};
use model::usage::{Outcome, UsageRecord};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, Opts, Registry, core,
};
use providers::catalog;

/// The proxy's counters.
#[derive(Debug, Clone)]
pub struct Metrics {
    requests: IntCounterVec,
    duration: HistogramVec,
    own: Histogram,
    refusals: IntCounterVec,
    holds: IntCounterVec,
    /// Requests under way.
    pub in_flight: IntGauge,
    /// Requests that no gateway could be found for.
    pub astray: IntCounter,
    /// Connections from callers.
    pub connections: IntGauge,
    /// Connections to providers.
    pub upstream_connections: IntGauge,
    /// Answers that are read to their end without a caller.
    pub drained_answers: IntGauge,
}

impl Metrics {
    /// Registers everything with `registry`, once.
    pub fn new(registry: &Registry) -> prometheus::Result<Self> {
        let seconds = vec![
            0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
        ];
        let own = vec![
            0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.05,
        ];
        let metrics = Self {
            requests: IntCounterVec::new(
                Opts::new("tollgate_requests_total", "Requests, by how they ended and whose fault it was"),
                &["provider", "endpoint", "outcome", "fault"],
            )?,
            duration: HistogramVec::new(
                HistogramOpts::new("tollgate_request_duration_seconds", "From a request's head to its end")
                    .buckets(seconds),
                &["provider"],
            )?,
            own: Histogram::with_opts(
                HistogramOpts::new(
                    "tollgate_own_duration_seconds",
                    "What the gateway added to the first byte",
                )
                .buckets(own),
            )?,
            refusals: IntCounterVec::new(
                Opts::new(
                    "tollgate_refusals_total",
                    "Requests that were told no, or ended, by us, by reason",
                ),
                &["cause"],
            )?,
            holds: IntCounterVec::new(
                Opts::new(
                    "tollgate_holds_total",
                    "Attempts to set aside what a request or the next step of a stream needs, by result",
                ),
                &["step", "result"],
            )?,
            in_flight: IntGauge::new("tollgate_requests_in_flight", "Requests under way")?,
            astray: IntCounter::new("tollgate_requests_astray_total", "Requests to no known gateway")?,
            connections: IntGauge::new("tollgate_connections", "Connections from callers")?,
            upstream_connections: IntGauge::new("tollgate_upstream_connections", "Connections to providers")?,
            drained_answers: IntGauge::new(
                "tollgate_drained_answers",
                "Answers paid from credits that are read to their end after their callers left",
            )?,
        };
        registry.register(Box::new(metrics.requests.clone()))?;
        registry.register(Box::new(metrics.duration.clone()))?;
        registry.register(Box::new(metrics.own.clone()))?;
        registry.register(Box::new(metrics.refusals.clone()))?;
        registry.register(Box::new(metrics.holds.clone()))?;
        registry.register(Box::new(metrics.in_flight.clone()))?;
        registry.register(Box::new(metrics.astray.clone()))?;
        registry.register(Box::new(metrics.connections.clone()))?;
        registry.register(Box::new(metrics.upstream_connections.clone()))?;
        registry.register(Box::new(metrics.drained_answers.clone()))?;
        Ok(metrics)
    }

    /// Counts a refusal.
    pub fn refused(&self, cause: &'static str) {
        self.refusals.with_label_values(&[cause]).inc();
    }

    /// Counts what became of a hold.
    pub fn held<T>(&self, held: &Result<T, Denied>) {
        self.holds.with_label_values(&["first", result(held)]).inc();
    }

    /// Counts what became of an extension.
    pub fn extended<T>(&self, extended: &Result<T, Denied>) {
        self.holds.with_label_values(&["next", result(extended)]).inc();
    }

    /// Counts a request that has ended.
    pub fn ended(&self, record: &UsageRecord, fault: &'static str) {
        let provider = label(&record.provider);
        let labels = [provider, record.endpoint.as_str(), record.outcome.as_str(), fault];
        self.requests.with_label_values(&labels).inc();
        self.duration.with_label_values(&[provider]).observe(seconds(record.timings.total));
        if record.outcome == Outcome::Answered {
            self.own.observe(seconds(record.timings.own));
        }
    }
}

/// The meter's state, read when metrics are asked for.
pub struct MeterMetrics {
    meter: Meter,
    kept: IntGauge,
    capacity: IntGauge,
    redis_up: IntGauge,
    held: IntGauge,
    leases: IntGauge,
    former: IntGauge,
    missed: prometheus::IntGaugeVec,
    descriptions: Vec<core::Desc>,
}

impl MeterMetrics {
    /// Metrics of this meter.
    pub fn new(meter: Meter) -> prometheus::Result<Self> {
        use core::Collector as _;
        let kept = IntGauge::new("tollgate_spool_records", "Records that Postgres does not have yet")?;
        let capacity =
            IntGauge::new("tollgate_spool_capacity_records", "Records that the spool has room for")?;
        let redis_up = IntGauge::new("tollgate_redis_up", "Whether Redis answered last")?;
        let held =
            IntGauge::new("tollgate_held_requests", "Requests under way for which something is set aside")?;
        let leases = IntGauge::new("tollgate_leases", "Leases on credits and limits that this proxy has")?;
        let former = IntGauge::new(
            "tollgate_former_incarnations",
            "Earlier starts of this proxy whose holds have not all been released",
        )?;
        let missed = prometheus::IntGaugeVec::new(
            Opts::new("tollgate_missed_records", "Requests without a record because the spool was full"),
            &["gateway"],
        )?;
        let gauges = [&kept, &capacity, &redis_up, &held, &leases, &former];
        let descriptions = gauges.iter().flat_map(|gauge| gauge.desc()).chain(missed.desc());
        let descriptions = descriptions.cloned().collect();
        Ok(Self { meter, kept, capacity, redis_up, held, leases, former, missed, descriptions })
    }
}

impl core::Collector for MeterMetrics {
    fn desc(&self) -> Vec<&core::Desc> {
        self.descriptions.iter().collect()
    }

    fn collect(&self) -> Vec<prometheus::proto::MetricFamily> {
        let status = self.meter.status();
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.kept.set(count(status.kept));
        self.capacity.set(count(status.capacity));
        self.redis_up.set(i64::from(status.redis_up));
        self.held.set(count(status.holds));
        self.leases.set(count(status.leases));
        self.former.set(count(status.former));
        for (gateway, missed) in status.missed {
            let missed = i64::try_from(missed).unwrap_or(i64::MAX);
            self.missed.with_label_values(&[&gateway.to_string()]).set(missed);
        }
        let Self { kept, capacity, redis_up, held, leases, former, missed, .. } = self;
        let gauges =
            [kept, capacity, redis_up, held, leases, former].into_iter().flat_map(|gauge| gauge.collect());
        gauges.chain(missed.collect()).collect()
    }
}

fn result<T>(held: &Result<T, Denied>) -> &'static str {
    match held {
        Ok(_) => "granted",
        Err(Denied::Credits { .. }) => "credits",
        Err(Denied::Limit { .. }) => "limit",
        Err(Denied::Unavailable { .. }) => "unavailable",
        Err(Denied::SpoolFull) => "spool_full",
    }
}

/// The catalogue's word for a provider, or one for all of those that tenants have of their own.
fn label(provider: &str) -> &'static str {
    match provider {
        "" => "",
        name => catalog::find(name).map_or("custom", |known| known.slug),
    }
}

fn seconds(microseconds: u64) -> f64 {
    microseconds as f64 / 1e6
}
