//! Eras. A new one opens in two steps: first proxies say what they hold and the desk posts what came
//! with it, then accounts are loaded and new holds are taken.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use model::Shard;
use redis::{FromRedisValue as _, RedisError, Value};
use uuid::Uuid;

use super::{Desk, DeskError, Place, Standing};
use crate::protocol::{Bundle, key, text};
use crate::stream::{Position, era_key, posted_key, usage_key};

/// Posted entries are kept for so long, for a Postgres that was restored to a recent point.
pub(super) const KEPT: Duration = Duration::from_secs(3600);

impl Desk {
    /// The eras that Redis says are open.
    pub async fn eras(&mut self, shards: &[Shard]) -> Result<Vec<Option<u64>>, DeskError> {
        let mut commands = redis::pipe();
        shards.iter().for_each(|shard| {
            commands.cmd("GET").arg(era_key(*shard));
        });
        self.query(&commands).await
    }

    /// How each era stands. It is open if it is published, has its position and all its scripts; a
    /// server that was restarted, promoted or wiped fails one of these.
    pub async fn standing(&mut self, places: &[Place]) -> Result<Vec<Standing>, DeskError> {
        let mut commands = redis::pipe();
        for Place { shard, era, .. } in places {
            let scripts = self.scripts(*shard, *era);
            commands.cmd("GET").arg(era_key(*shard));
            commands.cmd("EXISTS").arg(posted_key(*shard, *era));
            commands.cmd("SCRIPT").arg("EXISTS").arg(scripts.digests());
        }
        let answers: Vec<Value> = self.query(&commands).await?;
        let mut standing = Vec::with_capacity(places.len());
        for (place, answers) in places.iter().zip(answers.chunks_exact(3)) {
            let published = Option::<u64>::from_redis_value(answers[0].clone()).map_err(RedisError::from)?;
            let positioned = bool::from_redis_value(answers[1].clone()).map_err(RedisError::from)?;
            let (first, second) =
                <(bool, bool)>::from_redis_value(answers[2].clone()).map_err(RedisError::from)?;
            let begun = published == Some(place.era) && positioned && first;
            standing.push(match second {
                true if begun => Standing::Open,
                false if begun => Standing::Opening,
                _ => Standing::Over,
            });
        }
        Ok(standing)
    }

    /// Ends eras for good: nothing can be added to their streams any more, which may then be read to
    /// their end, and nothing can be set aside or paid. What is left of the streams goes after an hour;
    /// the rest stays until [`Desk::forget`].
    pub async fn end(&mut self, eras: &[(Shard, u64)]) -> Result<(), DeskError> {
        let mut commands = redis::pipe();
        for (shard, era) in eras {
            commands.cmd("DEL").arg(posted_key(*shard, *era)).ignore();
            commands.cmd("EXPIRE").arg(usage_key(*shard, *era)).arg(KEPT.as_secs()).ignore();
        }
        self.query(&commands).await
    }

    /// Closes eras, which may be ended later: nothing can be added to their streams, set aside or paid.
    /// Nothing else is touched, so that the next era finds all of it.
    pub async fn suspend(&mut self, eras: &[(Shard, u64)]) -> Result<(), DeskError> {
        let mut commands = redis::pipe();
        for (shard, era) in eras {
            commands.cmd("DEL").arg(posted_key(*shard, *era)).ignore();
        }
        self.query(&commands).await
    }

    /// Opens eras at once: where no proxy can have anything to declare.
    pub async fn open(&mut self, eras: &[(Shard, u64)]) -> Result<(), DeskError> {
        self.load_scripts(eras, Bundle::Second).await?;
        self.begin(eras).await
    }

    /// The first step: position, the scripts with which proxies declare and the desk posts, and last the
    /// number by which proxies find the era. A number that is lower than the published one is not
    /// published: a later desk has moved on.
    pub async fn begin(&mut self, eras: &[(Shard, u64)]) -> Result<(), DeskError> {
        self.load_scripts(eras, Bundle::First).await?;
        let mut commands = redis::pipe();
        for (shard, era) in eras {
            let position = Position::default().to_string();
            commands.cmd("SET").arg(posted_key(*shard, *era)).arg(position).arg("NX").ignore();
        }
        // Only the desk publishes, and this one text is no part of an era; there is no fence to bypass.
        const PUBLISH: &str = "local known = redis.call('GET', KEYS[1])
            if known and tonumber(known) > tonumber(ARGV[1]) then return 0 end
            redis.call('SET', KEYS[1], ARGV[1])
            return 1";
        for (shard, era) in eras {
            commands.cmd("EVAL").arg(PUBLISH).arg(1).arg(era_key(*shard)).arg(*era).ignore();
        }
        self.query(&commands).await
    }

    /// The second step: from now on accounts are loaded and new holds taken.
    pub async fn admit(&mut self, eras: &[(Shard, u64)]) -> Result<(), DeskError> {
        self.load_scripts(eras, Bundle::Second).await
    }

    /// Which incarnations have declared in each era. Those that the desk saw beating in the last 30
    /// seconds of the former era are waited for.
    pub async fn declared(&mut self, eras: &[(Shard, u64)]) -> Result<Vec<HashSet<Uuid>>, DeskError> {
        let mut commands = redis::pipe();
        for (shard, era) in eras {
            commands.cmd("SMEMBERS").arg(key(*shard, *era, "d"));
        }
        let found: Vec<Vec<String>> = self.query(&commands).await?;
        let ids = |texts: Vec<String>| texts.iter().filter_map(|text| Uuid::try_parse(text).ok()).collect();
        Ok(found.into_iter().map(ids).collect())
    }

    /// Removes what these eras and all before them have left, but for their streams: also those before that
    /// began and never opened, because a desk died over it. In one walk over all keys, so it is for after a
    /// new era, not for every day.
    pub async fn forget(&mut self, eras: &[(Shard, u64)]) -> Result<(), DeskError> {
        let mut last: HashMap<String, u64> = HashMap::new();
        for (shard, era) in eras {
            let known = last.entry(shard.to_string()).or_default();
            *known = (*era).max(*known);
        }
        let is_left = |name: &str| {
            let mut words = name.splitn(3, ':');
            let (shard, era, rest) = (words.next()?, words.next()?.parse::<u64>().ok()?, words.next()?);
            Some(rest != "u" && era <= *last.get(shard)?)
        };
        // Beats last: by them it is seen that there is something left.
        let mut beats = redis::pipe();
        let mut cursor = 0_u64;
        loop {
            let (next, keys) = self.walk(cursor, "{m*}:*").await?;
            let mut removal = redis::pipe();
            for name in keys.iter().filter(|name| is_left(name).unwrap_or(false)) {
                let when = if name.ends_with(":b") { &mut beats } else { &mut removal };
                when.cmd("UNLINK").arg(name).ignore();
            }
            let () = self.query(&removal).await?;
            cursor = next;
            if cursor == 0 {
                return self.query(&beats).await;
            }
        }
    }

    async fn load_scripts(&mut self, eras: &[(Shard, u64)], bundle: Bundle) -> Result<(), DeskError> {
        // In parts, so that a server that compiles them all still answers others in between.
        for eras in eras.chunks(16) {
            let mut commands = redis::pipe();
            for (shard, era) in eras {
                let text = text(bundle, *shard, *era, self.clock);
                commands.cmd("SCRIPT").arg("LOAD").arg(text).ignore();
            }
            let () = self.query(&commands).await?;
        }
        Ok(())
    }
}
