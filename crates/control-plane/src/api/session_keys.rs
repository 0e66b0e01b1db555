//! Access tokens of sessions: JWTs signed with Ed25519, for one issuer and one audience, good for a
//! quarter of an hour. The key is made once for the installation and kept sealed.

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use model::Secret;
use model::id::{SessionId, UserId};
use serde::{Deserialize, Serialize};
use store::{Store, installation};
use time::{Duration, OffsetDateTime};
use vault::{ContentsBox, Context};
use zeroize::Zeroizing;

/// How long an access token is good.
pub const ACCESS_LIFETIME: Duration = Duration::minutes(15);

const ISSUER: &str = "tollgate";
const AUDIENCE: &str = "tollgate-management-api";

/// Signs and reads access tokens.
pub struct SessionKeys {
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: UserId,
    sid: SessionId,
    iat: i64,
    exp: i64,
}

impl SessionKeys {
    /// The installation's key, which is made if this is the first start.
    pub async fn load(store: &Store, contents: &ContentsBox) -> anyhow::Result<Self> {
        let installation = installation::id(store).await?.simple().to_string();
        let context = context(&installation);
        let mut fresh = Zeroizing::new([0; 32]);
        getrandom::fill(fresh.as_mut_slice()).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
        let sealed = installation::session_key(store, &contents.seal(context, fresh.as_slice())?).await?;
        let seed = contents.open(context, &sealed)?;
        Self::of_seed(seed.as_slice().try_into()?)
    }

    /// Seals the key anew under the first of the root keys.
    pub(crate) async fn rewrap(store: &Store, contents: &ContentsBox) -> anyhow::Result<()> {
        let Some(before) = installation::sealed_session_key(store).await? else { return Ok(()) };
        let installation = installation::id(store).await?.simple().to_string();
        if let Some(after) = contents.rewrapped(context(&installation), &before)? {
            installation::rewrap_session_key(store, &before, &after).await?;
        }
        Ok(())
    }

    fn of_seed(seed: &[u8; 32]) -> anyhow::Result<Self> {
        let key = SigningKey::from_bytes(seed);
        let mut validation = Validation::new(Algorithm::EdDSA);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        validation.set_required_spec_claims(&["iss", "aud", "sub", "exp"]);
        validation.leeway = 0;
        Ok(Self {
            encoding: EncodingKey::from_ed_der(key.to_pkcs8_der()?.as_bytes()),
            decoding: DecodingKey::from_ed_der(key.verifying_key().as_bytes()),
            validation,
        })
    }

    /// An access token for a session.
    pub fn issue(&self, user: UserId, session: SessionId, now: OffsetDateTime) -> anyhow::Result<Secret> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: user,
            sid: session,
            iat: now.unix_timestamp(),
            exp: (now + ACCESS_LIFETIME).unix_timestamp(),
        };
        Ok(Secret::new(jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &self.encoding)?))
    }

    /// The session that an access token is for; whether that is still alive, its row says.
    pub fn read(&self, token: &str) -> Option<SessionId> {
        jsonwebtoken::decode::<Claims>(token, &self.decoding, &self.validation)
            .ok()
            .map(|data| data.claims.sid)
    }
}

/// What the sealed key is bound to.
fn context(installation: &str) -> Context<'_> {
    Context { account: None, purpose: "session-signing-key", record: installation }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;

    fn ids() -> (UserId, SessionId) {
        (UserId(Uuid::from_u128(1)), SessionId(Uuid::from_u128(2)))
    }

    #[test]
    fn a_token_is_read_until_it_runs_out_and_by_its_own_installation_alone() {
        let keys = SessionKeys::of_seed(&[1; 32]).unwrap();
        let (user, session) = ids();
        let now = OffsetDateTime::now_utc();
        let token = keys.issue(user, session, now).unwrap();
        assert_eq!(keys.read(token.expose()), Some(session));
        let old = keys.issue(user, session, now - ACCESS_LIFETIME - Duration::seconds(2)).unwrap();
        assert_eq!(keys.read(old.expose()), None);
        assert_eq!(SessionKeys::of_seed(&[2; 32]).unwrap().read(token.expose()), None);
    }

    #[test]
    fn another_algorithm_issuer_or_audience_is_refused() {
        let keys = SessionKeys::of_seed(&[1; 32]).unwrap();
        let (user, session) = ids();
        let now = OffsetDateTime::now_utc();
        let token = keys.issue(user, session, now).unwrap();
        let payload = token.expose().split('.').nth(1).unwrap();
        for algorithm in ["none", "HS256"] {
            let header = BASE64.encode(json!({"alg": algorithm, "typ": "JWT"}).to_string());
            assert_eq!(keys.read(&format!("{header}.{payload}.")), None);
        }
        let claims: Value = serde_json::from_slice(&BASE64.decode(payload).unwrap()).unwrap();
        for (claim, value) in [("iss", "other"), ("aud", "other")] {
            let mut claims = claims.clone();
            claims[claim] = json!(value);
            let forged =
                jsonwebtoken::encode(&Header::new(Algorithm::EdDSA), &claims, &keys.encoding).unwrap();
            assert_eq!(keys.read(&forged), None);
        }
    }
}
