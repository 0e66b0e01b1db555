//! Each script, branch by branch, on a real Redis, and each repeated.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should fail where it stands")]

#[path = "protocol/cluster.rs"]
mod cluster;
#[path = "protocol/desk.rs"]
mod desk;
#[path = "protocol/eras.rs"]
mod eras;
#[path = "protocol/holds.rs"]
mod holds;
#[path = "protocol/leases.rs"]
mod leases;
#[path = "protocol/limits.rs"]
mod limits;
#[path = "protocol/settlements.rs"]
mod settlements;
mod support;
