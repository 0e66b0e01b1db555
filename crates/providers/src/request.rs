//! What we read in a request's JSON body, and the splices that it may need. The members that we act on
//! are called the same in every dialect.

mod output;
mod params;

use std::borrow::Cow;

use bytes::Bytes;

use crate::endpoint::Endpoint;
use crate::scan::{self, Kind, Malformed, Member};
use crate::splice::Splices;

pub use output::OutputLimit;
pub use params::without;

/// The members of a body that we act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fields<'a> {
    /// The model asked for, or `None` if the body names none.
    pub model: Option<Cow<'a, str>>,
    /// Whether the answer is asked for as a stream.
    pub stream: bool,
    /// Whether the caller asked for the usage chunk of a stream.
    pub include_usage: bool,
    /// Which price the caller asks for. It rates a request and decides nothing, so what cannot be read
    /// of it is as if it were not there.
    pub service_tier: Option<Cow<'a, str>>,
    body: &'a [u8],
    model_member: Option<Member>,
    stream_options: Option<Member>,
}

/// Why a body is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBody {
    /// It cannot be read, or says something twice.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A member has a type that the provider would read differently from us, or not at all.
    #[error("The body's member `{field}` must be {expected}")]
    WrongType {
        /// The member.
        field: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

impl InvalidBody {
    /// The member that is at fault, for the error's `param`.
    pub fn field(&self) -> Option<&'static str> {
        match self {
            Self::Malformed(Malformed::Twice(field)) | Self::WrongType { field, .. } => Some(field),
            Self::Malformed(_) => None,
        }
    }
}

impl<'a> Fields<'a> {
    /// Reads a body in one pass. A member that is `null` is as if it were not there, which is how
    /// OpenAI reads it. Members that we do not act on are the provider's to judge.
    pub fn read(body: &'a [u8]) -> Result<Self, InvalidBody> {
        const NAMES: [&str; 4] = ["model", "stream", "stream_options", "service_tier"];
        let [model, stream, stream_options, service_tier] = match scan::members(body, &NAMES) {
            Err(Malformed::Twice("service_tier")) => {
                let [model, stream, stream_options] = scan::members(body, &[NAMES[0], NAMES[1], NAMES[2]])?;
                [model, stream, stream_options, None]
            }
            found => found?,
        };
        let typed = Typed { body };
        Ok(Self {
            model: typed.text("model", &model)?,
            stream: typed.flag("stream", &stream)?.unwrap_or_default(),
            include_usage: typed.include_usage(&stream_options)?.unwrap_or_default(),
            service_tier: typed.text("service_tier", &service_tier).ok().flatten(),
            body,
            model_member: model,
            stream_options,
        })
    }

    /// Whether usage must be asked for: a stream of an endpoint that reports it only on request, and
    /// whose caller did not.
    pub fn lacks_usage(&self, endpoint: Endpoint) -> bool {
        let on_request = matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Completions);
        on_request && self.stream && !self.include_usage
    }

    /// Asks for the usage of a stream. The chunk that comes of it is not the caller's: pass the
    /// stream through [`HideUsageChunk`](crate::openai::hide::HideUsageChunk).
    pub fn ask_for_usage(&self, splices: &mut Splices) {
        const ASKED: &str = "\"include_usage\":true";
        let Some(options) = &self.stream_options else {
            return splices.insert(self.body, "stream_options", &format!("{{{ASKED}}}"));
        };
        if options.kind == Kind::Null {
            return splices.replace(options, format!("{{{ASKED}}}"));
        }
        let object = &self.body[options.span.clone()];
        let mut inner = Splices::default();
        match scan::members_of_text(object, &["include_usage"]) {
            Ok([Some(said)]) => inner.replace(&said, "true"),
            _ => inner.insert(object, "include_usage", "true"),
        }
        splices.replace(options, inner.apply(&object.to_vec().into()));
    }

    /// Names another model, as compat requests need, whose model names the provider too.
    pub fn name_model(&self, model: &str, splices: &mut Splices) {
        let text = serde_json::Value::from(model).to_string();
        match &self.model_member {
            Some(member) => splices.replace(member, text),
            None => splices.insert(self.body, "model", &text),
        }
    }

    /// Names the one model that is asked, in the place of all that a caller would take.
    pub fn settle_on(&self, model: &str, alternatives: &Alternatives<'_>, splices: &mut Splices) {
        let text = || serde_json::Value::from(model).to_string();
        match (&self.model_member, &alternatives.member) {
            (None, Some(models)) => splices.rename(models, "model", &text()),
            (Some(_), Some(models)) => {
                splices.remove(self.body, models);
                self.settle_on(model, &Alternatives::default(), splices);
            }
            _ if self.model.as_deref() == Some(model) => (),
            _ => self.name_model(model, splices),
        }
    }
}

