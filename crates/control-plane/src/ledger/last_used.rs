//! When tokens and their provider keys were used last, as the records that are posted tell: each is written
//! once a minute at most.

use std::collections::{HashMap, HashSet};

use model::id::{BoundKeyId, GatewayTokenId};
use model::usage::UsageRecord;
use store::Store;
use store::last_used::{self, Kind, Use};
use time::OffsetDateTime;
use tracing::warn;
use uuid::Uuid;

/// What was written in this minute.
#[derive(Debug, Default)]
pub(super) struct LastUsed {
    minute: i64,
    written: HashSet<Uuid>,
}

impl LastUsed {
    /// Writes what these records tell and is not written in this minute. What fails is left for the next
    /// record: nobody's money hangs on it.
    pub(super) async fn note<'r>(
        &mut self,
        store: &Store,
        now: OffsetDateTime,
        records: impl Iterator<Item = &'r UsageRecord>,
    ) {
        let minute = now.unix_timestamp().div_euclid(60);
        if self.minute != minute {
            *self = Self { minute, written: HashSet::new() };
        }
        let (mut tokens, mut keys) = (HashMap::new(), HashMap::new());
        for record in records {
            let Some(at) = arrival(record.id) else { continue };
            if let Ok(GatewayTokenId(id)) = record.token.parse() {
                self.take(&mut tokens, id, record, at);
            }
            if let Ok(BoundKeyId(id)) = record.key_alias.parse() {
                self.take(&mut keys, id, record, at);
            }
        }
        for (kind, uses) in [(Kind::GatewayToken, tokens), (Kind::BoundKey, keys)] {
            let uses: Vec<Use> = uses.into_values().collect();
            match last_used::note(store, kind, &uses).await {
                Ok(written) => self.written.extend(written),
                Err(error) => warn!(%error, "It could not be noted when tokens were used last: {error}"),
            }
        }
    }

    fn take(&self, uses: &mut HashMap<Uuid, Use>, id: Uuid, record: &UsageRecord, at: OffsetDateTime) {
        if self.written.contains(&id) {
            return;
        }
        let found = uses.entry(id).or_insert(Use { account: record.account, id, at });
        found.at = found.at.max(at);
    }
}

/// When a request came, which its id says.
fn arrival(id: Uuid) -> Option<OffsetDateTime> {
    let (seconds, nanoseconds) = id.get_timestamp()?.to_unix();
    let at = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    at.replace_nanosecond(nanoseconds).ok()
}
