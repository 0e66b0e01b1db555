//! One usage record in one half of a slot: length, checksum, wire form.

use model::usage::UsageRecord;
use prost::Message as _;

use super::encode::encode;
use super::map::AREA;

const HEAD: usize = 8;
/// What a record's wire form may take.
pub(crate) const ROOM: usize = AREA - HEAD;

/// Writes the record into `area`. One that does not fit is shortened, never lost.
pub(crate) fn write(area: &mut [u8], record: &UsageRecord) {
    let mut bytes = encode(record);
    if bytes.len() > ROOM {
        let mut wire = record.to_wire();
        shorten(&mut wire);
        bytes = wire.encode_to_vec();
    }
    let (head, body) = area.split_at_mut(HEAD);
    body[..bytes.len()].copy_from_slice(&bytes);
    head[..4].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
    head[4..].copy_from_slice(&crc32fast::hash(&bytes).to_le_bytes());
}

/// The wire form, if it is whole.
pub(crate) fn bytes(area: &[u8]) -> Option<&[u8]> {
    let (head, body) = area.split_at_checked(HEAD)?;
    let number = |at: usize| Some(u32::from_le_bytes(head.get(at..at + 4)?.try_into().ok()?));
    let body = body.get(..number(0)? as usize)?;
    (!body.is_empty() && number(4)? == crc32fast::hash(body)).then_some(body)
}

/// The record, if it is whole.
pub(crate) fn read(area: &[u8]) -> Option<UsageRecord> {
    UsageRecord::from_wire(proto::UsageRecord::decode(bytes(area)?).ok()?).ok()
}

/// Leaves out what the caller wrote, in this order, until the rest fits, and says so in place of
/// the metadata, which always goes first. Shortening a text would pass off a part as the whole.
fn shorten(wire: &mut proto::UsageRecord) {
    type Field = fn(&mut proto::UsageRecord) -> &mut String;
    let fields: [(&str, Field); 12] = [
        ("metadata", |wire| &mut wire.metadata_json),
        ("user_agent", |wire| &mut wire.user_agent),
        ("path", |wire| &mut wire.path),
        ("event_id", |wire| &mut wire.event_id),
        ("request_content_type", |wire| &mut wire.request_content_type),
        ("response_content_type", |wire| &mut wire.response_content_type),
        ("model", |wire| &mut wire.model_asked),
        ("model_served", |wire| &mut wire.model_served),
        ("provider", |wire| &mut wire.provider),
        ("method", |wire| &mut wire.method),
        ("key_alias", |wire| &mut wire.key_alias),
        ("endpoint", |wire| &mut wire.endpoint),
    ];
    let mut omitted = String::new();
    for (name, field) in fields {
        field(wire).clear();
        omitted.push_str(if omitted.is_empty() { "" } else { " " });
        omitted.push_str(name);
        wire.metadata_json = format!(r#"{{"tollgate.omitted":"{omitted}"}}"#);
        if wire.encoded_len() <= ROOM {
            return;
        }
    }
    // What is left are ids, numbers and our own words; they fit unless we have a bug, and then the
    // figures are worth more than the words.
    for word in [&mut wire.gateway_slug, &mut wire.token_id, &mut wire.dialect, &mut wire.cause] {
        word.clear();
    }
    wire.price_version.clear();
    wire.key_source.clear();
}
