//! What expressions come to, family by family.

mod compile;
mod functions;
mod grammar;
mod language;
mod limits;
mod limits_by_chance;
mod reference;
mod requests;
mod secrets;
mod stage;
mod strategies;
mod templates;
