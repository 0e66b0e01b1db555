//! Headers as policies write them: names with values that may be computed.

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::document::place::{Place, all};
use crate::facts::Facts;
use crate::problem::Code;
use crate::run::Failure;
use crate::template::Template;
use crate::value::Value;

/// Names with values that may be computed for each request.
pub(crate) struct Headers(Vec<(HeaderName, Template)>);

/// What belongs to a connection and is never a policy's to set.
const OF_THE_CONNECTION: [&str; 8] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// How long a value may become.
const MOST_BYTES: usize = 16 * 1024;

/// A header's name that a policy may write.
pub(crate) fn name(place: &Place<'_>, text: &str) -> Option<HeaderName> {
    let Ok(name) = HeaderName::from_bytes(text.as_bytes()) else {
        return place.wrong(Code::HeaderName, "This is not the name of a header.");
    };
    if OF_THE_CONNECTION.contains(&name.as_str()) {
        return place
            .wrong(Code::HeaderName, format!("`{name}` belongs to the connection and cannot be changed."));
    }
    Some(name)
}

impl Headers {
    pub(crate) fn none() -> Self {
        Self(Vec::new())
    }

    pub(crate) fn read(place: &Place<'_>, number: std::ops::RangeInclusive<usize>) -> Option<Self> {
        let headers = place.entries(number)?;
        all(headers.iter().map(|(text, place)| Some((name(place, text)?, place.template()?)))).map(Self)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.0.iter().map(|(name, _)| name)
    }

    /// The headers for one request. A value that is a list becomes several headers of the same name.
    pub(crate) fn render(&self, facts: &Facts<'_>) -> Result<HeaderMap, Failure> {
        let mut headers = HeaderMap::with_capacity(self.0.len());
        for (name, template) in &self.0 {
            let value = template.render(facts)?;
            match value.items() {
                Some(items) => {
                    for item in items {
                        headers.append(name.clone(), written(name, item)?);
                    }
                }
                None => {
                    headers.append(name.clone(), written(name, &value)?);
                }
            }
        }
        Ok(headers)
    }
}

fn written(name: &HeaderName, value: &Value) -> Result<HeaderValue, Failure> {
    let text = value.to_text()?;
    if text.len() > MOST_BYTES {
        return Err(Failure::evaluation(format!("the value of the header `{name}` is too long")));
    }
    let mut written = HeaderValue::from_str(text.as_str())
        .or_else(|_| HeaderValue::from_bytes(text.as_str().as_bytes()))
        .map_err(|_| Failure::evaluation(format!("the value of the header `{name}` cannot be written")))?;
    written.set_sensitive(text.is_secret());
    Ok(written)
}

/// Headers as `actions.ngrok` tells of them: names with lists of values, secrets marked as such.
pub(crate) fn told(headers: &HeaderMap) -> Value {
    use crate::value::Text;
    Value::map(headers.keys().map(|name| {
        let values = headers.get_all(name).iter();
        let values = values
            .map(|value| {
                let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
                Value::Text(Text::new(text, value.is_sensitive()))
            })
            .collect();
        (name.as_str(), Value::list(values))
    }))
}
