//! How one thing names another: its id, and the address where it is shown.

use serde::Serialize;

use super::base;
use crate::api::ApiState;

/// A thing that is shown elsewhere.
#[derive(Debug, Serialize)]
pub(super) struct Reference {
    id: String,
    uri: String,
}

/// The address of a thing.
pub(super) fn uri(state: &ApiState, path: &str, id: &str) -> String {
    format!("{}{path}/{id}", base(state))
}

impl Reference {
    /// What is shown under this path.
    pub(super) fn of(state: &ApiState, path: &str, id: impl ToString) -> Self {
        let id = id.to_string();
        Self { uri: uri(state, path, &id), id }
    }

    /// Who did something: an API token, under the name that it has here, or the email of a person, whom
    /// nothing shows; nothing if that is not known.
    pub(super) fn to_actor(state: &ApiState, actor: &str) -> Option<Self> {
        match actor.strip_prefix("tok_") {
            Some(digits) => Some(Self::of(state, "/api_keys", format!("ak_{digits}"))),
            None if actor.is_empty() => None,
            None => Some(Self { id: actor.to_owned(), uri: String::new() }),
        }
    }
}

/// The same as a text alone.
pub(super) fn actor_id(actor: &str) -> String {
    actor.strip_prefix("tok_").map_or_else(|| actor.to_owned(), |digits| format!("ak_{digits}"))
}

/// An id whose prefix is another here than elsewhere.
pub(super) fn renamed(id: impl ToString, from: &str, to: &str) -> String {
    let id = id.to_string();
    id.strip_prefix(from).map_or_else(|| id.clone(), |digits| format!("{to}{digits}"))
}
