//! Signed calls from program to program, in Stripe's scheme: a header `t=<seconds>,v1=<hex>` with the
//! HMAC-SHA256 of `<seconds>.<body>`. Stripe's calls to us are checked here, and ours are signed.

use hmac::{Hmac, Mac as _};
use model::Secret;
use sha2::Sha256;
use time::{Duration, OffsetDateTime};

/// How far the clocks of sender and receiver may differ. An older call is a repeated one.
pub(crate) const TOLERANCE: Duration = Duration::minutes(5);

/// Why a call is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadSignature {
    /// There is no header, or not one of this scheme.
    #[error("the signature is missing or malformed")]
    Malformed,
    /// It was signed too long ago, or in the future.
    #[error("the signature is too old or too new")]
    Stale,
    /// It was signed with another secret, or is about another body.
    #[error("the signature does not match")]
    Wrong,
}

/// The header for a body that is sent now.
pub fn sign(secret: &Secret, now: OffsetDateTime, body: &[u8]) -> String {
    let at = now.unix_timestamp();
    format!("t={at},v1={}", hex::encode(mac(secret, at, body).finalize().into_bytes()))
}

/// Checks a body against its header, and against each secret that is good at this time, in a time that
/// does not tell how nearly it matches.
pub fn check(secrets: &[Secret], header: &str, body: &[u8], now: OffsetDateTime) -> Result<(), BadSignature> {
    let (mut at, mut signatures) = (None, Vec::new());
    for part in header.split(',') {
        match part.trim().split_once('=') {
            Some(("t", seconds)) => at = seconds.parse::<i64>().ok(),
            Some(("v1", signature)) => signatures.extend(hex::decode(signature)),
            // Other schemes, such as that of Stripe's test mode, are not ours to judge.
            _ => {}
        }
    }
    let at = at.filter(|_| !signatures.is_empty()).ok_or(BadSignature::Malformed)?;
    if now.unix_timestamp().abs_diff(at) > TOLERANCE.whole_seconds().unsigned_abs() {
        return Err(BadSignature::Stale);
    }
    let matches = |secret: &Secret| {
        signatures.iter().any(|signature| mac(secret, at, body).verify_slice(signature).is_ok())
    };
    if secrets.iter().any(matches) { Ok(()) } else { Err(BadSignature::Wrong) }
}

fn mac(secret: &Secret, at: i64, body: &[u8]) -> Hmac<Sha256> {
    // A key of any length will do, so this cannot fail; an empty one matches nothing that is signed.
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .unwrap_or_else(|_| Hmac::new(&Default::default()));
    mac.update(at.to_string().as_bytes());
    mac.update(b".");
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> OffsetDateTime {
        OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap()
    }

    #[test]
    fn what_was_signed_is_believed_for_five_minutes() {
        let secret = Secret::new("whsec_1");
        let header = sign(&secret, now(), b"body");
        let check = |secret: &str, body: &[u8], at| {
            super::check(&[Secret::new("whsec_new"), Secret::new(secret)], &header, body, at)
        };
        assert_eq!(check("whsec_1", b"body", now()), Ok(()));
        assert_eq!(check("whsec_1", b"body", now() + TOLERANCE), Ok(()));
        assert_eq!(check("whsec_2", b"body", now()), Err(BadSignature::Wrong));
        assert_eq!(check("whsec_1", b"Body", now()), Err(BadSignature::Wrong));
        let late = TOLERANCE + Duration::SECOND;
        assert_eq!(check("whsec_1", b"body", now() + late), Err(BadSignature::Stale));
        assert_eq!(check("whsec_1", b"body", now() - late), Err(BadSignature::Stale));
    }

    #[test]
    fn a_header_has_a_time_and_a_signature() {
        let secrets = [Secret::new("whsec_1")];
        for header in ["", "t=1800000000", "v1=00", "t=x,v1=00", "t=1800000000,v1=zz", "t=1800000000,v0=00"] {
            assert_eq!(check(&secrets, header, b"", now()), Err(BadSignature::Malformed), "{header}");
        }
        let two = format!("{},v1=00", sign(&secrets[0], now(), b"body"));
        assert_eq!(check(&secrets, &two, b"body", now()), Ok(()));
    }

    #[test]
    fn the_scheme_is_stripes() {
        // As Stripe's documentation has it: HMAC-SHA256 of "1800000000.{}" under the key "secret".
        let header = sign(&Secret::new("secret"), now(), b"{}");
        assert_eq!(header.len(), "t=1800000000,v1=".len() + 64);
        assert!(header.starts_with("t=1800000000,v1="));
        let expected = "bb7079132825ac793cea8c013c1dd24d926b9b02132245b10588d9e5c0df70d7";
        assert_eq!(header, format!("t=1800000000,v1={expected}"));
    }
}
