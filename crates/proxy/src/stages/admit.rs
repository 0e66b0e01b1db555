//! Permission to call the provider. It exists only once the request is in the spool; limits and
//! holds will be asked for here.

use std::sync::atomic::Ordering;

use super::inspect::Inquiry;
use super::route::Credential;
use crate::visit::Visit;

/// Evidence that a request was admitted: it is written down, as far as there was room.
#[derive(Debug)]
pub struct Admission(());

/// Writes down what is about to be asked, with which credential.
pub fn admission(visit: &mut Visit, inquiry: &Inquiry, credential: &Credential) -> Admission {
    let record = visit.record();
    record.key_source = Some(credential.source());
    credential.alias().clone_into(&mut record.key_alias);
    visit.open();
    count_request_bytes(visit, inquiry);
    Admission(())
}

/// What has arrived so far of the caller's body.
fn count_request_bytes(visit: &mut Visit, inquiry: &Inquiry) {
    let passed = inquiry.passed.as_ref().map_or(0, |passed| passed.load(Ordering::Relaxed));
    visit.record().request_bytes = inquiry.received + passed;
}
