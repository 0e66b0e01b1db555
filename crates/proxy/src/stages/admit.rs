//! Permission to call the provider. It exists only once the request is in the spool; limits and
//! holds will be asked for here.

use super::route::Credential;
use crate::visit::Visit;

/// Evidence that a request was admitted: it is written down, as far as there was room.
#[derive(Debug)]
pub struct Admission(());

/// Writes down what is about to be asked, with which credential.
pub fn admission(visit: &mut Visit, credential: &Credential) -> Admission {
    let record = visit.record();
    record.key_source = Some(credential.source());
    credential.alias().clone_into(&mut record.key_alias);
    visit.open();
    Admission(())
}
