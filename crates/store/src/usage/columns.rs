//! A usage record as columns: each line names the column, its type and where it comes from.

use std::sync::LazyLock;

use model::usage::{KeySource, Timings, Tokens, Unit, UsageRecord};
use sqlx::Postgres;
use sqlx::postgres::PgArguments;
use sqlx::query::QueryScalar;
use uuid::Uuid;

use super::Posted;

macro_rules! columns {
    ($($name:ident: $type:ty => $sql:literal;)*) => {
        /// A batch turned on its side: one array a column, for `unnest`.
        #[derive(Default)]
        pub(super) struct Columns { $($name: Vec<$type>,)* }

        /// One record's row.
        struct Row { $($name: $type,)* }

        impl Columns {
            fn push(&mut self, row: Row) {
                let Row { $($name,)* } = row;
                $(self.$name.push($name);)*
            }

            /// Binds the arrays in the order of the statement.
            pub(super) fn bind<'q>(
                self,
                query: QueryScalar<'q, Postgres, Uuid, PgArguments>,
            ) -> QueryScalar<'q, Postgres, Uuid, PgArguments> {
                query$(.bind(self.$name))*
            }
        }

        const COLUMNS: &[(&str, &str)] = &[$((stringify!($name), $sql),)*];
    };
}

columns! {
    id: Uuid => "uuid";
    request_id: Uuid => "uuid";
    account_id: Uuid => "uuid";
    gateway_id: Uuid => "uuid";
    gateway_slug: String => "text";
    token: String => "text";
    step: i32 => "integer";
    attempt: i32 => "integer";
    provider: String => "text";
    model_asked: String => "text";
    model_served: String => "text";
    endpoint: String => "text";
    method: String => "text";
    path: String => "text";
    streamed: bool => "boolean";
    key_source: Option<&'static str> => "text";
    key_alias: String => "text";
    dialect: String => "text";
    input_tokens: i64 => "bigint";
    cached_input_tokens: i64 => "bigint";
    cache_write_tokens: i64 => "bigint";
    output_tokens: i64 => "bigint";
    reasoning_tokens: i64 => "bigint";
    audio_input_tokens: i64 => "bigint";
    audio_output_tokens: i64 => "bigint";
    image_input_tokens: i64 => "bigint";
    image_output_tokens: i64 => "bigint";
    cache_write_long_tokens: i64 => "bigint";
    cached_audio_input_tokens: i64 => "bigint";
    cached_image_input_tokens: i64 => "bigint";
    units: Option<serde_json::Value> => "jsonb";
    provenance: &'static str => "text";
    price_version: String => "text";
    cost: Option<i64> => "bigint";
    paid: i64 => "bigint";
    charge: i64 => "bigint";
    markup_ppm: i64 => "bigint";
    tier: String => "text";
    price_model: String => "text";
    custom_cost: bool => "boolean";
    hold: Option<i64> => "bigint";
    hold_floor: Option<i64> => "bigint";
    status: i32 => "integer";
    outcome: &'static str => "text";
    error_code: i64 => "bigint";
    cause: String => "text";
    queue_time: i64 => "bigint";
    upstream_first_byte_time: i64 => "bigint";
    upstream_last_byte_time: i64 => "bigint";
    total_time: i64 => "bigint";
    own_time: i64 => "bigint";
    request_bytes: i64 => "bigint";
    response_bytes: i64 => "bigint";
    request_content_type: String => "text";
    response_content_type: String => "text";
    user_agent: String => "text";
    event_id: String => "text";
    metadata: Option<serde_json::Value> => "jsonb";
    collect_log: bool => "boolean";
    policy_logs: Option<serde_json::Value> => "jsonb";
    trace_id: Option<Vec<u8>> => "bytea";
    transaction_id: Option<Uuid> => "uuid";
}

impl Columns {
    pub(super) fn of<'a>(records: impl IntoIterator<Item = Posted<'a>>) -> Self {
        let mut columns = Self::default();
        records.into_iter().for_each(|posted| columns.push(Row::of(posted)));
        columns
    }
}

