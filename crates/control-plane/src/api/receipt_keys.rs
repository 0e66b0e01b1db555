//! The key that signs receipts. It is made once for the installation and kept sealed; its public half
//! is published, so that whoever is shown a receipt can check it without asking.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use store::{Store, installation, signing_keys};
use utoipa::ToSchema;
use vault::{ContentsBox, Context};
use zeroize::Zeroizing;

const PURPOSE: &str = "receipt-signing-key";

/// Signs receipts.
pub struct ReceiptKeys {
    encoding: EncodingKey,
    public: PublicKey,
}

/// A public key as a JSON Web Key (RFC 8037).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = ReceiptKey)]
pub struct PublicKey {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    #[serde(rename = "use")]
    usage: &'static str,
    /// The key's thumbprint (RFC 7638).
    kid: String,
    /// The key itself, in base64url.
    x: String,
}

impl ReceiptKeys {
    /// The installation's key, which is made if this is the first start.
    pub async fn load(store: &Store, contents: &ContentsBox) -> anyhow::Result<Self> {
        let installation = installation::id(store).await?.simple().to_string();
        let context = context(&installation);
        let mut fresh = Zeroizing::new([0; 32]);
        getrandom::fill(fresh.as_mut_slice()).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        let fresh = contents.seal(context, fresh.as_slice())?;
        let sealed = signing_keys::get_or_keep(store, PURPOSE, &fresh).await?;
        let seed = contents.open(context, &sealed)?;
        Self::of_seed(seed.as_slice().try_into()?)
    }

    /// Seals the key anew under the first of the root keys.
    pub(crate) async fn rewrap(store: &Store, contents: &ContentsBox) -> anyhow::Result<()> {
        let Some(before) = signing_keys::get(store, PURPOSE).await? else { return Ok(()) };
        let installation = installation::id(store).await?.simple().to_string();
        if let Some(after) = contents.rewrapped(context(&installation), &before)? {
            signing_keys::rewrap(store, PURPOSE, &before, &after).await?;
        }
        Ok(())
    }

    fn of_seed(seed: &[u8; 32]) -> anyhow::Result<Self> {
        let key = SigningKey::from_bytes(seed);
        let x = BASE64.encode(key.verifying_key().as_bytes());
        // The members that RFC 7638 asks for, in its order and without spaces.
        let thumbprint = Sha256::digest(format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#));
        let kid = BASE64.encode(thumbprint);
        let public = PublicKey { kty: "OKP", crv: "Ed25519", alg: "EdDSA", usage: "sig", kid, x };
        Ok(Self { encoding: EncodingKey::from_ed_der(key.to_pkcs8_der()?.as_bytes()), public })
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    /// A document, signed: a JWS in its compact form, typed so that it can be taken for no token.
    pub fn sign(&self, document: &impl Serialize) -> anyhow::Result<String> {
        let mut header = Header::new(Algorithm::EdDSA);
        header.typ = Some("tollgate-receipt+jwt".to_owned());
        header.kid = Some(self.public.kid.clone());
        Ok(jsonwebtoken::encode(&header, document, &self.encoding)?)
    }
}

/// What the sealed key is bound to.
fn context(installation: &str) -> Context<'_> {
    Context { account: None, purpose: PURPOSE, record: installation }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, Validation};
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_receipt_is_checked_with_nothing_but_the_published_key() {
        let keys = ReceiptKeys::of_seed(&[7; 32]).unwrap();
        let signed = keys.sign(&json!({"charge_usd": "0.0125"})).unwrap();
        let published = serde_json::to_value(keys.public()).unwrap();
        let key = DecodingKey::from_ed_components(published["x"].as_str().unwrap()).unwrap();
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        let read = jsonwebtoken::decode::<Value>(&signed, &key, &validation).unwrap();
        assert_eq!(read.claims["charge_usd"], "0.0125");
        assert_eq!(read.header.kid.as_deref(), published["kid"].as_str());

        let other = ReceiptKeys::of_seed(&[8; 32]).unwrap();
        let key = DecodingKey::from_ed_components(&other.public().x).unwrap();
        assert!(jsonwebtoken::decode::<Value>(&signed, &key, &validation).is_err());
    }
}
