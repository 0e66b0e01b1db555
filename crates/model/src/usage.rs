//! The usage record: what one request used, how it ended and how long it took. It is evidence of a
//! charge, so it is written once and never edited.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::id::{AccountId, GatewayInternalId};
use crate::money::Nanos;

/// The metered facts of one attempt at one request.
#[derive(Debug, Clone, PartialEq)]
pub struct UsageRecord {
    /// UUIDv7. Its time is when the request arrived, and decides the partition in Postgres.
    pub id: Uuid,
    /// The same for all attempts of one request; equal to `id` when there is only one.
    pub request_id: Uuid,
    /// Whose request it was.
    pub account: AccountId,
    /// The gateway for good.
    pub gateway: GatewayInternalId,
    /// What the gateway was called then.
    pub gateway_slug: String,
    /// The accepted token's id in its written form; empty when none was presented.
    pub token: String,
    /// Index into a universal request's steps; 0 for single requests.
    pub step: u32,
    /// Which try of the step, from 0.
    pub attempt: u32,
    /// The provider's slug.
    pub provider: String,
    /// As the caller wrote it.
    pub model_asked: String,
    /// As the provider named it in its answer; empty if it did not.
    pub model_served: String,
    /// The operation, such as `chat_completions`.
    pub endpoint: String,
    /// The HTTP method.
    pub method: String,
    /// The path below the provider, without the query.
    pub path: String,
    /// Whether the answer was a stream.
    pub streamed: bool,
    /// Where the credential came from.
    pub key_source: Option<KeySource>,
    /// The stored key's alias; of a gateway token's own key, its id.
    pub key_alias: String,
    /// `native` or `compat`: how the caller addressed the provider.
    pub dialect: String,
    /// What was used.
    pub tokens: Tokens,
    /// What was used beside tokens.
    pub units: Vec<Unit>,
    /// Who says so.
    pub provenance: Provenance,
    /// The price catalogue's version; empty when it has no price for the model.
    pub price_version: String,
    /// What the provider bills; `None` when the model has no price.
    pub cost: Option<Nanos>,
    /// What was taken from credits.
    pub paid: Nanos,
    /// What is due from credits: the cost with its markup. Zero on own keys.
    pub charge: Nanos,
    /// Millionths that are added to the cost; negative for a discount.
    pub markup_ppm: i64,
    /// Which price list served: empty for the regular one.
    pub tier: String,
    /// The name in the price catalogue that was rated by; empty if nothing was.
    pub price_model: String,
    /// Whether the cost is by the caller's or the account's own prices.
    pub custom_cost: bool,
    /// What was set aside before the provider was called.
    pub hold: Option<Hold>,
    /// The HTTP status that the caller was sent; 0 when the caller left first.
    pub status: u16,
    /// How it ended.
    pub outcome: Outcome,
    /// Our own error's code; 0 if there was none.
    pub error_code: u32,
    /// A stable word for what went wrong, such as `provider_timeout`; empty if nothing did.
    pub cause: String,
    /// How long it took.
    pub timings: Timings,
    /// Bytes of the caller's body.
    pub request_bytes: u64,
    /// Bytes of the body that the caller was sent.
    pub response_bytes: u64,
    /// The request's content type, without parameters.
    pub request_content_type: String,
    /// The answer's content type, without parameters.
    pub response_content_type: String,
    /// The caller's `User-Agent`, at most 256 bytes.
    pub user_agent: String,
    /// The caller's correlation id, or the request's id.
    pub event_id: String,
    /// The caller's labels as a flat JSON object; empty for none.
    pub metadata: String,
    /// Whether the log shows this request.
    pub collect_log: bool,
    /// What the gateway's traffic policy has logged, as a JSON array of objects; empty for nothing. A spool
    /// does not keep it: it is lost with its process.
    pub policy_logs: String,
    /// The W3C trace id, zero for none.
    pub trace_id: [u8; 16],
}

