//! Who can be asked for what, the first to be asked first.

use std::sync::LazyLock;

use http::HeaderValue;
use providers::Endpoint;
use providers::catalog::Dialect;
use providers::models::{Asked, Candidate, Models, Selection, is_auto};

use super::Planning;
use crate::effects::standing::ModelAt;
use crate::headers::NGROK_AIG_PROVIDER;
use crate::policies::Compiled;
use crate::refusal::Refusal;
use crate::servers::{self, Server};
use crate::stages::consult::Consulted;
use crate::stages::resolve::Address;
use crate::strategies::model_at;
use crate::strategies::models::{Choosing, Picks, choose};
use crate::strategies::told::{Chosen, ModelSelection};

/// Whoever can be asked for something.
pub(super) struct Found {
    pub(super) server: Server,
    pub(super) model: Option<String>,
    /// His place in the gateway's policy, if that names him.
    pub(super) place: Option<usize>,
    /// What is counted of it, if anything is.
    pub(super) at: Option<ModelAt>,
}

/// Those who can be asked: a few that were looked up, or as many as a strategy chose.
pub(super) enum Candidates<'a> {
    Few(std::vec::IntoIter<Found>),
    Many(Box<dyn Iterator<Item = Found> + 'a>),
}

impl Iterator for Candidates<'_> {
    type Item = Found;

    fn next(&mut self) -> Option<Found> {
        match self {
            Self::Few(few) => few.next(),
            Self::Many(many) => many.next(),
        }
    }
}

impl Candidates<'_> {
    fn few(found: Vec<Found>) -> Self {
        Self::Few(found.into_iter())
    }
}

/// The catalogue as gateways see it that say nothing of their own.
pub fn selection() -> &'static Selection {
    static SELECTION: LazyLock<Selection> = LazyLock::new(|| Selection::of(Models::current()));
    &SELECTION
}

impl Found {
    fn of(policy: Option<&Compiled>, candidate: Candidate<'_>) -> Option<Self> {
        let place = candidate.host.configured.map(|(place, _)| place);
        let at = policy.filter(|policy| policy.strategies.watch).and_then(|_| model_at(&candidate));
        let server = servers::of(policy, candidate.host)?;
        Some(Self { server, model: Some(candidate.upstream.into_owned()), place, at })
    }

    /// A provider, for whatever the body says.
    fn plain(selection: &Selection, server: &Server) -> Result<Self, Refusal> {
        let host = selection.host(server.id());
        if let Some(host) = host {
            selection.allows_host(host).map_err(|no_model| Refusal::NoModel(Box::new(no_model)))?;
        }
        let place = host.and_then(|host| host.configured).map(|(place, _)| place);
        Ok(Self { server: server.clone(), model: None, place, at: None })
    }
}

type Choice<'a> = Result<(Candidates<'a>, Vec<ModelSelection>), Refusal>;

