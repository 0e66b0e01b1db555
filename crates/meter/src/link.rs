//! One connection to Redis with a deadline and a breaker: slow Redis is treated as no Redis.

use std::time::{Duration, Instant};

use model::Secret;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Pipeline, RedisError, RedisResult, Value};
use tracing::{info, warn};

const DEADLINE: Duration = Duration::from_millis(250);
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// A connection is not left earlier than this after it was made.
const SHORTEST_STAY: Duration = Duration::from_secs(1);

/// The connection, or when to try again.
pub(crate) struct Link {
    client: Client,
    connection: Option<MultiplexedConnection>,
    connected_at: Option<Instant>,
    pause: Duration,
    retry_at: Option<Instant>,
}

/// Whether the answer means that another server is the primary by now, or that this one may not write as if
/// it were.
pub(crate) fn is_from_no_primary(error: &RedisError) -> bool {
    matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "NOREPLICAS"))
}

/// Redis did not answer in time; what was asked may have been done or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Down;

impl Link {
    pub(crate) fn to(url: &Secret) -> Result<Self, RedisError> {
        let client = Client::open(url.expose())?;
        Ok(Self { client, connection: None, connected_at: None, pause: FIRST_PAUSE, retry_at: None })
    }

    /// How long the breaker stays open.
    pub(crate) fn closed_for(&self) -> Duration {
        self.retry_at.map_or(Duration::ZERO, |at| at.saturating_duration_since(Instant::now()))
    }

    /// Connects anew before the next call: who answers may be a primary that was left behind or is one no
    /// longer, while the address leads to another by now. Not at once again if that changes nothing.
    pub(crate) fn leave(&mut self) {
        if self.connected_at.is_some_and(|at| at.elapsed() >= SHORTEST_STAY) {
            self.connection = None;
        }
    }

    /// Sends the commands in one go. Each has its own answer. A connection that has gone since it was used
    /// last is made anew at once; that something may then arrive twice, all commands allow for.
    pub(crate) async fn ask(&mut self, commands: &mut Pipeline) -> Result<Vec<RedisResult<Value>>, Down> {
        if !self.closed_for().is_zero() {
            return Err(Down);
        }
        let was_connected = self.connection.is_some();
        let mut answers = self.try_ask(commands.ignore_errors()).await;
        if was_connected && answers.as_ref().is_err_and(RedisError::is_connection_dropped) {
            self.connection = None;
            answers = self.try_ask(commands).await;
        }
        match answers {
            Ok(answers) => {
                if self.retry_at.take().is_some() {
                    info!("Redis answers again");
                }
                self.pause = FIRST_PAUSE;
                Ok(answers)
            }
            Err(error) => {
                if self.retry_at.is_none() {
                    warn!(error = %error, "Redis does not answer; records stay in the spool");
                }
                self.connection = None;
                self.retry_at = Some(Instant::now() + self.pause);
                self.pause = (self.pause * 2).min(LONGEST_PAUSE);
                Err(Down)
            }
        }
    }

    async fn try_ask(&mut self, commands: &Pipeline) -> RedisResult<Vec<RedisResult<Value>>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(DEADLINE))
                    .set_response_timeout(Some(DEADLINE));
                self.connected_at = Some(Instant::now());
                none.insert(self.client.get_multiplexed_async_connection_with_config(&config).await?)
            }
        };
        commands.query_async(connection).await
    }
}
