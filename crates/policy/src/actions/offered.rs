//! Which actions there are, in which phases they may stand, and which there are not.

use super::Action;
use crate::document::place::Place;
use crate::document::short;
use crate::phase::Phase;
use crate::problem::Code;

use Phase::{Connect, Message, Request, Response};

/// An action that may be used.
pub(super) struct Offered {
    name: &'static str,
    phases: &'static [Phase],
    pub(super) read: fn(&Place<'_>) -> Option<Action>,
}

static OFFERED: [Offered; 20] = [
    offers("add-headers", &[Request, Response], |place| {
        super::AddHeaders::read(place).map(Action::AddHeaders)
    }),
    offers("ai-gateway", &[Request], |place| {
        super::AiGateway::read(place).map(|action| Action::AiGateway(Box::new(action)))
    }),
    offers("basic-auth", &[Request], |place| super::BasicAuth::read(place).map(Action::BasicAuth)),
    offers("circuit-breaker", &[Request], |place| {
        super::CircuitBreaker::read(place).map(Action::CircuitBreaker)
    }),
    offers("compress-response", &[Response], |place| {
        super::CompressResponse::read(place).map(Action::CompressResponse)
    }),
    offers("custom-response", &[Request, Response], |place| {
        super::CustomResponse::read(place).map(Action::CustomResponse)
    }),
    offers("deny", &[Connect, Request], |place| super::Deny::read(place).map(Action::Deny)),
    offers("http-request", &[Request, Response], |place| {
        super::HttpRequest::read(place).map(|action| Action::HttpRequest(Box::new(action)))
    }),
    offers("jwt-validation", &[Request], |place| {
        super::JwtValidation::read(place).map(Action::JwtValidation)
    }),
    offers("log", &[Connect, Request, Response], |place| super::Log::read(place).map(Action::Log)),
    offers("rate-limit", &[Request], |place| super::RateLimit::read(place).map(Action::RateLimit)),
    offers("redirect", &[Request], |place| super::Redirect::read(place).map(Action::Redirect)),
    offers("remove-headers", &[Request, Response], |place| {
        super::RemoveHeaders::read(place).map(Action::RemoveHeaders)
    }),
    offers("request-body-find-replace", &[Request], |place| {
        super::FindReplace::read(place).map(Action::FindReplace)
    }),
    offers("response-body-find-replace", &[Response], |place| {
        super::FindReplace::read(place).map(Action::FindReplace)
    }),
    offers("restrict-ips", &[Connect, Request, Response], |place| {
        super::RestrictIps::read(place).map(Action::RestrictIps)
    }),
    offers("set-vars", &[Connect, Request, Response], |place| {
        super::SetVars::read(place).map(Action::SetVars)
    }),
    offers("sse-find-replace", &[Message], |place| super::FindReplace::read(place).map(Action::FindReplace)),
    offers("url-rewrite", &[Request], |place| super::UrlRewrite::read(place).map(Action::UrlRewrite)),
    offers("verify-webhook", &[Request], |place| {
        super::VerifyWebhook::read(place).map(Action::VerifyWebhook)
    }),
];

/// What the vendor has and we have not, and why.
const NOT_OFFERED: [(&str, &str); 9] = [
    ("close-connection", "A connection carries many requests here; use `deny` to refuse one."),
    ("cors", "Answer preflights with `custom-response` and use `add-headers` for the rest."),
    ("forward-internal", "There is no network of internal endpoints here; name an upstream as a provider."),
    ("oauth", "Signing in needs a browser and a session; use `jwt-validation` with the provider's tokens."),
    (
        "openid-connect",
        "Signing in needs a browser and a session; use `jwt-validation` with the provider's tokens.",
    ),
    ("owasp-crs-request", "Rule sets of a firewall are not part of a gateway for models; put one in front."),
    ("owasp-crs-response", "Rule sets of a firewall are not part of a gateway for models; put one in front."),
    ("saml", "Signing in needs a browser and a session; use `jwt-validation` with the provider's tokens."),
    ("terminate-tls", "TLS ends at the gateway's listener; certificates are the operator's."),
];

const fn offers(
    name: &'static str,
    phases: &'static [Phase],
    read: fn(&Place<'_>) -> Option<Action>,
) -> Offered {
    Offered { name, phases, read }
}

/// The action that a `type` names, if it may stand in this phase.
pub(super) fn offered(place: &Place<'_>) -> Option<&'static Offered> {
    let name = place.text()?;
    if let Some(offered) = OFFERED.iter().find(|offered| offered.name == name) {
        if offered.phases.contains(&place.phase()) {
            return Some(offered);
        }
        let phases: Vec<String> = offered.phases.iter().map(|phase| format!("`{}`", phase.name())).collect();
        return place.wrong_so(
            Code::Phase,
            format!("`{name}` cannot stand in `{}`.", place.phase().name()),
            format!("It belongs in {}.", phases.join(", ")),
        );
    }
    if let Some((_, why)) = NOT_OFFERED.iter().find(|(known, _)| *known == name) {
        return place.wrong_so(Code::UnknownAction, format!("`{name}` is not offered."), *why);
    }
    let message = format!("There is no action `{}`.", short(name));
    match place.nearest(name, OFFERED.iter().map(|offered| offered.name)) {
        Some(name) => place.wrong_so(Code::UnknownAction, message, format!("Did you mean `{name}`?")),
        None => place.wrong(Code::UnknownAction, message),
    }
}
