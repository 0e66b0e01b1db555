//! `/accounts` and `/accounts/{account}/members`, over real HTTP, one test per actor.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use http::{Method, StatusCode};
use model::AccountId;
use model::account::Role;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use support::{Actor, Api};

/// The ids of an account's members by their role.
async fn member_of_role(api: &Api, owner: &Actor, account: AccountId, role: Role) -> String {
    let (_, body) = api.call(owner, Method::GET, &format!("/accounts/{account}/members"), None).await;
    let members = body["result"].as_array().unwrap();
    let found = members.iter().find(|member| member["roles"][0]["id"] == role.as_str()).unwrap();
    format!("/accounts/{account}/members/{}", found["id"].as_str().unwrap())
}

fn to(role: &str) -> Option<Value> {
    Some(json!({"roles": [{"id": role}]}))
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_owner_renames_and_deletes_the_account(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let path = format!("/accounts/{account}");
    let body = json!({"id": account, "name": " Umbrella ", "type": "standard"});
    let (status, renamed) = api.call(&owner, Method::PUT, &path, Some(body)).await;
    assert_eq!((status, &renamed["result"]["name"]), (StatusCode::OK, &json!("Umbrella")));
    let (_, listed) = api.call(&owner, Method::GET, "/accounts?name=Umbrella", None).await;
    assert_eq!(listed["result"].as_array().unwrap().len(), 1);

    let token = api.token(account, &owner, &["AI Gateway Run"]).await;
    let (status, deleted) = api.call(&owner, Method::DELETE, &path, None).await;
    assert_eq!((status, &deleted["result"]), (StatusCode::OK, &json!({"id": account})));
    assert_eq!(api.call(&owner, Method::GET, &path, None).await.0, StatusCode::NOT_FOUND);
    let (status, _) = api.call(&token, Method::GET, "/user/tokens/verify", None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let keys: i64 = sqlx::query_scalar("select count(*) from accounts where id = $1")
        .bind(account.0)
        .fetch_one(&api.store.pool)
        .await
        .unwrap();
    assert_eq!(keys, 0, "the data keys are gone");
    let told: i64 =
        sqlx::query_scalar("select count(*) from config_outbox where kind in ('account', 'api_token')")
            .fetch_one(&api.store.pool)
            .await
            .unwrap();
    assert_eq!(told, 4, "each was announced when it came and when it went");
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_last_owner_cannot_leave(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let first = member_of_role(&api, &owner, account, Role::Owner).await;
    assert_eq!(api.call(&owner, Method::DELETE, &first, None).await.0, StatusCode::CONFLICT);
    assert_eq!(api.call(&owner, Method::PUT, &first, to("admin")).await.0, StatusCode::CONFLICT);
    api.member(account, Role::Owner).await;
    assert_eq!(api.call(&owner, Method::DELETE, &first, None).await.0, StatusCode::OK);
    let (status, _) = api.call(&owner, Method::GET, &format!("/accounts/{account}"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_admin_manages_members_but_no_owners(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let admin = api.member(account, Role::Admin).await;
    let members = format!("/accounts/{account}/members");
    let (first, own) = (
        member_of_role(&api, &owner, account, Role::Owner).await,
        member_of_role(&api, &owner, account, Role::Admin).await,
    );
    for (method, path, body) in [
        (Method::PUT, &first, to("viewer")),
        (Method::DELETE, &first, None),
        (Method::PUT, &own, to("owner")),
        (Method::POST, &members, Some(json!({"email": "friend@example.com", "roles": ["owner"]}))),
    ] {
        let (status, body) = api.call(&admin, method, path, body).await;
        assert_eq!((status, &body["errors"][0]["code"]), (StatusCode::FORBIDDEN, &json!(9109)), "{path}");
    }
    let (status, _) = api.call(&admin, Method::DELETE, &format!("/accounts/{account}"), None).await;
    assert_eq!(status, StatusCode::NOT_FOUND);

    let friend = json!({"email": "friend@example.com", "roles": ["editor"]});
    let (status, invited) = api.call(&admin, Method::POST, &members, Some(friend.clone())).await;
    assert_eq!(status, StatusCode::OK, "{invited}");
    assert_eq!(api.call(&admin, Method::POST, &members, Some(friend)).await.0, StatusCode::CONFLICT);
    let invited = format!("{members}/{}", invited["result"]["id"].as_str().unwrap());
    let (status, changed) = api.call(&admin, Method::PUT, &invited, to("viewer")).await;
    assert_eq!((status, &changed["result"]["roles"][0]["id"]), (StatusCode::OK, &json!("viewer")));
    assert_eq!(api.call(&admin, Method::DELETE, &invited, None).await.0, StatusCode::OK);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_viewer_sees_and_changes_nothing_but_can_leave(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let viewer = api.member(account, Role::Viewer).await;
    let members = format!("/accounts/{account}/members");
    let own = member_of_role(&api, &owner, account, Role::Viewer).await;
    let first = member_of_role(&api, &owner, account, Role::Owner).await;
    for path in [&format!("/accounts/{account}"), &members, &own, &format!("/accounts/{account}/roles")] {
        assert_eq!(api.call(&viewer, Method::GET, path, None).await.0, StatusCode::OK, "{path}");
    }
    for (method, path, body) in [
        (Method::PUT, &format!("/accounts/{account}"), Some(json!({"name": "Mine"}))),
        (Method::DELETE, &format!("/accounts/{account}"), None),
        (Method::POST, &members, Some(json!({"email": "friend@example.com", "roles": ["viewer"]}))),
        (Method::PUT, &own, to("admin")),
        (Method::DELETE, &first, None),
    ] {
        let (status, _) = api.call(&viewer, method, path, body).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(api.call(&viewer, Method::DELETE, &own, None).await.0, StatusCode::OK);
    assert_eq!(api.call(&viewer, Method::GET, &members, None).await.0, StatusCode::NOT_FOUND);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_token_does_what_its_groups_say_and_owns_nothing(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (account, owner) = api.owner().await;
    let token = api.token(account, &owner, &["Account Settings Write"]).await;
    let path = format!("/accounts/{account}");
    let name = Some(json!({"name": "Umbrella"}));
    assert_eq!(api.call(&token, Method::PUT, &path, name.clone()).await.0, StatusCode::OK);
    let (_, listed) = api.call(&token, Method::GET, "/accounts", None).await;
    assert_eq!(listed["result"][0]["id"], json!(account));
    assert_eq!(api.call(&token, Method::POST, "/accounts", name).await.0, StatusCode::FORBIDDEN);
    assert_eq!(api.call(&token, Method::GET, "/user", None).await.0, StatusCode::FORBIDDEN);
    assert_eq!(api.call(&token, Method::DELETE, &path, None).await.0, StatusCode::NOT_FOUND);
    // It may manage members, but gives nobody what it does not have itself.
    let friend = Some(json!({"email": "friend@example.com", "roles": ["viewer"]}));
    let (status, _) = api.call(&token, Method::POST, &format!("{path}/members"), friend).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_page_past_the_end_is_empty(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (_, owner) = api.owner().await;
    let (status, page) = api.call(&owner, Method::GET, "/accounts?page=7&per_page=5", None).await;
    assert_eq!((status, &page["result"]), (StatusCode::OK, &json!([])));
    let info = json!({"page": 7, "per_page": 5, "count": 0, "total_count": 1, "total_pages": 1});
    assert_eq!(page["result_info"], info);
}
