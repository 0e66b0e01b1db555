//! The fastest fixed answer that hyper gives: the ceiling under which proxies are compared.
//!
//! `POST` anything: a chat completion of one kilobyte, or, if the body has `"stream":true`, a hundred chunks, each
//! written on its own. `GET /count` says how many requests were answered.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use memchr::memmem;
use serde_json::json;

use crate::answer::encoded;
use crate::listener::{self, Unanswered};
use crate::words;

const CHUNKS: usize = 100;
const STREAM: &[u8] = b"\"stream\":true";

/// Serves fixed answers until the process is told to stop.
pub(crate) async fn run(addr: SocketAddr) -> anyhow::Result<()> {
    let mock = Arc::new(Mock { count: AtomicU64::new(0), completion: completion(), chunks: chunks() });
    listener::listen("Mock", addr, move |request, _| answer(Arc::clone(&mock), request)).await
}

struct Mock {
    count: AtomicU64,
    completion: Bytes,
    chunks: Arc<[Bytes]>,
}

async fn answer(mock: Arc<Mock>, request: Request<Incoming>) -> Result<Response<MockBody>, Unanswered> {
    if request.method() == Method::GET {
        let count = mock.count.load(Ordering::Relaxed).to_string();
        return Ok(Response::new(MockBody::Whole(Some(count.into()))));
    }
    let wants_stream = drained(request.into_body()).await?;
    mock.count.fetch_add(1, Ordering::Relaxed);
    let (content_type, body) = if wants_stream {
        let body = MockBody::Chunks { chunks: Arc::clone(&mock.chunks), next: 0, is_written: true };
        ("text/event-stream; charset=utf-8", body)
    } else {
        ("application/json", MockBody::Whole(Some(mock.completion.clone())))
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    Ok(response)
}

/// Reads a body to its end and says whether a stream is asked for. Only the first frame is looked at: the load that
/// we drive names `stream` early.
async fn drained(mut body: Incoming) -> Result<bool, Unanswered> {
    let mut wants_stream = None;
    while let Some(frame) = std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| Unanswered)?;
        if let (None, Some(data)) = (wants_stream, frame.data_ref()) {
            wants_stream = Some(memmem::find(&data[..data.len().min(1024)], STREAM).is_some());
        }
    }
    Ok(wants_stream.unwrap_or(false))
}

enum MockBody {
    Whole(Option<Bytes>),
    Chunks {
        chunks: Arc<[Bytes]>,
        next: usize,
        /// The chunk before this one has had its turn to be written.
        is_written: bool,
    },
}

impl Body for MockBody {
    type Data = Bytes;
    type Error = Unanswered;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Unanswered>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Chunks { is_written, .. } if !*is_written => {
                *is_written = true;
                context.waker().wake_by_ref();
                Poll::Pending
            }
            Self::Chunks { chunks, next, is_written } => {
                let chunk = chunks.get(*next).cloned();
                *next += 1;
                *is_written = false;
                Poll::Ready(chunk.map(|chunk| Ok(Frame::data(chunk))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.is_none(),
            Self::Chunks { chunks, next, .. } => *next >= chunks.len(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Chunks { .. } => SizeHint::default(),
        }
    }
}

/// A completion of one kilobyte.
fn completion() -> Bytes {
    let document = |text: &str| {
        encoded(&json!({
            "id": "chatcmpl-C0ffeeC0ffeeC0ffeeC0ffeeC0ffe",
            "object": "chat.completion",
            "created": 1_760_000_000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": text, "refusal": null, "annotations": []},
                "logprobs": null,
                "finish_reason": "stop",
            }],
            "usage": usage(),
            "service_tier": "default",
            "system_fingerprint": "fp_51db84afab",
        }))
    };
    let envelope = document("").len();
    document(&words::filler(1024 - envelope)).into()
}

fn chunks() -> Arc<[Bytes]> {
    let frame = |choices, usage| {
        let mut frame = b"data: ".to_vec();
        frame.extend(encoded(&json!({
            "id": "chatcmpl-C0ffeeC0ffeeC0ffeeC0ffeeC0ffe",
            "object": "chat.completion.chunk",
            "created": 1_760_000_000,
            "model": "gpt-4o-mini-2024-07-18",
            "service_tier": "default",
            "system_fingerprint": "fp_51db84afab",
            "choices": choices,
            "usage": usage,
        })));
        frame.extend(b"\n\n");
        frame
    };
    let delta = json!([{"index": 0, "delta": {"content": " coin"}, "logprobs": null, "finish_reason": null}]);
    let last = json!([{"index": 0, "delta": {}, "logprobs": null, "finish_reason": "stop"}]);
    let mut chunks: Vec<Vec<u8>> = (0..CHUNKS - 2).map(|_| frame(delta.clone(), json!(null))).collect();
    chunks.push(frame(last, json!(null)));
    chunks.push([frame(json!([]), usage()), b"data: [DONE]\n\n".to_vec()].concat());
    chunks.into_iter().map(Bytes::from).collect()
}

fn usage() -> serde_json::Value {
    json!({
        "prompt_tokens": 19,
        "completion_tokens": 100,
        "total_tokens": 119,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": 0,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_completion_has_one_kilobyte() {
        assert_eq!(completion().len(), 1024);
        assert_eq!(chunks().len(), CHUNKS);
    }
}
