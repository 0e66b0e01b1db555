//! The dialect of Google's Gemini API: what its paths and requests say, how answers and streams say what was
//! used, and how a stream is ended that cannot be paid further.

mod cut_off;
mod limits;
pub mod request;
pub(crate) mod stream;
mod text;
pub(crate) mod usage;

pub use limits::Limits;
pub use request::Call;
