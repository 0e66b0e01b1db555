//! The scripts, with shard and era in their text: only the desk loads them, so a server that lost
//! its state does not know them, and its NOSCRIPT is the fence. Nobody falls back to EVAL.
//!
//! Every key of a script lies in its shard's hash slot, so the shards can be spread over a cluster.

use model::Shard;
use redis::{Cmd, RedisError, Script};

use crate::stream::{posted_key, usage_key};

/// The scripts of one era of one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scripts {
    shard: Shard,
    era: u64,
    settle: String,
    beat: String,
    posted: String,
}

impl Scripts {
    pub(crate) fn of(shard: Shard, era: u64) -> Self {
        let [settle, beat, posted] = texts(shard, era).map(|text| Script::new(&text).get_hash().to_owned());
        Self { shard, era, settle, beat, posted }
    }

    /// Adds a batch of records to the stream; answers the entry's id and the posted position.
    pub(crate) fn settle(&self, batch: &[u8]) -> Cmd {
        self.call(&self.settle).arg(batch).to_owned()
    }

    /// Answers the posted position.
    pub(crate) fn beat(&self) -> Cmd {
        self.call(&self.beat)
    }

    /// Moves the posted position and forgets entries before `trim`.
    pub(crate) fn posted(&self, position: &str, trim: &str) -> Cmd {
        self.call(&self.posted).arg(position).arg(trim).to_owned()
    }

    /// The digests under which a server that has not forgotten knows them.
    pub(crate) fn digests(&self) -> [&str; 3] {
        [&self.settle, &self.beat, &self.posted]
    }

    fn call(&self, digest: &str) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        let (usage, posted) = (usage_key(self.shard, self.era), posted_key(self.shard, self.era));
        command.arg(digest).arg(2).arg(usage).arg(posted);
        command
    }
}

/// The texts as the desk loads them: settle, beat, posted.
pub(crate) fn texts(shard: Shard, era: u64) -> [String; 3] {
    [include_str!("scripts/settle.lua"), include_str!("scripts/beat.lua"), include_str!("scripts/posted.lua")]
        .map(|text| text.replace("{shard}", &shard.to_string()).replace("{era}", &era.to_string()))
}

/// Whether the answer means that this era is over: the server does not know the script, or the
/// era's keys are gone.
pub(crate) fn era_is_over(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOSCRIPT" | "NOERA"))
}
