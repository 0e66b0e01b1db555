//! A request's body on its way in: read as a whole within bounds, inflated, or looked at as far as its
//! model is named.

use std::io::Read as _;

use bytes::{Buf as _, Bytes, BytesMut};
use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use memchr::memmem;

use crate::buffered::Buffered;
use crate::config::Bounds;
use crate::refusal::Refusal;

/// A request's body, as far as it has come.
pub enum Arriving {
    /// It comes.
    Stream(Incoming),
    /// All of it is there.
    Whole(Bytes),
}

/// All of a body, which stays where it was.
pub async fn arrived(bounds: &Bounds, body: &mut Arriving) -> Result<Bytes, Refusal> {
    if let Arriving::Stream(_) = body
        && let Arriving::Stream(stream) = std::mem::replace(body, Arriving::Whole(Bytes::new()))
    {
        *body = Arriving::Whole(whole(bounds, stream).await?);
    }
    match body {
        Arriving::Whole(bytes) => Ok(bytes.clone()),
        Arriving::Stream(_) => Err(Refusal::Bug),
    }
}

/// A body as it was meant, if it is compressed in a way that is read here or not at all.
pub async fn plain(bounds: &Bounds, headers: &HeaderMap, body: &Bytes) -> Result<Option<Bytes>, Refusal> {
    Ok(match inflated(bounds, headers, body).await? {
        Plain::AsItCame => Some(body.clone()),
        Plain::Inflated(text) => Some(text),
        Plain::Unreadable => None,
    })
}

/// How a body can be read.
pub(super) enum Plain {
    /// It came so.
    AsItCame,
    /// It was compressed.
    Inflated(Bytes),
    /// It is compressed in a way that we do not read.
    Unreadable,
}

/// The whole body. One that comes in one piece, as nearly all do, is not copied.
async fn whole(bounds: &Bounds, mut body: Incoming) -> Result<Bytes, Refusal> {
    let limit = bounds.max_json_bytes;
    let too_large = Refusal::BodyTooLarge { limit };
    // A length that is announced is refused before the caller is told to go on.
    if body.size_hint().lower() > limit {
        return Err(too_large);
    }
    let announced = body.size_hint().lower();
    let Some(first) = next(bounds, &mut body).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() {
        return Ok(first);
    }
    // What is announced may never come, so no more than this is reserved on a promise.
    const TRUSTED: u64 = 1 << 20;
    let mut all = BytesMut::with_capacity(announced.min(TRUSTED).max(2 * first.len() as u64) as usize);
    let mut memory = Buffered::default();
    memory.grow(all.capacity(), bounds.max_buffered_bytes)?;
    all.extend_from_slice(&first);
    while let Some(more) = next(bounds, &mut body).await? {
        if (all.len() + more.len()) as u64 > limit {
            return Err(too_large);
        }
        all.extend_from_slice(&more);
        memory.grow(all.capacity(), bounds.max_buffered_bytes)?;
        if body.is_end_stream() {
            break;
        }
    }
    Ok(memory.keep(all.freeze()))
}

/// The next piece of data; trailers are of no use to us.
async fn next(bounds: &Bounds, body: &mut Incoming) -> Result<Option<Bytes>, Refusal> {
    loop {
        let frame = tokio::time::timeout(bounds.body_idle, body.frame())
            .await
            .map_err(|_| Refusal::BodyTimeout { seconds: bounds.body_idle.as_secs() })?;
        match frame {
            None => return Ok(None),
            Some(Err(_)) => return Err(Refusal::BodyBroken),
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

pub(super) async fn inflated(bounds: &Bounds, headers: &HeaderMap, body: &Bytes) -> Result<Plain, Refusal> {
    let Some(encoding) = headers.get(CONTENT_ENCODING) else { return Ok(Plain::AsItCame) };
    let several = headers.get_all(CONTENT_ENCODING).iter().nth(1).is_some();
    let encoding = encoding.to_str().unwrap_or_default().trim().to_ascii_lowercase();
    let is_gzip = match encoding.as_str() {
        _ if several => return Ok(Plain::Unreadable),
        "" | "identity" => return Ok(Plain::AsItCame),
        "gzip" | "x-gzip" => true,
        "deflate" => false,
        _ => return Ok(Plain::Unreadable),
    };
    let (body, bounds) = (body.clone(), bounds.clone());
    let inflating = tokio::task::spawn_blocking(move || match is_gzip {
        true => read_plain(&bounds, MultiGzDecoder::new(body.reader())),
        false => read_plain(&bounds, ZlibDecoder::new(body.reader())),
    });
    inflating.await.unwrap_or(Err(Refusal::Bug)).map(Plain::Inflated)
}

/// Reads bit by bit, because a few bytes inflate to a thousand times as many.
fn read_plain(bounds: &Bounds, mut inflated: impl std::io::Read) -> Result<Bytes, Refusal> {
    const BIT: u64 = 256 * 1024;
    let (mut plain, mut memory) = (Vec::new(), Buffered::default());
    while inflated.by_ref().take(BIT).read_to_end(&mut plain).map_err(|_| Refusal::Inflation)? > 0 {
        if plain.len() as u64 > bounds.max_json_bytes {
            return Err(Refusal::BodyTooLarge { limit: bounds.max_json_bytes });
        }
        memory.grow(plain.capacity(), bounds.max_buffered_bytes)?;
    }
    Ok(memory.keep(plain))
}

const PEEK_BYTES: usize = 64 * 1024;

/// The frames that hold the beginning of a form, as far as a model is looked for in it.
pub(super) async fn peek(bounds: &Bounds, mut body: Incoming) -> Result<(Vec<Bytes>, Incoming), Refusal> {
    let (mut peeked, mut length) = (Vec::new(), 0);
    while length < PEEK_BYTES && form_model(&peeked).is_none() {
        let Some(data) = next(bounds, &mut body).await? else { break };
        length += data.len();
        peeked.push(data);
    }
    Ok((peeked, body))
}

/// Whether a body says that it is JSON.
pub fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.get(..16).is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"))
}

pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.get(..20).is_some_and(|kind| kind.eq_ignore_ascii_case("multipart/form-data;"))
}

/// The form's field `model`, if it stands whole in what was peeked.
pub(super) fn form_model(peeked: &[Bytes]) -> Option<String> {
    let joined;
    let form: &[u8] = match peeked {
        [] => return None,
        [only] => only,
        several => {
            joined = several.concat();
            &joined
        }
    };
    let named = memmem::find(form, b"name=\"model\"").or_else(|| memmem::find(form, b"name=model\r"))?;
    let value = named + memmem::find(&form[named..], b"\r\n\r\n")? + 4;
    let length = memmem::find(&form[value..], b"\r\n").filter(|length| *length <= 256)?;
    str::from_utf8(&form[value..value + length]).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forms_model_is_found_wherever_frames_cut_it() {
        let form = "--x\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--x--\r\n";
        for cut in 0..form.len() {
            let (head, tail) = form.split_at(cut);
            let frames = [Bytes::from_static(head.as_bytes()), Bytes::from_static(tail.as_bytes())];
            assert_eq!(form_model(&frames).as_deref(), Some("whisper-1"), "{cut}");
        }
        assert_eq!(form_model(&[Bytes::from_static(&form.as_bytes()[..55])]), None);
    }
}
