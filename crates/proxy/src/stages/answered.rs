//! What the gateway's traffic policy says of an answer.

use http::{HeaderMap, StatusCode};
use policy::run::{Answer, Relay, Step};

use super::consult::{Consulted, unserved};

impl Consulted {
    /// What becomes of a provider's answer.
    pub fn answered(&mut self, status: StatusCode, headers: HeaderMap) -> Result<Relay, Box<Answer>> {
        match self.run.response(status, headers, None) {
            Step::Relay(relay) => Ok(relay),
            Step::Respond(answer) => Err(Box::new(answer)),
            // Policies that want more of an answer are not served.
            Step::Ask(_) | Step::Forward => Err(Box::new(Answer::Refused(unserved()))),
        }
    }
}
