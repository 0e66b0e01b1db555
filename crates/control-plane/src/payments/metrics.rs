//! What is counted of payments and notices.

use std::sync::LazyLock;

use prometheus::{IntCounterVec, register_int_counter_vec};
use store::payments::Origin;

static PAYMENTS: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    let help = "Payments by how they began and ended; `stranded` ones came in and could not be credited";
    register_int_counter_vec!("tollgate_payments_total", help, &["origin", "outcome"]).ok()
});

static NOTICES: LazyLock<Option<IntCounterVec>> = LazyLock::new(|| {
    let help = "Attempts to deliver notices";
    register_int_counter_vec!("tollgate_notice_attempts_total", help, &["channel", "outcome"]).ok()
});

/// Shows every way in which a payment can end from the start, so that the first one is an increase.
pub(super) fn begin() {
    if let Some(payments) = &*PAYMENTS {
        for origin in [Origin::Manual, Origin::Auto] {
            for outcome in ["succeeded", "failed", "canceled", "stranded"] {
                payments.with_label_values(&[origin.as_str(), outcome]);
            }
        }
    }
}

/// Counts a payment that ended.
pub(super) fn payment(origin: Origin, outcome: &str) {
    if let Some(payments) = &*PAYMENTS {
        payments.with_label_values(&[origin.as_str(), outcome]).inc();
    }
}

/// Counts an attempt.
pub(super) fn notice(channel: &str, outcome: &str) {
    if let Some(notices) = &*NOTICES {
        notices.with_label_values(&[channel, outcome]).inc();
    }
}
