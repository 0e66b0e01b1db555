//! Accounts, their sealed data keys, and what each role may do.

use serde::{Deserialize, Serialize};

/// An account's two data keys as they are kept. Without them nothing that they sealed can be read.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedKeys {
    /// Under the `credentials` root ring.
    pub credentials: Vec<u8>,
    /// Under the `contents` root ring.
    pub contents: Vec<u8>,
}

/// Sealed bytes are harmless, but nobody reads them in a log.
impl std::fmt::Debug for SealedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealedKeys(****)")
    }
}

/// A member's role. Each may do what the ones below it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees everything but secrets.
    Viewer,
    /// Changes gateways, gateway tokens and provider keys.
    Editor,
    /// Manages members and API tokens.
    Admin,
    /// May delete the account and make others owner.
    Owner,
}

impl Role {
    /// As written in the API and the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Editor => "editor",
            Role::Admin => "admin",
            Role::Owner => "owner",
        }
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Role::Viewer, Role::Editor, Role::Admin, Role::Owner]
            .into_iter()
            .find(|role| role.as_str() == text)
            .ok_or(UnknownRole)
    }
}

/// A text that names no role.
#[derive(Debug, thiserror::Error)]
#[error("expected one of `owner`, `admin`, `editor`, `viewer`")]
pub struct UnknownRole;
