//! What can happen next. Every step makes at most one call; each call can go well, take effect without
//! an answer, take effect later than its caller believes, or be the last before Redis is set back.

use crate::calls::{Answer, Call, Late};
use crate::mutations::{Mutation as M, Rules};
use crate::redis::Redis;
use crate::scene::Scene;
use crate::world::{Phase, Reach, World};

/// What a run is about, and what may go wrong in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub scene: Scene,
    pub rules: Rules,
    /// So many faults.
    pub faults: u8,
    pub kinds: Kinds,
    /// So many steps.
    pub deepest: u32,
}

/// The faults that a run knows.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Kinds {
    pub wiped: bool,
    pub set_back: bool,
    pub promoted: bool,
    pub killed: bool,
    pub desk_crash: bool,
    pub two_desks: bool,
    pub unheard: bool,
    pub late: bool,
    pub cut_off: bool,
    pub hasty: bool,
}

impl Kinds {
    pub(crate) const NONE: Self = Self {
        wiped: false,
        set_back: false,
        promoted: false,
        killed: false,
        desk_crash: false,
        two_desks: false,
        unheard: false,
        late: false,
        cut_off: false,
        hasty: false,
    };
    pub(crate) const ALL: Self = Self {
        wiped: true,
        set_back: true,
        promoted: true,
        killed: true,
        desk_crash: true,
        two_desks: true,
        unheard: true,
        late: true,
        cut_off: true,
        hasty: true,
    };
}

/// A step's name, for traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Start,
    // What proxies do; the number is the request or the proxy.
    Hold(u8),
    GiveUp(u8),
    TakeLease(u8),
    TakePart(u8),
    Extend(u8),
    Close(u8),
    CloseShort(u8),
    Settle(u8),
    Acknowledge(u8),
    Beat(u8),
    GiveBack(u8),
    Declare(u8),
    Restart(u8, Ended),
    Bury(u8),
    // What the desk does.
    Read,
    Load,
    Collect(u8),
    Commit,
    Posted,
    Reap(u8),
    NewEra,
    Waited,
    Open,
    TopUp,
    Credit,
    Decide,
    Withdrawn,
    // What goes wrong or takes its time.
    Unheard(Called),
    Late(Called),
    Doomed(Called),
    Arrives(u8),
    Wiped,
    SetBack,
    Promoted(u8),
    OldStops,
    Killed(u8),
    KilledWithSpool(u8),
    CutOff(u8),
    Expired(u8),
    Reconnects(u8),
    DeskCrash,
    TwoDesks,
    Superseded,
}

/// What a proxy's spool says of each of its requests that were under way: a digit each, in their order.
pub(crate) type Ended = u8;

/// Whose call it was that went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Called {
    Proxy(u8),
    Desk,
}

/// A call as it was made, for the replay on a real server.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub call: Call,
    pub answer: Answer,
    /// By whom the old primary was asked instead.
    pub old: bool,
}

/// A way to go on.
#[derive(Debug, Clone)]
pub(crate) struct Next {
    pub step: Step,
    pub world: World,
    pub made: Option<Made>,
}

/// Gathers the ways to go on from one world.
pub(crate) struct Ways<'a> {
    pub from: &'a World,
    pub run: &'a Run,
    pub next: Vec<Next>,
}

impl<'a> Ways<'a> {
    pub(crate) fn from(from: &'a World, run: &'a Run) -> Vec<Next> {
        let mut ways = Self { from, run, next: Vec::with_capacity(32) };
        ways.of_proxies();
        ways.of_desk();
        ways.of_faults();
        if ways.nothing_will_happen()
            && let Some(first) = ways.next.iter().position(|next| ways.is_alone(next))
        {
            ways.next = vec![ways.next.swap_remove(first)];
        }
        ways.next
    }

    /// No fault can come any more, no call is under way that may arrive, and nobody waits for declarations.
    fn nothing_will_happen(&self) -> bool {
        let World { phase, late, doomed, desk, harm, .. } = self.from;
        harm.faults >= self.run.faults
            && (*phase == Phase::Open || *phase == Phase::Opening && desk.waited)
            && late.is_empty()
            && doomed.is_none()
            && desk.superseded.is_none()
            && self.rules().0.is_none()
    }

