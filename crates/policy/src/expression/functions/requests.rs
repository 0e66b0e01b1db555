//! What was sent and what came back, under any spelling of a header's name. What was not sent reads as
//! an empty list, whose places read as empty strings.

use std::sync::Arc;

use http::HeaderMap;
use http::header::{COOKIE, HeaderName, SET_COOKIE};

use super::{Function, text};
use crate::expression::codec::{cookies, query};
use crate::expression::error::Failure;
use crate::expression::evaluate::Evaluation;
use crate::expression::scope::Namespace::{Request, Response};
use crate::expression::variables::missing;
use crate::value::{Absent, Key, Keys, List, Value};

type Outcome = Result<Value, Failure>;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::global("getReqHeader", 1, 1, |run, v| header(run, request_headers(run)?, v)).of(Request),
    Function::global("hasReqHeader", 1, 1, |run, v| has_header(run, request_headers(run)?, v)).of(Request),
    Function::global("getReqCookie", 1, 1, request_cookie).of(Request),
    Function::global("hasReqCookie", 1, 1, has_request_cookie).of(Request),
    Function::global("getQueryParam", 1, 1, parameter).of(Request),
    Function::global("hasQueryParam", 1, 1, has_parameter).of(Request),
    Function::global("getResHeader", 1, 1, |run, v| header(run, response_headers(run)?, v)).of(Response),
    Function::global("hasResHeader", 1, 1, |run, v| has_header(run, response_headers(run)?, v)).of(Response),
    Function::global("getResCookie", 1, 1, response_cookie).of(Response),
    Function::global("hasResCookie", 1, 1, has_response_cookie).of(Response),
];

fn request_headers<'a>(run: &Evaluation<'a>) -> Result<&'a HeaderMap, Failure> {
    run.facts.request.map(|request| request.headers).ok_or(missing::REQUEST)
}

fn response_headers<'a>(run: &Evaluation<'a>) -> Result<&'a HeaderMap, Failure> {
    run.facts.response.map(|response| response.headers).ok_or(missing::RESPONSE)
}

fn header(run: &mut Evaluation<'_>, headers: &HeaderMap, values: &[Value]) -> Outcome {
    let name = text(&values[0])?;
    run.reading(name.len())?;
    let values = headers.get_all(name.as_str()).iter();
    let texts = values.map(|value| Value::text(String::from_utf8_lossy(value.as_bytes()).as_ref()));
    let texts: Vec<Value> = texts.collect();
    run.memory(texts.iter().map(|value| value.weight() as usize).sum())?;
    Ok(Value::List(Arc::new(List::with_absent(texts, Absent::EmptyText))))
}

fn has_header(run: &mut Evaluation<'_>, headers: &HeaderMap, values: &[Value]) -> Outcome {
    let name = text(&values[0])?;
    run.reading(name.len())?;
    Ok(Value::Bool(headers.contains_key(name.as_str())))
}

/// How much has to be read to find a cookie.
fn length(headers: &HeaderMap, name: HeaderName) -> usize {
    headers.get_all(name).iter().map(|line| line.len()).sum()
}

fn request_cookie(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let headers = request_headers(run)?;
    run.work(length(headers, COOKIE))?;
    let all = cookies::sent(headers);
    Ok(cookie(&all, text(&values[0])?.as_str()))
}

fn has_request_cookie(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let name = text(&values[0])?.as_str();
    let headers = request_headers(run)?;
    run.work(length(headers, COOKIE) / 4)?;
    Ok(Value::Bool(cookies::pairs(headers).any(|(each, _)| each == name)))
}

fn response_cookie(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let headers = response_headers(run)?;
    run.work(length(headers, SET_COOKIE))?;
    let all = cookies::set(headers);
    Ok(cookie(&all, text(&values[0])?.as_str()))
}

fn has_response_cookie(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let headers = response_headers(run)?;
    run.work(length(headers, SET_COOKIE))?;
    let all = cookies::set(headers);
    Ok(Value::Bool(all.get(text(&values[0])?.as_str()).is_some()))
}

/// The first cookie of a name, or one without name and value.
fn cookie(all: &Value, name: &str) -> Value {
    let first = all.get(name).and_then(|cookies| cookies.items()?.first().cloned());
    first.or_else(|| Keys::Cookies.absent().value()).unwrap_or(Value::Null)
}

fn target<'a>(run: &Evaluation<'a>) -> Result<&'a str, Failure> {
    Ok(run.facts.request.ok_or(missing::REQUEST)?.uri.query().unwrap_or_default())
}

fn parameter(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let query = target(run)?;
    run.memory(query.len().saturating_mul(8))?;
    let name = Key::of(&values[0]).ok_or(Failure::BadArgument("a parameter has a name that is a string"))?;
    let parameters = query::parameters(query);
    let Value::Map(map) = &parameters else { return Ok(parameters) };
    map.at(&name).ok_or(Failure::NoSuchKey)
}

fn has_parameter(run: &mut Evaluation<'_>, values: &[Value]) -> Outcome {
    let query = target(run)?;
    run.reading(query.len())?;
    Ok(Value::Bool(query::has(query, text(&values[0])?.as_str())))
}
