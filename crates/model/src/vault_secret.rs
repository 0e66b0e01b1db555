//! Vaults and the secrets in them, which traffic policies refer to by name.

/// How long a vault's or a secret's name can be, in bytes.
pub const LONGEST_NAME: usize = 255;

/// How long a secret can be, in bytes; a service account's JSON has about 2,500.
pub const LONGEST_VALUE: usize = 16 * 1024;

/// The vault in which `secrets.get` with one name looks first.
pub const DEFAULT_VAULT: &str = "default";

/// Whether a text can be the name of a vault or of a secret: letters, digits, `_`, `/`, `.` and `-`.
///
/// ngrok's rule leaves the hyphen out and all of its examples have one.
pub fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'/' | b'.' | b'-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_hyphens_and_slashes_but_no_blanks() {
        assert!(["openai", "gateway-auth", "a/b.c_D"].into_iter().all(is_name));
        assert!(!["", "a b", "ä", "a:b"].into_iter().any(is_name));
    }
}
