//! Values that cannot be printed.

use std::fmt;

use zeroize::{Zeroize, Zeroizing};

/// A text that must not be seen: it has no `Display`, its `Debug` says nothing, it cannot be
/// serialised, and its memory is wiped when it goes. Reading it takes the word [`expose`](Self::expose).
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself, for the one place that must write it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A form that a person can recognise: the last four characters of a secret of at least
    /// sixteen, nothing of a shorter one.
    pub fn preview(&self) -> String {
        let text = self.expose();
        let tail = text.char_indices().rev().nth(3).map_or("", |(at, _)| &text[at..]);
        if text.chars().count() >= 16 { format!("****{tail}") } else { "****".to_owned() }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(****)")
    }
}

impl std::str::FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(text))
    }
}

impl<'de> serde::Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Secret::new)
    }
}

impl Zeroize for Secret {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        let secret = Secret::new("sk-proj-0123456789abcdef");
        assert_eq!(format!("{secret:?}"), "Secret(****)");
        assert_eq!(secret.preview(), "****cdef");
        assert_eq!(Secret::new("short").preview(), "****");
    }
}