/// A body with these members in the place of its own of the same names.
pub fn with_members(body: &Bytes, members: &[(String, serde_json::Value)]) -> Result<Bytes, InvalidBody> {
    let mut body = body.clone();
    for (name, value) in members {
        let mut splices = Splices::default();
        match scan::member(&body, name, "that the gateway sets")? {
            Some(member) => splices.replace(&member, value.to_string()),
            None => {
                let name = serde_json::Value::from(name.as_str()).to_string();
                splices.insert(&body, name.trim_matches('"'), &value.to_string());
            }
        }
        body = splices.apply(&body);
    }
    Ok(body)
}

/// The models that a caller would take instead, in a member that no provider knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Alternatives<'a> {
    /// Their names, in the caller's order.
    pub models: Vec<Cow<'a, str>>,
    member: Option<Member>,
}

impl<'a> Alternatives<'a> {
    /// Reads `models`.
    pub fn read(body: &'a [u8]) -> Result<Self, InvalidBody> {
        let [member] = scan::members(body, &["models"])?;
        let wrong = || InvalidBody::WrongType { field: "models", expected: "a list of strings" };
        let Some(member) = member else { return Ok(Self::default()) };
        let models = match member.kind {
            Kind::Null => Vec::new(),
            Kind::List => serde_json::from_slice(&body[member.span.clone()]).map_err(|_| wrong())?,
            _ => return Err(wrong()),
        };
        Ok(Self { models, member: Some(member) })
    }
}

/// Reads members as the types that they must have.
struct Typed<'a> {
    body: &'a [u8],
}

