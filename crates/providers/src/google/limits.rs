//! The limit of output in a body, and how many answers it asks for: members of an object in it, each of which
//! may be called in two ways.

use bytes::Bytes;

use crate::request::InvalidBody;
use crate::scan::{self, Kind, Malformed, Member};
use crate::splice::Splices;

const CONFIGURATION: [&str; 2] = ["generationConfig", "generation_config"];
const OUTPUT: [&str; 2] = ["maxOutputTokens", "max_output_tokens"];
const ANSWERS: [&str; 2] = ["candidateCount", "candidate_count"];

/// What a body says of how much is produced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// How many tokens each answer has at most, if that is said.
    pub output: Option<u64>,
    /// How many answers there are.
    pub answers: u64,
}

impl Limits {
    /// Reads a body. What can be read in two ways is refused: it multiplies what is set aside.
    pub fn read(body: &[u8]) -> Result<Self, InvalidBody> {
        let Some(configuration) = one(body, &CONFIGURATION)?.filter(|member| member.kind == Kind::Object)
        else {
            return Ok(Self { output: None, answers: 1 });
        };
        let configuration = &body[configuration.span];
        let number = |names| -> Result<Option<u64>, InvalidBody> {
            one(configuration, names)?.map_or(Ok(None), |member| number(configuration, names[0], &member))
        };
        Ok(Self { output: number(&OUTPUT)?, answers: number(&ANSWERS)?.unwrap_or(1) })
    }

    /// A body each of whose answers has `most` tokens at most. What the caller named stays if it is less.
    pub fn set(body: &Bytes, most: u64) -> Result<Bytes, InvalidBody> {
        let mut splices = Splices::default();
        let limit = format!("{{\"{}\":{most}}}", OUTPUT[0]);
        match one(body, &CONFIGURATION)? {
            None => splices.insert(body, CONFIGURATION[0], &limit),
            Some(member) if member.kind == Kind::Null => splices.replace(&member, limit),
            Some(member) if member.kind == Kind::Object => {
                let configuration = body.slice(member.span.clone());
                let mut inner = Splices::default();
                match one(&configuration, &OUTPUT)? {
                    None => inner.insert(&configuration, OUTPUT[0], &most.to_string()),
                    Some(named) => {
                        let said = number(&configuration, OUTPUT[0], &named)?;
                        if said.is_none_or(|said| said > most) {
                            inner.replace(&named, most.to_string());
                        }
                    }
                }
                if !inner.is_empty() {
                    let limited = inner.apply(&configuration);
                    splices.replace(&member, limited);
                }
            }
            Some(_) => {
                return Err(InvalidBody::WrongType { field: CONFIGURATION[0], expected: "an object" });
            }
        }
        Ok(splices.apply(body))
    }
}

/// The member that is called so, in either way.
fn one(object: &[u8], names: &[&'static str; 2]) -> Result<Option<Member>, InvalidBody> {
    match scan::members_of_text(object, names)? {
        [Some(_), Some(_)] => Err(Malformed::Twice(names[0]).into()),
        [one, other] => Ok(one.or(other)),
    }
}

/// A number, which may stand in a string.
fn number(object: &[u8], field: &'static str, member: &Member) -> Result<Option<u64>, InvalidBody> {
    let text = str::from_utf8(&object[member.span.clone()]).unwrap_or_default();
    let number = match member.kind {
        Kind::Null => return Ok(None),
        Kind::Number | Kind::String => text.trim_matches('"').parse().ok(),
        _ => None,
    };
    let number = number.filter(|number| *number > 0);
    number.map(Some).ok_or(InvalidBody::WrongType { field, expected: "a whole number above zero" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_in_either_spelling() {
        let read = |body: &str| Limits::read(body.as_bytes()).map(|limits| (limits.output, limits.answers));
        for (body, expected) in [
            (r#"{"generationConfig":{"maxOutputTokens":100,"candidateCount":2}}"#, (Some(100), 2)),
            (r#"{"generation_config":{"max_output_tokens":"100"}}"#, (Some(100), 1)),
            (r#"{"generationConfig":{"maxOutputTokens":null}}"#, (None, 1)),
            (r#"{"generationConfig":null}"#, (None, 1)),
            (r#"{"contents":[]}"#, (None, 1)),
        ] {
            assert_eq!(read(body), Ok(expected), "{body}");
        }
        for body in [
            r#"{"generationConfig":{},"generation_config":{}}"#,
            r#"{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}}"#,
            r#"{"generationConfig":{"candidateCount":1.5}}"#,
            r#"{"generationConfig":{"maxOutputTokens":0}}"#,
        ] {
            read(body).unwrap_err();
        }
    }

    #[test]
    fn a_limit_is_set_where_there_is_none_or_too_high_a_one() {
        let set = |body: &'static str| {
            let body = Limits::set(&Bytes::from_static(body.as_bytes()), 64)?;
            Ok::<_, InvalidBody>(String::from_utf8(body.to_vec()).unwrap())
        };
        for (body, expected) in [
            (r#"{"contents":[]}"#, r#"{"generationConfig":{"maxOutputTokens":64},"contents":[]}"#),
            (r#"{"generationConfig":null}"#, r#"{"generationConfig":{"maxOutputTokens":64}}"#),
            (
                r#"{"generation_config":{"seed": 1}}"#,
                r#"{"generation_config":{"maxOutputTokens":64,"seed": 1}}"#,
            ),
            (
                r#"{"generationConfig":{"maxOutputTokens": 65, "seed":1}}"#,
                r#"{"generationConfig":{"maxOutputTokens": 64, "seed":1}}"#,
            ),
            (
                r#"{"generationConfig":{"max_output_tokens":"64"}}"#,
                r#"{"generationConfig":{"max_output_tokens":"64"}}"#,
            ),
        ] {
            assert_eq!(set(body).unwrap(), expected, "{body}");
        }
        for body in [r#"{"generationConfig":7}"#, r#"{"generationConfig":{"maxOutputTokens":{}}}"#] {
            set(body).unwrap_err();
        }
    }
}
