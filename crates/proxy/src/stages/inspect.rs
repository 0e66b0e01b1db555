//! What is asked: the few members of a JSON body that we act on. Bodies that we do not read are
//! passed on as they arrive.

mod arriving;
mod by_path;
mod credits;
mod fitting;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::HeaderMap;
use http_body::Body as _;
use providers::request::{Alternatives, Fields};
use providers::splice::Splices;
use providers::{Endpoint, compat};

use super::resolve::{Address, Target};
use crate::config::Bounds;
use crate::policies::Compiled;
use crate::refusal::Refusal;
use crate::servers::{self, Server};
use crate::upstream::{Streamed, UpstreamBody};
use crate::visit::bounded;
pub use arriving::{Arriving, arrived, is_json, plain};
use arriving::{Plain, form_model, inflated, is_form, peek};
pub use credits::permit;
pub use fitting::Fitting;

/// What is asked of a provider, as far as we act on it.
pub struct Inquiry {
    /// Whom it is asked of; nobody when we answer ourselves, or as long as that is open.
    pub server: Option<Server>,
    /// The model as the caller wrote it; empty if the body names none.
    pub model_asked: String,
    /// What the caller would take instead, where it is open who is asked.
    pub alternatives: Vec<String>,
    /// The model as the provider knows it.
    pub model: String,
    /// Whether the answer is asked for as a stream.
    pub stream: bool,
    /// Whether we asked for a usage chunk that the caller must not see.
    pub hides_usage: bool,
    /// The price that is asked for.
    pub service_tier: Option<String>,
    /// What goes to the provider, before any splice.
    pub body: UpstreamBody,
    /// What is to be replaced in the plain text.
    pub splices: Splices,
    /// Whether the body came compressed and was read all the same.
    pub was_inflated: bool,
    /// Whether the body was read, so that `text` is all of it.
    pub is_read: bool,
    /// Whether `text` is not what the body says any more.
    pub is_rewritten: bool,
    /// Members of the body that were taken out.
    pub removed: Vec<String>,
    /// The limit of output that was written into it.
    pub output_limit: Option<u64>,
    /// The body in plain text, as it came: for counting what nobody reports.
    pub text: Bytes,
    /// Bytes that arrived here already.
    pub received: u64,
    /// Bytes passed on later, for bodies that are not read here.
    pub passed: Option<Arc<AtomicU64>>,
    /// How long the body was waited for.
    pub waited: Duration,
}

/// Which of the body's headers are no longer true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Replaced {
    /// The length is another.
    pub length: bool,
    /// It is not compressed any more.
    pub encoding: bool,
}

/// Reads what must be read of a request.
pub async fn inquiry(
    bounds: &Bounds,
    target: &Target,
    headers: &HeaderMap,
    mut body: Arriving,
    policy: Option<&Compiled>,
) -> Result<Inquiry, Refusal> {
    let is_open = matches!(target.address, Address::Open);
    if target.endpoint.has_json_body() || is_open && is_json(headers) {
        let begin = Instant::now();
        let arrived = arrived(bounds, &mut body).await?;
        let waited = begin.elapsed();
        let plain = inflated(bounds, headers, &arrived).await?;
        return Ok(Inquiry { waited, ..read(target, arrived, plain, policy)? });
    }
    let server = match &target.address {
        Address::Native { server, .. } => Some(server.clone()),
        Address::Compat | Address::CompatModels | Address::Open | Address::Models(_) => None,
    };
    let mut inquiry = by_path::named(target, server);
    let body = match body {
        Arriving::Stream(body) => body,
        Arriving::Whole(bytes) => {
            inquiry.received = bytes.len() as u64;
            inquiry.name(form_model(std::slice::from_ref(&bytes)));
            inquiry.body = UpstreamBody::Whole(bytes);
            return Ok(inquiry);
        }
    };
    if body.is_end_stream() {
        return Ok(inquiry);
    }
    if body.size_hint().lower() > bounds.max_body_bytes {
        return Err(Refusal::BodyTooLarge { limit: bounds.max_body_bytes });
    }
    let begin = Instant::now();
    let (peeked, rest) = match is_form(headers) && target.endpoint.runs_a_model() {
        true => peek(bounds, body).await?,
        false => (Vec::new(), body),
    };
    inquiry.waited = begin.elapsed();
    inquiry.name(form_model(&peeked));
    let streamed = Streamed::new(peeked, rest, bounds.max_body_bytes, bounds.body_idle);
    inquiry.passed = Some(streamed.passed());
    inquiry.body = UpstreamBody::Streamed(Box::new(streamed));
    Ok(inquiry)
}

impl Inquiry {
    /// The body that goes to the provider, with its splices. What must be what we read goes in plain
    /// text, even if nothing is spliced.
    pub fn sealed(&mut self, as_read: bool) -> (UpstreamBody, Replaced) {
        let length = !self.splices.is_empty() || self.is_rewritten || as_read && self.was_inflated;
        let body = std::mem::replace(&mut self.body, UpstreamBody::Whole(Bytes::new()));
        let body = match length {
            true => UpstreamBody::Whole(std::mem::take(&mut self.splices).apply(&self.text)),
            false => body,
        };
        (body, Replaced { length, encoding: length && self.was_inflated })
    }

