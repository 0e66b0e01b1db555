//! Our table, and what the price list adds to it: other providers of its models, and other models.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Result, bail};

use super::line::{Listed, Model, Offer};

/// The catalogue, our table's models first.
pub(super) fn merged(table: Vec<Model>, listed: Vec<Listed>) -> Result<Vec<Model>> {
    let mut catalogue = Catalogue::default();
    for mut model in table {
        model.sources = ["context_window", "max_output_tokens", "input", "output", "features", "deprecated"]
            .into_iter()
            .filter(|fact| has(&model, fact))
            .map(|fact| (fact.to_owned(), "table".to_owned()))
            .collect();
        catalogue.add(model)?;
    }
    // A model at its own maker's comes before the same model at others.
    let (own, others): (Vec<_>, Vec<_>) = listed.into_iter().partition(|listed| {
        !maker(&listed.provider, &listed.model).is_empty() && !listed.model.contains('/')
    });
    let all: BTreeSet<_> =
        own.iter().chain(&others).map(|listed| key_at(&listed.provider, &listed.model)).collect();
    for listed in own.into_iter().chain(others) {
        catalogue.take(listed, &all)?;
    }
    Ok(catalogue.models)
}

#[derive(Default)]
struct Catalogue {
    models: Vec<Model>,
    /// By every name in lower case, and whether providers know it.
    by_name: HashMap<String, (usize, bool)>,
    /// By provider and what the provider calls it.
    by_offer: HashMap<String, usize>,
}

impl Catalogue {
    fn add(&mut self, model: Model) -> Result<()> {
        let index = self.models.len();
        let full = (!model.id.contains('/')).then(|| format!("{}/{}", model.author, model.id));
        let own: Vec<_> = std::iter::once(model.id.clone()).chain(full).collect();
        let aliases = model.offers.iter().flat_map(|offer| &offer.aliases);
        let known = own.iter().chain(aliases).map(|name| (name, true));
        for (name, is_known) in known.chain(model.nicknames.iter().map(|name| (name, false))) {
            if self.by_name.insert(name.to_ascii_lowercase(), (index, is_known)).is_some() {
                bail!("{name} names two models");
            }
        }
        for offer in &model.offers {
            for name in std::iter::once(&offer.model).chain(&offer.aliases) {
                self.by_offer.insert(key_at(&offer.provider, name), index);
            }
        }
        self.models.push(model);
        Ok(())
    }

    fn take(&mut self, listed: Listed, all: &BTreeSet<String>) -> Result<()> {
        let place = key_at(&listed.provider, &listed.model);
        if let Some(index) = self.by_offer.get(&place) {
            self.models[*index].learn(&listed);
            return Ok(());
        }
        let name = public_name(&listed.provider, &listed.model);
        if listed.provider == "fireworks"
            && name == listed.model
            && all.contains(&key_at("fireworks", &path(name)))
        {
            // The same model under a shorter name.
            return Ok(());
        }
        if let Some(index) =
            undated(&listed.model).and_then(|name| self.by_offer.get(&key_at(&listed.provider, name)))
        {
            let offers = &mut self.models[*index].offers;
            if let Some(offer) = offers.iter_mut().find(|offer| offer.provider == listed.provider) {
                offer.aliases.push(listed.model.clone());
            }
            let index = *index;
            self.by_offer.insert(place, index);
            self.by_name.entry(listed.model.to_ascii_lowercase()).or_insert((index, true));
            return Ok(());
        }
        if let Some((index, true)) = self.by_name.get(&name.to_ascii_lowercase()).copied() {
            let model = &mut self.models[index];
            let mut offered = model.offers.iter_mut().filter(|offer| offer.provider == listed.provider);
            if let Some(offered) = offered.next() {
                if listed.mode != "responses" || !offered.operations.is_empty() {
                    // The provider has two names for it.
                    offered.aliases.push(listed.model);
                    self.by_offer.insert(place, index);
                    return Ok(());
                }
                // One name for chat completions, another for responses.
                offered.operations = vec!["chat/completions".to_owned()];
            }
            let differs = |fact: Option<u64>, of: Option<u64>| fact.filter(|_| fact != of);
            let offer = Offer {
                context_window: differs(listed.context_window, model.context_window),
                max_output_tokens: differs(listed.max_output_tokens, model.max_output_tokens),
                ..offer(&listed)
            };
            model.offers.push(offer);
            self.by_offer.insert(place, index);
            return Ok(());
        }
        // Dated models come after undated ones in the list's order, so that they find them.
        let is_taken = self.by_name.contains_key(&listed.model.to_ascii_lowercase());
        let mut model = Model::of(listed);
        if is_taken {
            // The name is a nickname of another model.
            model.id = format!("{}/{}", model.offers[0].provider, model.id);
        }
        self.add(model)
    }
}

impl Model {
    fn of(listed: Listed) -> Self {
        let mut model = Self {
            id: listed.model.clone(),
            author: author(&listed),
            offers: vec![Offer {
                provider: listed.provider.clone(),
                model: listed.model.clone(),
                ..Offer::default()
            }],
            ..Self::default()
        };
        model.learn(&listed);
        model
    }

