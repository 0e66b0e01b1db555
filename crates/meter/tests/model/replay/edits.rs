//! Changes of the scripts' text, and which difference from the model shows each.

use meter::protocol::Bundle;

use crate::scene::{CARVE, LEASE, LIMIT, PLAIN, STREAM, Scene, TELLER};
use crate::steps::Kinds;

/// A change: what stands in which text, and what stands there instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Edit {
    pub bundle: Bundle,
    pub from: &'static str,
    pub to: &'static str,
}

/// A change, in which scene and under which faults, each at most once, it is noticed, and by what.
pub(crate) struct Edited {
    /// What the scripts do then.
    pub name: &'static str,
    pub edit: Edit,
    pub scene: Scene,
    pub kinds: Kinds,
    pub faults: u8,
    pub noticed_by: &'static str,
}

macro_rules! edits {
    ($($name:literal $bundle:ident $from:literal => $to:literal: $scene:ident [$($kind:ident)*] $noticed_by:literal;)*) => {
        pub(crate) const EVERY: &[Edited] = &[$(Edited {
            name: $name,
            edit: Edit { bundle: Bundle::$bundle, from: $from, to: $to },
            scene: $scene,
            kinds: Kinds { $($kind: true,)* ..Kinds::NONE },
            faults: { let faults: &[&str] = &[$(stringify!($kind)),*]; faults.len() as u8 },
            noticed_by: $noticed_by,
        }),*];
    };
}

edits! {
    "hold does not know a hold that is there"
        Second "if present then" => "if false then": PLAIN [unheard] "free";
    "hold does not look at what is free"
        Second "local short = amount - a.free" => "local short = 0": PLAIN [] "free";
    "hold does not look whether the incarnation is dead"
        Second "answers[n] = dead and { 5 } or held(wanted, wants)" => "answers[n] = held(wanted, wants)":
        PLAIN [cut_off] "answer";
    "hold refuses what leases could give back"
        Second "local out = a.leases > 0" => "local out = false": LEASE [] "leased";
    "hold gives a lease all that it asks for"
        Second "local part = min(wanted, floor(max(there, 0) / 100))" => "local part = wanted": LEASE [] "free";
    "extend does not look at the number of the step"
        Second "if hold.step < step then" => "if true then": STREAM [unheard] "free";
    "extend leaves in the lease what it carves out of it"
        Second "lease.amount, lease.changed = lease.amount - hold.amount, true" => "lease.changed = true":
        CARVE [] "holds";
    "extend carves for a request that is settled"
        Second "if batch <= tonumber(told[2] or 0) then" => "if false then": CARVE [late] "free";
    "settle does not look at the number of the batch"
        First "if batch <= last and batch > last - 16 then\nreturn { got[2], posted }\nelseif batch ~= last + 1 then"
        => "if false then": LEASE [unheard] "stream";
    "settle takes what costs more than its hold whether it is free or not"
        First "local pays = min(charge, hold.amount + available(a))" => "local pays = charge": PLAIN [] "free";
    "settle takes nothing beyond the hold"
        First "local pays = min(charge, hold.amount + available(a))" => "local pays = min(charge, hold.amount)":
        PLAIN [] "free";
    "settle leaves in the lease what was paid from it"
        First "lease.amount, lease.changed = lease.amount - from_lease, true" => "lease.changed = true":
        LEASE [] "holds";
    "settle does not gather what was paid from a lease"
        First "drawn = drawn + from_lease" => "": LEASE [] "held";
    "settle takes nothing beyond the part of a lease"
        First "pays = min(charge, part + available(account(lease.account)))" => "pays = part": LEASE [] "free";
    "what a hold did not need is not free again"
        First "give(a, hold.amount - paid)" => "": PLAIN [] "free";
    "free is changed before the account is loaded"
        First "local function give(a, amount)\nif a.loaded then" => "local function give(a, amount)\nif true then":
        PLAIN [wiped] "free";
    "beat does not look at its number"
        First "local fresh = beat > tonumber(told[1] or 0) and not dead" => "local fresh = not dead":
        STREAM [late] "starts";
    "beat releases what it names"
        First "local hold = not named[id] and hold_of(incarnation, id)" => "local hold = hold_of(incarnation, id)":
        STREAM [] "free";
    "beat releases nothing"
        First "if hold and now - hold.taken > 30000 then" => "if false then": PLAIN [late] "free";
    "declare does not look whether it was done"
        First "if part ~= tonumber(got[1] or 0) + 1 then" => "if false then": LIMIT [wiped late] "held";
    "declare gives a late declarer what is not free"
        First "hold.amount = min(hold.amount, available(a))" => "": TELLER [wiped hasty] "free";
    "reap charges what was reported even beyond the hold"
        Second "local charge = record and min(hold.amount, max(hold.floor, hold.reported)) or 0"
        => "local charge = max(hold.floor, hold.reported)": STREAM [killed] "free";
    "reap counts the floor twice"
        Second "count(hold.account, r.id, r.window, r.floor)" => "count(hold.account, r.id, r.window, r.floor * 2)":
        LIMIT [killed] "counter";
    "reap does not look whether there was another beat"
        Second "if (call('HGET', at .. 'b', incarnation) or beat) ~= beat then" => "if false then":
        PLAIN [cut_off late] "free";
    "collect does not remember"
        First "local before = call('HGET', at .. 'collected', id)" => "local before = nil": PLAIN [unheard] "free";
    "collect does not look at the position"
        First "if as_of ~= posted then\nreturn redis.error_reply('MOVED the posted position is ' .. posted)\nend\nlocal taken = {}"
        => "local taken = {}": PLAIN [late] "collected";
    "withdrawn forgets its ids"
        First "call('HSET', at .. 'collected', id, '-')" => "call('HDEL', at .. 'collected', id)":
        TELLER [] "collected";
    "posted does not look at the position"
        First "if not before(posted, to) then" => "if false then": PLAIN [unheard] "unposted";
    "posted does not give back what a duplicate had taken"
        First "move(a, 'unposted', -unposted)\ngive(a, back)" => "move(a, 'unposted', -unposted)":
        PLAIN [killed] "free";
    "posted does not move the position"
        First "call('SET', at .. 'posted', to)" => "": PLAIN [] "stream";
    "credit does not look at the sequence"
        Second "if not applied or sequence <= applied then" => "if not applied then": TELLER [unheard] "free";
    "load does not look whether the account is loaded"
        First "local is_new = not a.loaded" => "local is_new = true": LIMIT [wiped late] "free";
    "load forgets what is held"
        First "give(a, balance - a.held - a.unposted)" => "give(a, balance - a.unposted)": PLAIN [wiped] "free";
    "load forgets what is not posted"
        First "give(a, balance - a.held - a.unposted)" => "give(a, balance - a.held)": PLAIN [wiped] "free";
    "the desk's scripts do not look at the fencing number"
        First "if fence < highest then" => "if false then": PLAIN [two_desks] "answer";
    "a limit keeps what a hold had reserved of it"
        First "count(hold.account, r.id, r.window, -r.amount, open and -r.amount)" => "": LIMIT [] "counter";
    "a limit does not count what was used"
        First "count(owner, one.id, one.window, one.used - one.covered, open and -one.covered)" => "":
        LIMIT [] "counter";
}
