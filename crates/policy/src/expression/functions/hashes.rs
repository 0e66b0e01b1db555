//! `hash.sha256(text)` and `text.sha256()`, with the form as a second argument: `hex`, which is also what
//! one gets without, or `base64`.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::Function;
use crate::expression::codec::hash;
use crate::expression::error::Failure;
use crate::expression::evaluate::Evaluation;
use crate::value::{Text, Value};

macro_rules! both {
    ($($name:literal $qualified:literal),*) => {
        &[$(
            Function::method($name, 1, 2, |run, values| digest(run, $name, values)),
            Function::global($qualified, 1, 2, |run, values| digest(run, $name, values)),
        )*]
    };
}

pub(super) const FUNCTIONS: &[Function] = both!(
    "crc32" "hash.crc32", "crc64" "hash.crc64", "md5" "hash.md5", "sha1" "hash.sha1",
    "sha256" "hash.sha256", "sha512" "hash.sha512", "xxhash64" "hash.xxhash64"
);

fn digest(run: &mut Evaluation<'_>, name: &str, values: &[Value]) -> Result<Value, Failure> {
    let (bytes, secret) = match &values[0] {
        Value::Text(text) => (text.as_str().as_bytes(), text.is_secret()),
        Value::Bytes(bytes) => (&**bytes, false),
        other => return Err(Failure::wrong_type("string or bytes", other)),
    };
    run.work(10 + bytes.len() / 8)?;
    let digest = hash::digest(name, bytes);
    let written = match values.get(1).map(Value::as_str) {
        None | Some(Some("hex")) => hex::encode(digest),
        Some(Some("base64")) => STANDARD.encode(digest),
        Some(_) => return Err(Failure::BadArgument("a digest is written in `hex` or `base64`")),
    };
    run.memory(written.len())?;
    Ok(Value::Text(Text::new(written, secret)))
}
