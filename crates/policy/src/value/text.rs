//! Strings, and those of them that nobody may see.

use std::fmt;
use std::sync::Arc;

use model::secret::Secret;
use subtle::ConstantTimeEq;

/// A string. What is made from a secret is a secret: it prints as `****`, is wiped from memory, and is
/// compared in a time that depends on the lengths alone.
#[derive(Clone)]
pub struct Text(Kind);

#[derive(Clone)]
enum Kind {
    Plain(Arc<str>),
    Secret(Arc<Secret>),
}

impl Text {
    /// A string that may be seen.
    pub fn plain(text: impl Into<Arc<str>>) -> Self {
        Self(Kind::Plain(text.into()))
    }

    /// A string that may not.
    pub fn secret(secret: Arc<Secret>) -> Self {
        Self(Kind::Secret(secret))
    }

    /// What was made from something secret, or not.
    pub fn new(text: String, secret: bool) -> Self {
        if secret { Self::secret(Arc::new(Secret::new(text))) } else { Self::plain(text) }
    }

    /// The string itself. Whoever prints it asks [`is_secret`](Self::is_secret) first.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Kind::Plain(text) => text,
            Kind::Secret(secret) => secret.expose(),
        }
    }

    /// Its length in bytes.
    pub fn len(&self) -> usize {
        self.as_str().len()
    }

    /// Whether it has no characters.
    pub fn is_empty(&self) -> bool {
        self.as_str().is_empty()
    }

    /// Whether it came from a secret.
    pub fn is_secret(&self) -> bool {
        matches!(self.0, Kind::Secret(_))
    }

    /// The shared string, if it may be seen.
    pub(crate) fn shared(&self) -> Option<&Arc<str>> {
        if let Kind::Plain(text) = &self.0 { Some(text) } else { None }
    }

    /// Whether both are the same string.
    pub(crate) fn same(&self, other: &Self) -> bool {
        if self.is_secret() || other.is_secret() {
            return self.as_str().as_bytes().ct_eq(other.as_str().as_bytes()).into();
        }
        self.as_str() == other.as_str()
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Plain(text) => write!(f, "{text:?}"),
            Kind::Secret(_) => f.write_str("****"),
        }
    }
}
