//! Functions on models, providers, authors and keys. Names are compared without case, and aliases count.

use super::{Function, items, text};
use crate::expression::error::Failure;
use crate::expression::evaluate::Evaluation;
use crate::expression::items as members;
use crate::expression::scope::Namespace::Models;
use crate::facts::ModelFacts;
use crate::value::{Item, Value};

type Outcome = Result<Value, Failure>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::method("only", 2, 2, |run, v| kept(run, v, true, named)).of(Models),
    Function::method("ignore", 2, 2, |run, v| kept(run, v, false, named)).of(Models),
    Function::method("onlyProviders", 2, 2, |run, v| kept(run, v, true, of_provider)).of(Models),
    Function::method("ignoreProviders", 2, 2, |run, v| kept(run, v, false, of_provider)).of(Models),
    Function::method("onlyAuthors", 2, 2, |run, v| kept(run, v, true, of_author)).of(Models),
    Function::method("ignoreAuthors", 2, 2, |run, v| kept(run, v, false, of_author)).of(Models),
    Function::method("inRegion", 2, 2, |run, v| located(run, v, regions)).of(Models),
    Function::method("inCountryCode", 2, 2, |run, v| located(run, v, countries)).of(Models),
    Function::method("underCost", 3, 3, under_cost).of(Models),
    Function::method("sortBy", 2, 2, by_price).of(Models),
    Function::method("get", 2, 3, get).of(Models),
    Function::method("getModel", 2, 2, get_model).of(Models),
    Function::method("getMetadata", 2, 2, metadata).of(Models),
    Function::method("random", 1, 1, random),
    Function::method("randomize", 1, 1, randomize),
];

type Test = fn(&Item, &str, &Evaluation<'_>) -> Result<bool, Failure>;

fn model<'a>(at: u32, run: &Evaluation<'a>) -> Result<&'a ModelFacts, Failure> {
    members::model(at, run.facts)
}

fn item(value: &Value) -> Result<&Item, Failure> {
    if let Value::Item(item) = value {
        Ok(item)
    } else {
        Err(Failure::wrong_type("model or provider", value))
    }
}

fn same(name: &str, other: &str) -> bool {
    name.eq_ignore_ascii_case(other)
}

fn among(aliases: &[Value], name: &str) -> bool {
    aliases.iter().filter_map(Value::as_str).any(|alias| same(alias, name))
}

/// Whether something goes by a name. Models may be named with their provider before a colon.
fn named(item: &Item, name: &str, run: &Evaluation<'_>) -> Result<bool, Failure> {
    match item {
        Item::Model(at) => {
            let model = model(*at, run)?;
            let own = |name: &str| same(&model.id, name) || among(model.id_aliases.items(), name);
            // Ids have colons of their own, so that both readings are tried.
            let qualified = name.split_once(':').filter(|(_, name)| own(name));
            match qualified {
                Some((provider, _)) => Ok(own(name) || of_provider(item, provider, run)?),
                None => Ok(own(name)),
            }
        }
        Item::Provider(_) => of_provider(item, name, run),
        Item::Author(_) => of_author(item, name, run),
        Item::Key(at) => Ok(&*members::key(*at, run.facts)?.id == name),
    }
}

fn of_provider(item: &Item, name: &str, run: &Evaluation<'_>) -> Result<bool, Failure> {
    let (Item::Model(at) | Item::Provider(at)) = item else { return Ok(false) };
    let model = model(*at, run)?;
    Ok(same(&model.provider_id, name) || among(model.provider_id_aliases.items(), name))
}

fn of_author(item: &Item, name: &str, run: &Evaluation<'_>) -> Result<bool, Failure> {
    let (Item::Model(at) | Item::Author(at)) = item else { return Ok(false) };
    let model = model(*at, run)?;
    Ok(same(&model.author_id, name) || among(model.author_id_aliases.items(), name))
}

/// Those of a list of which one of the names is true, or of which none is.
fn kept(run: &mut Evaluation<'_>, values: &[Value], wanted: bool, test: Test) -> Outcome {
    let names = match &values[1] {
        Value::Text(_) => std::slice::from_ref(&values[1]),
        names => items(names)?,
    };
    let mut kept = Vec::new();
    for value in items(&values[0])? {
        run.work(1 + names.len())?;
        let mut found = false;
        for name in names {
            found = found || test(item(value)?, text(name)?.as_str(), run)?;
        }
        if found == wanted {
            kept.push(value.clone());
        }
    }
    run.list(kept)
}

fn regions(model: &ModelFacts) -> Vec<&str> {
    model.datacenters.iter().map(|place| &*place.region).collect()
}

