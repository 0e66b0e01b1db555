//! Reading variables, one function each.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{self, HeaderName};
use time::OffsetDateTime;

use super::super::Failure;
use crate::expression::codec::user_agent::UserAgent;
use crate::expression::codec::{cookies, query, url};
use crate::facts::{Connection, Endpoint, Facts, Request, Response, Retry, Tls};
use crate::value::{Item, Key, Keys, List, Map, Value, timestamp};

type Reading = Result<Value, Failure>;

fn connection<'a>(facts: &Facts<'a>) -> Result<&'a Connection, Failure> {
    facts.connection.ok_or(Failure::NotKnown("conn"))
}

fn endpoint<'a>(facts: &Facts<'a>) -> Result<&'a Endpoint, Failure> {
    facts.endpoint.ok_or(Failure::NotKnown("endpoint"))
}

fn request<'a>(facts: &Facts<'a>) -> Result<&'a Request<'a>, Failure> {
    facts.request.ok_or(Failure::NotKnown("req"))
}

fn response<'a>(facts: &Facts<'a>) -> Result<&'a Response<'a>, Failure> {
    facts.response.ok_or(Failure::NotKnown("res"))
}

fn retry<'a>(facts: &Facts<'a>) -> Result<&'a Retry, Failure> {
    facts.retry.ok_or(Failure::NotKnown("last_attempt"))
}

fn time(at: OffsetDateTime) -> Reading {
    Ok(Value::text(timestamp(at)))
}

fn shared(text: &Arc<str>) -> Reading {
    Ok(Value::text(text.clone()))
}

/// What is not there reads as an empty string: comparing with anything else says no.
fn tls(facts: &Facts<'_>, part: fn(&Tls) -> &Option<Arc<str>>) -> Reading {
    let tls = connection(facts)?.tls.as_ref();
    Ok(tls.and_then(|tls| part(tls).clone()).map_or_else(|| Value::text(""), Value::text))
}

pub(super) fn client_ip(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(connection(facts)?.client_ip.to_canonical().to_string()))
}

pub(super) fn client_port(facts: &Facts<'_>) -> Reading {
    Ok(Value::Int(connection(facts)?.client_port.into()))
}

pub(super) fn server_ip(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(connection(facts)?.server_ip.to_canonical().to_string()))
}

pub(super) fn server_port(facts: &Facts<'_>) -> Reading {
    Ok(Value::Int(connection(facts)?.server_port.into()))
}

pub(super) fn connection_started(facts: &Facts<'_>) -> Reading {
    time(connection(facts)?.started_at)
}

pub(super) fn tls_sni(facts: &Facts<'_>) -> Reading {
    tls(facts, |tls| &tls.sni)
}

pub(super) fn tls_version(facts: &Facts<'_>) -> Reading {
    tls(facts, |tls| &tls.version)
}

pub(super) fn tls_cipher_suite(facts: &Facts<'_>) -> Reading {
    tls(facts, |tls| &tls.cipher_suite)
}

pub(super) fn tls_alpn(facts: &Facts<'_>) -> Reading {
    tls(facts, |tls| &tls.alpn)
}

pub(super) fn endpoint_id(facts: &Facts<'_>) -> Reading {
    shared(&endpoint(facts)?.id)
}

pub(super) fn endpoint_url(facts: &Facts<'_>) -> Reading {
    shared(&endpoint(facts)?.url)
}

pub(super) fn endpoint_host(facts: &Facts<'_>) -> Reading {
    shared(&endpoint(facts)?.host)
}

pub(super) fn endpoint_port(facts: &Facts<'_>) -> Reading {
    Ok(Value::Int(endpoint(facts)?.port.into()))
}

pub(super) fn endpoint_address(facts: &Facts<'_>) -> Reading {
    let Endpoint { host, port, .. } = endpoint(facts)?;
    Ok(Value::text(format!("{host}:{port}")))
}

pub(super) fn endpoint_protocol(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(endpoint(facts)?.protocol))
}

pub(super) fn now(facts: &Facts<'_>) -> Reading {
    time(facts.now)
}

pub(super) fn vars(facts: &Facts<'_>) -> Reading {
    Ok(Value::Map(facts.vars.clone()))
}

pub(super) fn actions(facts: &Facts<'_>) -> Reading {
    Ok(Value::Map(facts.actions.clone()))
}

