//! What is still to come of a provider's answer.

use bytes::{Bytes, BytesMut};
use http::Response;
use http_body_util::{BodyExt as _, Either, Full};
use hyper::body::Incoming;

/// The body of a provider's answer: it comes, or was read already.
pub type AnswerBody = Either<Incoming, Full<Bytes>>;

/// Reads an answer that is expected to be short; `None` if it breaks off, or goes on beyond `most` bytes.
pub async fn read(answer: Response<Incoming>, most: usize) -> Option<(Response<AnswerBody>, Bytes)> {
    let (head, mut body) = answer.into_parts();
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame.ok()?.into_data() {
            if read.len() + data.len() > most {
                return None;
            }
            read.extend_from_slice(&data);
        }
    }
    let read = read.freeze();
    Some((Response::from_parts(head, Either::Right(Full::new(read.clone()))), read))
}
