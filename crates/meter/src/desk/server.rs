//! What a Redis says of its own settings, as far as money depends on them. Managed services forbid
//! `CONFIG`, so most is read from `INFO`; what neither tells is not known.

use std::collections::HashMap;

use model::Secret;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisResult, Value};

use super::{DEADLINE, DeskError};

/// A connection for such questions.
pub struct Server(MultiplexedConnection);

/// The settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What it does when memory is short, such as `noeviction`; nothing if it does not say.
    pub eviction: Option<String>,
    /// Whether it is a node of a Redis Cluster.
    pub is_cluster: bool,
    /// Whether it follows another server.
    pub is_replica: bool,
    /// Servers that follow it.
    pub replicas: u32,
    /// Whether it takes writes that none of them may have.
    pub guard: Guard,
}

/// `min-replicas-to-write` and `min-replicas-max-lag`: whether a primary that lost its replicas, which may
/// have been left behind, stops taking writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guard {
    /// It does not.
    Off,
    /// It does, once all have been silent for so many seconds, if it says how many.
    On {
        /// `min-replicas-max-lag`.
        max_lag: Option<u32>,
    },
    /// It does not say.
    Unknown,
}

impl Server {
    /// Connects.
    pub async fn connect(url: &Secret) -> Result<Self, DeskError> {
        let client = Client::open(url.expose())?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(DEADLINE))
            .set_response_timeout(Some(DEADLINE));
        Ok(Self(client.get_multiplexed_async_connection_with_config(&config).await?))
    }

    /// What it says now. Questions that it refuses are not answered, which is no error.
    pub async fn settings(&mut self) -> Result<Settings, DeskError> {
        let mut questions = redis::pipe();
        for section in ["memory", "replication", "cluster"] {
            questions.cmd("INFO").arg(section);
        }
        for setting in ["maxmemory-policy", "min-replicas-*"] {
            questions.cmd("CONFIG").arg("GET").arg(setting);
        }
        let answers: Vec<RedisResult<Value>> = questions.ignore_errors().query_async(&mut self.0).await?;
        let mut answers = answers.into_iter().map(|answer| answer.and_then(Value::extract_error).ok());
        let mut information = String::new();
        for section in answers.by_ref().take(3).flatten() {
            information.push_str(&redis::from_redis_value::<String>(section).unwrap_or_default());
        }
        let mut configuration = HashMap::new();
        for settings in answers.flatten() {
            configuration
                .extend(redis::from_redis_value::<HashMap<String, String>>(settings).unwrap_or_default());
        }
        Ok(Settings::read(&information, &configuration))
    }
}

impl Settings {
    fn read(information: &str, configuration: &HashMap<String, String>) -> Self {
        let said = |name: &str| {
            information.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let set = |name: &str| configuration.get(name).map(String::as_str);
        let count = |text: &str| text.parse::<u32>().ok();
        let max_lag = set("min-replicas-max-lag").and_then(count);
        let guard = match set("min-replicas-to-write").and_then(count) {
            Some(0) => Guard::Off,
            // Either at zero turns it off.
            Some(_) if max_lag == Some(0) => Guard::Off,
            Some(_) => Guard::On { max_lag },
            // It counts the good ones only if it asks for some.
            None if said("min_slaves_good_slaves").is_some() => Guard::On { max_lag },
            None if said("connected_slaves").is_some() => Guard::Off,
            None => Guard::Unknown,
        };
        let eviction = said("maxmemory_policy").or_else(|| set("maxmemory-policy"));
        Self {
            eviction: eviction.map(str::to_owned),
            is_cluster: said("cluster_enabled") == Some("1"),
            is_replica: said("role") == Some("slave"),
            replicas: said("connected_slaves").and_then(count).unwrap_or(0),
            guard,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(information: &str, configuration: &[(&str, &str)]) -> Settings {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Settings::read(information, &configuration.iter().map(own).collect())
    }

    #[test]
    fn a_server_that_tells_everything() {
        let settings = read(
            "# Memory\r\nmaxmemory_policy:noeviction\r\n# Replication\r\nrole:master\r\nconnected_slaves:2\r\n\
             min_slaves_good_slaves:2\r\n# Cluster\r\ncluster_enabled:0\r\n",
            &[("min-replicas-to-write", "1"), ("min-replicas-max-lag", "10")],
        );
        let guard = Guard::On { max_lag: Some(10) };
        let eviction = Some("noeviction".to_owned());
        assert_eq!(settings, Settings { eviction, is_cluster: false, is_replica: false, replicas: 2, guard });
    }

    #[test]
    fn what_configuration_does_not_tell_is_read_from_the_rest() {
        let replicated = "role:master\r\nconnected_slaves:1\r\n";
        assert_eq!(read(replicated, &[]).guard, Guard::Off);
        let guarded = format!("{replicated}min_slaves_good_slaves:1\r\n");
        assert_eq!(read(&guarded, &[]).guard, Guard::On { max_lag: None });
        let settings = read("", &[]);
        assert_eq!((settings.eviction, settings.guard), (None, Guard::Unknown));
        let settings = read("", &[("maxmemory-policy", "volatile-lru")]);
        assert_eq!(settings.eviction.as_deref(), Some("volatile-lru"));
    }

    #[test]
    fn either_setting_at_zero_is_no_guard() {
        for (replicas, lag) in [("0", "10"), ("1", "0")] {
            let settings = [("min-replicas-to-write", replicas), ("min-replicas-max-lag", lag)];
            assert_eq!(read("", &settings).guard, Guard::Off);
        }
    }

    #[test]
    fn a_node_of_a_cluster_and_a_replica_say_so() {
        let settings = read("role:slave\r\ncluster_enabled:1\r\n", &[]);
        assert!(settings.is_cluster && settings.is_replica);
    }
}
