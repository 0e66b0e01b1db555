//! One usage record, or what was set aside for it, in its part of a slot: length, checksum, wire form.

use model::Nanos;
use model::usage::{Hold, UsageRecord};
use prost::Message as _;

use super::encode::{encode, encode_hold};
use crate::held::SetAside;

const HEAD: usize = 8;
/// Behind the hold stands what was produced so far, which changes while the request is under way.
const REPORTED: usize = 8;

/// Writes the record into `area`, and answers its wire form. One that does not fit is shortened, never
/// lost.
pub(crate) fn write(area: &mut [u8], record: &UsageRecord, aside: Option<&SetAside>) -> Vec<u8> {
    let room = area.len() - HEAD;
    let mut bytes = encode(record, aside);
    if bytes.len() > room {
        let mut wire = record.to_wire();
        wire.policy_logs_json.clear();
        wire.hold = aside.map(|aside| aside.to_model().to_wire());
        shorten(&mut wire, room);
        bytes = wire.encode_to_vec();
    }
    put(area, &bytes);
    bytes
}

/// Writes what was set aside. If its limits do not all fit, those that do not are left out.
pub(crate) fn write_hold(area: &mut [u8], aside: &SetAside) {
    let split = area.len() - REPORTED;
    let (area, reported) = area.split_at_mut(split);
    let mut bytes = encode_hold(aside);
    if bytes.len() > area.len() - HEAD {
        let mut wire = aside.to_model().to_wire();
        while wire.encoded_len() > area.len() - HEAD && wire.reserved.pop().is_some() {}
        bytes = wire.encode_to_vec();
    }
    reported.fill(0);
    put(area, &bytes);
}

/// Notes what was produced so far.
pub(crate) fn report(area: &mut [u8], so_far: Nanos) {
    if let Some(reported) = area.last_chunk_mut() {
        *reported = so_far.0.to_le_bytes();
    }
}

fn put(area: &mut [u8], bytes: &[u8]) {
    let (head, body) = area.split_at_mut(HEAD);
    body[..bytes.len()].copy_from_slice(bytes);
    head[..4].copy_from_slice(&(bytes.len() as u32).to_le_bytes());
    head[4..].copy_from_slice(&crc32fast::hash(bytes).to_le_bytes());
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

/// What was set aside, and what was produced so far.
pub(crate) fn read_hold(area: &[u8]) -> Option<(Hold, Nanos)> {
    let (area, reported) = area.split_at_checked(area.len() - REPORTED)?;
    let hold = Hold::from_wire(proto::Hold::decode(bytes(area)?).ok()?).ok()?;
    Some((hold, Nanos(i64::from_le_bytes(reported.try_into().ok()?))))
}

/// Leaves out what the caller wrote, in this order, until the rest fits, and says so in place of
/// the metadata, which always goes first. Shortening a text would pass off a part as the whole.
fn shorten(wire: &mut proto::UsageRecord, room: usize) {
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
        if wire.encoded_len() <= room {
            return;
        }
    }
    // What is left are ids, numbers and our own words; they fit unless we have a bug, and then the
    // figures are worth more than the words.
    for word in [&mut wire.gateway_slug, &mut wire.token_id, &mut wire.dialect, &mut wire.cause] {
        word.clear();
    }
    for word in [&mut wire.price_version, &mut wire.price_model, &mut wire.key_source] {
        word.clear();
    }
    wire.units.clear();
    if let Some(hold) = &mut wire.hold {
        while hold.encoded_len() > room / 2 && hold.reserved.pop().is_some() {}
    }
}
