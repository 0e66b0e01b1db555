//! A Redis that money cannot be trusted to, while proxies serve.

use super::*;

/// Waits until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn evicts() -> bool {
    metric("tollgate_ledger_redis_faults", "evicts") > 0.0
}

impl System {
    fn set_eviction(&self, policy: &str) {
        let answer = self.redis.command(&format!("CONFIG SET maxmemory-policy {policy}"));
        assert!(answer.starts_with("+OK"), "{answer}");
    }

    fn open_eras(&self) -> usize {
        let keys = self.redis.command("KEYS *:posted");
        keys.lines().next().unwrap().trim_start_matches('*').parse().unwrap()
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_evicting_redis_is_refused_until_that_is_put_right(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let system = System::start(pool, address).await;
    system.set_eviction("allkeys-lru");
    let (desk, meter) = (system.desk(), system.meter());
    let mut ids = serve(&meter, 20);
    until("it is noticed", async || evicts()).await;
    assert_eq!(metric("tollgate_ledger_held", ""), 0.0);
    assert_eq!(system.open_eras(), 0, "nothing is opened");
    assert_eq!(meter.status().kept, 20);
    system.set_eviction("noeviction");
    until("the records are posted", async || meter.status().kept == 0).await;
    assert!(!evicts());
    assert_eq!(system.open_eras(), 256);

    // Somebody changes it while the desks are open: what may still be added to is closed.
    system.set_eviction("volatile-lru");
    until("the eras are closed", async || system.open_eras() == 0).await;
    assert_eq!(metric("tollgate_ledger_held", ""), 0.0);
    ids.append(&mut serve(&meter, 20));
    system.set_eviction("noeviction");
    until("the records are posted", async || meter.status().kept == 0).await;
    assert_eq!(system.ids().await, ids);
    assert!(meter.drain(PATIENCE).await);
    desk.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_redis_that_does_not_tell_its_settings_is_used(pool: PgPoolOptions, address: PgConnectOptions) {
    let system = System::start(pool, address).await;
    // As managed services do it.
    for forbidden in ["-config", "-info"] {
        let answer = system.redis.command(&format!("ACL SETUSER default {forbidden}"));
        assert!(answer.starts_with("+OK"), "{answer}");
    }
    let (desk, meter) = (system.desk(), system.meter());
    let ids = serve(&meter, 5);
    assert!(meter.drain(PATIENCE).await);
    assert_eq!(system.ids().await, ids);
    for word in ["eviction_unknown", "guard_unknown"] {
        assert_eq!(metric("tollgate_ledger_redis_faults", word), 1.0, "{word}");
    }
    desk.stop().await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn replicas_that_nobody_waits_for_are_warned_of_and_served(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let system = System::start(pool, address).await;
    let (desk, meter) = (system.desk(), system.meter());
    let fault = |word| metric("tollgate_ledger_redis_faults", word);
    until("the desks are open", async || metric("tollgate_ledger_held", "") > 0.0).await;
    // One that comes later than the desk.
    let replica = RedisServer::start();
    let port = system.redis.url().expose().rsplit(':').next().unwrap().to_owned();
    replica.command(&format!("REPLICAOF 127.0.0.1 {port}"));
    until("it is warned of", async || fault("replicas_unguarded") == 1.0).await;
    for (lag, word) in [(60, "lag_too_long"), (10, "")] {
        system.redis.command(&format!("CONFIG SET min-replicas-to-write 1 min-replicas-max-lag {lag}"));
        until("it is noticed", async || {
            fault("replicas_unguarded") == 0.0 && (word.is_empty() || fault(word) == 1.0)
        })
        .await;
    }
    until("nothing is wrong", async || fault("lag_too_long") == 0.0).await;
    serve(&meter, 5);
    assert!(meter.drain(PATIENCE).await);
    desk.stop().await;

    // A replica is not written to.
    let System { store, redis: _primary, directory } = system;
    let other = System { store, redis: replica, directory };
    let desk = other.desk();
    until("it is refused", async || fault("replica") == 1.0).await;
    desk.stop().await;
}
