//! Ids. Accounts are 32 hex digits, gateways are slugs, everything else wears a prefix.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct InvalidId {
    expected: &'static str,
}

/// An account: 32 lower-case hex digits of a UUIDv7.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountId(pub Uuid);

impl AccountId {
    /// What belongs to the whole installation travels to proxies under this id. No tenant has it.
    pub const INSTALLATION: AccountId = AccountId(Uuid::nil());

    /// The money shard that all of this account's records and credits belong to, for ever.
    pub fn shard(self) -> Shard {
        Shard(self.0.as_bytes()[15])
    }
}

/// One of the 256 parts into which accounts are divided where money moves. It is the last byte of
/// the account's id, which is random.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard(pub u8);

impl Shard {
    /// Every shard, in order.
    pub fn all() -> impl Iterator<Item = Shard> {
        (0..=u8::MAX).map(Shard)
    }
}

/// The Redis Cluster hash tag of the shard, such as `{m007}`.
impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{m{:03}}}", self.0)
    }
}

macro_rules! hex_text {
    ($name:ident, $prefix:literal, $expected:expr) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                text.strip_prefix($prefix)
                    .filter(|digits| digits.len() == 32)
                    .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
                    .and_then(|digits| Uuid::try_parse(digits).ok())
                    .map(Self)
                    .ok_or(InvalidId { expected: $expected })
            }
        }

        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

hex_text!(AccountId, "", "an account id: 32 lower-case hex digits");

macro_rules! prefixed_ids {
    ($($(#[$doc:meta])* $name:ident $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub Uuid);

        hex_text!($name, $prefix, concat!("an id of the form `", $prefix, "` and 32 lower-case hex digits"));
    )*};
}

prefixed_ids! {
    /// A gateway for good: unlike its slug it is never used again.
    GatewayInternalId "gw_";
    /// A person with a login.
    UserId "usr_";
    /// A person's place in an account.
    MemberId "mem_";
    /// One login of a person, until it is revoked or runs out.
    SessionId "ses_";
    /// A management token in Cloudflare's shape.
    ApiTokenId "tok_";
    /// A token that works for one gateway.
    GatewayTokenId "gwt_";
    /// A stored provider key.
    ProviderKeyId "key_";
    /// An enrolled proxy.
    ProxyId "prx_";
    /// A provider key of the operator's, for requests on credits.
    OperatorKeyId "opk_";
    /// What an operator or an account says about prices.
    PriceRuleId "prr_";
    /// A one-time permission to enrol a proxy.
    JoinTokenId "jtk_";
    /// A purchase of credits.
    PaymentId "pay_";
    /// A code that is worth credits, once.
    VoucherId "vch_";
    /// Something that an account is told of, such as a low balance.
    NoticeId "ntc_";
    /// A host that is bound to a gateway.
    EndpointId "ep_";
    /// A place for secrets.
    VaultId "vault_";
    /// A secret in a vault.
    VaultSecretId "secret_";
    /// A provider key that is bound to one gateway token.
    BoundKeyId "aigpk_";
}

/// What callers call a gateway: 1 to 64 lower-case letters, digits, hyphens and underscores,
/// beginning and ending with a letter or digit. Unique within its account, and free for another
/// gateway once deleted.
///
/// Cloudflare does not publish its character set; this is the set that every client has been seen
/// to use.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct GatewayId(String);

impl GatewayId {
    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for GatewayId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for GatewayId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl FromStr for GatewayId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
        let bytes = text.as_bytes();
        let inside = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if bytes.len() <= 64 && edge(bytes.first()) && edge(bytes.last()) && bytes.iter().all(inside) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId {
                expected: "1 to 64 lower-case letters, digits, hyphens or underscores, beginning and ending with a letter or digit",
            })
        }
    }
}

impl<'de> Deserialize<'de> for GatewayId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_read_back_what_they_write() {
        let id = GatewayInternalId(Uuid::from_u128(0xabc));
        assert_eq!(id.to_string(), "gw_00000000000000000000000000000abc");
        assert_eq!(id.to_string().parse(), Ok(id));
        assert!("gw_ABC".parse::<GatewayInternalId>().is_err());
        assert!("usr_00000000000000000000000000000abc".parse::<GatewayInternalId>().is_err());
        assert!("0000000000000000000000000000ABCD".parse::<AccountId>().is_err());
    }

    #[test]
    fn a_shard_is_the_last_byte_of_its_account() {
        assert_eq!(AccountId(Uuid::from_u128(0x12_3407)).shard().to_string(), "{m007}");
    }

    #[test]
    fn gateway_slugs_are_strict() {
        for good in ["demo", "a", "my-gateway_2", &"x".repeat(64)] {
            assert!(good.parse::<GatewayId>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "Über", "A", "a b", "a/b", &"x".repeat(65)] {
            assert!(bad.parse::<GatewayId>().is_err(), "{bad}");
        }
    }
}