/// Tokens by class; each token stands in exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tokens {
    /// Text read, neither from nor into a cache.
    pub input: u64,
    /// Text read from the provider's cache.
    pub cached_input: u64,
    /// Text written into the provider's cache.
    pub cache_write: u64,
    /// Visible text produced.
    pub output: u64,
    /// Text produced out of sight.
    pub reasoning: u64,
    /// Audio read.
    pub audio_input: u64,
    /// Audio produced.
    pub audio_output: u64,
    /// Images read.
    pub image_input: u64,
    /// Images produced.
    pub image_output: u64,
    /// Text written into the provider's cache for its longer lifetime.
    pub cache_write_long: u64,
    /// Audio read from the provider's cache.
    pub cached_audio_input: u64,
    /// Images read from the provider's cache.
    pub cached_image_input: u64,
}

impl Tokens {
    /// All that was read.
    pub fn total_input(&self) -> u64 {
        self.input
            + self.cached_input
            + self.cache_write
            + self.cache_write_long
            + self.audio_input
            + self.cached_audio_input
            + self.image_input
            + self.cached_image_input
    }

    /// All that was produced.
    pub fn total_output(&self) -> u64 {
        self.output + self.reasoning + self.audio_output + self.image_output
    }
}

/// A quantity that is not tokens, such as two images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// As the price catalogue names it.
    pub name: String,
    /// How many, rounded up to whole ones.
    pub quantity: u64,
}

/// What was set aside for a request before its provider was called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// The proxy's start that took it.
    pub incarnation: Uuid,
    /// The record's id, or the lease's of which this is a part.
    pub id: Uuid,
    /// Of credits; it grows with extensions.
    pub amount: Nanos,
    /// The least that is charged if the request is abandoned: its input.
    pub floor: Nanos,
    /// Of limits.
    pub reserved: Vec<Reserved>,
}

/// A part of a limit that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reserved {
    /// The counter's id.
    pub counter: String,
    /// What it counts.
    pub measure: Measure,
    /// The number of the window in which it was reserved.
    pub window: i64,
    /// How much.
    pub amount: i64,
}

/// How long a request took, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Timings {
    /// From the request's head to its dispatch, without waiting for its body.
    pub queue: u64,
    /// From dispatch to the first byte of the provider's answer.
    pub upstream_first_byte: u64,
    /// From dispatch to the last byte of the provider's answer.
    pub upstream_last_byte: u64,
    /// From the request's head to the end.
    pub total: u64,
    /// What this gateway added to the time to the first byte.
    pub own: u64,
}

macro_rules! word_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// As written in the database and the API.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Reads what `as_str` wrote.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

word_enum! {
    /// Where the credential that went to the provider came from.
    KeySource {
        /// The caller brought it.
        Request = "request",
        /// The gateway keeps it.
        StoredKey = "stored_key",
        /// The operator's, paid from credits.
        Credits = "credits",
    }
}

word_enum! {
    /// Who says how many tokens there were.
    Provenance {
        /// Nobody: there was nothing to count.
        None = "none",
        /// The provider.
        Reported = "reported",
        /// We, with the model's tokenizer.
        Counted = "counted",
        /// We, from lengths.
        Estimated = "estimated",
    }
}

word_enum! {
    /// How a request ended.
    Outcome {
        /// The caller got the provider's whole answer, whatever its status.
        Answered = "answered",
        /// We said no before any provider was called.
        Refused = "refused",
        /// The provider could not be reached, or broke off.
        Failed = "failed",
        /// The caller left before the end.
        HungUp = "hung_up",
        /// The proxy died; what is known is what its spool held.
        Abandoned = "abandoned",
        /// We ended it: the token was revoked, or the process drained.
        Ended = "ended",
    }
}

word_enum! {
    /// What a limit counts.
    Measure {
        /// Calls.
        Requests = "requests",
        /// What they cost, in nano-dollars.
        Spend = "spend",
        /// What they read and produced.
        Tokens = "tokens",
    }
}

