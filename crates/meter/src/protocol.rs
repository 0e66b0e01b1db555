//! The protocol for money, as Redis executes it: the keys of a shard and the scripts that change them.
//!
//! The meter and the desk speak through here; it is public so that tests can call each script with
//! plain arguments, `scripts.call(Script::Hold).arg(…)`. What a script takes and answers stands at the
//! head of its file in `src/scripts`, and [`calls`] has the proxy's with types.
//!
//! Shard and era stand in the scripts' text, and only the desk loads them. A server that restarted, was
//! promoted or was wiped does not know them: its `NOSCRIPT` is the fence, and nobody falls back to EVAL.
//! A script whose era is no longer the published one answers `NOERA`.
//!
//! # Keys
//! `{shard}:era` is the number of the era that is open. All others begin with `{shard}:era:`, so that
//! everything of a shard lies in one hash slot:
//!
//! | Key | Type | What |
//! |---|---|---|
//! | `a:<account>` | hash | `free held unposted` in nano-dollars; `loaded` once Postgres has said what there is, `applied` the sequence of the last credit; `leased` the part of `held` that leases could give back, `leases` how many are open, `recall` if they shall |
//! | `h:<incarnation>` | hash | hold → `kind account amount floor reported step taken`, then for each counter `id window amount floor`; kinds are `o` a request's own, `l` an open lease, `c` a closed one |
//! | `r:<incarnation>` | hash | hold → the record that is posted if nobody hears of the request again |
//! | `i:<incarnation>` | hash | `seq` the last batch of records, `s0`…`s15` the entries of the last sixteen, `beat` the last beat, `declared` the last part of its declaration, `dead` |
//! | `c:<account>:<counter>` | hash | `i` number of the present window, `c` its count, `p` that of the one before, `l` the part of `c` that leases could give back, `x` that it expires by a guess |
//! | `want` | set | accounts to load |
//! | `b` | hash | incarnation → number of its last beat; only those that may have holds |
//! | `d` | set | incarnations that have declared |
//! | `collected` | hash | id → what the desk has taken for it and not posted yet, or `-` for a withdrawal that is over |
//! | `u` | stream | `b` a batch of records, `p` what they have paid, `c` what they are charged and `h` their holds where the desk reaped them, `k` if the desk carried them here from the era before; or `w` an account to load |
//! | `posted` | string | how far the desk has posted the stream |
//! | `fence` | string | the highest fencing number of a desk |
//!
//! Amounts are written in full; Lua has doubles, which are exact below 2^53.

pub mod calls;

use std::fmt;
use std::sync::{Arc, LazyLock};

use model::Shard;
use redis::{Cmd, RedisError};

use crate::stream::{era_key, posted_key, usage_key};

/// One of the scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Script {
    /// A proxy, in a new era: its open holds as they are.
    Declare,
    /// A proxy: a numbered batch of records, each paid from its hold.
    Settle,
    /// A proxy: it lives; what its streams produced, what its leases give back.
    Beat,
    /// A proxy, about one that was before it on the same spool: releases what is left.
    Bury,
    /// The desk: takes what is missing, as far as it is free.
    Collect,
    /// The desk: a withdrawal was committed, or given up.
    Withdrawn,
    /// The desk: Postgres has everything up to a position.
    Posted,
    /// A proxy, before a provider is called.
    Hold,
    /// A proxy, while a provider answers.
    Extend,
    /// The desk: money has arrived.
    Credit,
    /// The desk: what an account has.
    Load,
    /// The desk: ends holds of an incarnation that beats no longer.
    Reap,
}

impl Script {
    /// Its name, which is its file's.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Declare => "declare",
            Self::Settle => "settle",
            Self::Beat => "beat",
            Self::Bury => "bury",
            Self::Collect => "collect",
            Self::Withdrawn => "withdrawn",
            Self::Posted => "posted",
            Self::Hold => "hold",
            Self::Extend => "extend",
            Self::Credit => "credit",
            Self::Load => "load",
            Self::Reap => "reap",
        }
    }

    /// In which text Redis has it.
    pub const fn bundle(self) -> Bundle {
        match self {
            Self::Declare
            | Self::Settle
            | Self::Beat
            | Self::Bury
            | Self::Collect
            | Self::Withdrawn
            | Self::Posted
            | Self::Load => Bundle::First,
            Self::Hold | Self::Extend | Self::Credit | Self::Reap => Bundle::Second,
        }
    }
}

/// Operations that Redis has in one text: a server compiles and keeps two for each of 256 shards, and
/// most of what they consist of they share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Bundle {
    /// What a new era begins with: enough for proxies to declare and for the desk to post. That takes
    /// loading: what a record lacks is taken from what nobody holds. It also runs when there is no memory
    /// left, because it is what frees memory; proxies stop sending before.
    First,
    /// What is loaded once all have declared.
    Second,
}

