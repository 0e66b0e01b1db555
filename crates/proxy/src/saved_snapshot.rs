//! The last good snapshot on disk, sealed, so that a proxy starts without its control plane.

use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use model::Revision;
use model::resource::Resource;
use prost::Message as _;
use vault::{ContentsBox, Context};

use crate::config::Accounts;
use crate::snapshot::Snapshot;

const FILE: &str = "snapshot.sealed";
const CONTEXT: Context<'static> = Context { account: None, purpose: "proxy_snapshot", record: "" };

/// Where the snapshot is kept.
#[derive(Debug, Clone)]
pub struct SavedSnapshot {
    path: PathBuf,
    contents: ContentsBox,
    accounts: Accounts,
}

/// Why a snapshot was not saved or loaded.
#[derive(Debug, thiserror::Error)]
pub enum SavingError {
    /// The file cannot be read or written.
    #[error("the file of the saved snapshot cannot be read or written")]
    File(#[from] io::Error),
    /// It was sealed with another key, or changed.
    #[error("the saved snapshot cannot be opened or sealed: {0}")]
    Vault(#[from] vault::VaultError),
    /// Another release wrote it in another form.
    #[error("the saved snapshot cannot be read")]
    Decode(#[from] prost::DecodeError),
}

#[derive(prost::Message)]
struct Wire {
    #[prost(message, optional, tag = "1")]
    revision: Option<proto::Revision>,
    #[prost(message, repeated, tag = "2")]
    resources: Vec<proto::Resource>,
    /// The release that wrote this. Another release may serve what this one refused, or did not
    /// understand, so it asks for everything again.
    #[prost(string, tag = "3")]
    software_version: String,
    /// Whether nothing was refused.
    #[prost(bool, tag = "4")]
    is_whole: bool,
    /// Whether only accounts in use are in it.
    #[prost(bool, tag = "5")]
    is_narrowed: bool,
}

impl SavedSnapshot {
    /// The snapshot of these accounts that is, or will be, in this directory.
    pub fn of(directory: &Path, contents: ContentsBox, accounts: Accounts) -> Self {
        Self { path: directory.join(FILE), contents, accounts }
    }

    /// Seals and writes, so that after a crash there is the old one or the new one, whole.
    pub fn save(&self, snapshot: &Snapshot) -> Result<(), SavingError> {
        let wire = Wire {
            revision: snapshot.revision().map(Revision::to_wire),
            resources: snapshot.resources().map(|resource| resource.to_wire()).collect(),
            software_version: crate::SOFTWARE_VERSION.to_owned(),
            is_whole: snapshot.refused().is_empty(),
            is_narrowed: self.accounts == Accounts::InUse,
        };
        let sealed = self.contents.seal(CONTEXT, &wire.encode_to_vec())?;
        Ok(write_private(&self.path, &sealed)?)
    }

    /// The saved snapshot, if there is one. It has a revision only if what follows that revision is
    /// all that this release lacks.
    pub fn load(&self) -> Result<Option<Snapshot>, SavingError> {
        let sealed = match std::fs::read(&self.path) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let opened = self.contents.open(CONTEXT, &sealed)?;
        let Wire { revision, resources, software_version, is_whole, is_narrowed } =
            Wire::decode(opened.as_slice())?;
        let read: Vec<Resource> =
            resources.into_iter().filter_map(|wire| Resource::from_wire(wire).ok()).collect();
        let has_all_accounts = !is_narrowed || self.accounts == Accounts::InUse;
        let follows = is_whole && has_all_accounts && software_version == crate::SOFTWARE_VERSION;
        let revision = revision.as_ref().filter(|_| follows).and_then(Revision::from_wire);
        Ok(Some(Snapshot::saved(revision, read)))
    }
}

/// Writes a file that only this user reads, in one step: whoever looks sees the old content or the
/// new one, also after a power failure.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory)?;
    let unfinished = path.with_extension("unfinished");
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&unfinished, path)?;
    std::fs::File::open(directory)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use model::AccountId;
    use model::resource::{Body, ResourceId, ResourceKey};
    use model::terms::AccountTerms;
    use uuid::Uuid;
    use vault::RootRing;

    use super::*;
    use crate::snapshot::Delta;

    const ACCOUNT: AccountId = AccountId(Uuid::from_u128(3));
    const REVISION: Revision = Revision { timeline: Uuid::from_u128(1), number: 4 };

    fn contents() -> ContentsBox {
        let ring = RootRing::generate("one").unwrap();
        ContentsBox::new(RootRing::parse("TOLLGATE_CONTENTS_KEYS", ring.expose()).unwrap())
    }

    fn snapshot() -> Snapshot {
        let body = Body::Account {
            credentials_key: b"planted-canary".to_vec(),
            contents_key: vec![2],
            terms: AccountTerms::default(),
        };
        Snapshot::of(REVISION, vec![Resource { account: ACCOUNT, body }])
    }

    #[test]
    fn a_snapshot_is_loaded_as_it_was_saved_but_not_as_current() {
        let directory = tempfile::tempdir().unwrap();
        let saved = SavedSnapshot::of(directory.path(), contents(), Accounts::All);
        assert!(saved.load().unwrap().is_none());
        saved.save(&snapshot()).unwrap();
        let loaded = saved.load().unwrap().unwrap();
        assert_eq!(loaded.revision(), Some(REVISION));
        assert!(loaded.account(ACCOUNT).is_some());
        assert!(!loaded.is_current());
    }

    #[test]
    fn nobody_else_can_read_the_file() {
        let directory = tempfile::tempdir().unwrap();
        SavedSnapshot::of(directory.path(), contents(), Accounts::All).save(&snapshot()).unwrap();
        let path = directory.path().join(FILE);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let bytes = std::fs::read(&path).unwrap();
        assert!(!bytes.windows(14).any(|window| window == b"planted-canary"));
        assert!(SavedSnapshot::of(directory.path(), contents(), Accounts::All).load().is_err());
    }

    #[test]
    fn a_proxy_that_wants_all_accounts_does_not_go_on_from_some() {
        let directory = tempfile::tempdir().unwrap();
        let contents = contents();
        let narrow = SavedSnapshot::of(directory.path(), contents.clone(), Accounts::InUse);
        let wide = SavedSnapshot::of(directory.path(), contents, Accounts::All);
        narrow.save(&snapshot()).unwrap();
        assert_eq!(narrow.load().unwrap().unwrap().revision(), Some(REVISION));
        let loaded = wide.load().unwrap().unwrap();
        assert_eq!(loaded.revision(), None);
        assert!(loaded.account(ACCOUNT).is_some());
        wide.save(&snapshot()).unwrap();
        assert_eq!(narrow.load().unwrap().unwrap().revision(), Some(REVISION));
    }

    #[test]
    fn a_snapshot_in_which_something_was_refused_asks_for_everything_again() {
        let directory = tempfile::tempdir().unwrap();
        let saved = SavedSnapshot::of(directory.path(), contents(), Accounts::All);
        let refused = vec![ResourceKey { account: ACCOUNT, kind: ResourceId::Account }];
        saved
            .save(&snapshot().apply(Delta { revision: REVISION, upserted: vec![], removed: vec![], refused }))
            .unwrap();
        let loaded = saved.load().unwrap().unwrap();
        assert_eq!(loaded.revision(), None);
        assert!(loaded.account(ACCOUNT).is_some());
    }
}
