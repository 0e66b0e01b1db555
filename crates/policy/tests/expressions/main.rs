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

/// With how many cases a property is tried: so many, unless `PROPTEST_CASES` says how many.
pub(crate) fn cases(many: u32) -> proptest::test_runner::Config {
    let said = std::env::var_os("PROPTEST_CASES").is_some();
    let config = proptest::test_runner::Config::default();
    if said { config } else { proptest::test_runner::Config { cases: many, ..config } }
}
