//! What traffic policies ask of the outside, on real sockets and with a clock that the test sets.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

#[path = "effects/calls.rs"]
mod calls;
#[path = "effects/key_sets.rs"]
mod key_sets;
#[path = "effects/remembered.rs"]
mod remembered;
#[path = "effects/server.rs"]
mod server;

use egress::EgressConfig;
use http::HeaderMap;
use model::AccountId;
use model::id::GatewayInternalId;
use prometheus::Registry;
use proxy::config::Policies;
use proxy::effects::{Effects, Hops, Whose};
use uuid::Uuid;

/// Effects that may reach these ranges.
fn effects(allow: &str) -> Effects {
    Effects::new(&policies(allow), &Registry::new()).unwrap()
}

fn policies(allow: &str) -> Policies {
    let allow = allow.split(',').filter(|range| !range.is_empty()).map(|range| range.parse().unwrap());
    let egress = EgressConfig { allow: allow.collect() };
    Policies { egress, calls: 16, buckets: 64, key_bytes: 4 << 20 }
}

/// Effects that may reach the servers of tests.
fn at_home() -> Effects {
    effects("127.0.0.0/8")
}

fn whose(account: u128, gateway: u128) -> Whose {
    Whose {
        account: AccountId(Uuid::from_u128(account)),
        gateway: GatewayInternalId(Uuid::from_u128(gateway)),
        hops: Hops::of(&HeaderMap::new()),
    }
}
