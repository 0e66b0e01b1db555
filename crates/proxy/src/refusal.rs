//! Every no of our own making, and how it is told: whose problem it is, the status and code that
//! follow, and the two shapes in which callers expect to read it.

mod fault;
mod follows;
mod head;
mod ngrok;
mod reached;
mod shape;
mod told;
mod unpaid;

use std::borrow::Cow;

use http::{HeaderMap, HeaderValue, StatusCode};
use providers::catalog::UnknownProvider;
use providers::compat::InvalidModel;
use providers::models::NoModel;
use providers::path::InvalidPath;
use providers::prices::InvalidCustomCost;
use providers::request::InvalidBody;

use crate::headers::{TOLLGATE_CREDITS_FREE, TOLLGATE_CREDITS_NEEDED};
use crate::limits::left::{insert_dollars, whole_seconds};
use crate::metadata::InvalidMetadata;
use crate::strategies::Unchosen;
pub use fault::Fault;
pub(crate) use head::head;
pub(crate) use ngrok::ngrok_request_id;
pub use reached::Reached;
pub use shape::{Listener, Shape};
pub use unpaid::Unpaid;

/// Why a request is not answered by a provider. The messages are written for callers.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// Not an address of ours.
    #[error(
        "There is nothing at this address; gateways are at /v1/{{account_id}}/{{gateway_id}}/{{provider}}"
    )]
    NoSuchAddress,
    /// A method that is not about resources, such as `TRACE`, which asks the provider to send the
    /// credential back.
    #[error("The method is none of GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS")]
    NoSuchMethod,
    /// A host that is bound to no gateway, where only its name could tell which is meant.
    #[error(
        "No gateway is bound to this host; bind it with an endpoint, or use /v1/{{account_id}}/{{gateway_id}}/{{provider}}"
    )]
    UnboundHost,
    /// Neither the address nor the body says who is asked.
    #[error(
        "Nothing says which provider is asked: name a model in the body, or a provider in the header `ngrok-aig-provider`"
    )]
    NobodyNamed,
    /// Nobody can be asked for the model.
    #[error("{0}")]
    NoModel(Box<NoModel>),
    /// The body is not read, so that its model cannot be written in the provider's words.
    #[error("In a body like this the model has to be written as the provider does, `{upstream}`")]
    ModelStaysAsWritten {
        /// How that is.
        upstream: String,
    },
    /// The gateway's traffic policy says no.
    #[error("{}", .0.message)]
    Policy(Box<policy::run::Refusal>),
    /// The gateway's traffic policy cannot be obeyed, so nothing is served past it.
    #[error("The gateway's traffic policy cannot be obeyed; its owner finds out why where it is stored")]
    PolicyUnusable,
    /// Gateways whose policies call each other.
    #[error("The request comes from a traffic policy that was asked by another, three times over")]
    PolicyLoop,
    /// The gateway's traffic policy leads a path elsewhere.
    #[error("The gateway's traffic policy rewrote the path so that it does not name this gateway any more")]
    RewrittenAway,
    /// The strategies of the gateway's traffic policy leave nobody to be asked.
    #[error("{0}")]
    Unchosen(Box<Unchosen>),
    /// More than one was asked, and they failed in different ways.
    #[error("All providers failed: {}", .0.join("; "))]
    AllFailed(Vec<String>),
    /// The time for all attempts together is over.
    #[error("All attempts together took too long: {}", .0.join("; "))]
    OutOfTime(Vec<String>),
    /// The prompt is longer than the gateway's traffic policy lets it be, for every model that was asked for.
    #[error("The prompt has about {tokens} tokens, and this gateway takes {limit}")]
    InputTooLarge {
        /// How long it is, by our estimate.
        tokens: u64,
        /// The bound.
        limit: u64,
    },
    /// The gateway's traffic policy bounds what models read and write, and here nothing would.
    #[error(
        "This gateway bounds prompts and answers, which nothing does in a batch: ask for each answer by itself"
    )]
    NothingBoundsIt,
    /// No gateway has this address.
    #[error("Please configure AI Gateway: no gateway has this address")]
    UnknownGateway,
    /// The slug or compat prefix names no provider.
    #[error("{0}")]
    UnknownProvider(#[from] UnknownProvider),
    /// What the caller named is unknown here, but the control plane may know it.
    #[error("This proxy is not in sync with its control plane and does not know what was named; try again")]
    NotInSync,
    /// No valid token where one is needed, or an invalid one where none is.
    #[error("Unauthorized: {0}")]
    Unauthorized(&'static str),
    /// A valid token of another of the account's gateways.
    #[error("Unauthorized: the token belongs to another gateway")]
    OtherGatewaysToken,
    /// A token of ours in a place from which it would have gone to the provider.
    #[error(
        "Unauthorized: a Tollgate token was sent in {place}, from where it would reach the provider; send it in `cf-aig-authorization`"
    )]
    TokenMisplaced {
        /// A header's name, the path or the query.
        place: String,
    },
    /// The path cannot be mapped to one at the provider.
    #[error("{0}")]
    InvalidPath(#[from] InvalidPath),
    /// The gateway's own address, without a provider.
    #[error("Invalid provider: this release has no universal endpoint; name a provider in the path")]
    Universal,
    /// Compat serves a few operations only.
    #[error("The compat endpoint serves POST chat/completions, POST embeddings and GET models")]
    NotCompat,
    /// A compat model that names no provider.
    #[error("{0}")]
    CompatModel(InvalidModel),
    /// A compat body that cannot be read, or not in one way only.
    #[error("Chat completion bad format: {0}")]
    CompatBody(InvalidBody),
    /// The body cannot be read, or not in one way only.
    #[error("{0}")]
    InvalidBody(#[from] InvalidBody),
    /// The body is larger than we take.
    #[error("The body is larger than {limit} bytes")]
    BodyTooLarge {
        /// The bound.
        limit: u64,
    },
    /// Others' bodies take all the memory that there is for bodies.
    #[error("This proxy is reading too many large bodies; try again")]
    TooManyBodies,
    /// The body says that it is compressed, and is not, or not in a way that we read.
    #[error("The body could not be inflated: `content-encoding` must be gzip or deflate, and true")]
    Inflation,
    /// The caller stopped sending.
    #[error("The body did not arrive within {seconds} s")]
    BodyTimeout {
        /// The bound.
        seconds: u64,
    },
    /// The caller's connection broke within the body.
    #[error("The body ended early")]
    BodyBroken,
    /// The caller's prices are no prices.
    #[error("The header `cf-aig-custom-cost` means nothing: {0}")]
    CustomCost(InvalidCustomCost),
    /// The caller's labels are not labels.
    #[error("{0}")]
    InvalidMetadata(#[from] InvalidMetadata),
    /// A header of ours has a value that means nothing.
    #[error("The header `{name}` must be {expected}")]
    InvalidHeader {
        /// The header.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// No stored key has this alias.
    #[error(
        "Provider '{provider}' has no BYOK credential named '{alias}'. Configured aliases: {}",
        quoted(.configured)
    )]
    UnknownAlias {
        /// The provider.
        provider: Cow<'static, str>,
        /// What was asked for.
        alias: String,
        /// What there is.
        configured: Vec<String>,
    },
    /// There is a stored key, but this caller may not use it.
    #[error(
        "Stored keys are used for authenticated callers only: send a gateway token in `cf-aig-authorization`, or a key of `{provider}` in the request"
    )]
    StoredKeyNeedsToken {
        /// The provider.
        provider: Cow<'static, str>,
    },
    /// No key, and credits are forbidden.
    #[error(
        "No credential for `{provider}`: {forbidden_by} forbids credits; send the provider's key in the request, or store one for this gateway"
    )]
    CreditsForbidden {
        /// The provider.
        provider: &'static str,
        /// Which switch.
        forbidden_by: &'static str,
    },
    /// No key.
    #[error(
        "No credential for `{provider}`: send the provider's key in the request, or store one for this gateway"
    )]
    NoCredential {
        /// The provider.
        provider: Cow<'static, str>,
    },
    /// Credits would pay, but nobody says whose.
    #[error(
        "Credits are spent for authenticated callers only: send a gateway token in `cf-aig-authorization`, or a key of `{provider}` in the request"
    )]
    CreditsNeedToken {
        /// The provider.
        provider: &'static str,
    },
    /// Credits do not pay.
    #[error("{0}")]
    Unpaid(Box<Unpaid>),
    /// Credits do not know the model that is asked about.
    #[error("The model `{model}` does not exist, or is not available on credits")]
    NoSuchModel {
        /// The model.
        model: String,
    },
    /// Zero retention was asked for, and the operator has no contract that says so.
    #[error(
        "Zero data retention is not available on credits: the operator has not agreed it with `{provider}`; use a key of your own, or leave out `cf-aig-zdr`"
    )]
    NoZeroRetention {
        /// The provider.
        provider: &'static str,
    },
    /// A limit has no room.
    #[error("{0}")]
    Reached(Box<Reached>),
    /// A limit on spending wants to know what a request costs, and nobody does.
    #[error("The spend limit '{rule}' refuses what has no price, and {what} has none when it is asked for")]
    Unpriced {
        /// The limit.
        rule: String,
        /// What has no price.
        what: String,
        /// The member that is at fault, if it is one.
        field: Option<&'static str>,
    },
    /// The provider refuses the operator's key, which is nothing that a tenant could mend.
    #[error(
        "Failed to get response from provider: `{provider}` does not serve the operator's key at this moment"
    )]
    OperatorKeyRefused {
        /// The provider.
        provider: &'static str,
    },
    /// The operator's key is used as much as the provider allows.
    #[error(
        "Failed to get response from provider: `{provider}` has no room for more requests on credits; try again"
    )]
    OperatorKeyBusy {
        /// The provider.
        provider: &'static str,
        /// When the provider says to come again.
        seconds: u64,
    },
    /// The provider could not be connected to.
    #[error("Failed to get response from provider: `{provider}` could not be reached{}", reason(.because))]
    ProviderUnreachable {
        /// The provider.
        provider: Cow<'static, str>,
        /// Why, where that is for its gateway to know.
        because: Option<String>,
    },
    /// The provider hung up before its answer was complete.
    #[error("Failed to get response from provider: `{provider}` broke off")]
    ProviderBrokeOff {
        /// The provider.
        provider: Cow<'static, str>,
    },
    /// The provider's answer did not begin in time.
    #[error(
        "Failed to get response from provider: `{provider}` did not begin to answer within {milliseconds} ms"
    )]
    ProviderTimeout {
        /// The provider.
        provider: Cow<'static, str>,
        /// The bound.
        milliseconds: u64,
    },
    /// The provider's answer stood still.
    #[error("Failed to get response from provider: `{provider}` sent nothing for {seconds} s")]
    ProviderStill {
        /// The provider.
        provider: Cow<'static, str>,
        /// The bound.
        seconds: u64,
    },
    /// The stored key is there and cannot be opened or sent.
    #[error("The stored key could not be used; the operator has been told")]
    KeyUnusable,
    /// We ended it: the token is no longer good.
    #[error("Unauthorized: the token was revoked while the request ran")]
    TokenRevoked,
    /// We ended it: the gateway is gone.
    #[error("Please configure AI Gateway: the gateway was deleted while the request ran")]
    GatewayDeleted,
    /// We ended it: the process has no more time.
    #[error("This proxy is stopping; try again")]
    Stopping,
    /// A mistake of ours.
    #[error("Tollgate made a mistake; quote the request id when you report it")]
    Bug,
}