impl<'a> Typed<'a> {
    fn text(
        &self,
        field: &'static str,
        member: &Option<Member>,
    ) -> Result<Option<Cow<'a, str>>, InvalidBody> {
        let wrong = InvalidBody::WrongType { field, expected: "a string" };
        match member.as_ref().map(|member| (member.kind, member.span.clone())) {
            None | Some((Kind::Null, _)) => Ok(None),
            Some((Kind::String, span)) => scan::unescaped(&self.body[span]).map(Some).ok_or(wrong),
            Some(_) => Err(wrong),
        }
    }

    fn flag(&self, field: &'static str, member: &Option<Member>) -> Result<Option<bool>, InvalidBody> {
        match member.as_ref().map(|member| member.kind) {
            None | Some(Kind::Null) => Ok(None),
            Some(Kind::True) => Ok(Some(true)),
            Some(Kind::False) => Ok(Some(false)),
            Some(_) => Err(InvalidBody::WrongType { field, expected: "true or false" }),
        }
    }

    fn include_usage(&self, options: &Option<Member>) -> Result<Option<bool>, InvalidBody> {
        let Some(options) = options.as_ref().filter(|options| options.kind != Kind::Null) else {
            return Ok(None);
        };
        if options.kind != Kind::Object {
            return Err(InvalidBody::WrongType { field: "stream_options", expected: "an object" });
        }
        let object = &self.body[options.span.clone()];
        let [said] = scan::members_of_text(object, &["include_usage"])?;
        self.flag("include_usage", &said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &'static str) -> String {
        let bytes = Bytes::from_static(body.as_bytes());
        let fields = Fields::read(&bytes).unwrap();
        let mut splices = Splices::default();
        if fields.lacks_usage(Endpoint::ChatCompletions) {
            fields.ask_for_usage(&mut splices);
        }
        String::from_utf8(splices.apply(&bytes).to_vec()).unwrap()
    }

    #[test]
    fn usage_is_asked_for_where_the_caller_did_not() {
        assert_eq!(asked(r#"{"stream":true}"#), r#"{"stream_options":{"include_usage":true},"stream":true}"#);
        assert_eq!(
            asked(r#"{"stream":true,"stream_options":{ "x": [1] }}"#),
            r#"{"stream":true,"stream_options":{"include_usage":true, "x": [1] }}"#
        );
        assert_eq!(
            asked(r#"{"stream":true,"stream_options":{"include_usage" :false, "x":1}}"#),
            r#"{"stream":true,"stream_options":{"include_usage" :true, "x":1}}"#
        );
        assert_eq!(
            asked(r#"{"stream_options":{},"stream":true}"#),
            r#"{"stream_options":{"include_usage":true},"stream":true}"#
        );
        let kept =
            [r#"{"stream":false}"#, r#"{}"#, r#"{"stream":true,"stream_options":{"include_usage":true}}"#];
        for body in kept {
            assert_eq!(asked(body), body);
        }
    }

    #[test]
    fn null_options_are_replaced() {
        let spliced = asked(r#"{"stream":true,"stream_options":null}"#);
        assert_eq!(spliced, r#"{"stream":true,"stream_options":{"include_usage":true}}"#);
    }

    #[test]
    fn a_member_of_the_wrong_type_is_named() {
        let bodies = [
            (r#"{"model":7}"#, "model"),
            (r#"{"model":"\ud800"}"#, "model"),
            (r#"{"stream":"true"}"#, "stream"),
            (r#"{"stream":1}"#, "stream"),
            (r#"{"stream_options":[]}"#, "stream_options"),
            (r#"{"stream_options":{"include_usage":1}}"#, "include_usage"),
            (r#"{"stream_options":{"include_usage":true,"include_usage":false}}"#, "include_usage"),
            (r#"{"stream":true,"str\u0065am":false}"#, "stream"),
        ];
        for (body, field) in bodies {
            assert_eq!(Fields::read(body.as_bytes()).unwrap_err().field(), Some(field), "{body}");
        }
    }

    #[test]
    fn members_take_the_place_of_the_callers() {
        let members = [("a".to_owned(), 1.into()), ("b".to_owned(), serde_json::json!({"x": [null]}))];
        let set = |body: &'static str| with_members(&Bytes::from_static(body.as_bytes()), &members);
        for (body, expected) in [
            (r#"{"a":0, "c":2}"#, r#"{"b":{"x":[null]},"a":1, "c":2}"#),
            (r#"{"\u0061":0}"#, r#"{"b":{"x":[null]},"\u0061":1}"#),
            ("{}", r#"{"b":{"x":[null]},"a":1}"#),
        ] {
            assert_eq!(set(body).unwrap(), expected, "{body}");
        }
        for body in [r#"{"a":0,"\u0061":1}"#, "[]", "{"] {
            set(body).unwrap_err();
        }
    }

    #[test]
    fn one_model_takes_the_place_of_all_that_were_named() {
        let settled = |body: &'static str| {
            let bytes = Bytes::from_static(body.as_bytes());
            let (fields, alternatives) = (Fields::read(&bytes).unwrap(), Alternatives::read(&bytes).unwrap());
            let mut splices = Splices::default();
            fields.settle_on("m", &alternatives, &mut splices);
            String::from_utf8(splices.apply(&bytes).to_vec()).unwrap()
        };
        for (body, expected) in [
            (r#"{"model":"a:m"}"#, r#"{"model":"m"}"#),
            (r#"{ "model" : "m" }"#, r#"{ "model" : "m" }"#),
            (r#"{"x":1}"#, r#"{"model":"m","x":1}"#),
            ("{}", r#"{"model":"m"}"#),
            (r#"{"models":["a","m"]}"#, r#"{"model":"m"}"#),
            (r#"{"models":["a"],"model":"b","x":1}"#, r#"{"model":"m","x":1}"#),
            (r#"{"model":"m","models":[]}"#, r#"{"model":"m"}"#),
            (r#"{"model":null,"models":null}"#, r#"{"model":"m"}"#),
        ] {
            assert_eq!(settled(body), expected, "{body}");
        }
        for body in [r#"{"models":"a"}"#, r#"{"models":[1]}"#, r#"{"models":["a"],"models":["b"]}"#] {
            assert_eq!(Alternatives::read(body.as_bytes()).unwrap_err().field(), Some("models"), "{body}");
        }
    }

    #[test]
    fn an_escaped_model_is_read_as_the_provider_reads_it() {
        let fields = Fields::read(br#"{"model":"gpt\u002d4o","service_tier":"flex"}"#).unwrap();
        assert_eq!((fields.model.as_deref(), fields.service_tier.as_deref()), (Some("gpt-4o"), Some("flex")));
    }

    #[test]
    fn what_we_do_not_act_on_is_not_ours_to_refuse() {
        let bodies = [
            r#"{"model":"m","max_tokens":1.5,"n":-1,"store":"yes","user":7,"user":8}"#,
            r#"{"model":"m","service_tier":7}"#,
            r#"{"model":"m","service_tier":"flex","service_tier":"priority"}"#,
        ];
        for body in bodies {
            let fields = Fields::read(body.as_bytes()).unwrap();
            assert_eq!((fields.model.as_deref(), fields.service_tier), (Some("m"), None), "{body}");
        }
    }
}
