//! A usage record's wire form, written straight from the record: it is needed twice a request, and the
//! generated types would copy every text first. What was set aside is written from how this process
//! keeps it, in place of the record's own member. A test compares the two byte for byte.

use model::usage::{KeySource, Measure, Outcome, Provenance, Timings, Tokens, Unit, UsageRecord};
use prost::encoding::{WireType, encode_key, encode_varint};

use crate::held::SetAside;

/// The bytes that `record.to_wire()` encodes to, with this as its hold.
pub(super) fn encode(record: &UsageRecord, aside: Option<&SetAside>) -> Vec<u8> {
    let mut wire = Wire(Vec::with_capacity(1024));
    let UsageRecord {
        id,
        request_id,
        account,
        gateway,
        gateway_slug,
        token,
        step,
        attempt,
        provider,
        model_asked,
        model_served,
        endpoint,
        method,
        path,
        streamed,
        key_source,
        key_alias,
        dialect,
        tokens,
        units,
        provenance,
        price_version,
        cost,
        paid,
        charge,
        markup_ppm,
        tier,
        price_model,
        custom_cost,
        hold: _,
        status,
        outcome,
        error_code,
        cause,
        timings,
        request_bytes,
        response_bytes,
        request_content_type,
        response_content_type,
        user_agent,
        event_id,
        metadata,
        collect_log,
        // Sent beside what the spool keeps.
        policy_logs: _,
        trace_id,
    } = record;
    wire.bytes(1, id.as_bytes());
    wire.bytes(2, request_id.as_bytes());
    wire.bytes(3, account.0.as_bytes());
    wire.bytes(4, gateway.0.as_bytes());
    wire.text(5, gateway_slug);
    wire.text(6, token);
    wire.number(7, (*step).into());
    wire.number(8, (*attempt).into());
    wire.text(10, provider);
    wire.text(11, model_asked);
    wire.text(12, model_served);
    wire.text(13, endpoint);
    wire.text(14, method);
    wire.text(15, path);
    wire.number(16, (*streamed).into());
    wire.text(17, key_source.map_or("", KeySource::as_str));
    wire.text(18, key_alias);
    wire.text(19, dialect);
    wire.numbers(20, &token_counts(tokens));
    wire.number(21, provenance_number(*provenance));
    wire.text(22, price_version);
    if let Some(cost) = cost {
        wire.number_even_if_zero(23, cost.0 as u64);
    }
    wire.number(24, paid.0 as u64);
    for Unit { name, quantity } in units {
        wire.message(25, |unit| {
            unit.text(1, name);
            unit.number(2, *quantity);
        });
    }
    wire.text(26, tier);
    wire.text(27, price_model);
    wire.number(28, (*custom_cost).into());
    wire.number(29, charge.0 as u64);
    wire.number(30, (*status).into());
    wire.number(31, outcome_number(*outcome));
    wire.number(32, (*error_code).into());
    wire.text(33, cause);
    wire.numbers(40, &durations(timings));
    wire.number(41, *request_bytes);
    wire.number(42, *response_bytes);
    wire.text(43, request_content_type);
    wire.text(44, response_content_type);
    wire.text(45, user_agent);
    wire.text(46, event_id);
    wire.text(47, metadata);
    wire.number(48, (*collect_log).into());
    wire.bytes(49, trace_id);
    if let Some(aside) = aside {
        wire.message(50, |wire| write_hold(wire, aside));
    }
    wire.number(51, *markup_ppm as u64);
    wire.0
}

/// A record that stands for its request if nobody hears of that again: as it was opened, with what was
/// set aside and how it ended. Members that come again replace those before them.
pub(crate) fn with_hold(opened: &[u8], aside: &SetAside) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(opened.len() + 256);
    bytes.extend_from_slice(opened);
    let mut wire = Wire(bytes);
    wire.number(31, outcome_number(Outcome::Abandoned));
    wire.text(33, "proxy_lost");
    wire.message(50, |wire| write_hold(wire, aside));
    wire.0
}

/// What was set aside, alone: a `proto::Hold`.
pub(super) fn encode_hold(aside: &SetAside) -> Vec<u8> {
    let mut wire = Wire(Vec::with_capacity(256));
    write_hold(&mut wire, aside);
    wire.0
}

fn write_hold(wire: &mut Wire, aside: &SetAside) {
    let SetAside { incarnation, id, amount, floor, counters, parts } = aside;
    wire.bytes(1, incarnation.as_bytes());
    wire.bytes(2, id.as_bytes());
    wire.number(3, amount.0 as u64);
    wire.number(4, floor.0 as u64);
    for (counter, part) in counters.iter().zip(parts) {
        wire.message(5, |wire| {
            wire.text(1, &counter.id);
            wire.number(2, measure_number(counter.measure));
            wire.number(3, part.window as u64);
            wire.number(4, part.amount as u64);
        });
    }
}

/// In the order of their tags, from 1.
fn token_counts(tokens: &Tokens) -> [u64; 12] {
    let Tokens {
        input,
        cached_input,
        cache_write,
        output,
        reasoning,
        audio_input,
        audio_output,
        image_input,
        image_output,
        cache_write_long,
        cached_audio_input,
        cached_image_input,
    } = *tokens;
    [
        input,
        cached_input,
        cache_write,
        output,
        reasoning,
        audio_input,
        audio_output,
        image_input,
        image_output,
        cache_write_long,
        cached_audio_input,
        cached_image_input,
    ]
}

/// In the order of their tags, from 1.
fn durations(timings: &Timings) -> [u64; 5] {
    let Timings { queue, upstream_first_byte, upstream_last_byte, total, own } = *timings;
    [queue, upstream_first_byte, upstream_last_byte, total, own]
}

