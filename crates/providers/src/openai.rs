//! OpenAI's dialect: what we read in requests, what we splice into them, how answers and streams say
//! what was used, and how a stream is ended that cannot be paid further.

mod cut_off;
pub mod hide;
pub(crate) mod stream;
pub mod units;
pub(crate) mod usage;
