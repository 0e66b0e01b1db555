//! Whose midnight ends a day: a fixed distance from UTC.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Where a gateway's days begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TimeZone {
    minutes: i16,
}

/// A text that names no time zone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected `UTC`, or a distance from it such as `+02:00`")]
pub struct InvalidTimeZone;

impl TimeZone {
    /// Greenwich.
    pub const UTC: TimeZone = TimeZone { minutes: 0 };

    /// Seconds that the clock is ahead of UTC.
    pub fn offset_seconds(self) -> i32 {
        i32::from(self.minutes) * 60
    }
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { minutes } = self;
        if *minutes == 0 {
            return f.write_str("UTC");
        }
        let sign = if *minutes < 0 { '-' } else { '+' };
        write!(f, "{sign}{:02}:{:02}", minutes.unsigned_abs() / 60, minutes.unsigned_abs() % 60)
    }
}

impl FromStr for TimeZone {
    type Err = InvalidTimeZone;

    fn from_str(text: &str) -> Result<Self, InvalidTimeZone> {
        if matches!(text, "UTC" | "Z") {
            return Ok(Self::UTC);
        }
        let (sign, clock) = match text.split_at_checked(1) {
            Some(("+", clock)) => (1, clock),
            Some(("-", clock)) => (-1, clock),
            _ => return Err(InvalidTimeZone),
        };
        let (hours, minutes) = clock.split_once(':').ok_or(InvalidTimeZone)?;
        let two_digits = |digits: &str| {
            let all = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            all.then(|| digits.parse::<i16>().ok()).flatten().ok_or(InvalidTimeZone)
        };
        let (hours, minutes) = (two_digits(hours)?, two_digits(minutes)?);
        // The clocks that people live by lie between -12:00 and +14:00.
        if hours > 14 || minutes > 59 {
            return Err(InvalidTimeZone);
        }
        Ok(Self { minutes: sign * (hours * 60 + minutes) })
    }
}

impl Serialize for TimeZone {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeZone {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_zone_is_a_distance_from_utc() {
        for (text, seconds) in [("UTC", 0), ("+02:00", 7200), ("-03:30", -12_600), ("+14:00", 50_400)] {
            let zone: TimeZone = text.parse().unwrap();
            assert_eq!((zone.offset_seconds(), zone.to_string().as_str()), (seconds, text));
        }
        for text in ["", "Berlin", "+2:00", "+02", "02:00", "+15:00", "+02:60", "+-1:00", "é"] {
            assert!(text.parse::<TimeZone>().is_err(), "{text}");
        }
    }
}
