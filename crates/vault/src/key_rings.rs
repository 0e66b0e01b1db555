//! The operator's rings as the environment holds them, and what each plane makes of them.

use std::path::PathBuf;

use clap::Args;
use model::Secret;

use crate::contents::ContentsBox;
use crate::opener::Opener;
use crate::ring::{InvalidRing, RootRing};
use crate::sealer::Sealer;

/// The operator's root keys.
#[derive(Debug, Clone, Args)]
pub struct KeyRings {
    /// the ring of provider keys
    #[arg(long, env = CREDENTIALS)]
    credentials_keys: Option<Secret>,
    /// a file with the ring of provider keys
    #[arg(long, env = "TOLLGATE_CREDENTIALS_KEYS_FILE")]
    credentials_keys_file: Option<PathBuf>,
    /// the ring of bodies, caches and snapshots
    #[arg(long, env = CONTENTS)]
    contents_keys: Option<Secret>,
    /// a file with the ring of bodies, caches and snapshots
    #[arg(long, env = "TOLLGATE_CONTENTS_KEYS_FILE")]
    contents_keys_file: Option<PathBuf>,
}

const CREDENTIALS: &str = "TOLLGATE_CREDENTIALS_KEYS";
const CONTENTS: &str = "TOLLGATE_CONTENTS_KEYS";

/// The rings that cannot be used, told together.
#[derive(Debug, thiserror::Error)]
#[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct InvalidRings(Vec<InvalidRing>);

impl KeyRings {
    /// For the control plane: what seals provider keys, and what keeps the installation's own secrets.
    pub fn for_sealing(&self) -> Result<(Sealer, ContentsBox), InvalidRings> {
        let (credentials, contents) = self.rings()?;
        Ok((Sealer::new(credentials, contents.clone()), ContentsBox::new(contents)))
    }

    /// For proxies: what opens provider keys, and what keeps the snapshot.
    pub fn for_opening(&self) -> Result<(Opener, ContentsBox), InvalidRings> {
        let (credentials, contents) = self.rings()?;
        Ok((Opener::new(credentials), ContentsBox::new(contents)))
    }

    fn rings(&self) -> Result<(RootRing, RootRing), InvalidRings> {
        let Self { credentials_keys, credentials_keys_file, contents_keys, contents_keys_file } = self;
        let credentials =
            RootRing::read(CREDENTIALS, credentials_keys.as_ref(), credentials_keys_file.as_deref());
        let contents = RootRing::read(CONTENTS, contents_keys.as_ref(), contents_keys_file.as_deref());
        match (credentials, contents) {
            (Ok(credentials), Ok(contents)) => Ok((credentials, contents)),
            (credentials, contents) => {
                Err(InvalidRings(credentials.err().into_iter().chain(contents.err()).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mistakes_of_both_rings_are_told_together() {
        let rings = KeyRings {
            credentials_keys: Some(Secret::new("canary")),
            credentials_keys_file: None,
            contents_keys: None,
            contents_keys_file: None,
        };
        let told = rings.for_opening().unwrap_err().to_string();
        assert!(told.contains(CREDENTIALS) && told.contains(CONTENTS) && !told.contains("canary"), "{told}");
    }
}
