//! Says what is being done and how long it took, so that nobody wonders at a quiet terminal.

use std::time::Instant;

use anyhow::Result;

/// Does one step, telling of its beginning and of its end.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    eprintln!("• {what}");
    let start = Instant::now();
    let outcome = work()?;
    let seconds = start.elapsed().as_secs_f64();
    if seconds >= 0.5 {
        eprintln!("  done in {seconds:.1} s");
    }
    Ok(outcome)
}

/// A remark within a step.
pub(crate) fn note(what: &str) {
    eprintln!("  {what}");
}
