//! A multipart form, read whole.

use bytes::Bytes;
use futures_util::stream;

use crate::answer::Refusal;
use crate::question::Question;

/// The parts of a form, in order.
pub(super) struct Form(Vec<Part>);

/// One part.
pub(super) struct Part {
    name: String,
    pub(super) file_name: Option<String>,
    pub(super) content: Bytes,
}

impl Form {
    /// Reads a question's body as a form.
    pub(super) async fn of(question: &Question) -> Result<Self, Refusal> {
        let unreadable = || Refusal::invalid("body", "Could not parse multipart form");
        let content_type = question.header("content-type").unwrap_or_default();
        let boundary = multer::parse_boundary(content_type).map_err(|_| unreadable())?;
        let body = stream::iter([Ok::<_, std::convert::Infallible>(question.body.clone())]);
        let mut multipart = multer::Multipart::new(body, boundary);
        let mut parts = Vec::new();
        while let Some(field) = multipart.next_field().await.map_err(|_| unreadable())? {
            let name = field.name().unwrap_or_default().to_owned();
            let file_name = field.file_name().map(str::to_owned);
            let content = field.bytes().await.map_err(|_| unreadable())?;
            parts.push(Part { name, file_name, content });
        }
        Ok(Self(parts))
    }

    /// The first part of this name.
    pub(super) fn part(&self, name: &str) -> Option<&Part> {
        self.0.iter().find(|part| part.name.strip_suffix("[]").unwrap_or(&part.name) == name)
    }

    /// The text of a part.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(&self.part(name)?.content).ok()
    }

    /// A part that the endpoint cannot do without.
    pub(super) fn required(&self, name: &str) -> Result<&Part, Refusal> {
        self.part(name).ok_or_else(|| Refusal::missing(name))
    }
}
