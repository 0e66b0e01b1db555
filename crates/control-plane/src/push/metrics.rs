//! How many proxies are connected, and how far each has come.

use std::sync::LazyLock;

use model::Revision;
use model::id::ProxyId;
use prometheus::{
    IntCounter, IntGauge, IntGaugeVec, register_int_counter, register_int_gauge, register_int_gauge_vec,
};

static HEAD: LazyLock<Option<IntGauge>> = LazyLock::new(|| {
    register_int_gauge!("tollgate_push_revision", "The newest revision of the configuration").ok()
});
static SUBSCRIBERS: LazyLock<Option<IntGauge>> = LazyLock::new(|| {
    register_int_gauge!("tollgate_push_subscribers", "Proxies that are connected to this control plane").ok()
});
static FULL_STATES: LazyLock<Option<IntCounter>> = LazyLock::new(|| {
    register_int_counter!("tollgate_push_full_states_total", "Full states sent to proxies").ok()
});
static LAG: LazyLock<Option<IntGaugeVec>> = LazyLock::new(|| {
    let help = "Revisions that a connected proxy has not acknowledged yet";
    register_int_gauge_vec!("tollgate_push_lag_revisions", help, &["proxy"]).ok()
});
static REFUSED: LazyLock<Option<IntGaugeVec>> = LazyLock::new(|| {
    let help = "Resources of which a connected proxy refuses the newest version";
    register_int_gauge_vec!("tollgate_push_refused_resources", help, &["proxy"]).ok()
});

/// There is this revision.
pub(super) fn head(revision: Revision) {
    if let Some(gauge) = &*HEAD {
        gauge.set(signed(revision.number));
    }
}

/// A full state is being sent.
pub(super) fn full_state() {
    if let Some(counter) = &*FULL_STATES {
        counter.inc();
    }
}

/// Counts a proxy as connected for as long as it lives.
pub(super) struct Connected(String);

impl Connected {
    pub(super) fn new(proxy: ProxyId) -> Self {
        if let Some(gauge) = &*SUBSCRIBERS {
            gauge.inc();
        }
        Self(proxy.to_string())
    }

    /// The proxy has come this far, of what it was sent.
    pub(super) fn acknowledged(&self, sent: u64, serving: u64, refused: usize) {
        if let Some(gauges) = &*LAG {
            gauges.with_label_values(&[&self.0]).set(signed(sent.saturating_sub(serving)));
        }
        if let Some(gauges) = &*REFUSED {
            gauges.with_label_values(&[&self.0]).set(i64::try_from(refused).unwrap_or(i64::MAX));
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(gauge) = &*SUBSCRIBERS {
            gauge.dec();
        }
        for gauges in [&*LAG, &*REFUSED].into_iter().flatten() {
            // A proxy that never acknowledged anything has no line to remove.
            let _absent = gauges.remove_label_values(&[&self.0]);
        }
    }
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
