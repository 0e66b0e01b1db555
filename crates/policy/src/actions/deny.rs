//! `deny`: an empty answer with a status.

use http::StatusCode;

use super::Next;
use crate::document::place::Place;
use crate::run::{Answer, Written};

/// A refusal without words.
pub struct Deny {
    status: StatusCode,
}

impl Deny {
    pub(crate) fn read(place: &Place<'_>) -> Option<Self> {
        let fields = place.fields(&["status_code"])?;
        let status = fields.or("status_code", StatusCode::FORBIDDEN, |place| status(place, 200..=599))?;
        Some(Self { status })
    }

    pub(crate) fn act(&self) -> Next {
        Next::End(Answer::Written(Written::empty(self.status)))
    }
}

/// A status that may be answered.
pub(super) fn status(place: &Place<'_>, range: std::ops::RangeInclusive<i64>) -> Option<StatusCode> {
    let number = place.integer(range)?;
    u16::try_from(number).ok().and_then(|number| StatusCode::from_u16(number).ok())
}
