//! How proxies join, prove themselves and are shut out.

#![expect(clippy::unwrap_used, reason = "a test that fails here says where")]

use std::time::Duration;

use model::Revision;
use model::id::{JoinTokenId, ProxyId};
use model::token::TokenDigest;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::proxies::{CertificateRow, Refused};
use store::{Store, join_tokens, proxies};
use time::OffsetDateTime;
use uuid::Uuid;

const TOKEN: JoinTokenId = JoinTokenId(Uuid::from_u128(1));
const PROXY: ProxyId = ProxyId(Uuid::from_u128(2));
const DIGEST: TokenDigest = TokenDigest([3; 32]);
const HOUR: Duration = Duration::from_secs(3600);

fn certificate(digest: u8) -> CertificateRow {
    CertificateRow { digest: [digest; 32], expires_at: OffsetDateTime::now_utc() + HOUR }
}

async fn enrolled(pool: PgPoolOptions, address: PgConnectOptions) -> Store {
    let store = Store::open(pool, address).await.unwrap();
    join_tokens::create(&store, TOKEN, &DIGEST, "first", HOUR).await.unwrap();
    assert!(proxies::enrol(&store, TOKEN, PROXY, "host-a", certificate(4)).await.unwrap());
    store
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_join_token_enrols_once(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = enrolled(pool, address).await;
    assert!(join_tokens::digest(&store, TOKEN).await.unwrap().is_none());
    let second = ProxyId(Uuid::from_u128(9));
    assert!(!proxies::enrol(&store, TOKEN, second, "host-b", certificate(5)).await.unwrap());
    assert_eq!(proxies::list(&store, 10, 0).await.unwrap().1, 1);
    assert_eq!(join_tokens::list(&store, 10, 0).await.unwrap().0[0].used_by, Some(PROXY));
    assert!(join_tokens::revoke(&store, TOKEN).await.unwrap().is_none());
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_join_token_that_is_revoked_or_too_old_enrols_nobody(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = Store::open(pool, address).await.unwrap();
    join_tokens::create(&store, TOKEN, &DIGEST, "old", Duration::ZERO).await.unwrap();
    let revoked = JoinTokenId(Uuid::from_u128(8));
    join_tokens::create(&store, revoked, &DIGEST, "revoked", HOUR).await.unwrap();
    assert!(join_tokens::revoke(&store, revoked).await.unwrap().is_some());
    for token in [TOKEN, revoked] {
        assert!(join_tokens::digest(&store, token).await.unwrap().is_none());
        assert!(!proxies::enrol(&store, token, PROXY, "host", certificate(4)).await.unwrap());
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_revoked_proxy_proves_nothing_with_any_of_its_certificates(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let store = enrolled(pool, address).await;
    proxies::add_certificate(&store, PROXY, certificate(5)).await.unwrap();
    for digest in [4, 5] {
        assert_eq!(proxies::by_certificate(&store, [digest; 32]).await.unwrap(), Some(PROXY));
    }
    assert!(proxies::revoke(&store, PROXY).await.unwrap());
    assert!(!proxies::revoke(&store, PROXY).await.unwrap());
    for digest in [4, 5] {
        assert_eq!(proxies::by_certificate(&store, [digest; 32]).await.unwrap(), None);
    }
    assert!(!proxies::report(&store, PROXY, "1.0", None, &[]).await.unwrap());
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_proxys_report_is_kept(pool: PgPoolOptions, address: PgConnectOptions) {
    let store = enrolled(pool, address).await;
    assert!(proxies::get(&store, PROXY).await.unwrap().unwrap().report.is_none());
    let serving = Some(Revision { timeline: Uuid::from_u128(7), number: 12 });
    let refused = [Refused {
        account_id: "a".to_owned(),
        kind: "gateway".to_owned(),
        id: "gw".to_owned(),
        reason: "no".to_owned(),
    }];
    assert!(proxies::report(&store, PROXY, "1.0", serving, &refused).await.unwrap());
    let report = proxies::get(&store, PROXY).await.unwrap().unwrap().report.unwrap();
    assert_eq!((report.software_version.as_str(), report.serving), ("1.0", serving));
    assert_eq!(report.refused, refused);
}