impl Refusal {
    /// Whose problem it is.
    pub fn fault(&self) -> Fault {
        self.told().fault
    }

    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        self.told().status
    }

    /// The code: Cloudflare's where it has one, else ours, which begin at 9000.
    pub fn code(&self) -> u32 {
        self.told().code
    }

    /// A stable word for it.
    pub fn cause(&self) -> &'static str {
        self.told().cause
    }

    /// The member of the body that is at fault, if it is one.
    pub fn field(&self) -> Option<&str> {
        match self {
            Self::InvalidBody(invalid) | Self::CompatBody(invalid) => invalid.field(),
            Self::CompatModel(_)
            | Self::NoSuchModel { .. }
            | Self::NoModel(_)
            | Self::NobodyNamed
            | Self::ModelStaysAsWritten { .. } => Some("model"),
            Self::Unpriced { field, .. } => *field,
            Self::Unpaid(unpaid) => unpaid.field(),
            _ => None,
        }
    }

    /// When it makes sense to try again, where we know.
    pub fn retry_after(&self) -> Option<HeaderValue> {
        match self {
            Self::NotInSync | Self::TooManyBodies | Self::Stopping => Some(HeaderValue::from_static("1")),
            Self::Unpaid(unpaid) => unpaid.may_pass().then(|| HeaderValue::from_static("1")),
            Self::Reached(reached) => Some(HeaderValue::from(whole_seconds(reached.retry_after))),
            Self::OperatorKeyBusy { seconds, .. } => Some(HeaderValue::from(*seconds)),
            _ => None,
        }
    }

    /// Adds what a program may want to know beside the message.
    pub(crate) fn mark(&self, headers: &mut HeaderMap) {
        if let Self::Policy(refusal) = self {
            headers.extend(refusal.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
        if let Self::Unpaid(unpaid) = self
            && let Unpaid::Short { needed, free } = &**unpaid
        {
            insert_dollars(headers, &TOLLGATE_CREDITS_NEEDED, *needed);
            insert_dollars(headers, &TOLLGATE_CREDITS_FREE, *free);
        }
    }
}

impl From<Unpaid> for Refusal {
    fn from(unpaid: Unpaid) -> Self {
        Self::Unpaid(Box::new(unpaid))
    }
}

fn reason(because: &Option<String>) -> String {
    because.as_ref().map(|because| format!(": {because}")).unwrap_or_default()
}

fn quoted(aliases: &[String]) -> String {
    if aliases.is_empty() {
        return "none".to_owned();
    }
    aliases.iter().map(|alias| format!("'{alias}'")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_alias_is_told_with_what_there_is() {
        let refusal = Refusal::UnknownAlias {
            provider: "openai".into(),
            alias: "x".to_owned(),
            configured: vec!["default".to_owned(), "spare".to_owned()],
        };
        assert_eq!(
            refusal.to_string(),
            "Provider 'openai' has no BYOK credential named 'x'. Configured aliases: 'default', 'spare'"
        );
        assert_eq!((refusal.code(), refusal.status().as_u16()), (2040, 400));
    }
}
