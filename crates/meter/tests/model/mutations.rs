//! Rules of the protocol that a run can break, to see whether it is noticed.

use crate::invariants::Invariant as I;

/// Which rule is broken, if one is.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules(pub Option<Mutation>);

impl Rules {
    pub fn broken(self, mutation: Mutation) -> bool {
        self.0 == Some(mutation)
    }
}

macro_rules! mutations {
    ($($name:ident),* $(,)?) => {
        /// One rule that does not hold.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Mutation { $($name),* }
        pub const EVERY: &[Mutation] = &[$(Mutation::$name),*];
    };
}

mutations! {
    HoldWithoutRoom, HoldTakenTwice, DeadMayHold, RefusedWhileLeased, LimitNotChecked,
    ExtendedTwice, CarvedPartStaysInTheLease, LateExtendCarves,
    BatchesNotNumbered, FreeNotClamped, SettledHoldStays,
    BeatsNotNumbered, NamedHoldsReleased, GivenBackTwice, LeaseSpentTooLong,
    ReapedInAYoungEra, ReapedByAnOldBeat, ReapedBeyondTheHold, FloorCountedTwice,
    CollectedTwice, CollectedForThePast, CollectNotClamped, WithdrawnForgotten,
    PostedAgain, DuplicateKeepsWhatItTook, AcknowledgedBeforeCommit, PendingForgotten,
    CreditedTwice, LoadedTwice, LoadedFromThePast, LoadedWithoutHolds, LoadedWithoutUnposted,
    RedisForgetsTheFence, PostgresForgetsTheFence, DuplicatePosted, CorrectedTwice, NeverCorrected,
    DeclaredTwice, LateDeclarerTakesAll, DeclaredBeforeSendingAgain, PartsNotDeclared,
    PostedBeforeLoaded, OpenedBeforeDrained, OpenedWithoutWaiting, EraNotFenced, SentAcrossEras,
    SpoolFreedWhenSent,
}
