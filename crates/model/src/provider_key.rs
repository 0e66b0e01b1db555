//! Stored provider keys: a customer's own credential at a provider (BYOK).

/// The alias that is used when a request names none.
pub const DEFAULT_ALIAS: &str = "default";

/// Whether a text can be an alias: 1 to 64 letters, digits, `-`, `_` and `.`.
pub fn is_alias(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}
