//! Which era each money shard is in, as proxies are told it: so that nobody goes on spending on a Redis
//! that was left behind.
//!
//! The desk that begins eras may run in another control plane, so all are read from Postgres. One task
//! reads; subscribers compare what it found last with what they have said.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::Shard;
use proto::control_message::Message;
use proto::{ControlMessage, ShardEra};
use tokio::sync::watch;

/// As Postgres had it last; empty before it was read.
pub(super) type Eras = Arc<BTreeMap<Shard, u64>>;

/// What one proxy has been told of it, and what is new.
pub(super) struct Told {
    eras: watch::Receiver<Eras>,
    told: Eras,
}

impl Told {
    /// Nothing yet.
    pub(super) fn nothing(eras: watch::Receiver<Eras>) -> Self {
        Self { eras, told: Eras::default() }
    }

    /// Waits until there may be something to say; for ever, if nobody reads any more.
    pub(super) async fn has_news(&mut self) {
        if self.eras.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Those in which the proxy has not been told that their shards are. It has been told afterwards.
    pub(super) fn message(&mut self) -> Option<ControlMessage> {
        let eras = Arc::clone(&self.eras.borrow_and_update());
        let before = std::mem::replace(&mut self.told, eras);
        let is_new = |(shard, era): &(&Shard, &u64)| before.get(*shard) != Some(*era);
        let new = self.told.iter().filter(is_new);
        let eras: Vec<_> =
            new.map(|(shard, era)| ShardEra { shard: u32::from(shard.0), era: *era }).collect();
        if eras.is_empty() {
            return None;
        }
        Some(ControlMessage { message: Some(Message::Eras(proto::Eras { eras })) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
    use store::{Store, shards};
    use tokio_util::sync::CancellationToken;

    use super::super::feed::Feed;
    use super::*;

    fn told(told: &mut Told) -> Option<Vec<(u32, u64)>> {
        let message = told.message()?.message?;
        let Message::Eras(proto::Eras { eras }) = message else { panic!("expected eras") };
        Some(eras.into_iter().map(|ShardEra { shard, era }| (shard, era)).collect())
    }

    fn eras(eras: &[(u8, u64)]) -> Eras {
        Arc::new(eras.iter().map(|(shard, era)| (Shard(*shard), *era)).collect())
    }

    #[test]
    fn a_proxy_is_told_all_and_then_what_changes() {
        let (sender, receiver) = watch::channel(Eras::default());
        let mut one = Told::nothing(receiver.clone());
        assert_eq!(told(&mut one), None, "nothing has been read yet");
        sender.send_replace(eras(&[(0, 1), (1, 1), (255, 7)]));
        assert_eq!(told(&mut one), Some(vec![(0, 1), (1, 1), (255, 7)]));
        assert_eq!(told(&mut one), None);
        // What was missed between two looks comes as one.
        sender.send_replace(eras(&[(0, 1), (1, 2), (255, 7)]));
        sender.send_replace(eras(&[(0, 1), (1, 3), (255, 8)]));
        assert_eq!(told(&mut one), Some(vec![(1, 3), (255, 8)]));
        // A database that was restored: the last word counts.
        sender.send_replace(eras(&[(0, 1), (1, 2), (255, 8)]));
        assert_eq!(told(&mut one), Some(vec![(1, 2)]));
        let mut other = Told::nothing(receiver);
        assert_eq!(told(&mut other), Some(vec![(0, 1), (1, 2), (255, 8)]));
    }
    /// Waits until there is something to say.
    async fn next(one: &mut Told) -> Vec<(u32, u64)> {
        let next = async {
            loop {
                if let Some(news) = told(one) {
                    return news;
                }
                one.has_news().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), next).await.expect("news")
    }

    #[sqlx::test(migrations = "../../migrations")]
    async fn what_a_desk_in_another_process_writes_is_told(pool: PgPoolOptions, address: PgConnectOptions) {
        let store = Store::open(pool, address).await.unwrap();
        let stop = CancellationToken::new();
        let feed = Feed::start(store.clone(), stop.clone()).await.unwrap();
        let mut one = feed.eras();
        let all: Vec<(u32, u64)> = (0..256).map(|shard| (shard, 0)).collect();
        assert_eq!(next(&mut one).await, all);
        let (fence, mut rows) = shards::take_over(&store).await.unwrap();
        rows.retain(|row| [3, 200].contains(&row.shard.0));
        rows.iter_mut().for_each(|row| row.era = 2);
        shards::raise(&store, fence, &rows).await.unwrap();
        let mut raised = next(&mut one).await;
        raised.sort_unstable();
        assert_eq!(raised, [(3, 2), (200, 2)]);
        // Who comes later hears how it is by then.
        assert_eq!(next(&mut feed.eras()).await.iter().filter(|(_, era)| *era == 2).count(), 2);
        // A database that was restored tells nobody; it is looked at now and then.
        sqlx::query("update money_shards set era = 1 where shard = 3").execute(&store.pool).await.unwrap();
        assert_eq!(next(&mut one).await, [(3, 1)]);
        stop.cancel();
    }
}
