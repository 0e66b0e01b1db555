//! The messages of a stream as the gateway's traffic policy leaves them. None passes that was not looked at
//! as a whole, whichever way it was cut on its way here.

use std::time::{Duration, Instant};

use bytes::{Buf as _, Bytes};
use policy::Run;
use policy::run::Message;
use providers::sse::{self, Boundaries};
use providers::stream::LONGEST;

use crate::buffered::Buffered;
use crate::refusal::Refusal;

/// Shows the messages of one stream to the policy.
pub struct Messages {
    run: Run,
    boundaries: Boundaries,
    /// The beginning of a message whose end has not come; no longer than [`LONGEST`].
    partial: Vec<u8>,
    memory: Buffered,
    /// How much all that is held of bodies may take together.
    most_buffered: u64,
}

/// For how long others may be kept waiting.
const TURN: Duration = Duration::from_millis(1);

impl Messages {
    /// For a stream whose answer the run has looked at.
    pub fn new(run: Run, most_buffered: u64) -> Self {
        let boundaries = Boundaries::default();
        Self { run, boundaries, partial: Vec::new(), memory: Buffered::default(), most_buffered }
    }

    /// Takes messages from what came and writes them as the policy leaves them, as many as there is time for.
    /// If one cannot be looked at, the stream must end.
    pub(super) fn look(&mut self, came: &mut Bytes, left: &mut Vec<u8>) -> Result<(), Refusal> {
        let began = Instant::now();
        while !came.is_empty() {
            match self.boundaries.next_end(came) {
                Some(end) if self.partial.is_empty() => self.message(&came.split_to(end), left)?,
                Some(end) => {
                    self.keep(&came.split_to(end))?;
                    let message = std::mem::take(&mut self.partial);
                    self.message(&message, left)?;
                    self.memory = Buffered::default();
                }
                None => {
                    self.keep(came)?;
                    came.advance(came.len());
                }
            }
            if began.elapsed() >= TURN {
                break;
            }
        }
        Ok(())
    }

    /// The last message, if nothing ended it: some who read streams take it all the same.
    pub(super) fn finish(&mut self, left: &mut Vec<u8>) -> Result<(), Refusal> {
        let message = std::mem::take(&mut self.partial);
        self.message(&message, left)
    }

    fn keep(&mut self, bytes: &[u8]) -> Result<(), Refusal> {
        if self.partial.len() + bytes.len() > LONGEST {
            return Err(unreadable("a message of the stream is too long to be looked at"));
        }
        self.partial.extend_from_slice(bytes);
        self.memory.grow(self.partial.capacity(), self.most_buffered)
    }

    fn message(&mut self, event: &[u8], left: &mut Vec<u8>) -> Result<(), Refusal> {
        let (data, retry) = (sse::data(event), sse::retry(event));
        if data.is_none() && retry.is_none() {
            left.extend_from_slice(event);
            return Ok(());
        }
        let text = |bytes: &[u8]| str::from_utf8(bytes).map(str::to_owned);
        let read = |bytes: Option<&[u8]>| bytes.map(text).transpose();
        let (Ok(data), Ok(retry)) = (read(data.as_deref()), read(retry)) else {
            return Err(unreadable("a message of the stream is not text"));
        };
        let mut message = Message { data: data.clone().unwrap_or_default(), retry: retry.clone() };
        self.run.message(&mut message).map_err(Refusal::Policy)?;
        let data = data.filter(|data| *data != message.data).map(|_| message.data.as_str());
        let retry = message.retry.as_deref().filter(|now| Some(*now) != retry.as_deref());
        match (data, retry) {
            (None, None) => left.extend_from_slice(event),
            _ => left.extend_from_slice(&sse::rewritten(event, data, retry)),
        }
        Ok(())
    }
}

/// What the policy must see and cannot.
pub fn unreadable(detail: &str) -> Refusal {
    Refusal::Policy(Box::new(policy::run::Refusal {
        status: http::StatusCode::SERVICE_UNAVAILABLE,
        code: Some(2253),
        message: "What the gateway's traffic policy needs is not available.".to_owned(),
        headers: http::HeaderMap::new(),
        detail: Some(detail.to_owned()),
    }))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::sync::Arc;

    use http::{HeaderMap, Method, StatusCode, Uri, Version};
    use policy::facts::Connection;
    use policy::run::Arrival;
    use policy::{Operator, Policy};
    use time::OffsetDateTime;

    use super::*;

    fn run(text: &str) -> Run {
        let policy = Policy::parse(text, &Operator::default()).unwrap();
        let now = OffsetDateTime::UNIX_EPOCH;
        let mut run = Run::new(
            Arc::new(policy),
            Arrival {
                now,
                seed: 1,
                id: "req_1".to_owned(),
                connection: Connection {
                    client_ip: Ipv4Addr::LOCALHOST.into(),
                    client_port: 1,
                    server_ip: Ipv4Addr::LOCALHOST.into(),
                    server_port: 2,
                    started_at: now,
                    tls: None,
                },
                endpoint: None,
                method: Method::POST,
                scheme: "http",
                authority: "gateway.example".to_owned(),
                uri: Uri::from_static("/"),
                version: Version::HTTP_11,
                headers: HeaderMap::new(),
                secrets: Arc::new(|_, _| None),
            },
        );
        run.start();
        run.response(StatusCode::OK, HeaderMap::new(), None);
        run
    }

    const REPLACES: &str = "
on_event_stream_message:
  - type: sse-find-replace
    config: { replacements: [{ from: 'se+cret', to: \"two\\nlines\" }] }
";

    fn shown(chunks: impl IntoIterator<Item = Bytes>) -> Result<String, Refusal> {
        let (mut messages, mut left) = (Messages::new(run(REPLACES), 1 << 30), Vec::new());
        for mut came in chunks {
            // As often as it takes: it pauses for others.
            while !came.is_empty() {
                messages.look(&mut came, &mut left)?;
            }
        }
        messages.finish(&mut left)?;
        Ok(String::from_utf8(left).unwrap())
    }

    #[test]
    fn it_makes_no_difference_where_a_stream_is_cut() {
        for end in ["\n", "\r\n", "\r"] {
            let stream = "\u{feff}data: a secret\n\n: secret\n\nevent: x\ndata: see\ndata:cret seecret\nid: 1\n\ndata: [DONE]\n\n";
            let expected = "\u{feff}data: a two\ndata: lines\n\n: secret\n\nevent: x\ndata: see\ndata: cret two\ndata: lines\nid: 1\n\ndata: [DONE]\n\n";
            let (stream, expected) = (stream.replace('\n', end), expected.replace('\n', end));
            for size in 1..stream.len() {
                let chunks = stream.as_bytes().chunks(size).map(Bytes::copy_from_slice);
                assert_eq!(shown(chunks).unwrap(), expected, "{size} {end:?}");
            }
        }
    }

    #[test]
    fn what_cannot_be_looked_at_does_not_pass() {
        let endless = std::iter::once(Bytes::from_static(b"data: "))
            .chain(std::iter::repeat_n(Bytes::from(vec![b'x'; 1 << 20]), 17));
        assert!(shown(endless).is_err());
        assert!(shown([Bytes::from_static(b"data: \xff\n\n")]).is_err());
    }
}
