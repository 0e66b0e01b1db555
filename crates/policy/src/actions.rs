//! What rules do: a file for each action, with its configuration, how that is read, and its work.

pub mod add_headers;
pub mod ai_gateway;
pub mod basic_auth;
pub mod circuit_breaker;
pub mod compress_response;
pub mod custom_response;
pub mod deny;
pub mod find_replace;
mod headers;
pub mod http_request;
pub mod jwt_validation;
pub mod log;
mod offered;
pub mod rate_limit;
pub mod redirect;
pub mod remove_headers;
pub mod restrict_ips;
mod rewriting;
pub mod set_vars;
mod texts;
pub mod url_rewrite;
pub mod verify_webhook;

use self::add_headers::AddHeaders;
use self::ai_gateway::{AiGateway, OnError};
use self::basic_auth::BasicAuth;
use self::circuit_breaker::CircuitBreaker;
use self::compress_response::CompressResponse;
use self::custom_response::CustomResponse;
use self::deny::Deny;
use self::find_replace::FindReplace;
use self::http_request::HttpRequest;
use self::jwt_validation::JwtValidation;
use self::log::Log;
use self::rate_limit::RateLimit;
use self::redirect::Redirect;
use self::remove_headers::RemoveHeaders;
use self::restrict_ips::RestrictIps;
use self::set_vars::SetVars;
use self::url_rewrite::UrlRewrite;
use self::verify_webhook::VerifyWebhook;
use crate::document::place::Place;
use crate::run::{Answer, Effect, Exchange, Failure, Outcome, Written};

/// Something that a rule does.
pub enum Action {
    /// `add-headers`
    AddHeaders(AddHeaders),
    /// `ai-gateway`
    AiGateway(Box<AiGateway>),
    /// `basic-auth`
    BasicAuth(BasicAuth),
    /// `circuit-breaker`
    CircuitBreaker(CircuitBreaker),
    /// `compress-response`
    CompressResponse(CompressResponse),
    /// `custom-response`
    CustomResponse(CustomResponse),
    /// `deny`
    Deny(Deny),
    /// `request-body-find-replace`, `response-body-find-replace`, `sse-find-replace`
    FindReplace(FindReplace),
    /// `http-request`
    HttpRequest(Box<HttpRequest>),
    /// `jwt-validation`
    JwtValidation(JwtValidation),
    /// `log`
    Log(Log),
    /// `rate-limit`
    RateLimit(RateLimit),
    /// `redirect`
    Redirect(Redirect),
    /// `remove-headers`
    RemoveHeaders(RemoveHeaders),
    /// `restrict-ips`
    RestrictIps(RestrictIps),
    /// `set-vars`
    SetVars(SetVars),
    /// `url-rewrite`
    UrlRewrite(UrlRewrite),
    /// `verify-webhook`
    VerifyWebhook(VerifyWebhook),
}

/// What follows from an action.
pub(crate) enum Next {
    /// The next action.
    Go,
    /// This one again, with what comes back.
    Ask(Effect),
    /// This answer, once the rules for answers have seen it.
    Reply(Written),
    /// This answer.
    End(Answer),
}

impl Action {
    /// Reads an action: a map of `type` and `config`.
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["type", "config"])?;
        let offered = fields.need("type", offered::offered)?;
        let config = fields.get("config").unwrap_or_else(|| place.absent("config"));
        (offered.read)(&config)
    }

    pub(crate) fn act(
        &self,
        exchange: &mut Exchange,
        answered: Option<(Effect, Outcome)>,
    ) -> Result<Next, Failure> {
        match self {
            Self::AddHeaders(action) => action.act(exchange),
            Self::AiGateway(action) => action.act(exchange, answered),
            Self::BasicAuth(action) => action.act(exchange),
            Self::CircuitBreaker(action) => action.act(exchange, answered),
            Self::CompressResponse(action) => action.act(exchange),
            Self::CustomResponse(action) => action.act(exchange),
            Self::Deny(action) => Ok(action.act()),
            Self::FindReplace(action) => action.act(exchange, answered),
            Self::HttpRequest(action) => action.act(exchange, answered),
            Self::JwtValidation(action) => action.act(exchange, answered),
            Self::Log(action) => action.act(exchange),
            Self::RateLimit(action) => action.act(exchange, answered),
            Self::Redirect(action) => action.act(exchange),
            Self::RemoveHeaders(action) => action.act(exchange),
            Self::RestrictIps(action) => action.act(exchange),
            Self::SetVars(action) => action.act(exchange),
            Self::UrlRewrite(action) => action.act(exchange),
            Self::VerifyWebhook(action) => action.act(exchange, answered),
        }
    }

    /// Whether a request may go on when this could not do its work. What guards the gateway, what ends requests,
    /// and what later conditions are decided by may not be missing; what tells and adorns may.
    pub(crate) fn may_fail(&self) -> bool {
        match self {
            Self::AddHeaders(_) | Self::CompressResponse(_) | Self::Log(_) => true,
            Self::HttpRequest(action) => action.may_fail(),
            _ => false,
        }
    }

    /// What of it is dear, how much of that it has, and how much a policy may have.
    pub(crate) fn cost(&self) -> Option<(&'static str, usize, usize)> {
        match self {
            Self::BasicAuth(_) => Some(("`basic-auth` actions", 1, 10)),
            Self::FindReplace(action) => Some(("replacements in bodies", action.count(), 100)),
            Self::HttpRequest(_) => Some(("`http-request` actions", 1, 20)),
            Self::JwtValidation(_) => Some(("`jwt-validation` actions", 1, 10)),
            Self::Redirect(_) | Self::UrlRewrite(_) => Some(("rewritings of addresses", 1, 100)),
            Self::VerifyWebhook(_) => Some(("`verify-webhook` actions", 1, 10)),
            _ => None,
        }
    }

    /// Whether nothing after it is ever looked at.
    pub(crate) fn terminates(&self) -> bool {
        match self {
            Self::CustomResponse(_) | Self::Deny(_) => true,
            Self::AiGateway(action) => action.on_error == OnError::Halt,
            _ => false,
        }
    }

    /// Whether it keeps callers out that it does not know.
    pub(crate) fn authenticates(&self) -> bool {
        match self {
            Self::BasicAuth(action) => action.enforce,
            Self::JwtValidation(_) => true,
            Self::RestrictIps(action) => action.enforce,
            Self::VerifyWebhook(action) => action.enforce,
            _ => false,
        }
    }
}
