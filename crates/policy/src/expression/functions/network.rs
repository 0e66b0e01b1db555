//! Addresses in ranges. Ranges that are written in the expression are read before; these are computed.

use super::{Function, items};
use crate::expression::error::Failure;
use crate::expression::evaluate::Evaluation;
use crate::expression::network;
use crate::value::Value;

pub(super) const FUNCTIONS: &[Function] =
    &[Function::global("inCidrRange", 2, 2, in_range), Function::global("inCidrRanges", 2, 2, in_ranges)];

fn in_range(run: &mut Evaluation<'_>, values: &[Value]) -> Result<Value, Failure> {
    run.work(5)?;
    let range = values[1].as_str().ok_or_else(|| Failure::wrong_type("string", &values[1]))?;
    let range = range.parse().map_err(|_| Failure::BadArgument("this is no range of addresses"))?;
    network::inside(&values[0], &[range]).map(Value::Bool)
}

/// What is no range is passed over.
fn in_ranges(run: &mut Evaluation<'_>, values: &[Value]) -> Result<Value, Failure> {
    let ranges = items(&values[1])?;
    run.work(ranges.len().saturating_mul(5))?;
    let ranges: Vec<_> = ranges.iter().filter_map(|range| range.as_str()?.parse().ok()).collect();
    network::inside(&values[0], &ranges).map(Value::Bool)
}
