//! What a run of the model is about: who asks for what, and how much money there is.

/// An amount. Redis is given the same figures as nano-dollars.
pub(crate) type Money = i16;

/// Proxies of every scene.
pub(crate) const PROXIES: usize = 2;
/// The most requests of a scene.
pub(crate) const REQUESTS: usize = 4;
/// Starts of proxies: each may be killed and started again once.
pub(crate) const STARTS: usize = PROXIES * 2;
/// Places for holds: one per request, and one per start for its lease.
pub(crate) const PLACES: usize = REQUESTS + STARTS;

/// A request as it will go if nothing goes wrong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    pub proxy: u8,
    /// Served from a lease if there is one.
    pub leased: bool,
    /// What is set aside before its provider is called.
    pub amount: Money,
    /// What its only extension asks for; 0 if it is no stream.
    pub more: Money,
    /// Its input: the least that it costs once it was dispatched.
    pub floor: Money,
    /// What it costs, with its extension if it has one.
    pub cost: Money,
}

/// One account on one shard, two proxies, and what they are asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scene {
    pub name: &'static str,
    pub balance: Money,
    /// A limit on spending that all requests count in.
    pub limit: Option<Money>,
    /// A top-up that may come at any time; 0 if none does.
    pub arrives: Money,
    /// A refund that the desk is to carry out at any time; 0 if none.
    pub leaves: Money,
    pub requests: &'static [Plan],
}

const fn plain(proxy: u8, amount: Money, cost: Money) -> Plan {
    Plan { proxy, leased: false, amount, more: 0, floor: 100, cost }
}

/// Requests that cost less than, as much as and more than their holds. The money is enough for two
/// holds and for nothing beyond.
pub(crate) const PLAIN: Scene = Scene {
    name: "plain",
    balance: 1600,
    limit: None,
    arrives: 0,
    leaves: 0,
    requests: &[plain(0, 800, 500), plain(0, 800, 800), plain(1, 800, 900)],
};

/// A stream whose extension competes with another proxy's request.
pub(crate) const STREAM: Scene = Scene {
    name: "stream",
    requests: &[
        Plan { proxy: 0, leased: false, amount: 500, more: 500, floor: 100, cost: 900 },
        plain(0, 400, 300),
        plain(1, 600, 650),
    ],
    ..PLAIN
};

/// A lease from which two requests are served, one of them dearer than its part, while another proxy
/// wants everything.
pub(crate) const LEASE: Scene = Scene {
    name: "lease",
    requests: &[
        Plan { proxy: 0, leased: true, amount: 8, more: 0, floor: 1, cost: 5 },
        Plan { proxy: 0, leased: true, amount: 8, more: 0, floor: 1, cost: 12 },
        plain(1, 1590, 1580),
    ],
    ..PLAIN
};

/// A stream that begins on a lease and carves its part out of it, beside one that stays in it.
pub(crate) const CARVE: Scene = Scene {
    name: "carve",
    requests: &[
        Plan { proxy: 0, leased: true, amount: 8, more: 700, floor: 1, cost: 600 },
        Plan { proxy: 0, leased: true, amount: 6, more: 0, floor: 1, cost: 6 },
        plain(1, 880, 870),
    ],
    ..PLAIN
};

/// A limit on spending that affords less than the balance does.
pub(crate) const LIMIT: Scene = Scene {
    name: "limit",
    limit: Some(1000),
    requests: &[
        Plan { proxy: 0, leased: true, amount: 8, more: 300, floor: 1, cost: 350 },
        plain(1, 700, 600),
    ],
    ..PLAIN
};

/// Money that arrives and money that leaves while requests are served.
pub(crate) const TELLER: Scene = Scene {
    name: "teller",
    balance: 900,
    arrives: 300,
    leaves: 200,
    requests: &[plain(0, 700, 800), plain(1, 400, 300)],
    ..PLAIN
};

/// Everything at once: a request that costs less than its hold, one that costs as much, a stream that
/// extends, and one that is served from a lease and costs more than its part.
pub(crate) const ALL: Scene = Scene {
    name: "all",
    requests: &[
        Plan { proxy: 0, leased: false, amount: 500, more: 300, floor: 100, cost: 750 },
        Plan { proxy: 0, leased: true, amount: 8, more: 0, floor: 1, cost: 12 },
        plain(1, 800, 500),
        plain(1, 700, 800),
    ],
    ..PLAIN
};
