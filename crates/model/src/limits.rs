//! What a request counts in: calls, money and tokens by window, each with its bound. The proxy says
//! which counters; Redis counts, by its own clock.

use crate::usage::Measure;

/// One count with a bound.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Counter {
    /// Names the count within its account, whatever its window: short, made of gateway, rule and what the
    /// rule tells apart.
    pub id: String,
    /// What is counted.
    pub measure: Measure,
    /// The most that one window may reach: calls, nano-dollars or tokens.
    pub limit: i64,
    /// Over which time.
    pub window: Window,
}

/// The time over which something is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Window {
    /// Windows follow each other, aligned to the epoch.
    Fixed {
        /// How long each is.
        seconds: u32,
    },
    /// The window ends now. What lies in the former aligned window counts by the share of it that the
    /// window still covers.
    Sliding {
        /// How long it is.
        seconds: u32,
    },
    /// Hours, days, weeks or months as people count them.
    Calendar {
        /// Which.
        period: Period,
        /// Seconds that the clock is ahead of UTC.
        offset_seconds: i32,
    },
}

/// A stretch of the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// From one full hour to the next.
    Hour,
    /// From midnight to midnight.
    Day,
    /// From Monday to Sunday.
    Week,
    /// From the first on.
    Month,
}
