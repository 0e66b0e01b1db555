//! What is known of a request once it was compared with what is allowed.

use std::ops::Range;

use super::pictures::Detail;
use super::{Credits, Forbidden, shape};
use crate::endpoint::Endpoint;
use crate::scan::{Kind, Member, Name, Value};

/// What is noted of a body while it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    /// The model.
    Model,
    /// Whether the answer is a stream.
    Stream,
    /// Whether the caller wants to be told the usage of a stream.
    IncludeUsage,
    /// A limit of output.
    Limit,
    /// How many answers.
    Copies,
    /// How many are made, of which some are answered.
    BestOf,
    /// Whether the answer is kept.
    Store,
    /// The service tier.
    Tier,
    /// A kind of output.
    Modality,
    /// One prompt of several.
    Prompt,
    /// A string that is no text: a file, or where one is.
    Data,
    /// A picture to be looked at.
    Picture,
    /// How closely, in the same object.
    Detail,
    /// Sound to be heard.
    Sound,
    /// A file to be read.
    File,
    /// A text to be spoken.
    Spoken,
    /// The size of a picture to be made.
    Size,
    /// Its quality.
    Quality,
    /// How many drafts are shown of it.
    Drafts,
    /// A place up to which the cache is to be used.
    Cached,
    /// How long that is to be kept there.
    Lifetime,
    /// How much may be thought.
    Budget,
    /// Something that the provider explains to the model in words of its own: tools, or how to answer.
    Explained,
    /// Something that it tells the model in another form.
    Retold,
    /// That the model is to think, if it can.
    Thinks,
    /// That it is not to.
    ThinksNot,
    /// Whether sources are to be told of a document, which is cut into pieces for that.
    Cited,
}

/// What decides how much a permitted request can cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    pub(super) credits: &'static Credits,
    pub(super) endpoint: Endpoint,
    pub(super) model: String,
    pub(super) stream: bool,
    pub(super) include_usage: bool,
    /// The length of the body.
    body_bytes: u64,
    /// The parts of it that are no text.
    pub(super) data: Vec<Range<usize>>,
    /// The text's tokens, if they were counted.
    pub(super) counted: Option<u64>,
    pub(super) pictures: Pictures,
    /// In the object that is being read: whether there is a picture, and how closely it is looked at.
    picture: bool,
    detail: Detail,
    pub(super) sounds: u64,
    pub(super) files: u64,
    pub(super) speaks: bool,
    pub(super) limit: Option<Limit>,
    copies: Option<u64>,
    best_of: Option<u64>,
    prompts: u64,
    pub(super) store: Option<Member>,
    /// Whether the caller asked for the regular tier by its name.
    pub(super) standard_tier: bool,
    /// In UTF-16 units, of which there are never fewer than characters.
    pub(super) spoken: u64,
    pub(super) size: String,
    pub(super) quality: String,
    pub(super) drafts: u64,
    pub(super) cache: Cache,
    pub(super) budget: Option<u64>,
    pub(super) explained: u64,
    /// How long what is explained and retold is, as it stands in the body.
    pub(super) retold_bytes: u64,
    /// Whether the model is to think, if the request says.
    pub(super) thinks: Option<bool>,
}

/// What the cache is asked for, the dearer after the cheaper.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) enum Cache {
    /// Nothing.
    #[default]
    Never,
    /// To keep something for the usual time.
    Short,
    /// To keep something for longer.
    Long,
}

/// How many pictures there are to look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pictures {
    pub(super) low: u64,
    pub(super) other: u64,
}

/// The limit of output that the caller named.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) member: Member,
    /// `None` where it is null.
    pub(super) tokens: Option<u64>,
}

impl Facts {
    pub(super) fn new(credits: &'static Credits, endpoint: Endpoint, body_bytes: u64) -> Self {
        Self {
            credits,
            endpoint,
            model: String::new(),
            stream: false,
            include_usage: false,
            body_bytes,
            data: Vec::new(),
            counted: None,
            pictures: Pictures::default(),
            picture: false,
            detail: Detail::default(),
            sounds: 0,
            files: 0,
            speaks: false,
            limit: None,
            copies: None,
            best_of: None,
            prompts: 0,
            store: None,
            standard_tier: false,
            spoken: 0,
            size: String::new(),
            quality: String::new(),
            drafts: 0,
            cache: Cache::Never,
            budget: None,
            explained: 0,
            retold_bytes: 0,
            thinks: None,
        }
    }

