//! Moments and lengths of time. A string in RFC 3339 may stand wherever a moment may, as `time.now` does.

use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

use super::{Function, open_text, text};
use crate::expression::codec::zone;
use crate::expression::error::Failure;
use crate::value::Value;

type Outcome = Result<Value, Failure>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global("timestamp", 1, 1, |_, values| moment(&values[0]).map(Value::Timestamp)),
    Function::global("duration", 1, 1, |_, values| length(&values[0])),
    Function::method("getFullYear", 1, 2, |_, values| part(values, |at| at.year().into())),
    // From zero, as in JavaScript; `getDate` counts days from one and `getDayOfMonth` from zero.
    Function::method("getMonth", 1, 2, |_, values| part(values, |at| i64::from(u8::from(at.month())) - 1)),
    Function::method("getDate", 1, 2, |_, values| part(values, |at| at.day().into())),
    Function::method("getDayOfMonth", 1, 2, |_, values| part(values, |at| i64::from(at.day()) - 1)),
    Function::method("getDayOfWeek", 1, 2, |_, values| {
        part(values, |at| at.weekday().number_days_from_sunday().into())
    }),
    Function::method("getDayOfYear", 1, 2, |_, values| part(values, |at| i64::from(at.ordinal()) - 1)),
    Function::method("getHours", 1, 2, |_, values| {
        timed(values, |at| at.hour().into(), Duration::whole_hours)
    }),
    Function::method("getMinutes", 1, 2, |_, values| {
        timed(values, |at| at.minute().into(), Duration::whole_minutes)
    }),
    Function::method("getSeconds", 1, 2, |_, values| {
        timed(values, |at| at.second().into(), Duration::whole_seconds)
    }),
    Function::method("getMilliseconds", 1, 2, |_, values| {
        timed(values, |at| at.millisecond().into(), |length| length.subsec_milliseconds().into())
    }),
];

/// A moment, from one, from a string in RFC 3339 or from Unix seconds.
fn moment(value: &Value) -> Result<OffsetDateTime, Failure> {
    let invalid = Failure::BadArgument("this is no moment as RFC 3339 writes it");
    match value {
        Value::Timestamp(at) => Ok(*at),
        Value::Int(seconds) => OffsetDateTime::from_unix_timestamp(*seconds).map_err(|_| Failure::Overflow),
        value => OffsetDateTime::parse(open_text(value)?, &Rfc3339).map_err(|_| invalid),
    }
}

/// A length of time as Go writes it: `1h30m`, `1.5s`, `250ms`.
fn length(value: &Value) -> Outcome {
    if let Value::Duration(length) = value {
        return Ok(Value::Duration(*length));
    }
    let invalid = || Failure::BadArgument("this is no length of time such as `1h30m` or `1.5s`");
    let whole = open_text(value)?;
    let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let (mut rest, mut nanos) = (unsigned, 0.0);
    if rest.is_empty() || rest.len() > 64 {
        return Err(invalid());
    }
    while !rest.is_empty() && rest != "0" {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, behind) = rest.split_at(digits);
        let letters = behind.len() - behind.trim_start_matches(|c: char| c.is_alphabetic()).len();
        let (unit, behind) = behind.split_at(letters);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        nanos += number
            * match unit {
                "ns" => 1.0,
                "us" | "µs" | "μs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                "m" => 6e10,
                "h" => 3.6e12,
                _ => return Err(invalid()),
            };
        rest = behind;
    }
    // About 292 years, which is what Go can hold.
    if nanos >= 9.2e18 {
        return Err(Failure::Overflow);
    }
    let nanos = if whole.starts_with('-') { -nanos } else { nanos };
    Ok(Value::Duration(Duration::nanoseconds(nanos.round() as i64)))
}

/// A part of a moment where it is told the time of, which is Greenwich unless said.
fn part(values: &[Value], part: fn(OffsetDateTime) -> i64) -> Outcome {
    let at = moment(&values[0])?;
    let place = values.get(1).map(text).transpose()?.map_or("UTC", |place| place.as_str());
    zone::local(at, place).map(|at| Value::Int(part(at)))
}

/// The same, or how many there are in a length of time.
fn timed(values: &[Value], of_moment: fn(OffsetDateTime) -> i64, of_length: fn(Duration) -> i64) -> Outcome {
    match &values[0] {
        Value::Duration(length) => Ok(Value::Int(of_length(*length))),
        _ => part(values, of_moment),
    }
}
