//! The usage records that an installation has, as tests look at them.

use std::time::{Duration, Instant};

use anyhow::bail;
use sqlx::postgres::PgRow;
use sqlx::{Connection as _, PgConnection, Row as _};
use uuid::Uuid;

use crate::system::System;

/// What a test looks at in a usage record, as it is known today: a correction stands in for what it corrects.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The record's id.
    pub id: Uuid,
    /// Whose request it was.
    pub account: Uuid,
    /// The caller's correlation id.
    pub event_id: String,
    /// Which of its attempts it is, from zero.
    pub attempt: i32,
    /// Who was asked.
    pub provider: String,
    /// How it ended.
    pub outcome: String,
    /// What the caller was told.
    pub status: i32,
    /// Who counted the tokens.
    pub provenance: String,
    /// Whose key it went with; empty if with none.
    pub key_source: String,
    /// What went wrong.
    pub cause: String,
    /// In nano-dollars.
    pub cost: Option<i64>,
    /// What is due from credits, in nano-dollars.
    pub charge: i64,
    /// What was taken from credits, in nano-dollars.
    pub paid: i64,
    /// What had been set aside, in nano-dollars.
    pub hold: Option<i64>,
    /// The least of it that is charged, in nano-dollars.
    pub floor: Option<i64>,
}

impl Record {
    fn of(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            id: row.try_get("id")?,
            account: row.try_get("account_id")?,
            event_id: row.try_get("event_id")?,
            attempt: row.try_get("attempt")?,
            provider: row.try_get("provider")?,
            outcome: row.try_get("outcome")?,
            status: row.try_get("status")?,
            provenance: row.try_get("provenance")?,
            key_source: row.try_get::<Option<_>, _>("key_source")?.unwrap_or_default(),
            cause: row.try_get("cause")?,
            cost: row.try_get("cost")?,
            charge: row.try_get("charge")?,
            paid: row.try_get("paid")?,
            hold: row.try_get("hold")?,
            floor: row.try_get("hold_floor")?,
        })
    }

    /// Whether the request was paid from credits.
    pub fn on_credits(&self) -> bool {
        self.key_source == "credits"
    }
}

impl System {
    /// The usage records in Postgres, in order of id.
    pub async fn records(&self) -> anyhow::Result<Vec<Record>> {
        let mut connection = PgConnection::connect(&self.database_url).await?;
        let question = "SELECT id, account_id, event_id, attempt, provider, outcome, status::int AS status, provenance, key_source, \
            cause, cost, charge, paid, hold, hold_floor FROM usage_known ORDER BY id";
        let rows = sqlx::query(question).fetch_all(&mut connection).await?;
        Ok(rows.iter().map(Record::of).collect::<Result<_, _>>()?)
    }

    /// Waits until the records satisfy a condition, and returns them.
    pub async fn records_when(
        &self,
        what: &str,
        enough: impl Fn(&[Record]) -> bool,
    ) -> anyhow::Result<Vec<Record>> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let found = self.records().await;
            match found {
                Ok(records) if enough(&records) => return Ok(records),
                Ok(records) if Instant::now() > deadline => {
                    bail!("waited for {what}; there are {records:#?}")
                }
                Err(error) if Instant::now() > deadline => return Err(error.context(what.to_owned())),
                _ => tokio::time::sleep(Duration::from_millis(25)).await,
            }
        }
    }
}
