//! Carrying records from an era that has ended to the next one: those that cost more than they have paid,
//! because what is free can only be seen there.

use model::Shard;
use model::usage::UsageRecord;
use prost::Message as _;

use super::{Desk, DeskError};
use crate::stream::{Position, usage_key};

impl Desk {
    /// Adds records to the stream of an era that need not have begun. What they had paid in the era that
    /// has ended is forgotten with it. Repeating it adds them again, and the desk knows their ids.
    pub async fn carry(&mut self, shard: Shard, era: u64, records: &[UsageRecord]) -> Result<(), DeskError> {
        let batch = proto::UsageBatch { records: records.iter().map(UsageRecord::to_wire).collect() };
        let mut command = redis::cmd("XADD");
        command.arg(usage_key(shard, era)).arg("*").arg("b").arg(batch.encode_to_vec()).arg("k").arg(1);
        Ok(command.query_async(&mut self.commands).await?)
    }

    /// The last entry that stands in each era's stream by now.
    pub async fn ends(&mut self, eras: &[(Shard, u64)]) -> Result<Vec<Position>, DeskError> {
        let mut commands = redis::pipe();
        for (shard, era) in eras {
            commands.cmd("XREVRANGE").arg(usage_key(*shard, *era)).arg("+").arg("-").arg("COUNT").arg(1);
        }
        type Last = Vec<(String, redis::Value)>;
        let found: Vec<Last> = self.query(&commands).await?;
        let position = |last: Last| last.first().and_then(|(id, _)| id.parse().ok()).unwrap_or_default();
        Ok(found.into_iter().map(position).collect())
    }
}