impl<'a> Planning<'a> {
    /// Who can be asked, and what strategies had to do with it.
    pub(super) fn candidates(&self) -> Choice<'a> {
        match (&self.inquiry.server, &self.target.address) {
            (Some(server), _) => self.named(server),
            (None, Address::Open) => self.open(),
            (None, _) => Err(Refusal::NotCompat),
        }
    }

    fn policy(&self) -> Option<&'a Compiled> {
        self.consulted.map(|consulted| &*consulted.compiled)
    }

    fn selection(&self) -> &'a Selection {
        self.policy().map_or(selection(), |policy| &policy.selection)
    }

    /// The policy, if it chooses among models.
    fn choosing(&self) -> Option<&'a Consulted> {
        let chooses = |consulted: &&Consulted| consulted.compiled.strategies.models;
        self.consulted.filter(chooses).filter(|_| self.target.endpoint.runs_a_model())
    }

    /// The operation as the catalogue knows it. Paths may have a version before it, and Google's have the model in it.
    fn operation(&self) -> &'a str {
        match self.target.endpoint {
            Endpoint::ChatCompletions | Endpoint::GenerateContent | Endpoint::StreamGenerateContent => {
                "chat/completions"
            }
            Endpoint::Completions => "completions",
            Endpoint::Responses => "responses",
            Endpoint::Messages => "messages",
            Endpoint::Embeddings | Endpoint::EmbedContent | Endpoint::BatchEmbedContents => "embeddings",
            Endpoint::Moderations => "moderations",
            Endpoint::ImageGenerations | Endpoint::Predict => "images/generations",
            Endpoint::ImageEdits => "images/edits",
            Endpoint::ImageVariations => "images/variations",
            Endpoint::Speech => "audio/speech",
            Endpoint::Transcriptions => "audio/transcriptions",
            Endpoint::Translations => "audio/translations",
            Endpoint::CountTokens
            | Endpoint::CountContentTokens
            | Endpoint::Files
            | Endpoint::Models
            | Endpoint::Batches
            | Endpoint::Other => self.target.path.trim_end_matches('/'),
        }
    }

    /// The provider that the address names, if the gateway allows what is asked of it.
    fn named(&self, server: &Server) -> Choice<'a> {
        let selection = self.selection();
        let plain = Found::plain(selection, server)?;
        let Some(policy) = self.policy().filter(|_| self.target.endpoint.runs_a_model()) else {
            return Ok((Candidates::few(vec![plain]), Vec::new()));
        };
        let asked = Asked { dialect: server.dialect_of(self.target.endpoint), operation: self.operation() };
        let name = format!("{}:{}", server.id(), self.inquiry.model);
        let candidates =
            selection.resolve(&name, asked).map_err(|no_model| Refusal::NoModel(Box::new(no_model)))?;
        let at = candidates.first().filter(|_| policy.strategies.watch).and_then(model_at);
        let selections = match self.choosing() {
            Some(consulted) => self.chosen(consulted, asked, Some(vec![candidates]))?.1,
            None => Vec::new(),
        };
        Ok((Candidates::few(vec![Found { at, ..plain }]), selections))
    }

    /// Whoever serves what the caller names, or whatever the gateway would have him use.
    fn open(&self) -> Choice<'a> {
        let (selection, policy, inquiry) = (self.selection(), self.policy(), self.inquiry);
        let spoken = self.target.endpoint.dialect();
        let asked = Asked { dialect: spoken.unwrap_or(Dialect::OpenAi), operation: self.operation() };
        let named = self.head.headers.get(&NGROK_AIG_PROVIDER);
        let named = named.map(|named| said(policy, selection, named)).transpose()?;
        let found = move |candidate: Candidate<'_>| Found::of(policy, candidate);
        let names = std::iter::once(&inquiry.model_asked).chain(&inquiry.alternatives).map(String::as_str);
        let mut names = names.filter(|name| !is_auto(name)).peekable();
        let names_none = names.peek().is_none();
        if names_none && self.choosing().is_none() {
            return match named {
                Some(server) => Found::plain(selection, &server).map(|found| vec![found]),
                None if self.target.endpoint.runs_a_model() => {
                    Ok(selection.everything(asked).into_iter().filter_map(found).collect())
                }
                None => Err(Refusal::NobodyNamed),
            }
            .map(|few| (Candidates::few(few), Vec::new()));
        }
        let (mut all, mut unknown) = (Vec::new(), None);
        for name in names {
            match selection.resolve(name, asked) {
                Ok(candidates) => all.push(candidates),
                Err(no_model) => _ = unknown.get_or_insert(no_model),
            }
        }
        if let Some(no_model) = unknown.filter(|_| all.is_empty()) {
            return Err(Refusal::NoModel(Box::new(no_model)));
        }
        let is_meant = move |found: &Found| named.as_ref().is_none_or(|named| found.server.is(named));
        if let Some(consulted) = self.choosing() {
            let (picks, selections) = self.chosen(consulted, asked, (!names_none).then_some(all))?;
            let mut found = picks.candidates().filter_map(found).filter(is_meant).peekable();
            return match found.peek() {
                Some(_) => Ok((Candidates::Many(Box::new(found)), selections)),
                None => Err(Refusal::NobodyNamed),
            };
        }
        let few: Vec<_> = all.into_iter().flatten().filter_map(found).filter(is_meant).collect();
        if few.is_empty() { Err(Refusal::NobodyNamed) } else { Ok((Candidates::few(few), Vec::new())) }
    }

    /// What the policy's strategies make of those whom the caller means.
    fn chosen<'b>(
        &self,
        consulted: &'b Consulted,
        asked: Asked<'b>,
        clients: Option<Vec<Vec<Candidate<'b>>>>,
    ) -> Result<(Picks<'b>, Vec<ModelSelection>), Refusal>
    where
        'a: 'b,
    {
        let choosing = Choosing { compiled: &consulted.compiled, asked, clients, watching: self.watching() };
        let (picks, models) = consulted.run.look(|facts| choose(choosing, facts));
        match picks {
            Ok(picks) => Ok((picks, models)),
            Err(why) => Err(why.refusal(Chosen { models, keys: Vec::new() })),
        }
    }
}

/// Who is meant by the header.
fn said(policy: Option<&Compiled>, selection: &Selection, said: &HeaderValue) -> Result<Server, Refusal> {
    let host = said.to_str().ok().and_then(|name| selection.host(name.trim()));
    let found = host.and_then(|host| servers::of(policy, host));
    found.ok_or(Refusal::InvalidHeader { name: "ngrok-aig-provider", expected: "the name of a provider" })
}
