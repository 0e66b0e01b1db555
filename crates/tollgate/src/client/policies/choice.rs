//! How a policy's strategies choose for a request, told step by step: what each comes to, what of that is allowed,
//! and what of that was asked for.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use model::AccountId;
use policy::{Policy, Run};
use providers::Endpoint;
use providers::catalog::Dialect;
use providers::models::{Asked, is_auto};
use proxy::policies::Compiled;
use proxy::strategies::keys::{self, PolicyKey};
use proxy::strategies::models::{self, Choosing};
use proxy::strategies::told::{ModelSelection, Named};
use serde::{Deserialize, Serialize};

/// What strategies do.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Choice {
    models: Vec<OfModels>,
    keys: Vec<OfKeys>,
    /// The first of the models that are tried.
    tried: Vec<String>,
    /// Why nobody is asked.
    refused: Option<String>,
}

/// What a strategy for models does.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct OfModels {
    strategy: String,
    error: Option<String>,
    returned: Models,
    allowed: Models,
    asked_for: Models,
}

/// Models, of which the first are named.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Models {
    count: usize,
    first: Vec<String>,
}

/// What a strategy for keys does with a provider's.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct OfKeys {
    strategy: String,
    error: Option<String>,
    provider: String,
    /// Their places in the policy, from one.
    places: Vec<usize>,
}

/// What a body says of models.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    model: String,
    models: Vec<String>,
}

impl Choice {
    /// Nothing for a policy without strategies.
    pub(super) fn of(policy: &Arc<Policy>, run: &Run, body: &Bytes) -> Option<Self> {
        let compiled = Compiled::to_show(policy.clone()).ok()?;
        if !compiled.strategies.models && !compiled.strategies.keys {
            return None;
        }
        let mut choice = Self { models: Vec::new(), keys: Vec::new(), tried: Vec::new(), refused: None };
        if compiled.strategies.models {
            choice.of_models(&compiled, run, body);
        }
        if compiled.strategies.keys {
            choice.of_keys(policy, run);
        }
        Some(choice)
    }

    fn of_models(&mut self, compiled: &Compiled, run: &Run, body: &Bytes) {
        let request = run.request();
        let operation = request.uri.path().trim_matches('/');
        let operation = operation.strip_prefix("v1/").unwrap_or(operation);
        let dialect = Endpoint::of(request.method, operation).dialect().unwrap_or(Dialect::OpenAi);
        let asked = Asked { dialect, operation };
        let Body { model, models } = serde_json::from_slice(body).unwrap_or_default();
        let names: Vec<&str> = std::iter::once(&model)
            .chain(&models)
            .map(String::as_str)
            .filter(|name| !is_auto(name))
            .collect();
        let (mut clients, mut unknown) = (Vec::new(), None);
        for name in &names {
            match compiled.selection.resolve(name, asked) {
                Ok(candidates) => clients.push(candidates),
                Err(no_model) => _ = unknown.get_or_insert(no_model),
            }
        }
        if let Some(no_model) = unknown.filter(|_| clients.is_empty()) {
            self.refused = Some(no_model.to_string());
            return;
        }
        let clients = (!names.is_empty()).then_some(clients);
        let choosing = Choosing { compiled, asked, clients, watching: None };
        let (picks, told) = run.look(|facts| models::choose(choosing, facts));
        self.refused = picks.err().map(|why| why.to_string());
        self.tried = told.last().map(|last| Models::of(&last.models_to_try).first).unwrap_or_default();
        self.models = told.iter().map(OfModels::of).collect();
    }

    fn of_keys(&mut self, policy: &Policy, run: &Run) {
        let Some(gateway) = policy.ai_gateway() else { return };
        for (at, provider) in gateway.providers.iter().enumerate() {
            let secrets = run.provider_keys(at).unwrap_or_default();
            let keys: Vec<_> =
                secrets.into_iter().map(|secret| PolicyKey::of(AccountId::INSTALLATION, secret)).collect();
            if keys.is_empty() {
                continue;
            }
            let strategies = &gateway.api_key_selection;
            let (_, told) = run.look(|facts| keys::choose(strategies, &keys, None, None, facts));
            self.keys.extend(told.into_iter().map(|selection| {
                OfKeys {
                    strategy: selection.strategy,
                    error: selection.error,
                    provider: provider.id.clone(),
                    places: selection
                        .keys_to_try
                        .iter()
                        .filter_map(|id| keys.iter().position(|key| key.id == *id))
                        .map(|place| place + 1)
                        .collect(),
                }
            }));
        }
    }
}

impl OfModels {
    fn of(selection: &ModelSelection) -> Self {
        Self {
            strategy: selection.strategy.clone(),
            error: selection.error.clone(),
            returned: Models::of(&selection.candidates_returned),
            allowed: Models::of(&selection.candidates_after_allowed_filter),
            asked_for: Models::of(&selection.candidates_after_client_filter),
        }
    }
}

