//! Passwords: argon2id, off the async threads, few at a time, and as slow for nobody as for
//! somebody.

use std::sync::Arc;

use argon2::Argon2;
use argon2::password_hash::rand_core::OsRng;
use argon2::password_hash::{PasswordHash, PasswordHasher as _, PasswordVerifier as _, SaltString};
use model::Secret;
use tokio::sync::Semaphore;

use super::error::ApiError;

/// Each hash takes 19 MiB and some tens of milliseconds of a core, so that a crowd at the door is
/// made to queue rather than to take the machine.
const AT_ONCE: usize = 2;

/// Hashes and checks passwords.
#[derive(Clone)]
pub struct Passwords {
    permits: Arc<Semaphore>,
    nobodys: Arc<str>,
}

impl Passwords {
    /// Prepares the hash that unknown users are checked against.
    pub fn new() -> anyhow::Result<Self> {
        let nobodys = hash_now("nobody has this password").map_err(|e| anyhow::anyhow!("argon2: {e}"))?;
        Ok(Self { permits: Arc::new(Semaphore::new(AT_ONCE)), nobodys: nobodys.into() })
    }

    /// The hash to keep, if the password is long enough to be one.
    pub async fn hash(&self, password: &Secret) -> Result<String, ApiError> {
        let length = password.expose().chars().count();
        if !(10..=256).contains(&length) {
            return Err(ApiError::body("password", "expected 10 to 256 characters"));
        }
        let password = password.clone();
        let hash = self.run(move || hash_now(password.expose())).await?;
        hash.map_err(|error| ApiError::Internal(anyhow::anyhow!("argon2: {error}")))
    }

    /// Whether this is the password of that hash; without a hash it never is, but takes as long.
    pub async fn matches(&self, password: &Secret, hash: Option<String>) -> Result<bool, ApiError> {
        let password = password.clone();
        let somebody = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobodys.as_ref().to_owned());
        let matches = self
            .run(move || {
                PasswordHash::new(&hash).is_ok_and(|hash| {
                    Argon2::default().verify_password(password.expose().as_bytes(), &hash).is_ok()
                })
            })
            .await?;
        Ok(matches && somebody)
    }

    async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
        let permit = self.permits.clone().acquire_owned().await.map_err(|e| ApiError::Internal(e.into()))?;
        let done = tokio::task::spawn_blocking(move || {
            let result = work();
            // Held by the work, not by the request: who hangs up has not freed the core.
            drop(permit);
            result
        });
        done.await.map_err(|error| ApiError::Internal(error.into()))
    }
}

fn hash_now(password: &str) -> Result<String, argon2::password_hash::Error> {
    let salt = SaltString::generate(&mut OsRng);
    Ok(Argon2::default().hash_password(password.as_bytes(), &salt)?.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_somebody_matches() {
        let passwords = Passwords::new().unwrap();
        let right = Secret::new("correct horse");
        let hash = passwords.hash(&right).await.unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(passwords.matches(&right, Some(hash.clone())).await.unwrap());
        assert!(!passwords.matches(&Secret::new("wrong"), Some(hash)).await.unwrap());
        assert!(!passwords.matches(&Secret::new("nobody has this password"), None).await.unwrap());
    }

    #[tokio::test]
    async fn a_short_password_is_refused() {
        assert!(Passwords::new().unwrap().hash(&Secret::new("too short")).await.is_err());
    }
}
