//! `tollgate models`: the catalogue that this release came with, or the operator's in its place.

use clap::Args;
use providers::models::Models;
use providers::models::listing::{Query, Row, page};
use providers::prices::Catalogue;

use super::output::{Output, print, print_json, table};
use super::session::OutputChoice;
use crate::catalogue::CatalogueSettings;

/// What is searched for; all of it must fit.
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// Only what this provider serves, by any of its names
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    provider: String,
    /// Only what this company made
    #[arg(long, default_value = "", hide_default_value = true, value_name = "NAME")]
    author: String,
    /// Only what reads or produces this: `text`, `image`, `audio`
    #[arg(long, default_value = "", hide_default_value = true)]
    modality: String,
    /// Only what can do this: `tool-calling`, `reasoning`
    #[arg(long, default_value = "", hide_default_value = true)]
    feature: String,
    /// Only what has this text in one of its names
    #[arg(long, default_value = "", hide_default_value = true, value_name = "TEXT")]
    search: String,
    #[command(flatten)]
    output: OutputChoice,
}

impl Search {
    pub(super) fn run(self) -> anyhow::Result<()> {
        process::from_environment::<CatalogueSettings>()?.read()?;
        let Self { provider, author, modality, feature, search, output } = &self;
        let query = Query { provider, author, modality, feature, text: search };
        let found = page(Models::current(), Catalogue::current(), query, 0, usize::MAX);
        match output.output.unwrap_or(Output::Table) {
            Output::Json => print_json(&found.rows),
            Output::Table => {
                let headings = ["MODEL", "AUTHOR", "READS", "WRITES", "$ IN", "$ OUT", "PROVIDERS"];
                print(&table(&headings, &found.rows.iter().map(cells).collect::<Vec<_>>()))?;
                eprintln!("Models found: {}. Prices are dollars per million tokens.", found.total);
                Ok(())
            }
        }
    }
}

fn cells(row: &Row) -> Vec<String> {
    let tokens = |count: Option<u64>| count.map(|count| count.to_string()).unwrap_or_default();
    // Where the model is at home comes first.
    let pricing = row.providers.first().map(|provider| &provider.pricing);
    let dollars = |of: &str| {
        let price = pricing.and_then(|pricing| pricing.get(of));
        price.map(ToString::to_string).unwrap_or_default()
    };
    let providers: Vec<_> = row.providers.iter().map(|provider| provider.id).collect();
    vec![
        row.id.clone(),
        row.author.clone(),
        tokens(row.context_window),
        tokens(row.max_output_tokens),
        dollars("text.input"),
        dollars("text.output"),
        providers.join(", "),
    ]
}