    /// A step that neither changes what any other step reads nor reads what any other changes. It comes at
    /// once, because it would come to the same later.
    fn is_alone(&self, next: &Next) -> bool {
        match next.step {
            Step::Acknowledge(proxy) => self.from.proxies[usize::from(proxy)].reach == Reach::Redis,
            Step::Commit => true,
            Step::Posted => self.from.ledger.pending.is_some_and(|pending| pending.back == 0),
            _ => false,
        }
    }

    pub(crate) fn rules(&self) -> Rules {
        self.run.rules
    }

    pub(crate) fn broken(&self, mutation: M) -> bool {
        self.run.rules.broken(mutation)
    }

    pub(crate) fn go(&mut self, step: Step, change: impl FnOnce(&mut World)) {
        let mut world = self.from.clone();
        change(&mut world);
        self.next.push(Next { step, world, made: None });
    }

    /// Whether one more fault may happen.
    pub(crate) fn may_fail(&self, kind: impl Fn(&Kinds) -> bool) -> bool {
        self.from.harm.faults < self.run.faults && kind(&self.run.kinds) && self.from.doomed.is_none()
    }

    pub(crate) fn fault(&mut self, step: Step, change: impl FnOnce(&mut World)) {
        self.go(step, |world| {
            world.harm.faults += 1;
            change(world);
        });
    }

    /// A call, and all that can become of it. `sent` is what its caller does when he sends it, `heard`
    /// when he is answered.
    pub(crate) fn call(
        &mut self,
        step: Step,
        by: Called,
        call: Call,
        sent: impl Fn(&mut World),
        heard: impl Fn(&mut World, Answer),
    ) {
        let old =
            matches!(by, Called::Proxy(proxy) if self.from.proxies[usize::from(proxy)].reach == Reach::Old);
        if !self.is_served(&call, old) || self.from.doomed.is_some() {
            return;
        }
        let mut world = self.from.clone();
        sent(&mut world);
        let before = self.from.old.as_deref().filter(|_| old).unwrap_or(&self.from.redis);
        let mut redis = before.clone();
        let answer = redis.call(&call, self.rules());
        let moved = redis != *before;
        if moved && !old {
            if self.may_fail(|kinds| kinds.unheard) {
                self.failed(Step::Unheard(by), &world, Some((&call, answer)), |world| {
                    world.redis = redis.clone()
                });
            }
            if self.may_fail(|kinds| kinds.late) {
                let mut late = Late { era: world.redis.era, call: call.clone() };
                if !self.broken(M::BeatsNotNumbered) {
                    late.call = late.call.delayed(&world.redis);
                }
                self.failed(Step::Late(by), &world, None, |world| world.late.push(late));
            }
            if by == Called::Desk && self.from.phase == Phase::Open && self.may_fail(|kinds| kinds.two_desks)
            {
                let late = Late { era: world.redis.era, call: call.clone() };
                self.failed(Step::TwoDesks, &world, None, |world| {
                    world.late.push(late);
                    world.succeed_desk();
                });
            }
            if self.may_fail(|kinds| kinds.set_back) {
                self.failed(Step::Doomed(by), &world, Some((&call, answer)), |world| {
                    world.doomed = Some(Box::new(std::mem::replace(&mut world.redis, redis.clone())));
                    heard(world, answer);
                });
            }
        }
        if old {
            world.old = Some(Box::new(redis));
        } else {
            world.redis = redis;
        }
        heard(&mut world, answer);
        self.next.push(Next { step, world, made: Some(Made { call, answer, old }) });
    }

    fn failed(
        &mut self,
        step: Step,
        sent: &World,
        made: Option<(&Call, Answer)>,
        change: impl FnOnce(&mut World),
    ) {
        let mut world = sent.clone();
        world.harm.faults += 1;
        change(&mut world);
        let made = made.map(|(call, answer)| Made { call: call.clone(), answer, old: false });
        self.next.push(Next { step, world, made });
    }

    /// Whether the server knows the script.
    fn is_served(&self, call: &Call, old: bool) -> bool {
        old || match self.from.phase {
            Phase::Gone => false,
            Phase::Opening => call.ends_things(),
            Phase::Open => true,
        }
    }

    /// The Redis that a proxy speaks to, if there is one that answers him in the era that he knows.
    pub(crate) fn reached(&self, proxy: usize) -> Option<&'a Redis> {
        match self.from.proxies[proxy].reach {
            Reach::Redis => (self.from.phase != Phase::Gone).then_some(&self.from.redis),
            Reach::Old => self.from.old.as_deref(),
            Reach::None | Reach::Expired => None,
        }
    }
}
