//! On which terms the request goes to providers: what its gateway's `ai-gateway` action says of sizes, and
//! which members of its body are taken out.
//!
//! Where the gateway chooses who is asked, and where that action sends the request, a provider is not sent
//! what it or the model does not understand. Where the address names the provider and no policy speaks, the
//! body goes as it came.

use bytes::Bytes;
use providers::Endpoint;
use providers::catalog::Dialect;
use providers::models::{Asked, Candidate, Selection, is_auto};
use providers::tokens::{self, Encoding};

use super::consult::Consulted;
use super::inspect::{Fitting, Inquiry};
use super::notes::Notes;
use super::patience::Patience;
use super::plan::{self, Attempt};
use super::resolve::{Address, Target};
use crate::refusal::Refusal;
use crate::visit::{Visit, bounded};

/// So many of the models that a caller names are looked at to tell him which are not there.
const MOST_NAMED: usize = 50;

/// What holds for all attempts of a request.
pub struct Terms<'a> {
    target: &'a Target,
    selection: &'a Selection,
    filters: bool,
    most_input: Option<u64>,
    most_output: Option<u64>,
    /// How long they may take.
    pub patience: Patience,
}

impl<'a> Terms<'a> {
    /// The terms of a request's gateway.
    pub fn of(consulted: Option<&'a Consulted>, target: &'a Target) -> Self {
        let gateway = consulted.and_then(Consulted::gateway);
        Self {
            target,
            selection: consulted.map_or(plan::selection(), |consulted| &consulted.compiled.selection),
            filters: gateway.is_some() || matches!(target.address, Address::Open),
            most_input: gateway.and_then(|gateway| gateway.max_input_tokens),
            most_output: gateway.and_then(|gateway| gateway.max_output_tokens),
            patience: consulted.map(Consulted::patience).unwrap_or_default(),
        }
    }

    /// Whether a body may go as it came, but for the name of its model.
    pub fn are_none(&self) -> bool {
        !self.filters && self.most_output.is_none()
    }

    /// How a body is to be sent to one of those who may be asked for the model.
    pub fn fitting<'b>(&'b self, attempt: &'b Attempt, model: &'b str) -> Fitting<'b> {
        let candidate = if self.filters { self.candidate(attempt, model) } else { None };
        let longest = candidate.as_ref().and_then(Candidate::max_output_tokens).filter(|most| *most > 0);
        let dialect = attempt.server.dialect_of(self.target.endpoint);
        let asked = Asked { dialect, operation: self.operation(dialect) };
        Fitting {
            server: &attempt.server,
            model: attempt.model.as_deref(),
            most_output: self.most_output.map(|most| longest.map_or(most, |longest| most.min(longest))),
            filter: candidate.map(|candidate| (candidate, asked)),
        }
    }

    /// What an attempt asks for, as the gateway sees it.
    pub fn candidate<'b>(&'b self, attempt: &Attempt, model: &'b str) -> Option<Candidate<'b>> {
        let host = self.selection.host(attempt.server.id())?;
        Some(self.selection.at(host, model))
    }

    /// The operation without its version.
    fn operation(&self, dialect: Dialect) -> &'a str {
        match (self.target.endpoint, dialect) {
            (Endpoint::ChatCompletions, _) => "chat/completions",
            (Endpoint::Responses, _) => "responses",
            (Endpoint::Messages, _) => "messages",
            _ => self.target.path.trim_matches('/'),
        }
    }

    /// Whether others are asked for as many answers as somebody likes, whose sizes nobody here sees.
    fn is_batch(&self, method: &str) -> bool {
        self.target.endpoint == Endpoint::Batches
            && method == "POST"
            && !self.target.path.ends_with("/cancel")
    }

    /// Notes which of the models that a caller would take cannot be asked for: the others are, without a word.
    pub fn note_rejected(&self, visit: &mut Visit, inquiry: &Inquiry, mut notes: Option<&mut Notes>) {
        if inquiry.alternatives.is_empty() || !matches!(self.target.address, Address::Open) {
            return;
        }
        let dialect = self.target.endpoint.dialect().unwrap_or(Dialect::OpenAi);
        let asked = Asked { dialect, operation: self.operation(dialect) };
        let names = std::iter::once(&inquiry.model_asked).chain(&inquiry.alternatives);
        for name in names.filter(|name| !is_auto(name)).take(MOST_NAMED) {
            let Err(no_model) = self.selection.resolve(name, asked) else { continue };
            if let Some(notes) = &mut notes {
                notes.rejected(name, &no_model.to_string());
            }
            visit.rejected(bounded(name, 256));
        }
    }

    /// Those attempts for which the prompt is not too long; each tokenizer has its own count.
    pub async fn short_enough(
        &self,
        visit: &mut Visit,
        plan: Vec<Attempt>,
        inquiry: &Inquiry,
        mut notes: Option<&mut Notes>,
    ) -> Result<Vec<Attempt>, Refusal> {
        let most = self.most_input.unwrap_or(u64::MAX);
        if self.most_input.is_some() && !inquiry.is_read && self.target.endpoint.has_json_body() {
            return Err(Refusal::Inflation);
        }
        if (self.most_input.is_some() || self.most_output.is_some()) && self.is_batch(&visit.record().method)
        {
            return Err(Refusal::NothingBoundsIt);
        }
        // No token is shorter than a byte, and what is added to a message is shorter than its brackets.
        if notes.is_none() && inquiry.text.len() as u64 <= most {
            return Ok(plan);
        }
        let (mut left, mut least, mut counted) = (Vec::with_capacity(plan.len()), u64::MAX, Vec::new());
        for attempt in plan {
            let model = attempt.model.as_deref().unwrap_or(&inquiry.model);
            let encoding = Encoding::of(model);
            let tokens = match counted.iter().find(|(other, _)| *other == encoding) {
                Some((_, tokens)) => *tokens,
                None => {
                    let tokens = count(self.target.endpoint, model, &inquiry.text).await;
                    counted.push((encoding, tokens));
                    tokens
                }
            };
            if let Some(notes) = &mut notes {
                notes.estimated(tokens);
            }
            if tokens <= most {
                left.push(attempt);
                continue;
            }
            least = least.min(tokens);
            let name = format!("{}:{model}", attempt.server.id());
            if let Some(notes) = &mut notes {
                notes.rejected(&name, &format!("the prompt has {tokens} tokens, and {most} are allowed"));
            }
            visit.rejected(name);
        }
        match left.is_empty() {
            true => Err(Refusal::InputTooLarge { tokens: least, limit: most }),
            false => Ok(left),
        }
    }
}

/// Counts the tokens of a prompt, which takes too long for the threads that serve others.
async fn count(endpoint: Endpoint, model: &str, text: &Bytes) -> u64 {
    let (model, text) = (model.to_owned(), text.clone());
    let counting = tokio::task::spawn_blocking(move || tokens::prompt(endpoint, &model, &text));
    // Whoever cannot be counted is taken to be as long as he could be.
    counting.await.unwrap_or(u64::MAX)
}
