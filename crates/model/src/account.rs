//! Accounts, members and what each role may do.

use serde::{Deserialize, Serialize};

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
