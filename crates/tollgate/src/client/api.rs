//! Calls of the management API, in the shapes of its second face: resources as they are, and refusals with
//! a message and a number.

use std::error::Error;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, Request};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use model::Secret;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::address::Address;

const CONNECT: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(60);
/// No answer of the API is this long; a hundred endpoints with the longest policies are.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// A management API and who calls it.
pub(crate) struct Api {
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    address: Address,
    authorization: HeaderValue,
}

/// Why a call came to nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallFailed {
    /// There was no answer.
    #[error("{address} cannot be reached: {reason}")]
    Unreachable {
        /// Who was asked.
        address: Address,
        /// What went wrong.
        reason: String,
    },
    /// The API said no.
    #[error("{message}{}", .code.as_ref().map(|code| format!(" ({code})")).unwrap_or_default())]
    Refused {
        /// The status of the answer.
        status: u16,
        /// The number of the error, where it has one.
        code: Option<String>,
        /// What the API says about it.
        message: String,
    },
    /// Something answered that is no management API, or something in front of it did.
    #[error("{address} answered {status}, not as a management API does; is this its address?")]
    Strange {
        /// Who was asked.
        address: Address,
        /// The status of the answer.
        status: u16,
    },
}

impl CallFailed {
    /// Whether the API refused with this number.
    pub(crate) fn is(&self, number: u16) -> bool {
        let Self::Refused { code: Some(code), .. } = self else { return false };
        code.strip_prefix("ERR_NGROK_").and_then(|digits| digits.parse().ok()) == Some(number)
    }
}

/// The id of a resource, as it stands in a path.
#[derive(Debug, Clone)]
pub(crate) struct Id(String);

/// This is no id.
#[derive(Debug, thiserror::Error)]
#[error("ids consist of letters, digits, `_` and `-`, such as `ep_0197a8…`")]
pub(crate) struct NoId;

impl FromStr for Id {
    type Err = NoId;

    fn from_str(text: &str) -> Result<Self, NoId> {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if text.is_empty() || !text.chars().all(fits) {
            return Err(NoId);
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Api {
    /// An API that is called with this token.
    pub(crate) fn new(address: Address, token: &Secret) -> anyhow::Result<Self> {
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .context("the API token has characters that no token has")?;
        authorization.set_sensitive(true);
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_connect_timeout(Some(CONNECT));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_native_roots()
            .context("this system has no certificates of authorities to trust")?
            .with_no_client_auth();
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self { http: Client::builder(TokioExecutor::new()).build(https), address, authorization })
    }

    /// What is there, or a list of it.
    pub(crate) async fn get(&self, path: &str) -> Result<Value, CallFailed> {
        self.call(Method::GET, path, None::<&()>).await
    }

    /// Makes something.
    pub(crate) async fn create(&self, path: &str, body: &impl Serialize) -> Result<Value, CallFailed> {
        self.call(Method::POST, path, Some(body)).await
    }

    /// Changes what the body says, and nothing else.
    pub(crate) async fn change(&self, path: &str, body: &impl Serialize) -> Result<Value, CallFailed> {
        self.call(Method::PATCH, path, Some(body)).await
    }

    /// Takes something away.
    pub(crate) async fn delete(&self, path: &str) -> Result<(), CallFailed> {
        self.call(Method::DELETE, path, None::<&()>).await.map(drop)
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<Value, CallFailed> {
        let exchanged = tokio::time::timeout(PATIENCE, self.exchange(method, path, body)).await;
        let unreachable = |reason| CallFailed::Unreachable { address: self.address.clone(), reason };
        let (status, bytes) = match exchanged {
            Ok(exchanged) => exchanged.map_err(|error| unreachable(causes(&*error)))?,
            Err(_) => return Err(unreachable(format!("no answer within {} seconds", PATIENCE.as_secs()))),
        };
        let strange = || CallFailed::Strange { address: self.address.clone(), status };
        match status {
            204 => Ok(Value::Null),
            200..300 => serde_json::from_slice(&bytes).map_err(|_| strange()),
            _ => Err(refusal(status, &bytes).unwrap_or_else(strange)),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<(u16, Bytes), Box<dyn Error + Send + Sync>> {
        let body = body.map(serde_json::to_vec).transpose()?.unwrap_or_default();
        let request = Request::builder()
            .method(method)
            .uri(self.address.at(path))
            .header(AUTHORIZATION, &self.authorization)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("tollgate/", env!("CARGO_PKG_VERSION")))
            .header("ngrok-version", "2")
            .body(Full::new(body.into()))?;
        let (head, body) = self.http.request(request).await?.into_parts();
        let bytes = Limited::new(body, MOST_BYTES).collect().await?.to_bytes();
        Ok((head.status.as_u16(), bytes))
    }
}

/// The body of a refusal, of one face of the API or the other.
#[derive(Deserialize)]
#[serde(untagged)]
enum Told {
    Ngrok { msg: String, error_code: Option<String> },
    Enveloped { errors: Vec<EnvelopedError> },
}

#[derive(Deserialize)]
struct EnvelopedError {
    message: String,
}

fn refusal(status: u16, body: &[u8]) -> Option<CallFailed> {
    let (message, code) = match serde_json::from_slice(body).ok()? {
        Told::Ngrok { msg, error_code } => (msg, error_code),
        Told::Enveloped { errors } => {
            let messages: Vec<_> = errors.into_iter().map(|error| error.message).collect();
            (messages.join("; "), None)
        }
    };
    Some(CallFailed::Refused { status, code, message })
}

/// An error with what led to it, each said once: libraries repeat each other's words.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !told.contains(&words) {
            told = format!("{told}: {words}");
        }
        next = cause.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_of_both_faces_are_told_in_the_words_of_the_api() {
        let body = br#"{"error_code":"ERR_NGROK_24005","status_code":409,"msg":"There is one","details":{}}"#;
        let refused = refusal(409, body).unwrap();
        assert_eq!(refused.to_string(), "There is one (ERR_NGROK_24005)");
        assert!(refused.is(24005) && !refused.is(24009));
        let body = br#"{"success":false,"errors":[{"code":10000,"message":"Authentication error"}]}"#;
        assert_eq!(refusal(401, body).unwrap().to_string(), "Authentication error");
        assert!(refusal(502, b"<html>Bad gateway</html>").is_none());
    }

    #[test]
    fn an_id_cannot_lead_to_another_path() {
        assert!("ep_0197".parse::<Id>().is_ok());
        for text in ["", "../vaults", "ep_1?x=y", "ep 1", "ep_1/", "."] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }
}
