//! A provider's answer while the policy looks at it. Whatever becomes of it, and of the caller who waits for it,
//! its record is closed with what was used.

use bytes::Bytes;
use http::Response;
use http::header::{self, HeaderMap, HeaderValue};
use http::response::Parts;
use http_body::Body as _;

use crate::answer::Answer;
use crate::config::Bounds;
use crate::refusal::{Listener, Refusal};
use crate::relayed::{Ended, NotWhole, Relayed, Shown};
use crate::visit::{self, Visit};

/// An answer of which nothing was sent.
pub(super) struct Came {
    /// Taken when something is sent.
    body: Option<Body>,
}

enum Body {
    /// Nothing of it was read.
    Coming(Box<Relayed>),
    /// All of it was.
    Whole(Bytes, Box<Ended>),
}

impl Came {
    pub(super) fn new(relayed: Relayed) -> Self {
        Self { body: Some(Body::Coming(Box::new(relayed))) }
    }

    /// The request that it answers.
    pub(super) fn visit(&mut self) -> Option<&mut Visit> {
        match self.body.as_mut()? {
            Body::Coming(relayed) => relayed.visit(),
            Body::Whole(_, ended) => Some(&mut ended.visit),
        }
    }

    /// What was read of it: all, or nothing.
    pub(super) fn read(&self) -> Option<Bytes> {
        match &self.body {
            Some(Body::Whole(bytes, _)) => Some(bytes.clone()),
            _ => None,
        }
    }

    /// All of it, if there is room.
    pub(super) async fn whole(&mut self, bounds: &Bounds) -> Result<Option<Bytes>, Refusal> {
        let relayed = match self.body.take() {
            Some(Body::Coming(relayed)) => *relayed,
            body => {
                self.body = body;
                return Ok(self.read());
            }
        };
        let (body, read) = match relayed.whole_within(bounds).await {
            Ok((bytes, ended)) => (Body::Whole(bytes.clone(), Box::new(ended)), Ok(Some(bytes))),
            Err(NotWhole::TooLong(relayed)) => (Body::Coming(Box::new(relayed)), Ok(None)),
            Err(NotWhole::Broken(refusal, relayed)) => (Body::Coming(Box::new(relayed)), Err(refusal)),
        };
        self.body = Some(body);
        read
    }

    /// Reads it, which is a small one, unless that was done.
    pub(super) async fn read_small(&mut self) -> Result<(), (Refusal, Visit)> {
        self.body = match self.body.take() {
            Some(Body::Coming(relayed)) => {
                let (bytes, ended) = relayed.whole().await?;
                Some(Body::Whole(bytes, Box::new(ended)))
            }
            body => body,
        };
        Ok(())
    }

    /// The caller is sent this body, once all was read.
    pub(super) fn sent(mut self, mut head: Parts, body: Bytes) -> Response<Answer> {
        if let Some(visit) = self.visit() {
            let record = visit.record();
            (record.status, record.response_bytes) = (head.status.as_u16(), body.len() as u64);
            visit.mark(&mut head.headers);
        }
        if let Some(Body::Whole(_, ended)) = self.body.take() {
            ended.close();
        }
        Response::from_parts(head, Answer::Whole(body))
    }

    /// The caller is sent it as it comes.
    pub(super) fn flows(mut self, mut head: Parts, shown: Option<Box<Shown>>) -> Response<Answer> {
        if let Some(visit) = self.visit() {
            visit.record().status = head.status.as_u16();
            visit.mark(&mut head.headers);
        }
        let answer = match self.body.take() {
            Some(Body::Coming(mut relayed)) => {
                relayed.show(shown);
                Answer::Relayed(relayed)
            }
            _ => Answer::default(),
        };
        Response::from_parts(head, answer)
    }

    /// It could not go on, which the caller is told.
    pub(super) fn broken(mut self, listener: Listener, refusal: Refusal) -> Response<Answer> {
        let mut response = visit::told(listener, &refusal);
        self.note(&mut response);
        match self.body.take() {
            Some(Body::Coming(relayed)) => relayed.broken(refusal),
            Some(Body::Whole(_, mut ended)) => {
                ended.visit.blame(&refusal);
                ended.close();
            }
            None => (),
        }
        response
    }

    /// The caller is sent this instead.
    pub(super) fn replaced(
        mut self,
        mut response: Response<Answer>,
        refusal: Option<Refusal>,
    ) -> Response<Answer> {
        self.note(&mut response);
        match self.body.take() {
            Some(Body::Coming(relayed)) => relayed.replaced(refusal),
            Some(Body::Whole(_, mut ended)) => {
                match refusal {
                    Some(refusal) => ended.visit.blame(&refusal),
                    None => ended.visit.replaced(),
                }
                ended.close();
            }
            None => (),
        }
        response
    }

    /// Writes into the record what the caller is sent, and marks that as all answers are.
    fn note(&mut self, response: &mut Response<Answer>) {
        let Some(visit) = self.visit() else { return };
        visit.mark(response.headers_mut());
        let record = visit.record();
        record.status = response.status().as_u16();
        record.response_bytes = response.body().size_hint().lower();
        record.response_content_type = visit::content_type(response.headers()).chars().take(128).collect();
    }
}

/// The caller left. What was read is due all the same.
impl Drop for Came {
    fn drop(&mut self) {
        if let Some(Body::Whole(_, mut ended)) = self.body.take() {
            ended.visit.left();
            ended.close();
        }
    }
}

/// What the provider says of the body.
pub(super) struct Described {
    /// `content-encoding`, and nothing else.
    pub(super) encoding: HeaderMap,
    /// `content-length`.
    pub(super) length: Option<HeaderValue>,
}

impl Described {
    pub(super) fn by(headers: &HeaderMap) -> Self {
        let mut encoding = HeaderMap::new();
        for value in headers.get_all(header::CONTENT_ENCODING) {
            encoding.append(header::CONTENT_ENCODING, value.clone());
        }
        Self { encoding, length: headers.get(header::CONTENT_LENGTH).cloned() }
    }

    pub(super) fn is_encoded(&self) -> bool {
        self.encoding.values().any(|encoding| encoding != "identity")
    }

    /// Lets headers say of the length what is true, whatever the policy wrote.
    pub(super) fn correct(&self, headers: &mut HeaderMap, is_changed: bool) {
        match &self.length {
            Some(length) if !is_changed && headers.contains_key(header::CONTENT_LENGTH) => {
                headers.insert(header::CONTENT_LENGTH, length.clone());
            }
            _ => {
                headers.remove(header::CONTENT_LENGTH);
            }
        }
    }
}
