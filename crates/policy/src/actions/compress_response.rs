//! `compress-response`: an answer in fewer bytes, if the caller can read it.

use http::{HeaderMap, HeaderValue, header};

use super::Next;
use crate::document::place::Place;
use crate::problem::Code;
use crate::run::{Exchange, Failure};
use crate::value::Value;

/// An encoding that answers are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `gzip`
    Gzip,
    /// `deflate`, in zlib's frame
    Deflate,
    /// `br`
    Brotli,
}

/// The encodings that may be chosen, the best first.
pub struct CompressResponse {
    algorithms: Vec<Algorithm>,
}

impl Algorithm {
    /// Its name in `content-encoding`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Deflate => "deflate",
            Self::Brotli => "br",
        }
    }
}

impl CompressResponse {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["algorithms"])?;
        let all = vec![Algorithm::Gzip, Algorithm::Deflate, Algorithm::Brotli];
        let algorithms = fields.or("algorithms", all, |place| {
            // The vendor's last may be listed, and is never chosen: nobody reads it any more.
            let choices = [
                ("gzip", Some(Algorithm::Gzip)),
                ("deflate", Some(Algorithm::Deflate)),
                ("br", Some(Algorithm::Brotli)),
                ("compress", None),
            ];
            let listed = place.list(1..=4, |place| place.choice(&choices))?;
            let done: Vec<Algorithm> = listed.into_iter().flatten().collect();
            if done.is_empty() {
                return place.wrong_so(
                    Code::Choice,
                    "`compress` alone is done for nobody, because nobody reads it any more.",
                    "List `gzip`, `deflate` or `br` too.",
                );
            }
            Some(done)
        })?;
        Some(Self { algorithms })
    }

    pub(crate) fn act(&self, exchange: &mut Exchange) -> Result<Next, Failure> {
        let Some((status, headers)) = &mut exchange.response else { return Ok(Next::Go) };
        let already = headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
        let bodiless = status.is_informational() || matches!(status.as_u16(), 204 | 205 | 206 | 304);
        let mut chosen = None;
        if !already && !bodiless && !is_dense(headers) {
            chosen = negotiated(&self.algorithms, &exchange.arrival.headers);
            vary(headers);
        }
        if let Some(algorithm) = chosen {
            headers.remove(header::CONTENT_LENGTH);
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(algorithm.name()));
            weaken(headers);
            exchange.compress = chosen;
        }
        let name = chosen.map_or("", Algorithm::name);
        exchange.found(
            "compress",
            [("already_compressed", already.into()), ("negotiated_algorithm", name.into())],
        );
        Ok(Next::Go)
    }
}

/// Whether what is in the body is compressed by its own nature, as sounds and pictures are.
fn is_dense(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(|kind| kind.as_bytes().to_ascii_lowercase());
    let kind = kind.unwrap_or_default();
    let dense: [&[u8]; 7] = [
        b"audio/",
        b"image/",
        b"video/",
        b"font/",
        b"application/gzip",
        b"application/zip",
        b"application/octet-stream",
    ];
    dense.iter().any(|dense| kind.starts_with(dense)) && !kind.starts_with(b"image/svg")
}

/// Says that others may get other bytes.
fn vary(headers: &mut HeaderMap) {
    let says = |value: &HeaderValue| {
        let value = value.to_str().unwrap_or_default();
        value.split(',').any(|name| matches!(&*name.trim().to_ascii_lowercase(), "*" | "accept-encoding"))
    };
    if !headers.get_all(header::VARY).iter().any(says) {
        headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}

/// The answer is the same, and its bytes are not.
fn weaken(headers: &mut HeaderMap) {
    let Some(tag) = headers.get(header::ETAG).filter(|tag| !tag.as_bytes().starts_with(b"W/")) else {
        return;
    };
    match HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat()) {
        Ok(weak) => headers.insert(header::ETAG, weak),
        Err(_) => headers.remove(header::ETAG),
    };
}

/// The encoding that the caller likes best; among equals the one that stands first.
fn negotiated(algorithms: &[Algorithm], headers: &HeaderMap) -> Option<Algorithm> {
    let said = |name: &str| {
        headers
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|coding| weight(coding, name))
            .max_by_key(|(named, _)| *named)
    };
    // Who likes the answer better as it is gets it so.
    let plain = said("identity").filter(|(named, _)| *named).map_or(0, |(_, weight)| weight);
    let mut best: Option<(u32, Algorithm)> = None;
    for algorithm in algorithms {
        let weight = said(algorithm.name()).map_or(0, |(_, weight)| weight);
        if weight >= plain && weight > best.map_or(0, |(weight, _)| weight) {
            best = Some((weight, *algorithm));
        }
    }
    best.map(|(_, algorithm)| algorithm)
}

/// What a coding such as `gzip;q=0.5` says of an encoding, in thousandths, and whether it says so by name.
fn weight(coding: &str, name: &str) -> Option<(bool, u32)> {
    let (coding, parameter) = coding.split_once(';').unwrap_or((coding, ""));
    let named = coding.trim().eq_ignore_ascii_case(name);
    if !named && coding.trim() != "*" {
        return None;
    }
    let quality = match parameter.trim().strip_prefix(['q', 'Q']).and_then(|rest| rest.strip_prefix('=')) {
        Some(text) => text.trim().parse::<f64>().ok().filter(|quality| (0.0..=1.0).contains(quality))?,
        None => 1.0,
    };
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a quality lies between nought and one"
    )]
    let thousandths = (quality * 1000.0) as u32;
    Some((named, thousandths))
}

/// What a run tells of a compressed answer.
impl From<Algorithm> for Value {
    fn from(algorithm: Algorithm) -> Self {
        algorithm.name().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_decides_and_the_order_breaks_ties() {
        let both = [Algorithm::Gzip, Algorithm::Deflate];
        let with_brotli = [Algorithm::Gzip, Algorithm::Brotli];
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip;q=0.9, br"));
        assert_eq!(negotiated(&with_brotli, &headers), Some(Algorithm::Brotli));
        for (accepts, chosen) in [
            ("gzip, deflate", Some(Algorithm::Gzip)),
            ("gzip;q=0.5, deflate;q=0.8", Some(Algorithm::Deflate)),
            ("*", Some(Algorithm::Gzip)),
            ("gzip;q=0, *;q=0.1", Some(Algorithm::Deflate)),
            ("br", None),
            ("gzip;q=nonsense", None),
            ("identity, gzip;q=0.5", None),
            ("gzip;Q=0.5, identity;q=0.4", Some(Algorithm::Gzip)),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepts));
            assert_eq!(negotiated(&both, &headers), chosen, "{accepts}");
        }
    }
}
