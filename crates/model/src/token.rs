//! What callers present: gateway tokens, management tokens, join tokens.
//!
//! A token is `<prefix><32 hex digits of its id>_<64 hex digits of a secret>`. It is shown once
//! and kept as SHA-256; it is found by its id and compared in constant time. The prefixes are what
//! keeps a token of ours from ever being sent to a provider.
//!
//! A gateway token has a second form, `ng-<32 hex digits of its id>-g1-<64 hex digits of a secret>`, for
//! clients and scripts that know ngrok's keys by their looks. Whatever looks so counts as ours.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use crate::Secret;

/// The kinds of token, told apart by their prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Works for one gateway.
    Gateway,
    /// A management token, in Cloudflare's shape.
    Api,
    /// Enrols one proxy.
    Join,
    /// Renews a session, once.
    Refresh,
    /// Lets an invited person into an account, once.
    Invitation,
}

impl TokenKind {
    const ALL: [TokenKind; 5] =
        [TokenKind::Gateway, TokenKind::Api, TokenKind::Join, TokenKind::Refresh, TokenKind::Invitation];

    /// What every token of this kind begins with.
    pub const fn prefix(self) -> &'static str {
        match self {
            TokenKind::Gateway => "tg_gw_",
            TokenKind::Api => "tg_api_",
            TokenKind::Join => "tg_join_",
            TokenKind::Refresh => "tg_refresh_",
            TokenKind::Invitation => "tg_invite_",
        }
    }
}

/// Every text that begins so is ours, valid or not, and goes to no provider.
pub const OWN_PREFIX: &str = "tg_";

/// What a gateway token in its second form begins with, and what stands before its secret.
pub const SECOND_FORM: (&str, &str) = ("ng-", "-g1-");

/// SHA-256 of a whole token.
#[derive(Clone, Copy)]
pub struct TokenDigest(pub [u8; 32]);

impl TokenDigest {
    /// The digest of a token's text.
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Whether `token` is the one, in a time that does not tell how nearly.
    pub fn matches(&self, token: &str) -> bool {
        self.0.ct_eq(&Self::of(token).0).into()
    }
}

/// Digests are equal or not; that is all that is said of them.
impl PartialEq for TokenDigest {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for TokenDigest {}

impl std::fmt::Debug for TokenDigest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenDigest(****)")
    }
}

/// A presented text that has the form of one of our tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenRef {
    /// Which kind its prefix says.
    pub kind: TokenKind,
    /// The id inside it.
    pub id: Uuid,
}

/// What a presented text turns out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// It has the form of one of our tokens; whether it is valid is another question.
    Token(TokenRef),
    /// It bears our prefix but has no valid form: refused, and never sent on.
    Malformed,
    /// Somebody else's.
    Foreign,
}

/// Reads a presented text.
pub fn read(text: &str) -> Presented {
    if let Some((id, secret)) = second_form(text) {
        return token(TokenKind::Gateway, id, secret);
    }
    if !text.starts_with(OWN_PREFIX) {
        return Presented::Foreign;
    }
    let parts = TokenKind::ALL.into_iter().find_map(|kind| Some((kind, text.strip_prefix(kind.prefix())?)));
    match parts.and_then(|(kind, rest)| Some((kind, rest.split_once('_')?))) {
        Some((kind, (id, secret))) => token(kind, id, secret),
        None => Presented::Malformed,
    }
}

/// Whether a text is ours, valid or not, and must go to no provider.
pub fn is_ours(text: &str) -> bool {
    read(text) != Presented::Foreign
}

/// The id and the secret of what looks like a gateway token in its second form, whatever they are.
fn second_form(text: &str) -> Option<(&str, &str)> {
    let (id, secret) = text.strip_prefix(SECOND_FORM.0)?.split_once(SECOND_FORM.1)?;
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric());
    (word(id) && word(secret)).then_some((id, secret))
}

fn token(kind: TokenKind, id: &str, secret: &str) -> Presented {
    let hex =
        |s: &str, len| s.len() == len && s.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    if !hex(id, 32) || !hex(secret, 64) {
        return Presented::Malformed;
    }
    match Uuid::try_parse(id) {
        Ok(id) => Presented::Token(TokenRef { kind, id }),
        Err(_) => Presented::Malformed,
    }
}

/// Whether `bytes` begin with what has the form of a token, whatever follows.
pub fn begins(bytes: &[u8]) -> bool {
    let prefixes = TokenKind::ALL.into_iter().map(|kind| kind.prefix().len() + 1);
    let second_form = SECOND_FORM.0.len() + SECOND_FORM.1.len();
    prefixes.chain([second_form]).any(|letters| {
        let text = bytes.get(..letters + 32 + 64).and_then(|bytes| str::from_utf8(bytes).ok());
        text.is_some_and(|text| matches!(read(text), Presented::Token(_)))
    })
}

/// Puts a token together from its id and 32 random bytes; the caller keeps the digest and shows
/// the text once.
pub fn mint(kind: TokenKind, id: Uuid, random: [u8; 32]) -> (Secret, TokenDigest) {
    let text = format!("{}{}_{}", kind.prefix(), id.simple(), hex::encode(random));
    let digest = TokenDigest::of(&text);
    (Secret::new(text), digest)
}

/// Puts a gateway token together in its second form.
pub fn mint_second_form(id: Uuid, random: [u8; 32]) -> (Secret, TokenDigest) {
    let (before, between) = SECOND_FORM;
    let text = format!("{before}{}{between}{}", id.simple(), hex::encode(random));
    let digest = TokenDigest::of(&text);
    (Secret::new(text), digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_token_is_read_in_its_second_form_too() {
        let id = Uuid::from_u128(7);
        let (token, digest) = mint_second_form(id, [1; 32]);
        assert_eq!(read(token.expose()), Presented::Token(TokenRef { kind: TokenKind::Gateway, id }));
        assert!(digest.matches(token.expose()) && begins(token.expose().as_bytes()));
        assert!(begins(format!("{}!", token.expose()).as_bytes()));
        for text in ["ng-2abcDEF-g1-xyz123", "ng-a-g1-b"] {
            assert_eq!(read(text), Presented::Malformed, "{text}");
        }
        for text in ["ng--g1-b", "ng-a-g1-", "ng-a_b-g1-c", "ng-abc", "sk-g1-x"] {
            assert!(!is_ours(text), "{text}");
        }
    }

    #[test]
    fn a_minted_token_is_found_by_its_id_and_matches_itself_alone() {
        let id = Uuid::from_u128(7);
        let (token, digest) = mint(TokenKind::Gateway, id, [1; 32]);
        assert_eq!(read(token.expose()), Presented::Token(TokenRef { kind: TokenKind::Gateway, id }));
        assert!(digest.matches(token.expose()));
        assert!(!digest.matches(mint(TokenKind::Gateway, id, [2; 32]).0.expose()));
    }

    #[test]
    fn whatever_bears_our_prefix_is_ours() {
        assert_eq!(read("sk-proj-abc"), Presented::Foreign);
        for text in
            ["tg_", "tg_gw_", "tg_gw_x_y", "tg_unknown_abc", "tg_api_00000000000000000000000000000007_"]
        {
            assert_eq!(read(text), Presented::Malformed, "{text}");
        }
    }
}
