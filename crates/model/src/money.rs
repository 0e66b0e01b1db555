//! Money is integers: amounts in nano-dollars, prices in pico-dollars per token. There is one
//! rounding rule, and it stands here.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Neg, Sub};

use serde::{Deserialize, Serialize};

/// An amount in nano-dollars (10⁻⁹ USD); `i64` reaches nine billion dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Nanos(pub i64);

/// A price in pico-dollars (10⁻¹² USD) per token or other unit: a dollar per million tokens is
/// 1,000,000 of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Picos(pub i64);

/// A sum of units times prices that has not been rounded yet, in pico-dollars. All classes of one
/// usage are added up here, so that a request is rounded once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unrounded(i128);

impl Unrounded {
    /// Adds `units` at `price`.
    pub fn add(&mut self, units: u64, price: Picos) {
        self.0 += i128::from(units) * i128::from(price.0);
    }

    /// The amount, rounded half up to a nano-dollar; what `i64` cannot hold becomes its bound.
    pub fn round(self) -> Nanos {
        let nanos = (self.0 + 500).div_euclid(1000);
        Nanos(i64::try_from(nanos).unwrap_or(if nanos > 0 { i64::MAX } else { i64::MIN }))
    }
}

impl Nanos {
    /// No money.
    pub const ZERO: Nanos = Nanos(0);

    /// What is charged for a cost with so many millionths on top, or off: rounded half up, and never below
    /// nothing.
    pub fn with_markup(self, ppm: i64) -> Nanos {
        const WHOLE: i128 = 1_000_000;
        let charge = (i128::from(self.0) * (WHOLE + i128::from(ppm)) + WHOLE / 2).div_euclid(WHOLE);
        Nanos(i64::try_from(charge.max(0)).unwrap_or(i64::MAX))
    }

    /// The amount as a JSON number of dollars, for the fields where Cloudflare has one. Exact to
    /// fifteen digits, and never used to compute.
    pub fn approximate_dollars(self) -> f64 {
        self.0 as f64 / 1e9
    }
}

/// Dollars as an exact decimal, without trailing zeros: `0.0125`.
impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (dollars, rest) = (self.0.unsigned_abs() / 1_000_000_000, self.0.unsigned_abs() % 1_000_000_000);
        if rest == 0 {
            return write!(f, "{sign}{dollars}");
        }
        let digits = format!("{rest:09}");
        write!(f, "{sign}{dollars}.{}", digits.trim_end_matches('0'))
    }
}

impl Add for Nanos {
    type Output = Nanos;
    fn add(self, other: Nanos) -> Nanos {
        Nanos(self.0 + other.0)
    }
}

impl AddAssign for Nanos {
    fn add_assign(&mut self, other: Nanos) {
        *self = *self + other;
    }
}

impl Sub for Nanos {
    type Output = Nanos;
    fn sub(self, other: Nanos) -> Nanos {
        Nanos(self.0 - other.0)
    }
}

impl Neg for Nanos {
    type Output = Nanos;
    fn neg(self) -> Nanos {
        Nanos(-self.0)
    }
}

impl Sum for Nanos {
    fn sum<I: Iterator<Item = Nanos>>(amounts: I) -> Nanos {
        amounts.fold(Nanos::ZERO, Nanos::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_is_rounded_once_and_half_up() {
        let mut sum = Unrounded::default();
        sum.add(1, Picos(499));
        assert_eq!(sum.round(), Nanos(0));
        sum.add(1, Picos(1));
        assert_eq!(sum.round(), Nanos(1));
        let mut sum = Unrounded::default();
        sum.add(u64::MAX, Picos(i64::MAX));
        assert_eq!(sum.round(), Nanos(i64::MAX));
    }

    #[test]
    fn a_markup_is_rounded_once_and_a_discount_takes_no_more_than_all() {
        let charged = |cost, ppm| Nanos(cost).with_markup(ppm).0;
        assert_eq!((charged(10, 50_000), charged(9, 50_000), charged(30, 50_000)), (11, 9, 32));
        assert_eq!((charged(10, -50_000), charged(10, -2_000_000), charged(7, 0)), (10, 0, 7));
        assert_eq!(charged(i64::MAX, 1), i64::MAX);
    }

    #[test]
    fn dollars_are_written_exactly() {
        assert_eq!(Nanos(12_500_000).to_string(), "0.0125");
        assert_eq!(Nanos(-3_000_000_000).to_string(), "-3");
        assert_eq!(Nanos(i64::MAX).to_string(), "9223372036.854775807");
    }
}