impl Row {
    fn of(Posted { record, transaction }: Posted<'_>) -> Self {
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
            hold,
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
            policy_logs,
            trace_id,
        } = record;
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
        let Timings { queue, upstream_first_byte, upstream_last_byte, total, own } = *timings;
        Self {
            id: *id,
            request_id: *request_id,
            account_id: account.0,
            gateway_id: gateway.0,
            gateway_slug: text(gateway_slug),
            token: text(token),
            step: i32::try_from(*step).unwrap_or(i32::MAX),
            attempt: i32::try_from(*attempt).unwrap_or(i32::MAX),
            provider: text(provider),
            model_asked: text(model_asked),
            model_served: text(model_served),
            endpoint: text(endpoint),
            method: text(method),
            path: text(path),
            streamed: *streamed,
            key_source: key_source.map(KeySource::as_str),
            key_alias: text(key_alias),
            dialect: text(dialect),
            input_tokens: number(input),
            cached_input_tokens: number(cached_input),
            cache_write_tokens: number(cache_write),
            output_tokens: number(output),
            reasoning_tokens: number(reasoning),
            audio_input_tokens: number(audio_input),
            audio_output_tokens: number(audio_output),
            image_input_tokens: number(image_input),
            image_output_tokens: number(image_output),
            cache_write_long_tokens: number(cache_write_long),
            cached_audio_input_tokens: number(cached_audio_input),
            cached_image_input_tokens: number(cached_image_input),
            units: quantities(units),
            provenance: provenance.as_str(),
            price_version: text(price_version),
            cost: cost.map(|cost| cost.0),
            paid: paid.0,
            charge: charge.0,
            markup_ppm: *markup_ppm,
            tier: text(tier),
            price_model: text(price_model),
            custom_cost: *custom_cost,
            hold: hold.as_ref().map(|hold| hold.amount.0),
            hold_floor: hold.as_ref().map(|hold| hold.floor.0),
            status: i32::from(*status),
            outcome: outcome.as_str(),
            error_code: i64::from(*error_code),
            cause: text(cause),
            queue_time: number(queue),
            upstream_first_byte_time: number(upstream_first_byte),
            upstream_last_byte_time: number(upstream_last_byte),
            total_time: number(total),
            own_time: number(own),
            request_bytes: number(*request_bytes),
            response_bytes: number(*response_bytes),
            request_content_type: text(request_content_type),
            response_content_type: text(response_content_type),
            user_agent: text(user_agent),
            event_id: text(event_id),
            metadata: labels(metadata),
            collect_log: *collect_log,
            policy_logs: logged(policy_logs),
            trace_id: (*trace_id != [0; 16]).then(|| trace_id.to_vec()),
            transaction_id: transaction,
        }
    }
}

/// Postgres keeps no NUL in a text.
fn text(text: &str) -> String {
    if text.contains('\0') { text.replace('\0', "\u{fffd}") } else { text.to_owned() }
}

/// The caller's labels, always an object. What is none, or one that Postgres cannot keep, is kept as
/// a text.
fn labels(metadata: &str) -> Option<serde_json::Value> {
    if metadata.is_empty() {
        return None;
    }
    let parsed: Option<serde_json::Value> = serde_json::from_str(metadata).ok();
    let parsed = parsed.filter(|value| value.is_object() && !metadata.contains("\\u0000"));
    Some(parsed.unwrap_or_else(|| serde_json::json!({ "tollgate.unreadable": text(metadata) })))
}

/// What a policy has logged, always an array. What is none, or one that Postgres cannot keep, is left out.
fn logged(logs: &str) -> Option<serde_json::Value> {
    let parsed: serde_json::Value = serde_json::from_str(logs).ok()?;
    (parsed.is_array() && !logs.contains("\\u0000")).then_some(parsed)
}

/// Quantities by name.
fn quantities(units: &[Unit]) -> Option<serde_json::Value> {
    let quantity = |unit: &Unit| (text(&unit.name), unit.quantity.into());
    (!units.is_empty()).then(|| serde_json::Value::Object(units.iter().map(quantity).collect()))
}

fn number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Inserts what is new.
pub(super) fn insert_new() -> &'static str {
    static SQL: LazyLock<String> = LazyLock::new(|| statement("usage_records", "true"));
    &SQL
}

/// Inserts the real records of requests that were given up.
pub(super) fn insert_corrections() -> &'static str {
    static SQL: LazyLock<String> = LazyLock::new(|| {
        statement(
            "usage_corrections",
            "exists (select from usage_records r where r.id = batch.id and r.outcome = 'abandoned')",
        )
    });
    &SQL
}

fn statement(table: &str, condition: &str) -> String {
    let names = COLUMNS.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let arrays = COLUMNS.iter().enumerate().map(|(at, (_, sql))| format!("${}::{sql}[]", at + 1));
    let arrays = arrays.collect::<Vec<_>>().join(", ");
    format!(
        "insert into {table} ({names}) select {names} from unnest({arrays}) batch ({names})
         where {condition} on conflict (id) do nothing returning id"
    )
}
