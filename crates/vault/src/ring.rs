//! The operator's root keys: the first of a ring seals, all of them open.

use std::fmt;
use std::path::Path;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use model::Secret;
use zeroize::Zeroizing;

use crate::VaultError;
use crate::cipher::{Context, KEY_BYTES, Key, MAX_KEY_ID_BYTES, Parts};

/// Root keys for one purpose, such as `credentials`.
#[derive(Clone)]
pub struct RootRing {
    first: Key,
    others: Vec<Key>,
}

/// Why a text is not a ring. It names the variable and the place in it, never the value.
#[derive(Debug, thiserror::Error)]
pub enum InvalidRing {
    /// Neither the variable nor its file is set.
    #[error(
        "{variable} or {variable}_FILE must be set to root keys: `id:base64 of 32 bytes`, comma-separated"
    )]
    Missing {
        /// The environment variable.
        variable: &'static str,
    },
    /// Both are set, and it would be a guess which is meant.
    #[error("{variable} and {variable}_FILE are both set; keep one")]
    Both {
        /// The environment variable.
        variable: &'static str,
    },
    /// The file cannot be read.
    #[error("the file that {variable}_FILE names cannot be read: {source}")]
    File {
        /// The environment variable.
        variable: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// One key is not written as it should be.
    #[error("{variable}: key number {position} {mistake}")]
    Key {
        /// The environment variable.
        variable: &'static str,
        /// Counted from one.
        position: usize,
        /// What is wrong with it.
        mistake: &'static str,
    },
}

impl RootRing {
    /// Reads a ring from what `variable` or `variable_FILE` holds.
    pub fn read(
        variable: &'static str,
        value: Option<&Secret>,
        file: Option<&Path>,
    ) -> Result<Self, InvalidRing> {
        match (value, file) {
            (Some(value), None) => Self::parse(variable, value.expose()),
            (None, Some(file)) => {
                let text =
                    std::fs::read_to_string(file).map_err(|source| InvalidRing::File { variable, source })?;
                Self::parse(variable, &Zeroizing::new(text))
            }
            (None, None) => Err(InvalidRing::Missing { variable }),
            (Some(_), Some(_)) => Err(InvalidRing::Both { variable }),
        }
    }

    /// Reads `id:base64,…`; commas and line ends separate, the first key seals. `variable` is what
    /// a mistake is reported under.
    pub fn parse(variable: &'static str, text: &str) -> Result<Self, InvalidRing> {
        let mut keys: Vec<Key> = Vec::new();
        let written = text.split([',', '\n']).map(str::trim).filter(|part| !part.is_empty());
        for (index, part) in written.enumerate() {
            let key = root_key(part)
                .and_then(|key| {
                    let taken = keys.iter().any(|other| other.id() == key.id());
                    if taken { Err("has the id of an earlier one") } else { Ok(key) }
                })
                .map_err(|mistake| InvalidRing::Key { variable, position: index + 1, mistake })?;
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(InvalidRing::Missing { variable })?;
        Ok(Self { first, others: keys.collect() })
    }

    /// A new ring of one key, written as [`parse`](Self::parse) reads it: what a first start puts
    /// into its environment.
    pub fn generate(id: &str) -> Result<Secret, VaultError> {
        let bytes = Zeroizing::new(crate::cipher::random::<KEY_BYTES>()?);
        Ok(Secret::new(format!("{id}:{}", BASE64_STANDARD.encode(bytes.as_slice()))))
    }

    pub(crate) fn seal(&self, context: Context<'_>, plaintext: &[u8]) -> Result<Vec<u8>, VaultError> {
        self.first.seal(context, plaintext)
    }

    pub(crate) fn open(&self, context: Context<'_>, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, VaultError> {
        let parts = Parts::of(sealed)?;
        std::iter::once(&self.first)
            .chain(&self.others)
            .find(|key| key.id() == parts.key_id)
            .ok_or_else(|| parts.unknown_key())?
            .open(context, sealed)
    }

    /// The same plaintext under the first key; nothing when it is there already.
    pub(crate) fn rewrapped(
        &self,
        context: Context<'_>,
        sealed: &[u8],
    ) -> Result<Option<Vec<u8>>, VaultError> {
        if Parts::of(sealed)?.key_id == self.first.id() {
            return Ok(None);
        }
        let plaintext = self.open(context, sealed)?;
        self.seal(context, &plaintext).map(Some)
    }
}

impl fmt::Debug for RootRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootRing(****)")
    }
}

fn root_key(text: &str) -> Result<Key, &'static str> {
    let (id, encoded) = text.split_once(':').ok_or("is not written as `id:base64`")?;
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if id.is_empty() || id.len() > MAX_KEY_ID_BYTES || !id.bytes().all(letters) {
        return Err("needs an id of 1 to 32 letters, digits, `-`, `_` or `.`");
    }
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(encoded.trim()).map_err(|_| "is not valid base64")?);
    let bytes: &[u8; KEY_BYTES] = bytes.as_slice().try_into().map_err(|_| "does not have 32 bytes")?;
    Ok(Key::new(id.as_bytes(), bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_names_the_variable_and_never_the_value() {
        let good = RootRing::generate("one").unwrap();
        for (text, mistake) in [
            ("", "TOLLGATE_CREDENTIALS_KEYS or TOLLGATE_CREDENTIALS_KEYS_FILE must be set"),
            ("canary", "key number 1 is not written as `id:base64`"),
            ("one:canary!", "key number 1 is not valid base64"),
            ("one:Y2FuYXJ5", "key number 1 does not have 32 bytes"),
            ("o ne:Y2FuYXJ5", "key number 1 needs an id"),
            (&format!("{0}\n{0}", good.expose()), "key number 2 has the id of an earlier one"),
        ] {
            let told = RootRing::parse("TOLLGATE_CREDENTIALS_KEYS", text).unwrap_err().to_string();
            assert!(told.contains("TOLLGATE_CREDENTIALS_KEYS") && told.contains(mistake), "{told}");
            assert!(!told.contains("canary") && !told.contains("Y2FuYXJ5"), "{told}");
        }
    }

    #[test]
    fn a_ring_is_read_from_a_variable_or_a_file_but_not_from_both() {
        let value = RootRing::generate("one").unwrap();
        let missing = Path::new("/nonexistent/ring");
        assert!(RootRing::read("V", Some(&value), None).is_ok());
        assert!(matches!(RootRing::read("V", None, Some(missing)), Err(InvalidRing::File { .. })));
        assert!(matches!(RootRing::read("V", Some(&value), Some(missing)), Err(InvalidRing::Both { .. })));
        assert!(matches!(RootRing::read("V", None, None), Err(InvalidRing::Missing { .. })));
    }
}
