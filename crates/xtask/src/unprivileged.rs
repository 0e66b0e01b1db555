//! Postgres refuses to run as root, and Redis should not: whom to run them as instead.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, lchown};
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

/// A user of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

impl User {
    /// Whom to become; nobody else if we are not root.
    pub(crate) fn to_drop_to() -> Result<Option<Self>> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        ["postgres", "nobody"]
            .into_iter()
            .find_map(Self::named)
            .map(Some)
            .context("running as root, and there is no user `postgres` or `nobody` to run Postgres as")
    }

    fn named(name: &str) -> Option<Self> {
        Some(Self { uid: id("-u", name)?, gid: id("-g", name)? })
    }
}

fn id(which: &str, name: &str) -> Option<u32> {
    let output = Command::new("id").args([which, name]).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Makes a folder and all in it, or a file, the user's own.
pub(crate) fn give(path: &Path, user: Option<User>) -> Result<()> {
    if !path.exists() {
        fs::create_dir_all(path).with_context(|| format!("cannot create {}", path.display()))?;
    }
    let Some(user) = user else { return Ok(()) };
    give_all(path, user).with_context(|| format!("cannot give {} away", path.display()))
}

fn give_all(path: &Path, user: User) -> std::io::Result<()> {
    let found = fs::symlink_metadata(path)?;
    // Whoever owns a folder owns what is in it, unless the folder is not yet theirs.
    if (found.uid(), found.gid()) == (user.uid, user.gid) {
        return Ok(());
    }
    if found.is_dir() {
        for entry in fs::read_dir(path)? {
            give_all(&entry?.path(), user)?;
        }
    }
    lchown(path, Some(user.uid), Some(user.gid))
}
