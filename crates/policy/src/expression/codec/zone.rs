//! What the clock on the wall shows somewhere.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use time::{OffsetDateTime, UtcOffset};

use crate::expression::error::Failure;

/// A moment as it is told in a zone: `UTC`, `America/New_York`, or a distance from Greenwich such as
/// `+02:00`.
pub(crate) fn local(at: OffsetDateTime, zone: &str) -> Result<OffsetDateTime, Failure> {
    let unknown = Failure::BadArgument("this is no time zone such as `America/New_York` or `+02:00`");
    let offset = match distance(zone) {
        Some(distance) => distance,
        None => named(at, zone).ok_or(unknown)?,
    };
    at.checked_to_offset(offset).ok_or(Failure::Overflow)
}

/// `+02:00`; without a sign it is to the east.
fn distance(zone: &str) -> Option<UtcOffset> {
    if matches!(zone, "" | "UTC" | "Z") {
        return Some(UtcOffset::UTC);
    }
    let west = zone.starts_with('-');
    let (hours, minutes) = zone.strip_prefix(['+', '-']).unwrap_or(zone).split_once(':')?;
    let number = |digits: &str| {
        let two = digits.len() == 2 && digits.bytes().all(|digit| digit.is_ascii_digit());
        two.then(|| digits.parse::<i8>().ok()).flatten()
    };
    let sign = if west { -1 } else { 1 };
    UtcOffset::from_hms(sign * number(hours)?, sign * number(minutes)?, 0).ok()
}

fn named(at: OffsetDateTime, zone: &str) -> Option<UtcOffset> {
    // No zone has a longer name.
    let zone = TimeZone::get(zone.get(..zone.len().min(64))?).ok()?;
    let at = Timestamp::from_second(at.unix_timestamp()).ok()?;
    UtcOffset::from_whole_seconds(zone.to_offset(at).seconds()).ok()
}
