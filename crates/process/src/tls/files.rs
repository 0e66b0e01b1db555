//! Which files of a directory are certificates and keys, and whether they are the same as before.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// What a look at the directory found; two looks are equal if there is nothing new to read.
pub(super) type Sight = Result<BTreeMap<PathBuf, Place>, io::ErrorKind>;

/// Where a certificate and its key are, or should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The certificate and those that lead from it to its authority.
    pub(super) chain: File,
    /// Its key.
    pub(super) key: File,
}

/// A file, and what tells it from one that has taken its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    /// Where it is.
    pub(super) path: PathBuf,
    identity: Result<Identity, io::ErrorKind>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    device: u64,
    inode: u64,
    length: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Looks which certificates there are, each under its path without an ending, and reads none.
/// Symbolic links are followed, so that a link which is swapped shows.
pub(super) fn look(directory: &Path) -> Sight {
    let mut stems = BTreeSet::new();
    for entry in fs::read_dir(directory).map_err(|error| error.kind())? {
        let path = entry.map_err(|error| error.kind())?.path();
        // Kubernetes keeps the versions of a mounted secret in hidden directories beside links into them.
        let hidden = path.file_name().is_some_and(|name| name.as_bytes().starts_with(b"."));
        match path.extension().and_then(OsStr::to_str) {
            _ if hidden => {}
            Some("crt" | "pem" | "key") => {
                stems.insert(path.with_extension(""));
            }
            _ => {
                let stem = path.join("tls");
                if [".crt", ".key"].into_iter().any(|ending| File::at(&stem, ending).may_be_there()) {
                    stems.insert(stem);
                }
            }
        }
    }
    let places = stems.into_iter().filter_map(|stem| Place::at(&stem).map(|place| (stem, place)));
    Ok(places.collect())
}

impl Place {
    /// `None` for an authority's certificate without a key, which secrets often hold beside their own.
    fn at(stem: &Path) -> Option<Self> {
        let (crt, pem, key) = (File::at(stem, ".crt"), File::at(stem, ".pem"), File::at(stem, ".key"));
        let of_authority = stem.file_name() == Some(OsStr::new("ca")) && !key.may_be_there();
        let chain = if crt.may_be_there() || !pem.may_be_there() { crt } else { pem };
        (!of_authority).then_some(Self { chain, key })
    }
}

impl File {
    fn at(stem: &Path, ending: &str) -> Self {
        let mut path = stem.as_os_str().to_owned();
        path.push(ending);
        let path = PathBuf::from(path);
        let identity = fs::metadata(&path).map_err(|error| error.kind()).map(|metadata| Identity {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        });
        Self { path, identity }
    }

    /// Anything but the knowledge that there is no such file, which is told when it is read.
    pub(super) fn may_be_there(&self) -> bool {
        !matches!(self.identity, Err(io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    }
}
