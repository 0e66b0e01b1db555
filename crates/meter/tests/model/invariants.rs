//! What must be true at every moment, and once nothing more can happen.

use crate::redis::{Collected, Kind};
use crate::scene::{Money, REQUESTS};
use crate::steps::Run;
use crate::world::{At, Life, Phase, Request, TopUp, Withdrawal, World};

/// One of MONEY.md's invariants, or what follows from them in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Invariant {
    /// 1. For a loaded account the balance in Postgres is what is free, held and unposted in Redis.
    Mirror,
    /// 2. What is held is the sum of the holds; what leases could give back, of the open leases.
    HeldIsTheSumOfHolds,
    /// 3. A balance is never below zero.
    BalanceNotNegative,
    /// 3. What is free is never below zero under any single fault.
    FreeNotNegative,
    /// 4. A record is posted once and corrected at most once.
    PostedOnce,
    /// 5. What came in is what is left, was charged or left; and nobody pays more than his charge.
    TrialBalance,
    /// 6. What left its spool is in Postgres as it was.
    AcknowledgedIsPosted,
    /// A limit has counted what was used and what is reserved.
    LimitCountsAll,
    /// It is exceeded at most by what requests cost beyond their holds.
    LimitKept,
    /// So is what the customer has.
    NeverOverspent,
    /// Nothing is held for a request but what it asked for.
    HeldAsAsked,
    /// Nobody is refused what a lease could give back.
    NobodyRefusedWhatIsLeased,
    /// Nothing is taken of a lease that was ended for its proxy.
    LeasesSpentInTime,
    /// No start is taken for dead that has beaten since.
    NobodyBuriedAlive,
    /// In the end nothing is held, unposted, collected, or on its way.
    NothingLeft,
    /// In the end every request was refused or its record acknowledged, unless its proxy is dead.
    EverybodyAnswered,
    /// In the end whoever was dispatched has paid what it cost, as far as he held it.
    PaidAsHeld,
    /// In the end a request whose proxy is dead, and its spool with it, is charged what was last known.
    AbandonedIsCharged,
    /// From everywhere an end can be reached.
    Ends,
}

use Invariant as I;

/// The first of them that does not hold.
pub(crate) fn violated(world: &World, run: &Run, quiet: bool) -> Option<Invariant> {
    let always = [
        (I::Mirror, mirrors(world, run)),
        (I::HeldIsTheSumOfHolds, sums(world)),
        (I::BalanceNotNegative, world.ledger.balance >= 0),
        (I::FreeNotNegative, world.harm.faults > 1 || world.redis.account.free >= 0),
        (I::PostedOnce, world.ledger.rows.iter().flatten().all(|row| row.posted <= 1 && row.corrected <= 1)),
        (I::TrialBalance, balances(world, run)),
        (I::AcknowledgedIsPosted, acknowledged(world)),
        (I::LimitCountsAll, counts(world)),
        (I::LimitKept, keeps_limit(world)),
        (I::NeverOverspent, not_overspent(world, run)),
        (I::HeldAsAsked, held_as_asked(world, run)),
        (I::NobodyRefusedWhatIsLeased, !world.harm.refused_what_was_leased),
        (I::LeasesSpentInTime, !world.harm.spent_too_long),
        (I::NobodyBuriedAlive, !world.harm.buried_alive),
    ];
    let broken = always.into_iter().find(|(_, holds)| !holds).map(|(invariant, _)| invariant);
    if broken.is_some() || !quiet {
        return broken;
    }
    let finally = [
        (I::EverybodyAnswered, answered(world)),
        (I::NothingLeft, nothing_left(world)),
        (I::PaidAsHeld, paid_as_held(world)),
        (I::AbandonedIsCharged, abandoned_is_charged(world, run)),
    ];
    finally.into_iter().find(|(_, holds)| !holds).map(|(invariant, _)| invariant)
}

fn mirrors(world: &World, run: &Run) -> bool {
    let World { redis, ledger, .. } = world;
    if world.phase == Phase::Gone || !redis.account.loaded {
        return true;
    }
    let untold = ledger.pending.filter(|pending| pending.position > redis.posted);
    let untold = untold.map_or(0, |pending| pending.unposted - pending.back);
    let arriving = ledger.top_up == TopUp::Arrived && redis.account.applied == 0;
    let leaving = match (ledger.withdrawal, redis.collected[REQUESTS]) {
        (Withdrawal::Decided(amount), Collected::Taken(_)) => amount,
        _ => 0,
    };
    let in_redis = redis.account.free + redis.account.held + redis.account.unposted;
    ledger.balance + untold + leaving - if arriving { run.scene.arrives } else { 0 } == in_redis
}

fn sums(world: &World) -> bool {
    let holds = || world.redis.holds.iter().flatten();
    let leases = || holds().filter(|hold| hold.kind == Kind::Lease);
    let account = &world.redis.account;
    account.held == holds().map(|hold| hold.amount).sum::<Money>()
        && account.leased == leases().map(|hold| hold.amount).sum::<Money>()
        && usize::from(account.leases) == leases().count()
        && holds().all(|hold| hold.amount >= 0 && hold.reserved >= 0)
}