impl Bundle {
    /// Both.
    pub const ALL: [Bundle; 2] = [Bundle::First, Bundle::Second];

    /// Flags, the parts that the operations share, the operations.
    fn parts(self) -> (&'static str, &'static [&'static str], &'static [(Script, &'static str)]) {
        macro_rules! parts {
            ($($name:literal),*) => { &[$(include_str!(concat!("scripts/parts/", $name, ".lua"))),*] };
        }
        macro_rules! scripts {
            ($($script:ident $name:literal),*) => {
                &[$((Script::$script, include_str!(concat!("scripts/", $name, ".lua")))),*]
            };
        }
        match self {
            Self::First => (
                "#!lua flags=allow-oom",
                parts!("core", "fence", "clock", "accounts", "counters", "holds"),
                scripts!(
                    Settle "settle", Beat "beat", Posted "posted", Collect "collect", Withdrawn "withdrawn",
                    Declare "declare", Bury "bury", Load "load"
                ),
            ),
            Self::Second => (
                "#!lua",
                parts!("core", "fence", "clock", "accounts", "counters", "windows", "holds", "room"),
                scripts!(Hold "hold", Extend "extend", Credit "credit", Reap "reap"),
            ),
        }
    }
}

/// As in its file's name.
impl fmt::Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where scripts have the time from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Clock {
    /// From Redis.
    #[default]
    Redis,
    /// Milliseconds since 1970 that a test has written to [`clock_key`].
    Key,
}

/// The scripts of one era of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scripts {
    shard: Shard,
    era: u64,
    digests: Arc<[String; 2]>,
}

impl Scripts {
    /// As proxies and desks call them.
    pub fn of(shard: Shard, era: u64) -> Self {
        Self::with(shard, era, Clock::Redis)
    }

    /// With a clock of a test's own.
    pub fn with(shard: Shard, era: u64, clock: Clock) -> Self {
        let digest = |bundle| redis::Script::new(&text(bundle, shard, era, clock)).get_hash().to_owned();
        Self { shard, era, digests: Arc::new(Bundle::ALL.map(digest)) }
    }

    /// Which shard.
    pub fn shard(&self) -> Shard {
        self.shard
    }

    /// Which era.
    pub fn era(&self) -> u64 {
        self.era
    }

    /// The digests under which a server that has not forgotten them knows both texts.
    pub fn digests(&self) -> &[String; 2] {
        &self.digests
    }

    /// A call to which the script's own arguments have yet to be added.
    pub fn call(&self, script: Script) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        let (usage, posted) = (usage_key(self.shard, self.era), posted_key(self.shard, self.era));
        command.arg(&self.digests[script.bundle() as usize]).arg(2).arg(usage).arg(posted);
        command.arg(script.name());
        command
    }
}

/// The text as the desk loads it, without comments and indentation.
pub fn text(bundle: Bundle, shard: Shard, era: u64, clock: Clock) -> String {
    static TEMPLATES: LazyLock<[String; 2]> = LazyLock::new(|| Bundle::ALL.map(template));
    let clock = match clock {
        Clock::Redis => "(function() local t = call('TIME') return t[1] * 1000 + floor(t[2] / 1000) end)()",
        Clock::Key => "tonumber(call('GET', at .. 'clock'))",
    };
    let template = &TEMPLATES[bundle as usize];
    template
        .replace("{shard}", &shard.to_string())
        .replace("{era}", &era.to_string())
        .replace("{clock}", clock)
}

fn template(bundle: Bundle) -> String {
    let (flags, parts, scripts) = bundle.parts();
    let mut text = flags.to_owned();
    let mut add = |part: &str| {
        let lines = part.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("--"));
        lines.for_each(|line| {
            text.push('\n');
            text.push_str(line);
        });
    };
    parts.iter().for_each(|part| add(part));
    for (script, body) in scripts {
        add(&format!("if ARGV[1] == '{script}' then"));
        add(body);
        add("end");
    }
    text
}

/// What every other key of an era begins with.
pub fn key(shard: Shard, era: u64, name: &str) -> String {
    format!("{shard}:{era}:{name}")
}

/// The key that says which era of the shard is open.
pub fn published(shard: Shard) -> String {
    era_key(shard)
}

/// Where [`Clock::Key`] reads the time.
pub fn clock_key(shard: Shard, era: u64) -> String {
    key(shard, era, "clock")
}

/// Whether the answer means that this era is over: the server does not know the script, or the
/// era's keys are gone, or another era is published.
pub fn era_is_over(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOSCRIPT" | "NOERA"))
}
