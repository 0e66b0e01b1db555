//! What is read from files and standard input, within bounds.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use model::Secret;
use zeroize::Zeroizing;

/// Nothing that the API takes is longer.
const MOST_BYTES: u64 = 1024 * 1024;

/// A text that may be secret, given in one of the ways in which secrets are given.
#[derive(Debug, Args)]
#[group(required = false, multiple = false)]
pub(crate) struct SecretText {
    /// The value itself; others on this machine may see it, a file is better
    #[arg(long)]
    pub(crate) value: Option<Secret>,
    /// A file that holds the value, `-` for standard input; the end of its last line does not belong to it
    #[arg(long, value_name = "FILE")]
    pub(crate) value_file: Option<PathBuf>,
}

impl SecretText {
    /// The text, if one was given.
    pub(crate) fn read(&self) -> anyhow::Result<Option<Secret>> {
        match (&self.value, &self.value_file) {
            (Some(value), _) => Ok(Some(value.clone())),
            (None, Some(file)) => secret(file).map(Some),
            (None, None) => Ok(None),
        }
    }
}

/// The text of a file, or of standard input for `-`.
pub(crate) fn text(file: &Path) -> anyhow::Result<String> {
    if file == Path::new("-") {
        return all_of(io::stdin().lock()).context("cannot read standard input");
    }
    File::open(file)
        .context("it cannot be opened")
        .and_then(all_of)
        .with_context(|| format!("cannot read {}", file.display()))
}

/// The same for what nobody else may see, without the end of its last line.
pub(crate) fn secret(file: &Path) -> anyhow::Result<Secret> {
    let text = Zeroizing::new(text(file)?);
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(Secret::new(line.strip_suffix('\r').unwrap_or(line)))
}

fn all_of(from: impl Read) -> anyhow::Result<String> {
    let mut text = String::new();
    from.take(MOST_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_BYTES {
        bail!("it is longer than {MOST_BYTES} bytes");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_ends_where_its_last_line_does() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        for (written, read) in [("sk-1", "sk-1"), ("sk-1\n", "sk-1"), ("sk-1\r\n", "sk-1"), ("a\n\n", "a\n")]
        {
            std::fs::write(&file, written).unwrap();
            assert_eq!(secret(&file).unwrap().expose(), read);
        }
    }

    #[test]
    fn a_file_without_end_is_not_read_to_it() {
        let told = format!("{:#}", text(Path::new("/dev/zero")).unwrap_err());
        assert_eq!(told, "cannot read /dev/zero: it is longer than 1048576 bytes");
        let told = format!("{:#}", text(Path::new("/nowhere")).unwrap_err());
        assert!(told.starts_with("cannot read /nowhere: it cannot be opened: "), "{told}");
    }
}
