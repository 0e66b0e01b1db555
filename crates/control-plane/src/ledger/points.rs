//! The places at which a desk may die: each stands between two steps that are not one transaction.

use process::failpoint;

use super::LedgerError;

/// All of them.
#[cfg(test)]
pub(super) const ALL: &[&str] = &[
    "desk_read",
    "desk_collected",
    "desk_charged",
    "desk_inserted",
    "desk_committed",
    "desk_posted",
    "desk_loaded",
    "desk_credited",
    "desk_set_aside",
    "desk_withdrew",
    "desk_told_withdrawal",
    "desk_ended_eras",
    "desk_carried",
    "desk_drained_eras",
    "desk_raised_eras",
    "desk_began_eras",
    "desk_opened_eras",
    "desk_reaped",
];

/// Where this desk is to die. Nothing in a program that serves: there, only the environment can say so.
#[derive(Debug, Default)]
pub(super) struct Points {
    #[cfg(test)]
    pub(super) deadly: Option<&'static str>,
}

impl Points {
    /// Goes on, unless the desk is to die here.
    pub(super) fn reached(&self, point: &'static str) -> Result<(), LedgerError> {
        failpoint(point);
        #[cfg(test)]
        if self.deadly == Some(point) {
            return Err(LedgerError::Died(point));
        }
        Ok(())
    }
}
