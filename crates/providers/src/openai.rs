//! OpenAI's dialect: what we read in requests, what we splice into them, and how answers and
//! streams say what was used.

pub mod hide;
pub mod request;
pub mod stream;
pub mod usage;