fn provenance_number(provenance: Provenance) -> u64 {
    match provenance {
        Provenance::None => proto::Provenance::None as u64,
        Provenance::Reported => proto::Provenance::Reported as u64,
        Provenance::Counted => proto::Provenance::Counted as u64,
        Provenance::Estimated => proto::Provenance::Estimated as u64,
    }
}

fn measure_number(measure: Measure) -> u64 {
    match measure {
        Measure::Requests => proto::Measure::Requests as u64,
        Measure::Spend => proto::Measure::Spend as u64,
        Measure::Tokens => proto::Measure::Tokens as u64,
    }
}

fn outcome_number(outcome: Outcome) -> u64 {
    match outcome {
        Outcome::Answered => proto::Outcome::Answered as u64,
        Outcome::Refused => proto::Outcome::Refused as u64,
        Outcome::Failed => proto::Outcome::Failed as u64,
        Outcome::HungUp => proto::Outcome::HungUp as u64,
        Outcome::Abandoned => proto::Outcome::Abandoned as u64,
        Outcome::Ended => proto::Outcome::Ended as u64,
    }
}

/// Protobuf, as prost writes it: what is empty or zero is left out.
struct Wire(Vec<u8>);

impl Wire {
    fn bytes(&mut self, tag: u32, bytes: &[u8]) {
        if !bytes.is_empty() {
            encode_key(tag, WireType::LengthDelimited, &mut self.0);
            encode_varint(bytes.len() as u64, &mut self.0);
            self.0.extend_from_slice(bytes);
        }
    }

    fn text(&mut self, tag: u32, text: &str) {
        self.bytes(tag, text.as_bytes());
    }

    fn number(&mut self, tag: u32, number: u64) {
        if number != 0 {
            self.number_even_if_zero(tag, number);
        }
    }

    fn number_even_if_zero(&mut self, tag: u32, number: u64) {
        encode_key(tag, WireType::Varint, &mut self.0);
        encode_varint(number, &mut self.0);
    }

    /// A message of nothing but numbers, tagged from 1.
    fn numbers(&mut self, tag: u32, numbers: &[u64]) {
        self.message(tag, |wire| {
            for (tag, number) in (1..).zip(numbers) {
                wire.number(tag, *number);
            }
        });
    }

    /// A message, whose length is known only once it is written and nearly always fits a byte.
    fn message(&mut self, tag: u32, write: impl FnOnce(&mut Self)) {
        encode_key(tag, WireType::LengthDelimited, &mut self.0);
        let length_at = self.0.len();
        self.0.push(0);
        write(self);
        let length = self.0.len() - length_at - 1;
        if length < 0x80 {
            self.0[length_at] = length as u8;
        } else {
            let mut prefix = Vec::with_capacity(4);
            encode_varint(length as u64, &mut prefix);
            self.0.splice(length_at..=length_at, prefix);
        }
    }
}

#[cfg(test)]
mod tests {
    use model::Nanos;
    use model::usage::{Hold, Reserved};
    use prost::Message as _;

    use super::*;
    use crate::samples::record;

    #[test]
    fn the_wire_form_is_prosts_to_the_byte() {
        let full = UsageRecord {
            token: "gwt_1".to_owned(),
            step: 1,
            attempt: 2,
            streamed: true,
            key_source: Some(KeySource::StoredKey),
            key_alias: "alias".to_owned(),
            tokens: Tokens {
                input: u64::MAX,
                cached_input: u64::MAX,
                cache_write: u64::MAX,
                output: u64::MAX,
                reasoning: u64::MAX,
                audio_input: u64::MAX,
                audio_output: u64::MAX,
                image_input: u64::MAX,
                image_output: u64::MAX,
                cache_write_long: u64::MAX,
                cached_audio_input: u64::MAX,
                cached_image_input: u64::MAX,
            },
            units: vec![Unit { name: "output_per_image".to_owned(), quantity: 2 }],
            charge: Nanos(i64::MAX),
            markup_ppm: -1,
            tier: "flex".to_owned(),
            price_model: "gpt-4o".to_owned(),
            custom_cost: true,
            hold: Some(Hold {
                incarnation: uuid::Uuid::from_u128(1),
                id: uuid::Uuid::from_u128(2),
                amount: Nanos(3),
                floor: Nanos(0),
                reserved: [Measure::Requests, Measure::Spend, Measure::Tokens]
                    .map(|measure| Reserved { counter: "c".repeat(40), measure, window: 5, amount: -6 })
                    .to_vec(),
            }),
            cost: Some(Nanos(-1)),
            paid: Nanos(i64::MIN),
            error_code: 7,
            cause: "provider_timeout".to_owned(),
            trace_id: [7; 16],
            ..record(1)
        };
        let empty = UsageRecord {
            cost: Some(Nanos::ZERO),
            status: 0,
            collect_log: false,
            metadata: String::new(),
            tokens: Tokens::default(),
            timings: Timings::default(),
            provenance: Provenance::None,
            ..record(0)
        };
        let without_price = UsageRecord { cost: None, ..record(2) };
        let outcomes =
            [Outcome::Refused, Outcome::Failed, Outcome::HungUp, Outcome::Abandoned, Outcome::Ended];
        let outcomes = outcomes.map(|outcome| UsageRecord { outcome, ..record(3) });
        for record in [full, empty, without_price].iter().chain(&outcomes) {
            let aside = record.hold.as_ref().map(SetAside::of_model);
            assert_eq!(encode(record, aside.as_ref()), record.to_wire().encode_to_vec());
        }
    }
}