impl Models {
    fn of(named: &Named) -> Self {
        Self { count: named.count, first: named.names.iter().take(10).map(ToString::to_string).collect() }
    }
}

impl fmt::Display for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.count > self.first.len() { ", …" } else { "" };
        write!(f, "{}{more}", self.first.join(", "))
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Its strategies choose, as if nobody had been asked yet:")?;
        self.models.iter().try_for_each(|of_models| of_models.fmt(f))?;
        self.keys.iter().try_for_each(|of_keys| of_keys.fmt(f))?;
        if let Some(refused) = &self.refused {
            write!(f, "\n    Nobody is asked: {refused}")?;
        }
        if !self.tried.is_empty() {
            write!(f, "\n    These models are tried: {}", self.tried.join(", "))?;
        }
        Ok(())
    }
}

impl fmt::Display for OfModels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { strategy, error, returned, allowed, asked_for } = self;
        write!(f, "\n    {}", strategy.escape_debug().to_string().replace("\\'", "'"))?;
        match (error, returned.count) {
            (Some(error), _) => return write!(f, "\n        fails: {error}"),
            (None, 0) => return write!(f, "\n        comes to no models"),
            (None, count) => write!(f, "\n        comes to {count} models: {returned}")?,
        }
        for (before, left, who) in
            [(returned, allowed, "gateway allows"), (allowed, asked_for, "request names")]
        {
            match left.count {
                count if count == before.count => (),
                0 => write!(f, "\n        none of which the {who}")?,
                count => write!(f, "\n        of which the {who} {count}: {left}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for OfKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { strategy, error, provider, places } = self;
        write!(f, "\n    {}", strategy.escape_debug().to_string().replace("\\'", "'"))?;
        match error {
            Some(error) => write!(f, "\n        fails: {error}"),
            None if places.is_empty() => write!(f, "\n        comes to no key of {provider}"),
            None => {
                let places: Vec<_> =
                    places.iter().map(|place| format!("{place}{}", ending(*place))).collect();
                write!(f, "\n        comes to these keys of {provider}: the {}", places.join(", "))
            }
        }
    }
}

fn ending(place: usize) -> &'static str {
    match (place % 10, place % 100) {
        (1, tens) if tens != 11 => "st",
        (2, tens) if tens != 12 => "nd",
        (3, tens) if tens != 13 => "rd",
        _ => "th",
    }
}

#[cfg(test)]
mod tests {
    use super::super::check;
    use super::super::explain::arrival;
    use super::super::message::RequestText;
    use super::*;

    #[test]
    fn it_is_told_whom_strategies_leave_and_why() {
        let policy = "\
on_http_request:
  - type: ai-gateway
    config:
      providers:
        - {id: openai, api_keys: [{value: sk-a}, {value: sk-b}], models: [{id: gpt-4.1, disabled: true}]}
      model_selection:
        strategy:
          - \"ai.models.only(['nobody'])\"
          - \"ai.models.filter(m, m.metadata.price > 1)\"
          - \"ai.models.only(['gpt-4o', 'gpt-4o-mini', 'gpt-4.1'])\"
      api_key_selection: {strategy: [\"ai.keys[1]\"]}
";
        let told = |body: &str| {
            let policy = Arc::new(check::policy(policy).unwrap());
            let text = format!("POST /v1/chat/completions\nhost: a.example\n\n{body}");
            let request = RequestText::read(&text).unwrap();
            let body = request.body.clone();
            let mut run =
                Run::new(policy.clone(), arrival(request, [203, 0, 113, 9].into(), Default::default()));
            run.start();
            Choice::of(&policy, &run, &body).unwrap().to_string()
        };
        assert_eq!(
            told(r#"{"models": ["gpt-4o-mini", "gpt-4.1"]}"#),
            "Its strategies choose, as if nobody had been asked yet:
    ai.models.only(['nobody'])
        comes to no models
    ai.models.filter(m, m.metadata.price > 1)
        fails: `>` does not go with null and int
    ai.models.only(['gpt-4o', 'gpt-4o-mini', 'gpt-4.1'])
        comes to 3 models: openai:gpt-4.1, openai:gpt-4o, openai:gpt-4o-mini
        of which the gateway allows 2: openai:gpt-4o, openai:gpt-4o-mini
        of which the request names 1: openai:gpt-4o-mini
    ai.keys[1]
        comes to these keys of openai: the 2nd
    These models are tried: openai:gpt-4o-mini"
        );
        assert!(told(r#"{"model": "claude-opus-4-6"}"#).ends_with("Nobody is asked: No model is left: none of the gateway's strategies came to one that it allows and that was asked for"));
        assert!(
            told(r#"{"model": "claude-opus-4-6"}"#).contains("\n        none of which the request names\n")
        );
        assert!(told(r#"{"model": "gpt-5000"}"#).contains("Nobody is asked: No matching models found"));
    }
}
