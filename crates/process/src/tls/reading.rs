//! Everything that a directory holds, read at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::certificates::is_default;
use super::files::{Sight, look};
use super::flaw::Flaw;
use super::pair::Pair;

/// How often a directory is read that has flaws and changes while it is read.
const ATTEMPTS: usize = 3;

/// The certificates of a directory, each under its path without an ending, and what is wrong.
#[derive(Debug)]
pub(super) struct Reading {
    /// What the directory looked like just before.
    pub(super) sight: Sight,
    /// What can be served.
    pub(super) pairs: BTreeMap<PathBuf, Arc<Pair>>,
    /// What cannot, by the same paths; those of the directory itself come with its own.
    pub(super) flaws: Vec<(PathBuf, Flaw)>,
}

impl Reading {
    /// Reads a directory. Whoever swaps certificate and key while we read makes them seem not to fit, so
    /// what has flaws is read again if it has changed meanwhile.
    pub(super) fn of(directory: &Path) -> Self {
        let mut reading = Self::with(directory, look(directory));
        for _ in 1..ATTEMPTS {
            let sight = if reading.flaws.is_empty() { break } else { look(directory) };
            if sight == reading.sight {
                break;
            }
            reading = Self::with(directory, sight);
        }
        reading
    }

    fn with(directory: &Path, sight: Sight) -> Self {
        let whole = |flaw| vec![(directory.to_owned(), flaw)];
        let mut reading = Self { sight, pairs: BTreeMap::new(), flaws: Vec::new() };
        let places = match &reading.sight {
            Ok(places) => places,
            Err(kind) => {
                reading.flaws = whole(Flaw::Unlisted(directory.to_owned(), *kind));
                return reading;
            }
        };
        if places.is_empty() {
            reading.flaws = whole(Flaw::Empty(directory.to_owned()));
        }
        let only = places.len() == 1;
        for (stem, place) in places {
            match Pair::read(place) {
                Ok(pair) if pair.hosts.is_empty() && !only && !is_default(directory, stem) => {
                    reading.flaws.push((stem.clone(), Flaw::NoHost(pair.file)));
                }
                Ok(pair) => {
                    reading.pairs.insert(stem.clone(), Arc::new(pair));
                }
                Err(flaw) => reading.flaws.push((stem.clone(), flaw)),
            }
        }
        reading
    }
}