/// A record that cannot be read from the wire.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the usage record has no valid `{0}`")]
pub struct InvalidRecord(&'static str);

impl UsageRecord {
    /// The wire form.
    pub fn to_wire(&self) -> proto::UsageRecord {
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
        } = self.tokens;
        let Timings { queue, upstream_first_byte, upstream_last_byte, total, own } = self.timings;
        proto::UsageRecord {
            id: self.id.as_bytes().to_vec(),
            request_id: self.request_id.as_bytes().to_vec(),
            account_id: self.account.0.as_bytes().to_vec(),
            gateway_id: self.gateway.0.as_bytes().to_vec(),
            gateway_slug: self.gateway_slug.clone(),
            token_id: self.token.clone(),
            step: self.step,
            attempt: self.attempt,
            provider: self.provider.clone(),
            model_asked: self.model_asked.clone(),
            model_served: self.model_served.clone(),
            endpoint: self.endpoint.clone(),
            method: self.method.clone(),
            path: self.path.clone(),
            streamed: self.streamed,
            key_source: self.key_source.map_or("", KeySource::as_str).to_owned(),
            key_alias: self.key_alias.clone(),
            dialect: self.dialect.clone(),
            tokens: Some(proto::Tokens {
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
            }),
            provenance: match self.provenance {
                Provenance::None => proto::Provenance::None,
                Provenance::Reported => proto::Provenance::Reported,
                Provenance::Counted => proto::Provenance::Counted,
                Provenance::Estimated => proto::Provenance::Estimated,
            }
            .into(),
            price_version: self.price_version.clone(),
            cost_nanos: self.cost.map(|cost| cost.0),
            paid_nanos: self.paid.0,
            units: self.units.iter().map(Unit::to_wire).collect(),
            tier: self.tier.clone(),
            price_model: self.price_model.clone(),
            custom_cost: self.custom_cost,
            charge_nanos: self.charge.0,
            hold: self.hold.as_ref().map(Hold::to_wire),
            markup_ppm: self.markup_ppm,
            status: self.status.into(),
            outcome: match self.outcome {
                Outcome::Answered => proto::Outcome::Answered,
                Outcome::Refused => proto::Outcome::Refused,
                Outcome::Failed => proto::Outcome::Failed,
                Outcome::HungUp => proto::Outcome::HungUp,
                Outcome::Abandoned => proto::Outcome::Abandoned,
                Outcome::Ended => proto::Outcome::Ended,
            }
            .into(),
            error_code: self.error_code,
            cause: self.cause.clone(),
            timings: Some(proto::Timings { queue, upstream_first_byte, upstream_last_byte, total, own }),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            request_content_type: self.request_content_type.clone(),
            response_content_type: self.response_content_type.clone(),
            user_agent: self.user_agent.clone(),
            event_id: self.event_id.clone(),
            metadata_json: self.metadata.clone(),
            collect_log: self.collect_log,
            policy_logs_json: self.policy_logs.clone(),
            trace_id: self.trace_id.to_vec(),
        }
    }

    /// Reads the wire form.
    pub fn from_wire(wire: proto::UsageRecord) -> Result<Self, InvalidRecord> {
        let uuid = |bytes: &[u8], name| Uuid::from_slice(bytes).map_err(|_| InvalidRecord(name));
        let provenance = match wire.provenance() {
            proto::Provenance::None => Provenance::None,
            proto::Provenance::Reported => Provenance::Reported,
            proto::Provenance::Counted => Provenance::Counted,
            proto::Provenance::Estimated => Provenance::Estimated,
        };
        let outcome = match wire.outcome() {
            proto::Outcome::Unspecified => return Err(InvalidRecord("outcome")),
            proto::Outcome::Answered => Outcome::Answered,
            proto::Outcome::Refused => Outcome::Refused,
            proto::Outcome::Failed => Outcome::Failed,
            proto::Outcome::HungUp => Outcome::HungUp,
            proto::Outcome::Abandoned => Outcome::Abandoned,
            proto::Outcome::Ended => Outcome::Ended,
        };
        let proto::Tokens {
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
        } = wire.tokens.unwrap_or_default();
        let proto::Timings { queue, upstream_first_byte, upstream_last_byte, total, own } =
            wire.timings.unwrap_or_default();
        Ok(Self {
            id: uuid(&wire.id, "id")?,
            request_id: uuid(&wire.request_id, "request_id")?,
            account: AccountId(uuid(&wire.account_id, "account_id")?),
            gateway: GatewayInternalId(uuid(&wire.gateway_id, "gateway_id")?),
            gateway_slug: wire.gateway_slug,
            token: wire.token_id,
            step: wire.step,
            attempt: wire.attempt,
            provider: wire.provider,
            model_asked: wire.model_asked,
            model_served: wire.model_served,
            endpoint: wire.endpoint,
            method: wire.method,
            path: wire.path,
            streamed: wire.streamed,
            key_source: KeySource::from_word(&wire.key_source),
            key_alias: wire.key_alias,
            dialect: wire.dialect,
            tokens: Tokens {
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
            },
            provenance,
            price_version: wire.price_version,
            cost: wire.cost_nanos.map(Nanos),
            paid: Nanos(wire.paid_nanos),
            charge: Nanos(wire.charge_nanos),
            markup_ppm: wire.markup_ppm,
            tier: wire.tier,
            price_model: wire.price_model,
            custom_cost: wire.custom_cost,
            hold: wire.hold.map(Hold::from_wire).transpose()?,
            units: wire.units.into_iter().map(Unit::from_wire).collect(),
            status: u16::try_from(wire.status).map_err(|_| InvalidRecord("status"))?,
            outcome,
            error_code: wire.error_code,
            cause: wire.cause,
            timings: Timings { queue, upstream_first_byte, upstream_last_byte, total, own },
            request_bytes: wire.request_bytes,
            response_bytes: wire.response_bytes,
            request_content_type: wire.request_content_type,
            response_content_type: wire.response_content_type,
            user_agent: wire.user_agent,
            event_id: wire.event_id,
            metadata: wire.metadata_json,
            collect_log: wire.collect_log,
            policy_logs: wire.policy_logs_json,
            trace_id: wire.trace_id.try_into().unwrap_or_default(),
        })
    }
}

