//! What a list of logs is asked for, as SQL. Texts of the caller's are always bound, never pasted.

use model::id::GatewayInternalId;
use sqlx::{Postgres, QueryBuilder};

use super::Filter;

/// Which logs, and in which order. All conditions must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogQuery {
    /// The conditions.
    pub filters: Vec<Filter>,
    /// A text somewhere in the metadata.
    pub search: Option<String>,
    /// What to sort by; the newer first among equals.
    pub order_by: OrderBy,
    /// Which end comes first.
    pub direction: Direction,
}

/// Which end of an order comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// The least, or the oldest.
    Ascending,
    /// The most, or the newest.
    #[default]
    Descending,
}

macro_rules! order_by {
    ($($name:ident $word:literal $column:literal,)*) => {
        /// What logs can be sorted by.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
        #[expect(missing_docs, reason = "the names say it")]
        pub enum OrderBy { #[default] CreatedAt, $($name,)* }

        impl OrderBy {
            /// As the API writes them.
            pub const WORDS: &'static [&'static str] = &["created_at", $($word,)*];

            /// Reads the API's word.
            pub fn from_word(word: &str) -> Option<Self> {
                match word { "created_at" => Some(Self::CreatedAt), $($word => Some(Self::$name),)* _ => None }
            }

            fn column(self) -> &'static str {
                match self { Self::CreatedAt => "id", $(Self::$name => $column,)* }
            }
        }
    };
}

order_by! {
    Provider "provider" "provider",
    Model "model" "model",
    ModelType "model_type" "model_type",
    Success "success" "success",
    Cached "cached" "cached",
    Cost "cost" "cost",
    TokensIn "tokens_in" "tokens_in",
    TokensOut "tokens_out" "tokens_out",
    Duration "duration" "duration",
    Feedback "feedback" "feedback",
}

impl LogQuery {
    pub(super) fn push_conditions(&self, sql: &mut QueryBuilder<Postgres>, gateway: GatewayInternalId) {
        sql.push("gateway_id = ").push_bind(gateway.0);
        for filter in &self.filters {
            sql.push(" and (");
            filter.push(sql);
            sql.push(")");
        }
        if let Some(search) = &self.search {
            sql.push(" and strpos(lower(metadata::text), lower(").push_bind(search.clone()).push(")) > 0");
        }
    }

    pub(super) fn push_order(&self, sql: &mut QueryBuilder<Postgres>) {
        let direction = match self.direction {
            Direction::Ascending => "asc",
            Direction::Descending => "desc",
        };
        match self.order_by {
            OrderBy::CreatedAt => sql.push(format_args!(" order by id {direction}")),
            other => sql.push(format_args!(" order by {} {direction} nulls last, id desc", other.column())),
        };
    }
}
