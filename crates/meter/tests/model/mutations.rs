//! Rules of the protocol that a run can break, and what notices.

use crate::invariants::Invariant;
use crate::scene::{CARVE, LEASE, LIMIT, PLAIN, STREAM, Scene, TELLER};
use crate::steps::Kinds;

/// Which rule is broken, if one is.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rules(pub Option<Mutation>);

impl Rules {
    pub(crate) fn broken(self, mutation: Mutation) -> bool {
        self.0 == Some(mutation)
    }
}

/// A broken rule, in which scene and under which faults, each at most once, it is noticed, and by what.
pub(crate) struct Broken {
    pub mutation: Mutation,
    pub scene: Scene,
    pub kinds: Kinds,
    pub faults: u8,
    pub noticed_by: Invariant,
}

macro_rules! mutations {
    ($($(#[$doc:meta])* $name:ident: $scene:ident [$($kind:ident)*] $invariant:ident;)*) => {
        /// One rule that does not hold.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Mutation { $($(#[$doc])* $name),* }

        pub(crate) const EVERY: &[Broken] = &[$(Broken {
            mutation: Mutation::$name,
            scene: $scene,
            kinds: Kinds { $($kind: true,)* ..Kinds::NONE },
            faults: { let faults: &[&str] = &[$(stringify!($kind)),*]; faults.len() as u8 },
            noticed_by: Invariant::$invariant,
        }),*];
    };
}

mutations! {
    /// `hold` does not look at what is free.
    HoldWithoutRoom: PLAIN [] FreeNotNegative;
    /// `hold` does not know a hold that is there.
    HoldTakenTwice: PLAIN [unheard] HeldIsTheSumOfHolds;
    /// `hold` does not look whether the incarnation was reaped.
    DeadMayHold: PLAIN [killed late] NothingLeft;
    /// `hold` refuses without asking whether leases could give back what is missing.
    RefusedWhileLeased: LEASE [] NobodyRefusedWhatIsLeased;
    /// `hold` does not look at limits.
    LimitNotChecked: LIMIT [] LimitKept;
    /// `extend` does not look at the number of the step.
    ExtendedTwice: STREAM [unheard] HeldAsAsked;
    /// `extend` leaves in the lease what it carves out of it.
    CarvedPartStaysInTheLease: CARVE [] HeldIsTheSumOfHolds;
    /// `extend` carves for a request that is settled.
    LateExtendCarves: CARVE [late] PaidAsHeld;
    /// `settle` does not look at the number of the batch: a lease is charged twice for one record.
    BatchesNotNumbered: LEASE [unheard] NeverOverspent;
    /// `settle` takes what costs more than its hold whether it is free or not.
    FreeNotClamped: PLAIN [] FreeNotNegative;
    /// `settle` leaves the hold.
    SettledHoldStays: PLAIN [] HeldIsTheSumOfHolds;
    /// `beat` does not look at its number.
    BeatsNotNumbered: STREAM [late] NeverOverspent;
    /// `beat` releases what it names.
    NamedHoldsReleased: PLAIN [] NeverOverspent;
    /// A proxy that was not answered gives the same back again.
    GivenBackTwice: LEASE [unheard] NeverOverspent;
    /// A proxy goes on spending a lease while it cannot reach Redis.
    LeaseSpentTooLong: LEASE [cut_off] LeasesSpentInTime;
    /// The desk reaps in the first 30 seconds of an era, when nobody can have beaten twice.
    ReapedInAYoungEra: PLAIN [wiped] NeverOverspent;
    /// `reap` does not look whether there was another beat.
    ReapedByAnOldBeat: PLAIN [cut_off late] NobodyBuriedAlive;
    /// `reap` charges what was reported even beyond the hold.
    ReapedBeyondTheHold: LIMIT [killed] AbandonedIsCharged;
    /// `reap` counts the floor twice in the limit.
    FloorCountedTwice: LIMIT [killed] LimitCountsAll;
    /// `collect` does not remember.
    CollectedTwice: PLAIN [unheard] NothingLeft;
    /// `collect` does not look at the position.
    CollectedForThePast: PLAIN [late] NothingLeft;
    /// `collect` takes what is not free.
    CollectNotClamped: PLAIN [] FreeNotNegative;
    /// `withdrawn` forgets its ids.
    WithdrawnForgotten: TELLER [late] NothingLeft;
    /// `posted` does not look at the position.
    PostedAgain: PLAIN [unheard] Mirror;
    /// `posted` does not give back what a duplicate had taken.
    DuplicateKeepsWhatItTook: PLAIN [killed] Mirror;
    /// The desk says that it has posted what it has only read.
    AcknowledgedBeforeCommit: PLAIN [] Mirror;
    /// A desk does not repeat what its predecessor may not have said.
    PendingForgotten: PLAIN [desk_crash] Mirror;
    /// `credit` does not look at the sequence.
    CreditedTwice: TELLER [unheard] Mirror;
    /// `load` does not look whether the account is loaded.
    LoadedTwice: TELLER [wiped late] Mirror;
    /// `load` forgets what is held.
    LoadedWithoutHolds: PLAIN [wiped] Mirror;
    /// `load` forgets what is not posted.
    LoadedWithoutUnposted: PLAIN [wiped] Mirror;
    /// The desk's scripts do not look at the fencing number.
    RedisForgetsTheFence: TELLER [wiped two_desks] Mirror;
    /// The desk's transaction does not look at the fencing number.
    PostgresForgetsTheFence: PLAIN [two_desks] Mirror;
    /// The desk inserts a record whose id is known.
    DuplicatePosted: PLAIN [wiped] PostedOnce;
    /// The desk corrects an abandoned record each time the real one comes.
    CorrectedTwice: PLAIN [cut_off wiped] PostedOnce;
    /// The desk takes the real record for a duplicate of the abandoned one.
    NeverCorrected: PLAIN [killed] AcknowledgedIsPosted;
    /// `declare` does not look whether it was done.
    DeclaredTwice: PLAIN [wiped unheard] HeldIsTheSumOfHolds;
    /// `declare` gives a late declarer what is not free.
    LateDeclarerTakesAll: TELLER [wiped hasty] BalanceNotNegative;
    /// A proxy declares before it has sent its unacknowledged records again.
    DeclaredBeforeSendingAgain: PLAIN [wiped] NeverOverspent;
    /// A proxy does not declare what requests have of a lease.
    PartsNotDeclared: LEASE [wiped] NeverOverspent;
    /// The desk takes what a record lacks from the balance of an account that is not loaded.
    PostedBeforeLoaded: PLAIN [wiped] FreeNotNegative;
    /// The desk opens an era before its stream is posted.
    OpenedBeforeDrained: PLAIN [wiped] NeverOverspent;
    /// The desk opens an era without waiting for those who held money.
    OpenedWithoutWaiting: PLAIN [wiped] NeverOverspent;
    /// Calls of an era that is over take effect in the next.
    EraNotFenced: PLAIN [wiped late] AcknowledgedIsPosted;
    /// A proxy compares positions of one era with entries of another, and does not send again.
    SentAcrossEras: PLAIN [wiped] EverybodyAnswered;
    /// A record leaves its spool when it is in the stream.
    SpoolFreedWhenSent: PLAIN [] AcknowledgedIsPosted;
}