    /// The operation.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint
    }

    /// The model, as the provider knows it.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// Whether the answer is asked for as a stream.
    pub fn stream(&self) -> bool {
        self.stream
    }

    /// Whether the caller asked to be told the usage of a stream.
    pub fn include_usage(&self) -> bool {
        self.include_usage
    }

    /// How many answers are told, each of which a stream that is cut off has to end.
    pub fn answers(&self) -> u64 {
        self.copies.unwrap_or(1).saturating_mul(self.prompts.max(1))
    }

    /// Bytes of the body that can become text of the prompt. Names and brackets are among them, and make
    /// up for what the provider adds to messages.
    pub(super) fn text_bytes(&self) -> u64 {
        let data: usize = self.data.iter().map(ExactSizeIterator::len).sum();
        self.body_bytes - data as u64
    }

    /// The limit of output that is named.
    pub(super) fn limit_tokens(&self) -> Option<u64> {
        self.limit.as_ref().and_then(|limit| limit.tokens)
    }

    /// How many outputs are made.
    pub(super) fn outputs(&self) -> u64 {
        let each = self.copies.unwrap_or(1).max(self.best_of.unwrap_or(1));
        each.saturating_mul(self.prompts.max(1))
    }

    pub(super) fn note(
        &mut self,
        mark: Mark,
        value: &Value<'_>,
        name: Option<Name<'_>>,
    ) -> Result<(), Forbidden> {
        let member = || name.map(|name| name.member(value.clone()));
        match mark {
            // These two are replaced where they stand, null or not.
            Mark::Store => self.store = member(),
            Mark::Limit => return self.note_limit(value, member()),
            _ if value.kind == Kind::Null => {}
            Mark::Model => self.model = shape::text(value)?.into_owned(),
            Mark::Stream => self.stream = value.kind == Kind::True,
            Mark::IncludeUsage => self.include_usage = value.kind == Kind::True,
            Mark::Copies => self.copies = Some(number(value, MOST_COPIES)?),
            Mark::BestOf => self.best_of = Some(number(value, MOST_COPIES)?),
            Mark::Tier => {
                self.standard_tier = matches!(&*shape::text(value)?, "default" | "standard_only");
            }
            Mark::Modality => self.speaks |= shape::text(value)? == "audio",
            Mark::Prompt => self.prompts += 1,
            Mark::Data => self.data.push(value.span.clone()),
            Mark::Picture => self.picture = true,
            Mark::Detail => self.detail = Detail::of(&shape::text(value)?),
            Mark::Sound => self.sounds += 1,
            Mark::File => self.files += 1,
            Mark::Spoken => self.spoken = shape::text(value)?.encode_utf16().count() as u64,
            Mark::Size => self.size = shape::text(value)?.into_owned(),
            Mark::Quality => self.quality = shape::text(value)?.into_owned(),
            Mark::Drafts => self.drafts = shape::whole(value)?,
            Mark::Cached => self.cache = self.cache.max(Cache::Short),
            Mark::Lifetime if shape::text(value)? != "5m" => self.cache = Cache::Long,
            Mark::Lifetime => {}
            Mark::Budget => self.budget = Some(number(value, MOST_OUTPUT)?),
            Mark::Explained => {
                self.explained += 1;
                self.retold_bytes += value.span.len() as u64;
            }
            Mark::Retold => self.retold_bytes += value.span.len() as u64,
            // Of two words, the dearer one.
            Mark::Thinks => self.thinks = Some(true),
            Mark::ThinksNot => self.thinks = self.thinks.or(Some(false)),
            Mark::Cited => self.files += u64::from(value.kind == Kind::True),
        }
        Ok(())
    }

    /// An object was read to its end.
    pub(super) fn end_of_object(&mut self) {
        let detail = std::mem::take(&mut self.detail);
        if std::mem::take(&mut self.picture) {
            match detail {
                Detail::Low => self.pictures.low += 1,
                Detail::Other => self.pictures.other += 1,
            }
        }
    }

    fn note_limit(&mut self, value: &Value<'_>, member: Option<Member>) -> Result<(), Forbidden> {
        let tokens = if value.kind == Kind::Null { None } else { Some(number(value, MOST_OUTPUT)?) };
        let Some(member) = member else { return Ok(()) };
        if self.limit.as_ref().is_some_and(|limit| limit.tokens.is_some()) && tokens.is_some() {
            let rule = "must be left out: the body has a limit of output by its other name";
            return Err(Forbidden::field("", rule));
        }
        // Of two, the one that is null says nothing.
        if self.limit.is_none() || tokens.is_some() {
            self.limit = Some(Limit { member, tokens });
        }
        Ok(())
    }
}

/// More answers than this at once no provider gives.
const MOST_COPIES: u64 = 128;
/// Longer answers than this no model gives.
const MOST_OUTPUT: u64 = 100_000_000;

fn number(value: &Value<'_>, most: u64) -> Result<u64, Forbidden> {
    let number = shape::whole(value).ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| Forbidden::field("", format!("must be a whole number from 1 to {most}")))
}
