//! A request's body as one of those who may be asked is sent it. Whatever is judged, set aside and counted
//! from there on is what that one gets.

use bytes::Bytes;
use providers::catalog::Dialect;
use providers::google::Limits;
use providers::models::{Asked, Candidate};
use providers::request::{self, Alternatives, Fields, OutputLimit};
use providers::splice::Splices;

use super::{Inquiry, asks_for_usage, by_path};
use crate::refusal::Refusal;
use crate::servers::Server;
use crate::stages::resolve::{Address, Target};
use crate::visit::bounded;

/// What a body must be like for one of those who may be asked.
pub struct Fitting<'a> {
    /// Who is asked.
    pub server: &'a Server,
    /// For which model, if that is not what the body says already.
    pub model: Option<&'a str>,
    /// The same as the gateway sees them, where what they do not understand is taken out.
    pub filter: Option<(Candidate<'a>, Asked<'a>)>,
    /// How many tokens an answer may have.
    pub most_output: Option<u64>,
}

impl Fitting<'_> {
    /// Whether nothing is to be changed.
    pub fn is_plain(&self) -> bool {
        self.model.is_none() && self.filter.is_none() && self.most_output.is_none()
    }

    fn passes(&self, name: &str) -> bool {
        self.filter.as_ref().is_none_or(|(candidate, asked)| candidate.passes_param(*asked, name))
    }

    /// The body with the members that are understood, and what those are called that are not.
    fn filtered(&self, body: Bytes) -> Result<(Bytes, Vec<String>), Refusal> {
        match &self.filter {
            Some(_) => request::without(&body, |name| self.passes(name)).map_err(invalid),
            None => Ok((body, Vec::new())),
        }
    }

    /// The body with a limit that is obeyed, and that limit if it was not the caller's. It is ours to name,
    /// whatever members a policy says are understood.
    fn limited(&self, target: &Target, model: &str, body: Bytes) -> Result<(Bytes, Option<u64>), Refusal> {
        let Some(most) = self.most_output else { return Ok((body, None)) };
        if is_googles(target) {
            let limited = Limits::set(&body, most)?;
            let is_ours = limited.as_ptr() != body.as_ptr();
            return Ok((limited, is_ours.then_some(most)));
        }
        let server = self.server;
        match OutputLimit::of(target.endpoint, server.provider, server.is_azure(), model) {
            Some(limit) => {
                let (limited, is_ours) = limit.set(&body, most)?;
                Ok((limited, is_ours.then_some(most)))
            }
            None => Ok((body, None)),
        }
    }
}

fn is_googles(target: &Target) -> bool {
    target.endpoint.dialect() == Some(Dialect::Google) && target.endpoint.writes_text()
}

fn invalid(malformed: providers::scan::Malformed) -> Refusal {
    Refusal::InvalidBody(malformed.into())
}

impl Inquiry {
    /// What is asked, as one of those who may be asked is asked it. Bodies that are not read here can be sent
    /// once only.
    pub fn fitted(&mut self, target: &Target, fitting: &Fitting<'_>) -> Result<Self, Refusal> {
        let handed_over = self.handed_over();
        let model = fitting.model.map_or_else(|| self.model.clone(), |model| bounded(model, 256));
        let fitted = Self { server: Some(fitting.server.clone()), model, ..handed_over };
        if !self.is_read {
            // A limit that cannot be told is not one.
            let is_limited = fitting.most_output.is_some() && target.endpoint.has_json_body();
            return match fitting.model {
                _ if is_limited => Err(Refusal::Inflation),
                Some(model) if self.model_asked != model => {
                    Err(Refusal::ModelStaysAsWritten { upstream: fitted.model })
                }
                _ => Ok(fitted),
            };
        }
        let fields = Fields::read(&self.text)?;
        let mut settling = Splices::default();
        match (fitting.model, &target.address) {
            (Some(model), _) => fields.settle_on(model, &Alternatives::read(&self.text)?, &mut settling),
            (None, Address::Compat | Address::CompatModels) => {
                fields.name_model(&fitted.model, &mut settling)
            }
            (None, Address::Native { .. } | Address::Open | Address::Models(_)) => (),
        }
        let (text, removed) = fitting.filtered(settling.apply(&self.text))?;
        let (text, output_limit) = fitting.limited(target, &fitted.model, text)?;
        let is_rewritten = text.as_ptr() != self.text.as_ptr();
        // Its path says what bodies of others say, and no body of its own asks for usage.
        if let Some(inquiry) = by_path::read(target, &text)? {
            let (stream, service_tier) = (inquiry.stream, inquiry.service_tier);
            return Ok(Self { text, is_rewritten, stream, service_tier, removed, output_limit, ..fitted });
        }
        let fields = Fields::read(&text)?;
        let (stream, service_tier) =
            (fields.stream, fields.service_tier.as_deref().map(|tier| bounded(tier, 256)));
        let mut splices = Splices::default();
        let is_compressed = self.was_inflated && !is_rewritten;
        let may_ask = fitting.passes("stream_options");
        let hides_usage =
            may_ask && asks_for_usage(target.endpoint, fitting.server, is_compressed, &fields, &mut splices);
        let fitted = Self { stream, service_tier, removed, output_limit, ..fitted };
        Ok(Self { splices, hides_usage, text, is_rewritten, ..fitted })
    }
}
