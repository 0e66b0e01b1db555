//! The whole meter with a real Redis, and a desk in small that the test moves by hand.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail where it stands")]

#[path = "meter/eras.rs"]
mod eras;
#[path = "meter/leases.rs"]
mod leases;
#[path = "meter/left_behind.rs"]
mod left_behind;
#[path = "meter/proxy.rs"]
mod proxy;
#[path = "support/redis_server.rs"]
mod redis_server;
#[path = "meter/requests.rs"]
mod requests;
#[path = "meter/restarts.rs"]
mod restarts;
#[path = "meter/wire.rs"]
mod wire;
