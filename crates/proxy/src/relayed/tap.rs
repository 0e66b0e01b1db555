//! Reads an answer beside its way to the caller.

use bytes::Bytes;
use providers::Endpoint;
use providers::answer::Answer;
use providers::slim::Slim;
use providers::stream::{Heard, SseTap};

/// What listens to an answer.
pub struct Tap(Kind);

enum Kind {
    /// Nobody.
    None,
    /// The events of a stream.
    Stream(Box<SseTap>),
    /// A JSON document that is read when it is there as a whole.
    Document,
    /// The pieces of a small JSON document, which are shared with the caller's connection and not copied.
    Small(Vec<Bytes>),
    /// What is kept of a JSON document while it passes.
    Large(Box<Slim>),
}

impl Tap {
    /// Hears nothing.
    pub fn none() -> Self {
        Self(Kind::None)
    }

    /// Hears a stream of events.
    pub fn stream(endpoint: Endpoint) -> Self {
        Self(Kind::Stream(Box::new(SseTap::new(endpoint))))
    }

    /// Hears a stream whose events are the elements of a JSON list.
    pub fn list(endpoint: Endpoint, is_paid: bool) -> Self {
        Self(Kind::Stream(Box::new(SseTap::of_list(endpoint, is_paid))))
    }

    /// Hears nothing of a JSON document, because it is read as a whole.
    pub fn whole() -> Self {
        Self(Kind::Document)
    }

    /// Hears a JSON document, of which all is kept until it is there if it is small.
    pub fn json(is_small: bool) -> Self {
        Self(if is_small { Kind::Small(Vec::new()) } else { Kind::Large(Box::default()) })
    }

    /// Hears a stream of events that is paid as it comes.
    pub fn paid_stream(endpoint: Endpoint) -> Self {
        Self(Kind::Stream(Box::new(SseTap::for_steps(endpoint))))
    }

    /// What hears the events of a stream.
    pub fn events(&mut self) -> Option<&mut SseTap> {
        match &mut self.0 {
            Kind::Stream(tap) => Some(tap),
            _ => None,
        }
    }

    /// Whether anybody listens who may hear of usage.
    pub fn listens(&self) -> bool {
        matches!(self.0, Kind::Stream(_) | Kind::Small(_) | Kind::Large(_))
    }

    /// Whether nobody knows what was in the answer: it is in a form that we do not read, or too long.
    pub fn is_deaf(&self) -> bool {
        match &self.0 {
            Kind::None => true,
            Kind::Large(slim) => slim.is_too_long(),
            Kind::Document | Kind::Small(_) | Kind::Stream(_) => false,
        }
    }

    /// Whether the answer is a stream of events.
    pub fn is_stream(&self) -> bool {
        matches!(self.0, Kind::Stream(_))
    }

    /// Whether an event may be added to the answer wherever it was cut off. An element of a list may not.
    pub fn takes_events(&self) -> bool {
        matches!(&self.0, Kind::Stream(tap) if !tap.is_list())
    }

    /// Whether the answer is to be read as JSON once it is there as a whole.
    pub fn is_document(&self) -> bool {
        matches!(self.0, Kind::Document | Kind::Small(_) | Kind::Large(_))
    }

    /// Whether it is a JSON document of which only some is kept.
    pub fn is_large(&self) -> bool {
        matches!(self.0, Kind::Large(_))
    }

    /// Takes what arrived.
    pub fn hear(&mut self, data: &Bytes) {
        match &mut self.0 {
            Kind::None | Kind::Document => {}
            Kind::Stream(tap) => tap.push(data),
            Kind::Small(pieces) => pieces.push(data.clone()),
            Kind::Large(slim) => slim.push(data),
        }
    }

    /// What was heard in all.
    pub fn heard(self, endpoint: Endpoint) -> Heard {
        match self.0 {
            Kind::None | Kind::Document => Heard::default(),
            Kind::Stream(tap) => tap.finish(),
            Kind::Large(slim) => Heard { answer: slim.answer(endpoint), ..Heard::default() },
            Kind::Small(pieces) => {
                let answer = match pieces.as_slice() {
                    [] => Answer::default(),
                    [only] => Answer::whole(endpoint, only),
                    several => Answer::whole(endpoint, &several.concat()),
                };
                Heard { answer, ..Heard::default() }
            }
        }
    }
}
