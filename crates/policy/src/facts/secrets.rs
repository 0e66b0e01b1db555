//! Where `secrets.get` looks.

use std::fmt;
use std::sync::Arc;

use model::Secret;

/// A look-up of secrets by vault and name. Without a vault it is asked for the secret of that name
/// that is the only one, or that is in the vault `default`.
#[derive(Clone, Copy)]
pub struct Secrets<'a>(&'a Find<'a>);

type Find<'a> = dyn Fn(Option<&str>, &str) -> Option<Arc<Secret>> + Sync + 'a;

impl<'a> Secrets<'a> {
    /// Looks where this function looks.
    pub fn new(find: &'a Find<'a>) -> Self {
        Self(find)
    }

    /// Has none.
    pub fn none() -> Self {
        Self(&|_, _| None)
    }

    /// The secret, if there is one.
    pub(crate) fn find(&self, vault: Option<&str>, name: &str) -> Option<Arc<Secret>> {
        (self.0)(vault, name)
    }
}

impl fmt::Debug for Secrets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secrets(****)")
    }
}
