//! `compress-response`: an answer in fewer bytes, if the caller can read it.

use http::{HeaderMap, HeaderValue, header};

use super::Next;
use crate::document::place::Place;
use crate::run::{Exchange, Failure};
use crate::value::Value;

/// An encoding that answers are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// `gzip`
    Gzip,
    /// `deflate`, in zlib's frame
    Deflate,
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
        }
    }
}

impl CompressResponse {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["algorithms"])?;
        let all = vec![Algorithm::Gzip, Algorithm::Deflate];
        let algorithms = fields.or("algorithms", all, |place| {
            // The vendor's other two may be listed, and are never chosen: whoever lists them lists these too, or
            // gets the answer as it is.
            let choices = [
                ("gzip", Some(Algorithm::Gzip)),
                ("deflate", Some(Algorithm::Deflate)),
                ("br", None),
                ("compress", None),
            ];
            Some(place.list(1..=4, |place| place.choice(&choices))?.into_iter().flatten().collect())
        })?;
        Some(Self { algorithms })
    }

    pub(crate) fn act(&self, exchange: &mut Exchange) -> Result<Next, Failure> {
        let Some((status, headers)) = &mut exchange.response else { return Ok(Next::Go) };
        let already = headers.contains_key(header::CONTENT_ENCODING);
        let streamed = headers
            .get(header::CONTENT_TYPE)
            .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"text/event-stream"));
        // The messages of a stream are to arrive when they are sent; a compressor would keep them.
        let bodiless = status.is_informational() || matches!(status.as_u16(), 204 | 205 | 206 | 304);
        let chosen = if already || streamed || bodiless {
            None
        } else {
            negotiated(&self.algorithms, &exchange.arrival.headers)
        };
        if let Some(algorithm) = chosen {
            headers.remove(header::CONTENT_LENGTH);
            headers.remove(header::ETAG);
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(algorithm.name()));
            headers.append(header::VARY, HeaderValue::from_static("accept-encoding"));
        }
        exchange.compress = chosen;
        let name = chosen.map_or("", Algorithm::name);
        exchange.found(
            "compress",
            [("already_compressed", already.into()), ("negotiated_algorithm", name.into())],
        );
        Ok(Next::Go)
    }
}

/// The encoding that the caller likes best; among equals the one that stands first.
fn negotiated(algorithms: &[Algorithm], headers: &HeaderMap) -> Option<Algorithm> {
    let mut best: Option<(u32, Algorithm)> = None;
    for algorithm in algorithms {
        let weight = headers
            .get_all(header::ACCEPT_ENCODING)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|coding| weight(coding, algorithm.name()))
            .max_by_key(|(named, _)| *named)
            .map_or(0, |(_, weight)| weight);
        if weight > best.map_or(0, |(weight, _)| weight) {
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
    let quality = match parameter.trim().strip_prefix("q=") {
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
        for (accepts, chosen) in [
            ("gzip, deflate", Some(Algorithm::Gzip)),
            ("gzip;q=0.5, deflate;q=0.8", Some(Algorithm::Deflate)),
            ("*", Some(Algorithm::Gzip)),
            ("gzip;q=0, *;q=0.1", Some(Algorithm::Deflate)),
            ("br", None),
            ("gzip;q=nonsense", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(accepts));
            assert_eq!(negotiated(&both, &headers), chosen, "{accepts}");
        }
    }
}
