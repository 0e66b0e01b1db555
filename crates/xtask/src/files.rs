//! Small files that hold secrets or remember what was done.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// Writes a file that only its owner can read; it is there whole or not at all.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let unfinished = path.with_extension("unfinished");
    let _ = fs::remove_file(&unfinished);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    fs::rename(&unfinished, path).with_context(|| format!("cannot write {}", path.display()))
}

/// What the file holds; if it is not there yet, it is made to hold what `first` says.
pub(crate) fn kept(path: &Path, first: impl FnOnce() -> Result<String>) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text.trim().to_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let text = first()?;
            write_private(path, &format!("{text}\n"))?;
            Ok(text)
        }
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// A random password of letters and digits.
pub(crate) fn random_password() -> Result<String> {
    Ok(hex::encode(random::<16>()?))
}

/// A root key ring of one random key.
pub(crate) fn random_key_ring() -> Result<String> {
    Ok(format!("dev1:{}", STANDARD.encode(random::<32>()?)))
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| anyhow!("no randomness: {error}"))?;
    Ok(bytes)
}

/// The first hex digits of the text's SHA-256.
pub(crate) fn short_hash(text: &[u8]) -> String {
    hex::encode(&Sha256::digest(text)[..6])
}

/// Does `work` unless it was done before for the same `input`; `stamp` remembers it.
pub(crate) fn once_for(stamp: &Path, input: &[u8], work: impl FnOnce() -> Result<()>) -> Result<()> {
    let hash = short_hash(input);
    if fs::read_to_string(stamp).is_ok_and(|done| done == hash) {
        return Ok(());
    }
    work()?;
    fs::write(stamp, hash).with_context(|| format!("cannot write {}", stamp.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_kept_secret_is_made_once_and_readable_by_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        let first = kept(&path, random_password).unwrap();
        assert_eq!(kept(&path, random_password).unwrap(), first);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn work_is_done_again_only_when_its_input_changed() {
        let folder = tempfile::tempdir().unwrap();
        let stamp = folder.path().join("stamp");
        let mut times = 0;
        for input in ["a", "a", "b"] {
            once_for(&stamp, input.as_bytes(), || {
                times += 1;
                Ok(())
            })
            .unwrap();
        }
        assert_eq!(times, 2);
    }
}