    /// All of it, for whoever is asked as it is. A body that is not read here goes with it.
    pub fn handed_over(&mut self) -> Self {
        let body = match &mut self.body {
            UpstreamBody::Whole(bytes) => UpstreamBody::Whole(bytes.clone()),
            streamed => std::mem::replace(streamed, UpstreamBody::Whole(Bytes::new())),
        };
        Self {
            body,
            server: self.server.clone(),
            model_asked: self.model_asked.clone(),
            alternatives: Vec::new(),
            model: self.model.clone(),
            stream: self.stream,
            hides_usage: self.hides_usage,
            service_tier: self.service_tier.clone(),
            splices: self.splices.clone(),
            was_inflated: self.was_inflated,
            is_read: self.is_read,
            is_rewritten: self.is_rewritten,
            removed: Vec::new(),
            output_limit: None,
            text: self.text.clone(),
            received: self.received,
            passed: self.passed.clone(),
            waited: self.waited,
        }
    }

    /// Whether the same body can be sent again.
    pub fn is_repeatable(&self) -> bool {
        matches!(self.body, UpstreamBody::Whole(_))
    }

    /// Takes the model that a form names, if it does.
    fn name(&mut self, model: Option<String>) {
        if let Some(model) = model {
            self.model_asked.clone_from(&model);
            self.model = model;
        }
    }

    /// What is left when all was handed over.
    pub fn nothing() -> Self {
        Self::unread(None)
    }

    fn unread(server: Option<Server>) -> Self {
        Self {
            server,
            model_asked: String::new(),
            alternatives: Vec::new(),
            model: String::new(),
            stream: false,
            hides_usage: false,
            service_tier: None,
            body: UpstreamBody::Whole(Bytes::new()),
            splices: Splices::default(),
            was_inflated: false,
            is_read: false,
            is_rewritten: false,
            removed: Vec::new(),
            output_limit: None,
            text: Bytes::new(),
            received: 0,
            passed: None,
            waited: Duration::ZERO,
        }
    }
}

fn read(
    target: &Target,
    arrived: Bytes,
    plain: Plain,
    policy: Option<&Compiled>,
) -> Result<Inquiry, Refusal> {
    let received = arrived.len() as u64;
    let (text, was_inflated) = match plain {
        Plain::AsItCame => (arrived.clone(), false),
        Plain::Inflated(text) => (text, true),
        Plain::Unreadable => {
            let Address::Native { server, .. } = &target.address else { return Err(Refusal::Inflation) };
            let body = UpstreamBody::Whole(arrived);
            return Ok(Inquiry { body, received, ..by_path::named(target, Some(server.clone())) });
        }
    };
    if let Some(inquiry) = by_path::read(target, &text)? {
        return Ok(Inquiry { body: UpstreamBody::Whole(arrived), was_inflated, received, ..inquiry });
    }
    let fields = Fields::read(&text).map_err(|invalid| match &target.address {
        Address::Compat | Address::CompatModels => Refusal::CompatBody(invalid),
        Address::Native { .. } | Address::Open | Address::Models(_) => Refusal::InvalidBody(invalid),
    })?;
    let asked = fields.model.as_deref().unwrap_or_default();
    let (mut splices, mut alternatives) = (Splices::default(), Vec::new());
    let (server, model) = match &target.address {
        Address::Native { server, .. } => (Some(server.clone()), server.provider.bare(asked)),
        Address::Compat | Address::CompatModels => {
            let (name, model) = compat::parts(asked).map_err(Refusal::CompatModel)?;
            let server =
                servers::named(policy, name).map_err(|unknown| Refusal::CompatModel(unknown.into()))?;
            fields.name_model(model, &mut splices);
            let model = server.provider.bare(model);
            (Some(server), model)
        }
        Address::Open | Address::Models(_) => {
            let named = Alternatives::read(&text)?.models;
            alternatives.extend(named.into_iter().map(|model| model.into_owned()));
            (None, asked)
        }
    };
    let hides_usage = server
        .as_ref()
        .is_some_and(|server| asks_for_usage(target.endpoint, server, was_inflated, &fields, &mut splices));
    // What is kept of a name; the provider gets it whole.
    let name = |text: &str| bounded(text, 256);
    let (model_asked, model, stream) = (bounded(asked, 1024), name(model), fields.stream);
    let service_tier = fields.service_tier.as_deref().map(name);
    let body = UpstreamBody::Whole(arrived);
    Ok(Inquiry {
        model_asked,
        alternatives,
        model,
        stream,
        hides_usage,
        service_tier,
        body,
        splices,
        was_inflated,
        is_read: true,
        text,
        received,
        ..Inquiry::unread(server)
    })
}

/// Asks for the usage of a stream where that has to be asked for. What is compressed is spliced only where
/// the address forces us to.
fn asks_for_usage(
    endpoint: Endpoint,
    server: &Server,
    was_inflated: bool,
    fields: &Fields<'_>,
    splices: &mut Splices,
) -> bool {
    let may_ask = server.allows_splices() && (!was_inflated || !splices.is_empty());
    let asks = may_ask && !server.provider.tells_usage && fields.lacks_usage(endpoint);
    if asks {
        fields.ask_for_usage(splices);
    }
    asks
}