impl Unit {
    fn to_wire(&self) -> proto::Unit {
        let Self { name, quantity } = self;
        proto::Unit { name: name.clone(), quantity: *quantity }
    }

    fn from_wire(wire: proto::Unit) -> Self {
        let proto::Unit { name, quantity } = wire;
        Self { name, quantity }
    }
}

impl Hold {
    /// The wire form.
    pub fn to_wire(&self) -> proto::Hold {
        let Self { incarnation, id, amount, floor, reserved } = self;
        proto::Hold {
            incarnation: incarnation.as_bytes().to_vec(),
            id: id.as_bytes().to_vec(),
            amount_nanos: amount.0,
            floor_nanos: floor.0,
            reserved: reserved.iter().map(Reserved::to_wire).collect(),
        }
    }

    /// Reads the wire form.
    pub fn from_wire(wire: proto::Hold) -> Result<Self, InvalidRecord> {
        let uuid = |bytes: &[u8]| Uuid::from_slice(bytes).map_err(|_| InvalidRecord("hold"));
        Ok(Self {
            incarnation: uuid(&wire.incarnation)?,
            id: uuid(&wire.id)?,
            amount: Nanos(wire.amount_nanos),
            floor: Nanos(wire.floor_nanos),
            reserved: wire.reserved.into_iter().map(Reserved::from_wire).collect(),
        })
    }
}

impl Reserved {
    fn to_wire(&self) -> proto::Reserved {
        let Self { counter, measure, window, amount } = self;
        let measure = match measure {
            Measure::Requests => proto::Measure::Requests,
            Measure::Spend => proto::Measure::Spend,
            Measure::Tokens => proto::Measure::Tokens,
        };
        let measure = measure.into();
        proto::Reserved { counter: counter.clone(), measure, window: *window, amount: *amount }
    }

    fn from_wire(wire: proto::Reserved) -> Self {
        let measure = match wire.measure() {
            proto::Measure::Requests => Measure::Requests,
            proto::Measure::Spend => Measure::Spend,
            proto::Measure::Tokens => Measure::Tokens,
        };
        let proto::Reserved { counter, measure: _, window, amount } = wire;
        Self { counter, measure, window, amount }
    }
}
