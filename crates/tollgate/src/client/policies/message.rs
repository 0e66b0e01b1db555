//! Requests and answers as texts: a first line, headers, an empty line, a body. People have them from the
//! logs of their clients, so ends of lines may be of either kind.

use anyhow::{Context as _, bail, ensure};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};

/// A request that somebody could have sent.
#[derive(Debug)]
pub(super) struct RequestText {
    pub(super) method: Method,
    pub(super) uri: Uri,
    pub(super) host: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

/// An answer that a provider could have given.
#[derive(Debug)]
pub(super) struct ResponseText {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
}

impl RequestText {
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let (first, mut headers, body) = parts(text)?;
        let mut words = first.split_ascii_whitespace();
        let (Some(method), Some(target)) = (words.next(), words.next()) else {
            bail!("expected a request line such as `POST /v1/chat/completions HTTP/1.1`");
        };
        let method = method.parse().context("the method is none")?;
        let target: Uri = target.parse().context("the path is none")?;
        let named = headers.get(header::HOST).and_then(|host| host.to_str().ok()).map(str::to_owned);
        let host = target.authority().map(ToString::to_string).or(named);
        let host = host.context("the request names no host: add the header `Host`")?;
        headers.insert(header::HOST, HeaderValue::from_str(&host)?);
        let path = target.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self { method, uri: path.parse()?, host, headers, body })
    }
}

impl ResponseText {
    pub(super) fn read(text: &str) -> anyhow::Result<Self> {
        let (first, headers, body) = parts(text)?;
        let status = first.split_ascii_whitespace().find_map(|word| word.parse().ok());
        let status = status.context("expected a status line such as `HTTP/1.1 200 OK`")?;
        Ok(Self { status, headers, body })
    }
}

fn parts(text: &str) -> anyhow::Result<(&str, HeaderMap, Bytes)> {
    let (head, body) = text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n")).unwrap_or((text, ""));
    let mut lines = head.lines();
    let first = lines.next().unwrap_or_default();
    let mut headers = HeaderMap::new();
    for (line, number) in lines.zip(2..) {
        let (name, value) =
            line.split_once(':').with_context(|| format!("line {number} is no header: a `:` is missing"))?;
        let name: HeaderName =
            name.trim().parse().with_context(|| format!("line {number} is no header: the name is none"))?;
        let value = HeaderValue::from_str(value.trim())
            .with_context(|| format!("line {number} is no header: the value is none"))?;
        ensure!(headers.len() < 1000, "there are too many headers");
        headers.append(name, value);
    }
    Ok((first, headers, Bytes::copy_from_slice(body.as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_read_with_ends_of_lines_of_either_kind() {
        for text in [
            "POST /v1/chat/completions?a=b HTTP/1.1\nHost: ai.example.com\nX-A: 1\n\n{\"model\": \"gpt-4o\"}",
            "POST /v1/chat/completions?a=b HTTP/1.1\r\nHost: ai.example.com\r\nX-A: 1\r\n\r\n{\"model\": \"gpt-4o\"}",
            "POST https://ai.example.com/v1/chat/completions?a=b\nx-a: 1\n\n{\"model\": \"gpt-4o\"}",
        ] {
            let request = RequestText::read(text).unwrap();
            assert_eq!((request.method, request.host.as_str()), (Method::POST, "ai.example.com"));
            assert_eq!(request.uri, "/v1/chat/completions?a=b");
            assert_eq!(
                (&request.headers["x-a"], &request.headers["host"]),
                (&"1".parse().unwrap(), &"ai.example.com".parse().unwrap())
            );
            assert_eq!(request.body, "{\"model\": \"gpt-4o\"}");
        }
    }

    #[test]
    fn what_is_no_request_is_told() {
        for (text, told) in [
            ("", "expected a request line"),
            ("GET", "expected a request line"),
            ("GET /", "names no host"),
            ("GET / HTTP/1.1\nnonsense", "line 2 is no header"),
            ("GET / HTTP/1.1\nHost: a\nä: b", "line 3 is no header"),
        ] {
            let error = RequestText::read(text).unwrap_err().to_string();
            assert!(error.contains(told), "{text}: {error}");
        }
    }

    #[test]
    fn an_answer_is_read() {
        let answer = ResponseText::read("HTTP/1.1 429 Too Many Requests\nretry-after: 3\n\n{}").unwrap();
        assert_eq!((answer.status.as_u16(), answer.body.as_ref()), (429, b"{}".as_slice()));
        assert!(ResponseText::read("hello").is_err());
    }
}
