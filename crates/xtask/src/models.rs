//! Makes the model catalogue from two sources: the models of our own table, and what the price list
//! says of all others.

mod line;
mod listed;
mod merge;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use self::line::{Listed, Model};

/// What the errand is told.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// A price list to take over first; without it, what was taken over last.
    #[arg(long)]
    list: Option<PathBuf>,
    /// The folder of `table.jsonl`, `listed.jsonl` and `catalogue.jsonl`.
    #[arg(long, default_value = "crates/providers/data/models")]
    folder: PathBuf,
}

/// Writes the catalogue.
pub(crate) fn models(arguments: &Arguments) -> Result<()> {
    let file = |name: &str| arguments.folder.join(name);
    if let Some(list) = &arguments.list {
        let text = std::fs::read(list).with_context(|| list.display().to_string())?;
        write(&file("listed.jsonl"), &listed::of(&text)?)?;
    }
    let table: Vec<Model> = read(&file("table.jsonl"))?;
    let listed: Vec<Listed> = read(&file("listed.jsonl"))?;
    let catalogue = merge::merged(table, listed)?;
    write(&file("catalogue.jsonl"), &catalogue)?;
    println!("Wrote {} models to {}", catalogue.len(), file("catalogue.jsonl").display());
    Ok(())
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<Vec<T>> {
    let text = std::fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let line = |(index, line): (usize, &str)| {
        serde_json::from_str(line).with_context(|| format!("{}:{}", file.display(), index + 1))
    };
    text.lines().enumerate().map(line).collect()
}

fn write<T: Serialize>(file: &Path, lines: &[T]) -> Result<()> {
    let mut text = String::new();
    for line in lines {
        text += &serde_json::to_string(line)?;
        text.push('\n');
    }
    std::fs::write(file, text).with_context(|| file.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_what_the_table_and_the_list_make() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../providers/data/models");
        let table = read(&folder.join("table.jsonl")).unwrap();
        let listed = read(&folder.join("listed.jsonl")).unwrap();
        let mut made = String::new();
        for model in merge::merged(table, listed).unwrap() {
            made += &serde_json::to_string(&model).unwrap();
            made.push('\n');
        }
        assert_eq!(made, std::fs::read_to_string(folder.join("catalogue.jsonl")).unwrap());
    }
}
