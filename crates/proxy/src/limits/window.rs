//! Where in its windows a limit stands. Redis does the same by its own clock; this is for counting
//! without it.

use std::time::Duration;

use model::limits::{Period, Window};
use time::{Date, Month, OffsetDateTime};

/// A moment's place among the windows of a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// The number of the window that runs.
    pub(super) number: i64,
    /// How much of it is left.
    pub(super) left: Duration,
}

/// The window that runs at `now`, which is counted from 1970.
pub(super) fn place(window: Window, now: Duration) -> Place {
    match window {
        Window::Fixed { seconds } | Window::Sliding { seconds } => even(seconds.max(1).into(), now),
        Window::Calendar { period, offset_seconds } => {
            let local = now.as_secs() as i64 + i64::from(offset_seconds);
            let local = Duration::new(u64::try_from(local).unwrap_or(0), now.subsec_nanos());
            match period {
                Period::Hour => even(HOUR, local),
                Period::Day => even(DAY, local),
                // 1970 began on a Thursday.
                Period::Week => even(7 * DAY, local + Duration::from_secs(3 * DAY)),
                Period::Month => month(local),
            }
        }
    }
}

const HOUR: u64 = 3600;
const DAY: u64 = 24 * HOUR;

fn even(length: u64, now: Duration) -> Place {
    let number = now.as_secs() / length;
    let end = Duration::from_secs((number + 1) * length);
    Place { number: i64::try_from(number).unwrap_or(i64::MAX), left: end - now }
}

fn month(now: Duration) -> Place {
    let date = OffsetDateTime::UNIX_EPOCH.saturating_add(now.try_into().unwrap_or_default()).date();
    let next = match date.month() {
        Month::December => Date::from_calendar_date(date.year() + 1, Month::January, 1),
        month => Date::from_calendar_date(date.year(), month.next(), 1),
    };
    let end = next.map_or(0, |next| next.midnight().assume_utc().unix_timestamp());
    let end = Duration::from_secs(u64::try_from(end).unwrap_or(0));
    let number = (i64::from(date.year()) - 1970) * 12 + i64::from(u8::from(date.month())) - 1;
    Place { number, left: end.saturating_sub(now) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(period: Period, offset_seconds: i32, now: u64) -> (i64, u64) {
        let place = place(Window::Calendar { period, offset_seconds }, Duration::from_secs(now));
        (place.number, place.left.as_secs())
    }

    #[test]
    fn calendar_windows_are_those_of_people() {
        // 2026-12-31 23:59:50 UTC, a Thursday.
        let moment = 1_798_761_590;
        assert_eq!(placed(Period::Hour, 0, moment), (499_655, 10));
        assert_eq!(placed(Period::Day, 0, moment), (20_818, 10));
        assert_eq!(placed(Period::Month, 0, moment), (56 * 12 + 11, 10));
        // The week goes on to Sunday.
        assert_eq!(placed(Period::Week, 0, moment).1, 3 * DAY + 10);
        assert_eq!(placed(Period::Month, 3600, moment), (57 * 12, 31 * DAY - 3590));
        assert_eq!(placed(Period::Day, -3600, moment).1, 3610);
    }
}
