//! Conditions on logs: a key, an operator and values that are read by the key's type.

use sqlx::{Postgres, QueryBuilder};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// One condition. Several values mean any of them; for `neq`, none of them.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    key: Key,
    operator: Operator,
    values: Vec<Value>,
}

/// A condition that means nothing; the message names what would.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum InvalidFilter {
    #[error("unknown filter key `{found}`; there are {}", Key::WORDS.join(", "))]
    Key { found: String },
    #[error("`{key}` cannot be compared with `{found}`, only with {allowed}")]
    Operator { key: &'static str, found: String, allowed: String },
    #[error("`{key}` expects {expected}, not `{found}`")]
    Value { key: &'static str, expected: &'static str, found: String },
    #[error("`{key}` needs a value")]
    NoValue { key: &'static str },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Id,
    Time,
    Text,
    Number,
    Bool,
    MetadataKey,
    MetadataValue,
}

#[derive(Debug, Clone, PartialEq)]
enum Value {
    Null,
    Id(Uuid),
    /// Milliseconds since 1970.
    Time(u64),
    Text(String),
    /// A decimal as it was written, which Postgres reads exactly.
    Number(String),
    Bool(bool),
}

macro_rules! keys {
    ($($name:ident $word:literal $kind:ident $column:literal,)*) => {
        /// What logs can be filtered by.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the names are the API's")]
        pub enum Key { $($name,)* }

        impl Key {
            /// As the API writes them.
            pub const WORDS: &'static [&'static str] = &[$($word,)*];

            /// Reads the API's word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$name),)* _ => None }
            }

            fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }

            fn kind(self) -> Kind {
                match self { $(Self::$name => Kind::$kind,)* }
            }

            fn column(self) -> &'static str {
                match self { $(Self::$name => $column,)* }
            }
        }
    };
}

// What is not collected yet is always null, so that a filter on it is understood and finds nothing.
keys! {
    Id "id" Id "id",
    CreatedAt "created_at" Time "id",
    RequestContentType "request_content_type" Text "request_content_type",
    ResponseContentType "response_content_type" Text "response_content_type",
    RequestType "request_type" Text "request_type",
    Success "success" Bool "success",
    Cached "cached" Bool "cached",
    Provider "provider" Text "provider",
    Model "model" Text "model",
    ModelType "model_type" Text "model_type",
    Cost "cost" Number "cost",
    Tokens "tokens" Number "tokens",
    TokensIn "tokens_in" Number "tokens_in",
    TokensOut "tokens_out" Number "tokens_out",
    Duration "duration" Number "duration",
    Feedback "feedback" Number "feedback",
    EventId "event_id" Text "event_id",
    MetadataKey "metadata.key" MetadataKey "e.key",
    MetadataValue "metadata.value" MetadataValue "e.value",
    Authentication "authentication" Bool "authentication",
    Wholesale "wholesale" Bool "wholesale",
    CompatibilityMode "compatibilityMode" Bool "compatibility_mode",
    DlpAction "dlp_action" Text "null::text",
    UserAgent "user_agent" Text "user_agent",
    PromptId "prompts.prompt_id" Text "null::text",
    PromptVersionId "prompts.version_id" Text "null::text",
}

/// How a value is compared. The last two come from deprecated parameters only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Operator {
    Equal,
    NotEqual,
    Contains,
    Less,
    Greater,
    AtLeast,
    AtMost,
}

impl Operator {
    /// Reads the API's word.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "eq" => Self::Equal,
            "neq" => Self::NotEqual,
            "contains" => Self::Contains,
            "lt" => Self::Less,
            "gt" => Self::Greater,
            _ => return None,
        })
    }
}

impl Kind {
    fn operators(self) -> &'static [&'static str] {
        match self {
            Kind::Id | Kind::Time | Kind::Number => &["eq", "neq", "lt", "gt"],
            Kind::Bool => &["eq", "neq"],
            Kind::Text => &["eq", "neq", "contains", "lt", "gt"],
            Kind::MetadataKey | Kind::MetadataValue => &["eq", "neq", "contains"],
        }
    }
}

impl Filter {
    /// Reads a condition in the API's words.
    pub fn parse(key: &str, operator: &str, values: &[serde_json::Value]) -> Result<Self, InvalidFilter> {
        let key = Key::from_word(key).ok_or_else(|| InvalidFilter::Key { found: key.to_owned() })?;
        let allowed = key.kind().operators();
        let known = Operator::from_word(operator).filter(|_| allowed.contains(&operator));
        let Some(known) = known else {
            let (key, found) = (key.word(), operator.to_owned());
            return Err(InvalidFilter::Operator { key, found, allowed: allowed.join(", ") });
        };
        Self::of(key, known, values)
    }

    /// Reads the values of a condition.
    pub fn of(key: Key, operator: Operator, values: &[serde_json::Value]) -> Result<Self, InvalidFilter> {
        if values.is_empty() {
            return Err(InvalidFilter::NoValue { key: key.word() });
        }
        let values = values.iter().map(|value| read(key, value)).collect::<Result<_, _>>()?;
        Ok(Self { key, operator, values })
    }

