//! Each script, branch by branch, on a real Redis, and each repeated.

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
