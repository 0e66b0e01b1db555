//! What is asked where the path says most of it, as that of Google's API does: the model, and whether the answer
//! is a stream.

use bytes::Bytes;
use providers::Endpoint;
use providers::catalog::Dialect;
use providers::google::{Call, request};
use providers::path;

use super::Inquiry;
use crate::refusal::Refusal;
use crate::servers::Server;
use crate::stages::resolve::{Address, Target};
use crate::visit::bounded;

/// What the path asks of a model, if it does.
pub(super) fn call(target: &Target) -> Option<Call> {
    let Address::Native { server, .. } = &target.address else { return None };
    if server.provider.dialect != Dialect::Google {
        return None;
    }
    Call::of(path::operation(server.provider, &target.path))
}

/// An inquiry for the model that the path names, if it names one.
pub(super) fn named(target: &Target, server: Option<Server>) -> Inquiry {
    let unread = Inquiry::unread(server);
    let Some(Call { model, .. }) = call(target) else { return unread };
    let stream = target.endpoint == Endpoint::StreamGenerateContent;
    Inquiry { model_asked: bounded(&model, 1024), model: bounded(&model, 256), stream, ..unread }
}

/// The same with what the body says, if the path names a model.
pub(super) fn read(target: &Target, text: &Bytes) -> Result<Option<Inquiry>, Refusal> {
    let (Some(_), Address::Native { server, .. }) = (call(target), &target.address) else { return Ok(None) };
    let named = named(target, Some(server.clone()));
    let tier = request::service_tier(text).map_err(|malformed| Refusal::InvalidBody(malformed.into()))?;
    let service_tier = tier.map(|tier| bounded(&tier, 256));
    Ok(Some(Inquiry { service_tier, is_read: true, text: text.clone(), ..named }))
}