    /// Takes over what is not known yet.
    fn learn(&mut self, listed: &Listed) {
        let is_it = |offer: &Offer| offer.provider == listed.provider && offer.model == listed.model;
        if !self.offers.iter().any(is_it) {
            // What is said of a dated model does not hold for the one that it is an alias of.
            return;
        }
        let learned = Self {
            mode: listed.mode.clone(),
            context_window: listed.context_window,
            max_output_tokens: listed.max_output_tokens,
            input: listed.input.clone(),
            output: listed.output.clone(),
            features: listed.features.clone(),
            deprecated: listed.retires.is_some(),
            ..Self::default()
        };
        let is_home = self.offers.first().is_some_and(|home| home.provider == listed.provider);
        if is_home {
            for fact in
                ["mode", "context_window", "max_output_tokens", "input", "output", "features", "deprecated"]
            {
                if !has(self, fact) && has(&learned, fact) {
                    match fact {
                        "mode" => self.mode.clone_from(&learned.mode),
                        "context_window" => self.context_window = learned.context_window,
                        "max_output_tokens" => self.max_output_tokens = learned.max_output_tokens,
                        "input" => self.input.clone_from(&learned.input),
                        "output" => self.output.clone_from(&learned.output),
                        "features" => self.features.clone_from(&learned.features),
                        _ => self.deprecated = true,
                    }
                    self.sources.insert(fact.to_owned(), "list".to_owned());
                }
            }
            self.retires = self.retires.take().or_else(|| listed.retires.clone());
        }
        let (context_window, max_output_tokens) = (self.context_window, self.max_output_tokens);
        let Some(known) = self.offers.iter_mut().find(|offer| is_it(offer)) else { return };
        let facts = offer(listed);
        // What the table says of a model holds where the model is at home.
        let differs = |fact: Option<u64>, of: Option<u64>| fact.filter(|_| fact != of && !is_home);
        known.context_window = differs(facts.context_window, context_window);
        known.max_output_tokens = differs(facts.max_output_tokens, max_output_tokens);
        known.operations = facts.operations;
        known.retires = facts.retires.filter(|_| !is_home);
        known.source = facts.source;
    }
}

fn offer(listed: &Listed) -> Offer {
    let only_responses = listed.mode == "responses" && listed.operations.is_empty();
    Offer {
        provider: listed.provider.clone(),
        model: listed.model.clone(),
        aliases: Vec::new(),
        context_window: listed.context_window,
        max_output_tokens: listed.max_output_tokens,
        operations: if only_responses { vec!["responses".to_owned()] } else { listed.operations.clone() },
        unsupported_params: Vec::new(),
        retires: listed.retires.clone(),
        source: listed.source.clone(),
    }
}

fn has(model: &Model, fact: &str) -> bool {
    match fact {
        "mode" => !model.mode.is_empty(),
        "context_window" => model.context_window.is_some(),
        "max_output_tokens" => model.max_output_tokens.is_some(),
        "input" => !model.input.is_empty(),
        "output" => !model.output.is_empty(),
        "features" => !model.features.is_empty(),
        _ => model.deprecated,
    }
}

fn key_at(provider: &str, model: &str) -> String {
    format!("{provider} {model}").to_ascii_lowercase()
}

/// What a model is called apart from the provider's folders.
fn public_name<'a>(provider: &str, model: &'a str) -> &'a str {
    match provider {
        "fireworks" => model.strip_prefix(FIREWORKS).unwrap_or(model),
        _ => model,
    }
}

fn path(name: &str) -> String {
    format!("{FIREWORKS}{name}")
}

const FIREWORKS: &str = "accounts/fireworks/models/";

/// Who made a model, if it is the provider itself.
fn maker<'a>(provider: &'a str, model: &str) -> &'a str {
    match provider {
        "perplexity-ai" if !model.starts_with("sonar") && !model.starts_with("pplx") => "",
        "google-ai-studio" => "google",
        "grok" => "xai",
        "mistral" => "mistralai",
        "perplexity-ai" => "perplexity",
        "anthropic" | "deepseek" | "inceptionlabs" | "moonshotai" | "openai" | "z-ai" => provider,
        _ => "",
    }
}

/// Who made a model, as far as its name tells.
fn author(listed: &Listed) -> String {
    let name = public_name(&listed.provider, &listed.model);
    let Some((first, _)) = name.split_once('/') else { return maker(&listed.provider, name).to_owned() };
    match first.to_ascii_lowercase().as_str() {
        "accounts" => String::new(),
        "deepseek-ai" => "deepseek".to_owned(),
        "zai-org" => "z-ai".to_owned(),
        first => first.to_owned(),
    }
}

/// The name without a date at its end.
fn undated(model: &str) -> Option<&str> {
    let digits =
        |text: &str, count: usize| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    let (name, last) = model.rsplit_once('-')?;
    if digits(last, 8) {
        return Some(name);
    }
    let (name, month) = name.rsplit_once('-')?;
    let (name, year) = name.rsplit_once('-')?;
    (digits(last, 2) && digits(month, 2) && digits(year, 4)).then_some(name)
}
