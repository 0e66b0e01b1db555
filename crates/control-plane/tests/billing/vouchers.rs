//! `/operator/vouchers` and `/billing/vouchers/redeem`.

use http::{Method, StatusCode};
use model::Nanos;
use model::id::VoucherId;
use model::token::TokenDigest;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::ledger;
use store::vouchers::{self, Voucher};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};
use uuid::Uuid;

use crate::support::{Actor, Answer, Api};
use crate::{DOLLAR, assert_balanced, balance, billing};

async fn make(api: &Api, operator: &Actor, body: Value) -> Vec<Value> {
    let (status, made) = api.call(operator, Method::POST, "/operator/vouchers", Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    made["result"].as_array().unwrap().clone()
}

async fn redeem(api: &Api, actor: &Actor, account: model::AccountId, code: &str) -> Answer {
    let body = json!({"code": code});
    api.call(actor, Method::POST, &billing(account, "vouchers/redeem"), Some(body)).await
}

fn code(voucher: &Value) -> &str {
    voucher["code"].as_str().unwrap()
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_voucher_is_worth_its_credits_once(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let (account, owner) = api.owner().await;
    let (other, stranger) = api.owner().await;
    let made =
        make(&api, &operator, json!({"name": "Launch", "amount_usd": "12.345678901", "count": 2})).await;
    assert_eq!((made.len(), &made[0]["amount"], &made[0]["status"]), (2, &json!(1234), &json!("active")));
    let (_, listed) = api.call(&operator, Method::GET, "/operator/vouchers", None).await;
    assert_eq!(listed["result_info"]["total_count"], 2);
    let kept: Vec<Vec<u8>> =
        sqlx::query_scalar("select digest from vouchers").fetch_all(&api.store.pool).await.unwrap();
    for voucher in &made {
        assert!(!listed.to_string().contains(code(voucher)), "it is shown once");
        assert!(kept.iter().all(|digest| digest != code(voucher).as_bytes()));
    }

    // Many at once, of two accounts: one of them gets it.
    let typed = code(&made[0]).to_lowercase().replace('-', " ");
    let answers = tokio::join!(
        redeem(&api, &owner, account, &typed),
        redeem(&api, &stranger, other, &typed),
        redeem(&api, &owner, account, code(&made[0])),
        redeem(&api, &stranger, other, code(&made[0])),
    );
    let answers = [answers.0, answers.1, answers.2, answers.3];
    let good: Vec<&Answer> = answers.iter().filter(|(status, _)| *status == StatusCode::OK).collect();
    assert_eq!(good.len(), 1);
    assert_eq!(
        (&good[0].1["result"]["amount_usd"], &good[0].1["result"]["promotional"]),
        (&json!("12.345678901"), &json!(false))
    );
    assert_eq!(good[0].1["result"]["balance_usd"], "12.345678901");
    for (status, body) in answers.iter().filter(|(status, _)| *status != StatusCode::OK) {
        assert_eq!(
            (*status, &body["errors"][0]["path"]),
            (StatusCode::BAD_REQUEST, &json!(["body", "code"]))
        );
    }
    let credits = balance(&api, account).await.credits + balance(&api, other).await.credits;
    assert_eq!(credits, Nanos(12_345_678_901));
    assert_balanced(&api).await;

    let path = format!("/operator/vouchers/{}", made[0]["id"].as_str().unwrap());
    let (_, shown) = api.call(&operator, Method::GET, &path, None).await;
    assert_eq!(shown["result"]["status"], "redeemed");
    assert!([json!(account), json!(other)].contains(&shown["result"]["redeemed_by"]));
    let (status, body) = api.call(&operator, Method::DELETE, &path, None).await;
    assert_eq!(status, StatusCode::CONFLICT, "its credits are somebody's already: {body}");
    let unknown = format!("/operator/vouchers/{}", VoucherId(Uuid::now_v7()));
    assert_eq!(api.call(&operator, Method::DELETE, &unknown, None).await.0, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn promotional_credits_of_a_voucher_expire(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let (account, owner) = api.owner().await;
    let now = OffsetDateTime::now_utc().replace_nanosecond(0).unwrap();
    let (until, gone) = (now + Duration::days(7), now + Duration::days(30));
    let written = |at: OffsetDateTime| at.format(&Rfc3339).unwrap();
    let body = json!({"amount": 500, "expires_at": written(until), "credits_expire_at": written(gone)});
    let made = make(&api, &operator, body).await;
    let (status, redeemed) = redeem(&api, &owner, account, code(&made[0])).await;
    assert_eq!(status, StatusCode::OK, "{redeemed}");
    assert_eq!(redeemed["result"]["promotional"], true);
    assert_eq!(redeemed["result"]["expires_at"], written(gone));
    let mut connection = api.store.pool.acquire().await.unwrap();
    let promotions = ledger::promotions(&mut connection, account).await.unwrap();
    assert_eq!((promotions[0].left, promotions[0].expires_at), (Nanos(5 * DOLLAR), gone));
    assert_eq!(balance(&api, account).await.credits, Nanos::ZERO);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_code_that_is_unknown_expired_or_taken_back_is_not_good(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    let (account, owner) = api.owner().await;
    let made = make(&api, &operator, json!({"amount": 500})).await;
    let path = format!("/operator/vouchers/{}", made[0]["id"].as_str().unwrap());
    let (status, revoked) = api.call(&operator, Method::DELETE, &path, None).await;
    assert_eq!((status, &revoked["result"]["status"]), (StatusCode::OK, &json!("revoked")));
    let now = OffsetDateTime::now_utc();
    let expired = Voucher {
        id: VoucherId(Uuid::now_v7()),
        hint: "…1111".to_owned(),
        name: "old".to_owned(),
        amount: Nanos(DOLLAR),
        expires_at: now,
        credits_expire_at: None,
        created_by: None,
        created_at: now - Duration::DAY,
        revoked_at: None,
        redeemed: None,
    };
    let mut connection = api.store.pool.acquire().await.unwrap();
    let digest = TokenDigest::of("11111111111111111111");
    vouchers::create(&mut connection, &digest, &expired).await.unwrap();
    let mut answers = Vec::new();
    for typed in [code(&made[0]), "11111-11111-11111-11111", "00000-00000-00000-00000", "nonsense"] {
        let (status, body) = redeem(&api, &owner, account, typed).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{typed}");
        answers.push(body);
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "nobody learns which codes there were");
    assert_eq!(balance(&api, account).await.total(), Nanos::ZERO);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_voucher_that_cannot_be_is_told_with_its_path(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let operator = api.operator().await;
    for (body, field) in [
        (json!({}), "amount"),
        (json!({"amount": 1, "amount_usd": "1"}), "amount"),
        (json!({"amount": 0}), "amount"),
        (json!({"amount_usd": "0.0000000001"}), "amount_usd"),
        (json!({"amount_usd": 5}), "amount_usd"),
        (json!({"amount": 1, "count": 101}), "count"),
        (json!({"amount": 1, "expires_at": "2020-01-01T00:00:00Z"}), "expires_at"),
        (
            json!({"amount": 1, "expires_at": "2090-02-01T00:00:00Z", "credits_expire_at": "2090-01-01T00:00:00Z"}),
            "credits_expire_at",
        ),
    ] {
        let (status, answer) =
            api.call(&operator, Method::POST, "/operator/vouchers", Some(body.clone())).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(answer["errors"][0]["path"], json!(["body", field]), "{body}: {answer}");
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn to_everyone_but_the_operator_vouchers_do_not_exist(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let token = api.token(account, &owner, &["Billing Write"]).await;
    let one = "/operator/vouchers/vch_00000000000000000000000000000001";
    for (method, path) in [
        (Method::GET, "/operator/vouchers"),
        (Method::POST, "/operator/vouchers"),
        (Method::GET, one),
        (Method::DELETE, one),
    ] {
        for (actor, expected) in [
            (&owner, StatusCode::NOT_FOUND),
            (&token, StatusCode::NOT_FOUND),
            (&api.nobody(), StatusCode::UNAUTHORIZED),
        ] {
            let body = (method == Method::POST).then(|| json!({"amount": 100}));
            let (status, _) = api.call(actor, method.clone(), path, body).await;
            assert_eq!(status, expected, "{method} {path}");
        }
    }
    // A token that may write may redeem.
    let operator = api.operator().await;
    let made = make(&api, &operator, json!({"amount": 100})).await;
    assert_eq!(redeem(&api, &token, account, code(&made[0])).await.0, StatusCode::OK);
}