fn balances(world: &World, run: &Run) -> bool {
    let ledger = &world.ledger;
    let arrived = if ledger.top_up == TopUp::Expected { 0 } else { run.scene.arrives };
    let paid: Money = ledger.rows.iter().flatten().map(|row| row.paid).sum();
    run.scene.balance + arrived == ledger.balance + paid + ledger.withdrawn
        && ledger.rows.iter().flatten().all(|row| 0 <= row.paid && row.paid <= row.charge)
}

fn acknowledged(world: &World) -> bool {
    world.requests.iter().zip(world.ledger.rows).all(|(request, row)| {
        request.at != At::Acknowledged
            || row.is_some_and(|row| {
                request.abandoned || row.charge == request.charge && !(row.abandoned && row.corrected == 0)
            })
    })
}

fn counts(world: &World) -> bool {
    let World { redis, ledger, .. } = world;
    if redis.counter.limit.is_none() || world.phase == Phase::Gone || ledger.pending.is_some() {
        return true;
    }
    let posted = ledger.rows.iter().flatten().map(|row| row.counted).sum::<Money>();
    let streamed = redis.stream.iter().flat_map(|entry| &entry.lines).map(|line| line.used).sum::<Money>();
    let reserved = redis.holds.iter().flatten().map(|hold| hold.reserved).sum::<Money>();
    let leases = redis.holds.iter().flatten().filter(|hold| hold.kind == Kind::Lease);
    redis.counter.used == if redis.account.loaded { posted } else { 0 } + streamed + reserved
        && redis.counter.leased == leases.map(|hold| hold.reserved).sum::<Money>()
}

/// What was dispatched or is due, less what its requests cost beyond their holds.
fn engaged(world: &World) -> Money {
    let engaged = |request: &Request| match request.at {
        At::Held => request.amount,
        At::Closed | At::Sent(_) | At::Acknowledged => request.charge.min(request.amount),
        At::Idle | At::Asked | At::Refused | At::Lost => 0,
    };
    world.requests.iter().map(engaged).sum()
}

/// A hold that was ended for a proxy, and an era that did not wait for one, leave room for others.
fn is_excused(world: &World) -> bool {
    world.harm.faults > 1 || world.harm.hasty || world.harm.reaped != 0
}

fn keeps_limit(world: &World) -> bool {
    is_excused(world) || world.redis.counter.limit.is_none_or(|limit| engaged(world) <= limit)
}

fn not_overspent(world: &World, run: &Run) -> bool {
    let arrived = if world.ledger.top_up == TopUp::Expected { 0 } else { run.scene.arrives };
    is_excused(world) || engaged(world) <= run.scene.balance + arrived - world.ledger.withdrawn
}

fn held_as_asked(world: &World, run: &Run) -> bool {
    run.scene.requests.iter().zip(world.redis.holds).all(|(plan, hold)| {
        hold.is_none_or(|hold| hold.amount <= plan.amount + if hold.step > 0 { plan.more } else { 0 })
    })
}

fn answered(world: &World) -> bool {
    world.requests.iter().all(|request| {
        let lives = request.proxy == u8::MAX || world.proxies[usize::from(request.proxy)].life == Life::Alive;
        !lives || matches!(request.at, At::Refused | At::Acknowledged)
    })
}

fn nothing_left(world: &World) -> bool {
    let account = &world.redis.account;
    world.redis.holds.iter().all(Option::is_none)
        && (account.held, account.unposted, account.leased, account.leases) == (0, 0, 0, 0)
        && world.redis.stream.is_empty()
        && !world.redis.collected.iter().any(|collected| matches!(collected, Collected::Taken(_)))
        && (!account.loaded || account.free == world.ledger.balance)
}

/// What the operator has to bear is at most what requests cost beyond their holds, whoever of them it is
/// that found nothing free. Faults that come together, an era that was opened without a proxy, and being
/// taken for dead may cost more; nothing else may.
fn paid_as_held(world: &World) -> bool {
    if world.harm.faults > 1 || world.harm.hasty {
        return true;
    }
    let reaped = |start: u8| world.harm.reaped & 1 << start != 0;
    let answered = world.requests.iter().zip(world.ledger.rows);
    let kept = answered.filter(|(request, _)| request.at == At::Acknowledged && !reaped(request.start));
    let (mut beyond, mut borne) = (0, 0);
    for (request, row) in kept {
        beyond += (request.charge - request.amount).max(0);
        borne += row.map_or(request.charge, |row| row.charge - row.paid);
    }
    borne <= beyond
}

fn abandoned_is_charged(world: &World, run: &Run) -> bool {
    world.harm.faults > 1
        || world.requests.iter().zip(world.ledger.rows).enumerate().all(|(id, (request, row))| {
            request.at != At::Lost
                || request.part
                || request.amount == 0
                || row.is_some_and(|row| {
                    row.paid <= request.amount.max(request.charge)
                        && (!row.abandoned || row.paid >= run.scene.requests[id].floor)
                })
        })
}
