//! What the clock on the wall shows somewhere.

use model::time_zone::TimeZone;
use time::{OffsetDateTime, UtcOffset};

use crate::expression::error::Failure;

/// A moment as it is told in a zone: `UTC`, or a distance from it such as `+02:00`.
pub(crate) fn local(at: OffsetDateTime, zone: &str) -> Result<OffsetDateTime, Failure> {
    // `02:00` without a sign is to the east.
    let signed =
        if zone.starts_with(|c: char| c.is_ascii_digit()) { format!("+{zone}") } else { zone.to_owned() };
    let unknown =
        Failure::BadArgument("this is no time zone; say `UTC` or a distance from it such as `+02:00`");
    let zone: TimeZone = signed.parse().map_err(|_| unknown)?;
    let offset = UtcOffset::from_whole_seconds(zone.offset_seconds()).map_err(|_| Failure::Overflow)?;
    at.checked_to_offset(offset).ok_or(Failure::Overflow)
}
