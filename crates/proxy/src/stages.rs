//! The stages of a request, in their order. Each hands the next one evidence that it took place.

pub mod admit;
mod answered;
pub mod attempts;
pub mod authenticate;
pub mod consult;
pub mod dispatch;
pub mod inspect;
pub mod notes;
pub mod patience;
pub mod plan;
pub mod relay;
pub mod resolve;
pub mod route;
pub mod terms;
