//! Where things lie: the checkout, its `.tollgate` folder, and the folder for the data of Postgres
//! and Redis, which is elsewhere when we are root.

use std::fs::{self, File, TryLockError};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::files;
use crate::keeper;

/// One errand's hold on its part of the checkout.
pub(crate) struct Checkout {
    /// The repository.
    pub(crate) root: PathBuf,
    /// `.tollgate`, where everything is kept that is ours.
    pub(crate) state: PathBuf,
    /// The folder of this errand's Postgres and Redis.
    pub(crate) data: PathBuf,
    /// Where what runs prints.
    pub(crate) logs: PathBuf,
    /// Where what runs is written down.
    pub(crate) pids: PathBuf,
    /// Held as long as the errand lives; the system lets go of it however that ends.
    _lock: File,
}

impl Checkout {
    /// Claims the checkout for one errand, and ends what a crash of the same errand left running. `up` and `test` can run beside each other, but not
    /// twice the same.
    pub(crate) fn claim(errand: &str) -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize()?;
        let state = root.join(".tollgate");
        let logs = state.join("logs").join(errand);
        let pids = state.join("run").join(errand);
        for folder in [&logs, &pids] {
            fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
        }
        let lock = File::create(state.join(format!("{errand}.lock")))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("`cargo xtask {errand}` is already running in this checkout")
            }
            Err(TryLockError::Error(error)) => return Err(error).context("cannot lock .tollgate"),
        }
        keeper::end_leftovers(&pids)?;
        let data = if rustix::process::geteuid().is_root() {
            data_of_root(&root, &state)?.join(errand)
        } else {
            state.join("data").join(errand)
        };
        open_folder(&data)?;
        Ok(Self { root, state, data, logs, pids, _lock: lock })
    }

    /// The folder into which cargo puts our binaries: that of this one.
    pub(crate) fn binaries(&self) -> Result<PathBuf> {
        let myself = std::env::current_exe().context("cannot find myself")?;
        Ok(myself.parent().context("a binary lies in a folder")?.to_owned())
    }
}

/// The unprivileged user may not be able to enter the checkout, so the data lies where it can.
/// It belongs to one `.tollgate`: data of an earlier checkout at the same path, whose keys are
/// gone with its `.tollgate`, is set aside.
fn data_of_root(root: &Path, state: &Path) -> Result<PathBuf> {
    let name = root.file_name().unwrap_or_default().to_string_lossy();
    let hash = files::short_hash(root.as_os_str().as_encoded_bytes());
    let data = Path::new("/var/lib/tollgate").join(format!("{name}-{hash}"));
    let owner = files::kept(&state.join("owner"), files::random_password)?;
    let mark = data.join("owner");
    let belongs_to_us = fs::read_to_string(&mark).is_ok_and(|found| found.trim() == owner);
    if data.exists() && !belongs_to_us {
        let aside = data.with_extension("set-aside");
        let _ = fs::remove_dir_all(&aside);
        fs::rename(&data, &aside)?;
    }
    open_folder(Path::new("/var/lib/tollgate"))?;
    open_folder(&data)?;
    if !belongs_to_us {
        files::write_private(&mark, &owner)?;
    }
    Ok(data)
}

/// A folder that others can pass through, whatever our umask says.
fn open_folder(folder: &Path) -> Result<()> {
    let make = || {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
    };
    make().with_context(|| format!("cannot create {}", folder.display()))
}
