//! Lists: the newest first, a part at a time, each part naming the address of the next.

use std::future::Future;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use model::id::InvalidId;
use serde::Serialize;
use serde_json::{Map, Value};
use std::str::FromStr;
use store::{StoreError, Window};
use uuid::Uuid;

use super::base;
use super::filter::Filter;
use super::refusal::Refusal;
use crate::api::ApiState;

/// The most that a part has, and what it has unless less is asked for.
const MOST: usize = 100;
/// How many entries are looked at for one part. A filter that fits few of them gets shorter parts.
const LOOKED_AT: usize = 2000;

/// Which part is asked for.
pub(super) struct Listing {
    before: Option<String>,
    limit: usize,
    filter: Option<(String, Filter)>,
    /// The other parameters, in their order; the next part is asked for with them.
    pub(super) parameters: Vec<(String, String)>,
}

/// What can stand in a list.
pub(super) trait Listed: Serialize {
    /// Its id as it is shown.
    fn id(&self) -> &str;
    /// Its place in the list.
    fn position(&self) -> Uuid;
}

impl<S: Send + Sync> FromRequestParts<S> for Listing {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        let mut listing = Self { before: None, limit: MOST, filter: None, parameters: Vec::new() };
        let query = parts.uri.query().unwrap_or_default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()).into_owned() {
            match name.as_str() {
                _ if value.is_empty() => {}
                "before_id" | "beforeId" => listing.before = Some(value),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| *limit > 0);
                    let limit: usize = limit
                        .ok_or_else(|| Refusal::invalid("limit: must be a whole number from 1 to 100"))?;
                    listing.limit = limit.min(MOST);
                }
                "filter" => {
                    let filter = Filter::parse(&value).map_err(Refusal::Filter)?;
                    listing.filter = Some((value, filter));
                }
                _ => listing.parameters.push((name, value)),
            }
        }
        Ok(listing)
    }
}

impl Listing {
    /// The values of a parameter, which may be written with brackets.
    pub(super) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let is_meant = move |written: &str| written.strip_suffix("[]").unwrap_or(written) == name;
        let parameters = self.parameters.iter();
        parameters.filter(move |(written, _)| is_meant(written)).map(|(_, value)| value.as_str())
    }

    /// The part that is asked for, from what `fetch` brings and `is_meant` does not leave out. Ids are those
    /// of `Id`, whatever prefix they are shown with.
    pub(super) async fn part<T, Fetched>(
        &self,
        state: &ApiState,
        path: &str,
        key: &'static str,
        prefix: &str,
        is_meant: impl Fn(&T) -> bool,
        fetch: impl Fn(Window) -> Fetched,
    ) -> Result<axum::Json<Value>, Refusal>
    where
        T: Listed,
        Fetched: Future<Output = Result<Vec<T>, StoreError>>,
    {
        let mut position = self.before.as_deref().map(|id| place(id, prefix)).transpose()?;
        let mut last_id = None;
        let (mut shown, mut looked_at, mut is_end) = (Vec::new(), 0, false);
        while shown.len() < self.limit && looked_at < LOOKED_AT && !is_end {
            // One more than fits, to know whether there are any.
            let asked = self.limit + 1;
            let window = Window::Before { id: position, limit: i64::try_from(asked).unwrap_or(i64::MAX) };
            let found = fetch(window).await?;
            is_end = found.len() < asked;
            for (index, entry) in found.iter().enumerate() {
                if shown.len() == self.limit || (index == self.limit && !is_end) {
                    is_end = false;
                    break;
                }
                looked_at += 1;
                position = Some(entry.position());
                last_id = Some(entry.id().to_owned());
                let document = serde_json::to_value(entry).map_err(|_| Refusal::Internal)?;
                let fits = self.filter.as_ref().is_none_or(|(_, filter)| filter.fits(&document));
                if fits && is_meant(entry) {
                    shown.push(document);
                }
            }
        }
        let next = last_id.filter(|_| !is_end).map(|last| self.next_page_uri(state, path, &last));
        let mut list = Map::new();
        list.insert(key.to_owned(), Value::Array(shown));
        list.insert("uri".to_owned(), Value::String(format!("{}{path}", base(state))));
        list.insert("next_page_uri".to_owned(), next.map_or(Value::Null, Value::String));
        Ok(axum::Json(Value::Object(list)))
    }

    fn next_page_uri(&self, state: &ApiState, path: &str, last: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("before_id", last).append_pair("limit", &self.limit.to_string());
        if let Some((text, _)) = &self.filter {
            query.append_pair("filter", text);
        }
        query.extend_pairs(&self.parameters);
        format!("{}{path}?{}", base(state), query.finish())
    }
}

/// Where an id stands in its list. One that is none would be the beginning again, and its caller would go
/// round for ever.
fn place(id: &str, prefix: &str) -> Result<Uuid, Refusal> {
    uuid(id, prefix)
        .ok_or_else(|| Refusal::invalid(format!("before_id: must be an id that begins with `{prefix}`")))
}

/// The id behind a prefix, which on this face may be another than elsewhere.
pub(super) fn uuid(id: &str, prefix: &str) -> Option<Uuid> {
    let digits = id.strip_prefix(prefix)?;
    // In the one way in which they are written.
    let plain: Result<model::AccountId, InvalidId> = FromStr::from_str(digits);
    plain.ok().map(|id| id.0)
}
