//! Names of keys, and positions in a stream.

use std::fmt;
use std::str::FromStr;

use model::Shard;

/// A place in a usage stream: the id of an entry, or `0-0` before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position {
    /// When the entry was written, by Redis's clock, in milliseconds.
    pub milliseconds: u64,
    /// Which of that millisecond.
    pub sequence: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.milliseconds, self.sequence)
    }
}

/// A text that is not the id of a stream entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected a stream position such as `1700000000000-0`")]
pub struct InvalidPosition;

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        let (milliseconds, sequence) = text.split_once('-').ok_or(InvalidPosition)?;
        let number = |digits: &str| digits.parse().map_err(|_| InvalidPosition);
        Ok(Self { milliseconds: number(milliseconds)?, sequence: number(sequence)? })
    }
}

/// The key that says which era of the shard is open.
pub(crate) fn era_key(shard: Shard) -> String {
    format!("{shard}:era")
}

/// The usage stream of one era.
pub(crate) fn usage_key(shard: Shard, era: u64) -> String {
    format!("{shard}:{era}:u")
}

/// How far the desk has posted that stream. Its absence means that the era is over.
pub(crate) fn posted_key(shard: Shard, era: u64) -> String {
    format!("{shard}:{era}:posted")
}