pub(super) fn request_id(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(request(facts)?.id))
}

pub(super) fn method(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(request(facts)?.method.as_str()))
}

pub(super) fn host(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(request(facts)?.authority))
}

pub(super) fn version(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(match request(facts)?.version {
        http::Version::HTTP_09 => "HTTP/0.9",
        http::Version::HTTP_10 => "HTTP/1.0",
        http::Version::HTTP_11 => "HTTP/1.1",
        http::Version::HTTP_2 => "HTTP/2.0",
        _ => "HTTP/3.0",
    }))
}

/// The first value of a header, or an empty string.
fn first(headers: &HeaderMap, name: HeaderName) -> String {
    headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

/// All headers, under their names in lower case.
fn all(headers: &HeaderMap) -> Reading {
    let values = |name| {
        let values = headers.get_all(name).iter();
        let texts = values.map(|value| Value::text(String::from_utf8_lossy(value.as_bytes()).as_ref()));
        Value::List(Arc::new(List::with_absent(texts.collect(), Keys::Headers.absent())))
    };
    let entries = headers.keys().map(|name| (Key::from(name.as_str()), values(name)));
    Ok(Value::Map(Arc::new(Map::with_keys(Keys::Headers, entries))))
}

/// What a header says is the length, -1 if it says nothing or no number.
fn length(headers: &HeaderMap) -> Reading {
    Ok(Value::Int(first(headers, header::CONTENT_LENGTH).parse().unwrap_or(-1)))
}

/// The media type alone, in lower case.
fn media_type(headers: &HeaderMap) -> Reading {
    let raw = first(headers, header::CONTENT_TYPE);
    Ok(Value::text(raw.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()))
}

/// What stands behind the media type: `charset=utf-8` and such.
fn parameters(headers: &HeaderMap) -> Reading {
    let raw = first(headers, header::CONTENT_TYPE);
    let pairs = raw.split(';').skip(1).filter_map(|pair| pair.split_once('='));
    Ok(Value::map(pairs.map(|(name, value)| {
        (name.trim().to_ascii_lowercase(), Value::text(value.trim().trim_matches('"')))
    })))
}

fn encodings(headers: &HeaderMap) -> Reading {
    let raw = first(headers, header::CONTENT_ENCODING);
    let names = raw.split(',').map(str::trim).filter(|name| !name.is_empty());
    Ok(Value::list(names.map(Value::text).collect()))
}

pub(super) fn request_location(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(first(request(facts)?.headers, header::LOCATION)))
}

pub(super) fn request_headers(facts: &Facts<'_>) -> Reading {
    all(request(facts)?.headers)
}

pub(super) fn request_cookies(facts: &Facts<'_>) -> Reading {
    Ok(cookies::sent(request(facts)?.headers))
}

pub(super) fn request_content_length(facts: &Facts<'_>) -> Reading {
    length(request(facts)?.headers)
}

pub(super) fn request_content_type(facts: &Facts<'_>) -> Reading {
    media_type(request(facts)?.headers)
}

pub(super) fn request_content_type_raw(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(first(request(facts)?.headers, header::CONTENT_TYPE)))
}

pub(super) fn request_content_type_parameters(facts: &Facts<'_>) -> Reading {
    parameters(request(facts)?.headers)
}

pub(super) fn request_content_encoding(facts: &Facts<'_>) -> Reading {
    encodings(request(facts)?.headers)
}

pub(super) fn user_agent(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(first(request(facts)?.headers, header::USER_AGENT)))
}

pub(super) fn of_user_agent(facts: &Facts<'_>, member: &str) -> Reading {
    let header = first(request(facts)?.headers, header::USER_AGENT);
    Ok(UserAgent::of(&header).member(member))
}

pub(super) fn url_authority(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(request(facts)?.authority))
}

pub(super) fn url_host(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(url::host(request(facts)?.authority)))
}

/// With `%2F` and such as what they stand for; `req.url.raw_path` has them as they were sent.
pub(super) fn url_path(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(url::unescaped(request(facts)?.uri.path(), url::Plus::Plus)))
}

pub(super) fn url_port(facts: &Facts<'_>) -> Reading {
    let Request { authority, scheme, .. } = request(facts)?;
    Ok(Value::Int(url::port(authority, scheme).into()))
}

