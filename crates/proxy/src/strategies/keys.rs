//! The choice of keys: the first strategy counts that comes to any.

use std::sync::Arc;

use model::token::TokenDigest;
use model::{AccountId, Secret};
use policy::Expression;
use policy::facts::{Choice, Facts, KeyFacts};

use super::Watching;
use super::told::KeySelection;
use crate::effects::standing::ModelAt;

/// A key of a policy's, and what it is called.
#[derive(Debug, Clone)]
pub struct PolicyKey {
    /// What strategies and logs call it. Whoever sees that cannot tell the key by it, nor whether another account
    /// has the same.
    pub id: Arc<str>,
    /// The key.
    pub secret: Arc<Secret>,
}

impl PolicyKey {
    /// A key of an account's policy.
    pub fn of(account: AccountId, secret: Secret) -> Self {
        let TokenDigest(digest) = TokenDigest::of(&format!("{account} {}", secret.expose()));
        let id = digest.iter().take(8).fold(String::from("key_"), |id, byte| format!("{id}{byte:02x}"));
        Self { id: id.into(), secret: Arc::new(secret) }
    }
}

/// The places of the keys to try for a model, if there are any, and what each strategy did.
pub fn choose(
    strategies: &[Expression],
    keys: &[PolicyKey],
    model: Option<ModelAt>,
    watching: Option<Watching<'_>>,
    facts: &Facts<'_>,
) -> (Option<Vec<usize>>, Vec<KeySelection>) {
    let fact = |key: &PolicyKey| {
        let (quota, error_rate) = watching
            .map(|Watching { standing, whose, now_ms }| standing.key(whose.0, &key.id, model, now_ms))
            .unwrap_or_default();
        KeyFacts { id: Arc::clone(&key.id), value: Arc::clone(&key.secret), quota, error_rate }
    };
    let of_keys: Vec<KeyFacts> = keys.iter().map(fact).collect();
    let choice = Choice::of_keys(&of_keys);
    let facts = Facts { choice: Some(&choice), ..*facts };
    let mut told = Vec::with_capacity(strategies.len());
    for strategy in strategies {
        let mut selection = KeySelection { strategy: strategy.text().to_owned(), ..KeySelection::default() };
        let chosen = strategy.choose(&facts).unwrap_or_else(|error| {
            selection.error = Some(error.to_string());
            Vec::new()
        });
        selection.keys_to_try = chosen.iter().map(|place| Arc::clone(&keys[*place].id)).collect();
        told.push(selection);
        if !chosen.is_empty() {
            return (Some(chosen), told);
        }
    }
    (None, told)
}