fn countries(model: &ModelFacts) -> Vec<&str> {
    model.datacenters.iter().map(|place| &*place.country_code).collect()
}

fn located(run: &mut Evaluation<'_>, values: &[Value], places: fn(&ModelFacts) -> Vec<&str>) -> Outcome {
    let place = text(&values[1])?.as_str();
    filtered(run, &values[0], |model| places(model).into_iter().any(|each| same(each, place)))
}

/// The models of a list for which something holds.
fn filtered(run: &mut Evaluation<'_>, list: &Value, holds: impl Fn(&ModelFacts) -> bool) -> Outcome {
    let mut kept = Vec::new();
    for value in items(list)? {
        run.work(2)?;
        let Value::Item(Item::Model(at)) = value else { return Err(Failure::wrong_type("model", value)) };
        if holds(model(*at, run)?) {
            kept.push(value.clone());
        }
    }
    run.list(kept)
}

/// Models that cost less than so much; those whose price is not known do not.
fn under_cost(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let what = text(&values[1])?.as_str();
    if !members::PRICES.contains(&what) {
        return Err(Failure::BadArgument("there is no such price; `text.input` is one"));
    }
    let most = match &values[2] {
        Value::Double(dollars) => *dollars,
        other => super::whole(other)? as f64,
    };
    filtered(run, &values[0], |model| model.price(what).is_some_and(|dollars| dollars < most))
}

/// The cheapest first; those whose price is not known last.
fn by_price(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    if text(&values[1])?.as_str() != "price" {
        return Err(Failure::BadArgument("models are sorted by `price`, or with `sortBy(m, …)` by anything"));
    }
    let mut keyed = Vec::new();
    for value in items(&values[0])? {
        run.work(1)?;
        let Value::Item(Item::Model(at)) = value else { return Err(Failure::wrong_type("model", value)) };
        let price = model(*at, run)?.price("text.input").unwrap_or(f64::INFINITY);
        keyed.push((Value::Double(price), value.clone()));
    }
    run.sorted(keyed)
}

/// `ai.models.get(provider, model)`, `ai.providers.get(id)`, `ai.authors.get(id)`
fn get(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let nothing = Failure::BadArgument("there is nothing of this name among them");
    for value in items(&values[0])? {
        run.work(2)?;
        let item = item(value)?;
        let found = match &values[1..] {
            [provider, model] => {
                of_provider(item, text(provider)?.as_str(), run)? && named(item, text(model)?.as_str(), run)?
            }
            [id, ..] => named(item, text(id)?.as_str(), run)?,
            [] => false,
        };
        if found {
            return Ok(value.clone());
        }
    }
    Err(nothing)
}

/// `provider.getModel(id)`
fn get_model(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let Value::Item(Item::Provider(at)) = &values[0] else {
        return Err(Failure::wrong_type("provider", &values[0]));
    };
    let provider = model(*at, run)?.provider_id.clone();
    for (at, model) in run.facts.choice.into_iter().flat_map(|choice| choice.all_models()) {
        run.work(2)?;
        let item = Item::Model(at);
        if model.provider_id == provider && named(&item, text(&values[1])?.as_str(), run)? {
            return Ok(Value::Item(item));
        }
    }
    Err(Failure::BadArgument("the provider has no model of this name"))
}

/// What the policy says of something, by names with dots between them; null if it says nothing.
fn metadata(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let path = text(&values[1])?.as_str();
    run.reading(path.len())?;
    let map = match item(&values[0])? {
        Item::Model(at) => model(*at, run)?.metadata.clone(),
        Item::Provider(at) => model(*at, run)?.provider_metadata.clone(),
        _ => return Ok(Value::Null),
    };
    let mut value = Value::Map(map);
    for name in path.split('.') {
        run.work(1)?;
        match value.get(name) {
            Some(member) => value = member.clone(),
            None => return Ok(Value::Null),
        }
    }
    Ok(value)
}

/// One of a list.
fn random(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let items = items(&values[0])?;
    if items.is_empty() {
        // There is none to be had, and a strategy with none is passed over.
        return Ok(values[0].clone());
    }
    let drawn = run.facts.random.below(items.len() as u64);
    items.get(drawn as usize).cloned().ok_or(Failure::OutOfRange)
}

/// All of a list, shuffled.
fn randomize(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let mut items = items(&values[0])?.to_vec();
    run.memory(std::mem::size_of_val(&items[..]))?;
    for last in (1..items.len()).rev() {
        items.swap(last, run.facts.random.below(last as u64 + 1) as usize);
    }
    run.list(items)
}