    pub(super) fn push(&self, sql: &mut QueryBuilder<Postgres>) {
        sql.push(if self.operator == Operator::NotEqual { "not (" } else { "(" });
        for (at, value) in self.values.iter().enumerate() {
            sql.push(if at > 0 { " or " } else { "" });
            self.push_one(sql, value);
        }
        sql.push(")");
    }

    fn push_one(&self, sql: &mut QueryBuilder<Postgres>, value: &Value) {
        let inside = matches!(self.key.kind(), Kind::MetadataKey | Kind::MetadataValue);
        if inside {
            sql.push("exists (select from jsonb_each_text(metadata) e where ");
        }
        if let Value::Time(milliseconds) = value {
            push_time(sql, self.operator, *milliseconds);
        } else {
            self.push_comparison(sql, value);
        }
        if inside {
            sql.push(")");
        }
    }

    fn push_comparison(&self, sql: &mut QueryBuilder<Postgres>, value: &Value) {
        let column = self.key.column();
        if self.operator == Operator::Contains && *value == Value::Null {
            sql.push("false");
            return;
        }
        if self.operator == Operator::Contains {
            sql.push("strpos(lower(").push(column).push("), lower(");
            push_value(sql, value);
            sql.push(")) > 0");
            return;
        }
        let comparison = match self.operator {
            // Nothing is unequal to everything, and equal to nothing else.
            Operator::Equal | Operator::NotEqual | Operator::Contains => " is not distinct from ",
            Operator::Less => " < ",
            Operator::Greater => " > ",
            Operator::AtLeast => " >= ",
            Operator::AtMost => " <= ",
        };
        sql.push(column).push(comparison);
        push_value(sql, value);
    }
}

/// A log's time is in its id, whose index then serves.
fn push_time(sql: &mut QueryBuilder<Postgres>, operator: Operator, milliseconds: u64) {
    let start = |milliseconds: u64| Uuid::from_u128(u128::from(milliseconds) << 80);
    let (first, next) = (start(milliseconds), start(milliseconds.saturating_add(1)));
    match operator {
        Operator::Less => sql.push("id < ").push_bind(first),
        Operator::AtLeast => sql.push("id >= ").push_bind(first),
        Operator::AtMost => sql.push("id < ").push_bind(next),
        Operator::Greater => sql.push("id >= ").push_bind(next),
        Operator::Equal | Operator::NotEqual | Operator::Contains => {
            sql.push("id >= ").push_bind(first).push(" and id < ").push_bind(next)
        }
    };
}

fn push_value(sql: &mut QueryBuilder<Postgres>, value: &Value) {
    match value {
        Value::Null => sql.push("null"),
        Value::Id(id) => sql.push_bind(*id),
        Value::Time(milliseconds) => sql.push_bind(i64::try_from(*milliseconds).unwrap_or(i64::MAX)),
        Value::Text(text) => sql.push_bind(text.clone()),
        Value::Number(number) => sql.push_bind(number.clone()).push("::numeric"),
        Value::Bool(truth) => sql.push_bind(*truth),
    };
}

/// Values come as strings in a query and typed in JSON; the key's type decides.
fn read(key: Key, value: &serde_json::Value) -> Result<Value, InvalidFilter> {
    let text = match value {
        serde_json::Value::Null => return Ok(Value::Null),
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let invalid = |expected| InvalidFilter::Value { key: key.word(), expected, found: text.clone() };
    match key.kind() {
        Kind::Text | Kind::MetadataKey | Kind::MetadataValue if text.contains('\0') => {
            Err(invalid("a text without NUL"))
        }
        Kind::Text | Kind::MetadataKey | Kind::MetadataValue => Ok(Value::Text(text)),
        _ if text == "null" => Ok(Value::Null),
        Kind::Id => Uuid::try_parse(&text).map(Value::Id).map_err(|_| invalid("a log id")),
        Kind::Time => {
            time(&text).map(Value::Time).ok_or_else(|| invalid("a time such as `2026-10-01T00:00:00Z`"))
        }
        Kind::Number => match text.parse::<f64>() {
            Ok(number) if number.is_finite() && text.len() <= 40 => Ok(Value::Number(text)),
            _ => Err(invalid("a number")),
        },
        Kind::Bool => match text.as_str() {
            "true" | "1" => Ok(Value::Bool(true)),
            "false" | "0" => Ok(Value::Bool(false)),
            _ => Err(invalid("true or false")),
        },
    }
}

/// RFC 3339, a date, or milliseconds since 1970.
fn time(text: &str) -> Option<u64> {
    if let Ok(milliseconds) = text.parse() {
        return Some(milliseconds).filter(|milliseconds| *milliseconds < 1 << 48);
    }
    // A plus in a query string arrives as a space.
    let moment = OffsetDateTime::parse(&text.replace(' ', "+"), &Rfc3339)
        .or_else(|_| OffsetDateTime::parse(&format!("{text}T00:00:00Z"), &Rfc3339))
        .ok()?;
    u64::try_from(moment.unix_timestamp_nanos() / 1_000_000)
        .ok()
        .filter(|milliseconds| *milliseconds < 1 << 48)
}
