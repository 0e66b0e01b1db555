//! Figures of the price list that are known not to be exact. Each stands here because someone looked
//! at it; any other one is refused.

/// Binary floating point's debris, and the price that was meant.
pub(super) const CORRECTIONS: &[(&str, &str)] = &[
    ("0.050000000000000004", "0.05"),
    ("0.10000000000000001", "0.1"),
    ("0.13200000000000002", "0.132"),
    ("0.16800000000000002", "0.168"),
    ("0.20000000000000002", "0.2"),
    ("0.33600000000000004", "0.336"),
    ("0.40000000000000003", "0.4"),
    ("0.45000000000000003", "0.45"),
    ("0.8000000000000001", "0.8"),
    ("0.8900000000000001", "0.89"),
    ("0.9499999999999999", "0.95"),
    ("1.4850000000000002", "1.485"),
    ("1.6000000000000001", "1.6"),
    ("3.2000000000000003", "3.2"),
    ("3.6000000000000003", "3.6"),
];

/// Prices per pixel are fractions of a pico-dollar, derived from prices per image; they are left out,
/// so that what has no other price is not priced.
pub(super) const PER_PIXEL: &[&str] = &["input_per_pixel", "output_per_pixel"];

/// Prices per second that are a price per minute divided by sixty, with no exact decimal, and the
/// nearest pico-dollar: in an hour that is two billionths of a dollar from the price that was meant.
pub(super) const RECURRING: &[(&str, &str)] = &[
    ("0.000033333333333333335", "0.000033333333"), // 0.002 a minute
    ("0.0000833333333333", "0.000083333333"),      // 0.005 a minute
    ("0.000283333333333", "0.000283333333"),       // 0.017 a minute
    ("0.0002833333333333333", "0.000283333333"),   // 0.017 a minute
    ("0.000566666666667", "0.000566666667"),       // 0.034 a minute
    ("0.000833333333333", "0.000833333333"),       // 0.05 a minute
    ("0.001333333333333", "0.001333333333"),       // 0.08 a minute
];
