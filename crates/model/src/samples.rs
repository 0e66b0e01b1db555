//! Plausible values for the tests of every crate. No program uses them.

use uuid::Uuid;

use crate::id::{AccountId, GatewayInternalId};
use crate::money::Nanos;
use crate::usage::{Outcome, Provenance, Timings, Tokens, UsageRecord};

/// The record of a small chat completion that went well.
pub fn usage_record(id: Uuid, account: AccountId) -> UsageRecord {
    UsageRecord {
        id,
        request_id: id,
        account,
        gateway: GatewayInternalId(Uuid::from_u128(7)),
        gateway_slug: "demo".to_owned(),
        token: String::new(),
        step: 0,
        attempt: 0,
        provider: "openai".to_owned(),
        model_asked: "gpt-4o-mini".to_owned(),
        model_served: "gpt-4o-mini-2024-07-18".to_owned(),
        endpoint: "chat_completions".to_owned(),
        method: "POST".to_owned(),
        path: "/chat/completions".to_owned(),
        streamed: false,
        key_source: None,
        key_alias: String::new(),
        dialect: "native".to_owned(),
        tokens: Tokens { input: 12, output: 34, ..Tokens::default() },
        units: Vec::new(),
        provenance: Provenance::Reported,
        price_version: "2026-10-01".to_owned(),
        cost: Some(Nanos(22_200)),
        paid: Nanos::ZERO,
        charge: Nanos::ZERO,
        markup_ppm: 0,
        tier: String::new(),
        price_model: "gpt-4o-mini".to_owned(),
        custom_cost: false,
        hold: None,
        status: 200,
        outcome: Outcome::Answered,
        error_code: 0,
        cause: String::new(),
        timings: Timings {
            queue: 30,
            upstream_first_byte: 900,
            upstream_last_byte: 950,
            total: 1000,
            own: 50,
        },
        request_bytes: 300,
        response_bytes: 500,
        request_content_type: "application/json".to_owned(),
        response_content_type: "application/json".to_owned(),
        user_agent: "OpenAI/Python 2.0".to_owned(),
        event_id: id.to_string(),
        metadata: r#"{"team":"red"}"#.to_owned(),
        collect_log: true,
        policy_logs: String::new(),
        trace_id: [0; 16],
    }
}
