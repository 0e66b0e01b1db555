//! One version of the price list.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::{InvalidDocument, Price, document};

/// One version of the price list, which holds from a moment on.
#[derive(Debug)]
pub struct List {
    header: document::Header,
    text: &'static str,
    /// By provider, then by model.
    entries: HashMap<&'static str, HashMap<&'static str, Entry>>,
    /// Providers and models in the file's order.
    order: Vec<(&'static str, &'static str)>,
}

#[derive(Debug)]
struct Entry {
    line: &'static str,
    price: OnceLock<Option<Price>>,
}

impl List {
    /// What usage records name it by.
    pub fn version(&self) -> &str {
        &self.header.version
    }

    /// From when on it holds, in seconds since 1970.
    pub fn effective_from(&self) -> i64 {
        self.header.effective_from
    }

    /// The file as it is.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// The price under exactly this name.
    pub fn get(&self, provider: &str, model: &str) -> Option<&Price> {
        self.entry(provider, model).map(|(_, price)| price)
    }

    /// The same, with the name as the list keeps it.
    pub(super) fn entry(&self, provider: &str, model: &str) -> Option<(&'static str, &Price)> {
        let (name, entry) = self.entries.get(provider)?.get_key_value(model)?;
        Some((name, entry.price.get_or_init(|| document::price(entry.line).ok()).as_ref()?))
    }

    /// The names and prices of a provider's models, in the list's order.
    pub fn models<'list, 'slug>(
        &'list self,
        provider: &'slug str,
    ) -> impl Iterator<Item = (&'static str, &'list Price)> + use<'list, 'slug> {
        self.all()
            .filter(move |(of, _)| *of == provider)
            .filter_map(|(provider, model)| Some((model, self.get(provider, model)?)))
    }

    /// All providers' models, in the list's order.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.order.iter().copied()
    }

    /// Cuts a file into lines by name, without reading the prices.
    pub(super) fn index(text: &'static str) -> Result<Self, InvalidDocument> {
        let (header, lines) = document::lines(text)?;
        let mut entries: HashMap<_, HashMap<_, _>> = HashMap::new();
        let mut order = Vec::with_capacity(4096);
        for line in lines {
            let ((provider, model), line) = line?;
            order.push((provider, model));
            entries.entry(provider).or_default().insert(model, Entry { line, price: OnceLock::new() });
        }
        Ok(Self { header, text, entries, order })
    }

    #[cfg(test)]
    pub(super) fn read_all(&self) -> Result<usize, InvalidDocument> {
        let mut read = 0;
        for entry in self.entries.values().flat_map(HashMap::values) {
            document::price(entry.line)?;
            read += 1;
        }
        Ok(read)
    }
}
