//! Usage on its way to Postgres: the spool on a proxy's disk, the streams in Redis, and the desk's
//! hand on them. All keys of Redis that move with the money are named here.
//!
//! A record is in the spool before its request leaves, in a stream of its shard once it is over,
//! and leaves the spool when the desk's posted position has passed it in the same era. What is sent
//! twice is recognised by its id in Postgres, so everything here may be repeated.

mod claim;
pub mod desk;
mod eras;
mod flush;
mod held;
mod holder;
mod incarnations;
mod leases;
mod link;
mod logged;
mod meter;
mod open_record;
pub mod protocol;
mod replay;
#[cfg(test)]
mod samples;
mod settlement;
mod spool;
mod stream;

pub use claim::{Claim, Denied, Standing};
pub use meter::{Meter, MeterConfig, MeterError, MeterStatus};
pub use open_record::OpenRecord;
pub use replay::{Replayed, replay};
pub use spool::{SpoolError, SpoolFull};
pub use stream::Position;
