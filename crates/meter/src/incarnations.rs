//! Which starts of this proxy may still have something set aside in Redis: the present one, and those
//! before it on the same spool whose holds have not been released for certain.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tracing::{error, warn};
use uuid::Uuid;

/// The list, kept beside the spool.
#[derive(Debug)]
pub(crate) struct Incarnations {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    present: Uuid,
    former: Vec<Uuid>,
}

impl Incarnations {
    /// Begins a new one. Nothing may be asked of Redis in its name before this returns, because the
    /// next process learns of it from the file alone.
    pub(crate) fn begin(directory: &Path) -> io::Result<Self> {
        let path = directory.join("incarnations");
        let text = match std::fs::read_to_string(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            text => text.unwrap_or_default(),
        };
        let former = text.lines().filter_map(|line| Uuid::try_parse(line).ok()).collect();
        let state = State { present: Uuid::now_v7(), former };
        state.save(&path)?;
        Ok(Self { path, state: Mutex::new(state) })
    }

    /// In whose name things are asked now.
    pub(crate) fn present(&self) -> Uuid {
        self.state().present
    }

    /// Those that were before.
    pub(crate) fn former(&self) -> Vec<Uuid> {
        self.state().former.clone()
    }

    /// Redis holds nothing more for this one. Says which is the present one by then.
    pub(crate) fn is_dead(&self, dead: Uuid) -> Uuid {
        let mut state = self.state();
        if state.present == dead {
            state.present = Uuid::now_v7();
            state.former.push(dead);
            warn!(incarnation = %dead, "Redis has given this process up and ended its holds; it goes on under a new name");
            self.save(&state);
        }
        state.present
    }

    /// Nothing is left of this one anywhere.
    pub(crate) fn is_buried(&self, buried: Uuid) {
        let mut state = self.state();
        let before = state.former.len();
        state.former.retain(|former| *former != buried);
        if state.former.len() < before {
            self.save(&state);
        }
    }

    /// The process goes on without: what the file then lacks is released when its beat stands still.
    fn save(&self, state: &State) {
        if let Err(error) = state.save(&self.path) {
            error!(error = %error, "The names of this process cannot be written beside its spool");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn save(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut options = File::options();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        for id in self.former.iter().chain([&self.present]) {
            writeln!(file, "{id}")?;
        }
        file.sync_all()?;
        std::fs::rename(new, path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_knows_those_before_it_until_they_are_buried() {
        let directory = tempfile::tempdir().unwrap();
        let first = Incarnations::begin(directory.path()).unwrap();
        assert!(first.former().is_empty());
        let second = Incarnations::begin(directory.path()).unwrap();
        assert_eq!(second.former(), [first.present()]);
        let third = Incarnations::begin(directory.path()).unwrap();
        third.is_buried(first.present());
        let fourth = Incarnations::begin(directory.path()).unwrap();
        assert_eq!(fourth.former(), [second.present(), third.present()]);
    }

    #[test]
    fn the_dead_are_followed_once() {
        let directory = tempfile::tempdir().unwrap();
        let incarnations = Incarnations::begin(directory.path()).unwrap();
        let dead = incarnations.present();
        let next = incarnations.is_dead(dead);
        assert_ne!(next, dead);
        assert_eq!(incarnations.is_dead(dead), next);
        assert_eq!(incarnations.former(), [dead]);
    }
}