pub(super) fn url_query(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(request(facts)?.uri.query().unwrap_or_default()))
}

pub(super) fn url_query_params(facts: &Facts<'_>) -> Reading {
    Ok(query::parameters(request(facts)?.uri.query().unwrap_or_default()))
}

pub(super) fn url_raw(facts: &Facts<'_>) -> Reading {
    let Request { scheme, authority, uri, .. } = request(facts)?;
    Ok(Value::text(format!("{scheme}://{authority}{}", path_and_query(uri))))
}

pub(super) fn url_raw_path(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(request(facts)?.uri.path()))
}

pub(super) fn url_scheme(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(request(facts)?.scheme))
}

pub(super) fn url_uri(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(path_and_query(request(facts)?.uri)))
}

fn path_and_query(uri: &http::Uri) -> &str {
    uri.path_and_query().map_or("/", |target| target.as_str())
}

pub(super) fn header_received(facts: &Facts<'_>) -> Reading {
    time(request(facts)?.received_at)
}

pub(super) fn body_received(facts: &Facts<'_>) -> Reading {
    request(facts)?.body_received_at.map_or_else(|| Ok(Value::text("")), time)
}

pub(super) fn status_code(facts: &Facts<'_>) -> Reading {
    Ok(Value::Int(response(facts)?.status.as_u16().into()))
}

pub(super) fn response_headers(facts: &Facts<'_>) -> Reading {
    all(response(facts)?.headers)
}

pub(super) fn response_cookies(facts: &Facts<'_>) -> Reading {
    Ok(cookies::set(response(facts)?.headers))
}

pub(super) fn response_content_length(facts: &Facts<'_>) -> Reading {
    length(response(facts)?.headers)
}

pub(super) fn response_content_type(facts: &Facts<'_>) -> Reading {
    media_type(response(facts)?.headers)
}

pub(super) fn response_content_type_raw(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(first(response(facts)?.headers, header::CONTENT_TYPE)))
}

pub(super) fn response_content_type_parameters(facts: &Facts<'_>) -> Reading {
    parameters(response(facts)?.headers)
}

pub(super) fn response_content_encoding(facts: &Facts<'_>) -> Reading {
    encodings(response(facts)?.headers)
}

pub(super) fn response_location(facts: &Facts<'_>) -> Reading {
    Ok(Value::text(first(response(facts)?.headers, header::LOCATION)))
}

fn places(count: usize) -> std::ops::Range<u32> {
    0..u32::try_from(count).unwrap_or(u32::MAX)
}

pub(super) fn models(facts: &Facts<'_>) -> Reading {
    let choice = facts.choice.ok_or(Failure::NotKnown("ai.models"))?;
    Ok(Value::list(choice.all_models().map(|(at, _)| Value::Item(Item::Model(at))).collect()))
}

/// Each provider once, known by the first of its models.
pub(super) fn providers(facts: &Facts<'_>) -> Reading {
    let choice = facts.choice.ok_or(Failure::NotKnown("ai.providers"))?;
    let mut seen = std::collections::HashSet::new();
    let firsts = choice.all_models().filter(|(_, model)| seen.insert(&*model.provider_id));
    Ok(Value::list(firsts.map(|(at, _)| Value::Item(Item::Provider(at))).collect()))
}

/// Each author once, known by the first of the models.
pub(super) fn authors(facts: &Facts<'_>) -> Reading {
    let choice = facts.choice.ok_or(Failure::NotKnown("ai.authors"))?;
    let mut seen = std::collections::HashSet::new();
    let named = choice.all_models().filter(|(_, model)| !model.author_id.is_empty());
    let firsts = named.filter(|(_, model)| seen.insert(&*model.author_id));
    Ok(Value::list(firsts.map(|(at, _)| Value::Item(Item::Author(at))).collect()))
}

pub(super) fn keys(facts: &Facts<'_>) -> Reading {
    let choice = facts.choice.ok_or(Failure::NotKnown("ai.keys"))?;
    Ok(Value::list(places(choice.keys.len()).map(|at| Value::Item(Item::Key(at))).collect()))
}

pub(super) fn attempts(facts: &Facts<'_>) -> Reading {
    Ok(Value::Int(retry(facts)?.attempts.into()))
}

pub(super) fn last_attempt(facts: &Facts<'_>) -> Reading {
    Ok(retry(facts)?.last_attempt.clone())
}
