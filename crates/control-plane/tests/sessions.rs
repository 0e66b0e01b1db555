//! Setting up, logging in, staying in and leaving, over real HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use http::{Method, StatusCode};
use model::account::Role;
use model::token::TokenDigest;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use store::installation;
use support::{Actor, Answer, Api};

const PASSWORD: &str = "correct horse battery";

async fn post(api: &Api, path: &str, body: Value) -> Answer {
    api.call(&api.nobody(), Method::POST, path, Some(body)).await
}

async fn login(api: &Api, email: &str, password: &str) -> Answer {
    post(api, "/auth/login", json!({"email": email, "password": password})).await
}

fn bearer(tokens: &Value) -> Actor {
    Actor { bearer: tokens["access_token"].as_str().unwrap().to_owned(), user: None }
}

/// Sets the installation up; the answer's result.
async fn set_up(api: &Api) -> Value {
    installation::offer_setup(&api.store, &TokenDigest::of("let me in")).await.unwrap();
    let (status, body) = post(api, "/setup", first_user("let me in")).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["result"].clone()
}

fn first_user(token: &str) -> Value {
    json!({"token": token, "email": "First@Example.com", "password": PASSWORD, "account_name": "Acme"})
}

#[sqlx::test(migrations = "../../migrations")]
async fn the_setup_token_opens_the_installation_once(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    installation::offer_setup(&api.store, &TokenDigest::of("let me in")).await.unwrap();
    let (status, _) = post(&api, "/setup", first_user("wrong")).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let arrival = set_up(&api).await;
    assert_eq!(arrival["user"]["email"], "first@example.com");
    let (status, _) = post(&api, "/setup", first_user("let me in")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);
    // A later start offers nothing any more.
    installation::offer_setup(&api.store, &TokenDigest::of("let me in")).await.unwrap();
    let (status, _) = post(&api, "/setup", first_user("let me in")).await;
    assert_eq!(status, StatusCode::FORBIDDEN);

    let (_, accounts) = api.call(&bearer(&arrival), Method::GET, "/accounts", None).await;
    assert_eq!(accounts["result"][0]["id"], arrival["account"]["id"]);
    assert_eq!(accounts["result_info"]["total_count"], 1);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_login_is_answered_alike_for_a_wrong_password_and_an_unknown_email(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    set_up(&api).await;
    let wrong = login(&api, "first@example.com", "wrong password").await;
    assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
    assert_eq!(wrong, login(&api, "nobody@example.com", PASSWORD).await);
    let (status, body) = login(&api, " FIRST@example.com ", PASSWORD).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (_, user) = api.call(&bearer(&body["result"]), Method::GET, "/user", None).await;
    assert_eq!(user["result"]["email"], "first@example.com");
}

#[sqlx::test(migrations = "../../migrations")]
async fn who_guesses_passwords_is_made_to_wait(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    set_up(&api).await;
    for _ in 0..10 {
        assert_eq!(login(&api, "first@example.com", "wrong password").await.0, StatusCode::UNAUTHORIZED);
    }
    // Even with the right password: otherwise the answer would tell a guesser that it was right.
    let body = json!({"email": "first@example.com", "password": PASSWORD}).to_string();
    let refused = api.raw(Method::POST, "/client/v4/auth/login", &[], body).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(refused.headers().contains_key("retry-after"));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_refresh_token_is_good_once_and_its_second_use_ends_the_session(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let first = set_up(&api).await;
    let refresh = |tokens: &Value| json!({"refresh_token": tokens["refresh_token"]});
    let (status, second) = post(&api, "/auth/refresh", refresh(&first)).await;
    assert_eq!(status, StatusCode::OK, "{second}");
    let second = second["result"].clone();
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(api.call(&bearer(&second), Method::GET, "/user", None).await.0, StatusCode::OK);

    let (status, body) = post(&api, "/auth/refresh", refresh(&first)).await;
    assert_eq!((status, &body["errors"][0]["code"]), (StatusCode::UNAUTHORIZED, &json!(10000)));
    // The thief's tokens and the owner's are over alike.
    assert_eq!(post(&api, "/auth/refresh", refresh(&second)).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(api.call(&bearer(&second), Method::GET, "/user", None).await.0, StatusCode::UNAUTHORIZED);
}

#[sqlx::test(migrations = "../../migrations")]
async fn after_logging_out_neither_token_is_good(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let tokens = set_up(&api).await;
    let actor = bearer(&tokens);
    assert_eq!(api.call(&actor, Method::POST, "/auth/logout", None).await.0, StatusCode::OK);
    assert_eq!(api.call(&actor, Method::GET, "/user", None).await.0, StatusCode::UNAUTHORIZED);
    let body = json!({"refresh_token": tokens["refresh_token"]});
    assert_eq!(post(&api, "/auth/refresh", body).await.0, StatusCode::UNAUTHORIZED);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_new_password_ends_every_other_session(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let here = bearer(&set_up(&api).await);
    let (_, elsewhere) = login(&api, "first@example.com", PASSWORD).await;
    let elsewhere = bearer(&elsewhere["result"]);
    let change = |current: &str| json!({"current_password": current, "new_password": "another good one"});
    let put = |body| api.call(&here, Method::PUT, "/user/password", Some(body));
    assert_eq!(put(change("wrong")).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(put(change(PASSWORD)).await.0, StatusCode::OK);
    assert_eq!(api.call(&here, Method::GET, "/user", None).await.0, StatusCode::OK);
    assert_eq!(api.call(&elsewhere, Method::GET, "/user", None).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(login(&api, "first@example.com", PASSWORD).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(login(&api, "first@example.com", "another good one").await.0, StatusCode::OK);
}

#[sqlx::test(migrations = "../../migrations")]
async fn nobody_signs_up_where_that_is_closed(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let body = json!({"email": "me@example.com", "password": PASSWORD, "account_name": "Mine"});
    assert_eq!(post(&api, "/auth/sign-up", body).await.0, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrations = "../../migrations")]
async fn anybody_signs_up_once_where_that_is_open(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start_with(pool, address, true).await;
    let body =
        |email: &str, password: &str| json!({"email": email, "password": password, "account_name": "Mine"});
    for (email, password, field) in
        [("me@example.com", "short", "password"), ("nobody", PASSWORD, "email"), ("a@b c", PASSWORD, "email")]
    {
        let (status, answer) = post(&api, "/auth/sign-up", body(email, password)).await;
        assert_eq!((status, &answer["errors"][0]["path"][1]), (StatusCode::BAD_REQUEST, &json!(field)));
    }
    let (status, arrival) = post(&api, "/auth/sign-up", body("me@example.com", PASSWORD)).await;
    assert_eq!(status, StatusCode::OK, "{arrival}");
    let (status, _) = post(&api, "/auth/sign-up", body("ME@example.com", PASSWORD)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let (status, _) = api.call(&bearer(&arrival["result"]), Method::GET, "/operator/proxies", None).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "only who set the installation up runs it");
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_invitation_lets_its_person_in_once_with_or_without_a_login(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let first = set_up(&api).await;
    let (account, owner) = api.owner().await;
    let members = format!("/accounts/{account}/members");
    let mut shapes = Vec::new();
    for (email, role) in [("first@example.com", "viewer"), ("new@example.com", "editor")] {
        let body = json!({"email": email, "roles": [role]});
        let (status, invited) = api.call(&owner, Method::POST, &members, Some(body)).await;
        assert_eq!(status, StatusCode::OK, "{invited}");
        let invited = &invited["result"];
        assert_eq!(invited["status"], "pending");
        shapes.push(invited.as_object().unwrap().keys().cloned().collect::<Vec<_>>());
        let acceptance = |password: &str| json!({"token": invited["invitation_token"], "password": password});
        if email == "first@example.com" {
            let wrong = post(&api, "/auth/accept-invitation", acceptance("not their password")).await;
            assert_eq!(wrong.0, StatusCode::UNAUTHORIZED);
        }
        let (status, session) = post(&api, "/auth/accept-invitation", acceptance(PASSWORD)).await;
        assert_eq!(status, StatusCode::OK, "{session}");
        let path = format!("/accounts/{account}");
        let (status, _) = api.call(&bearer(&session["result"]), Method::GET, &path, None).await;
        assert_eq!(status, StatusCode::OK);
        let (status, _) = post(&api, "/auth/accept-invitation", acceptance(PASSWORD)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(shapes[0], shapes[1], "the answer does not tell whether they have a login");
    let (_, accounts) = api.call(&bearer(&first), Method::GET, "/accounts", None).await;
    assert_eq!(accounts["result_info"]["total_count"], 2);
    assert_eq!(login(&api, "new@example.com", PASSWORD).await.0, StatusCode::OK);
    let (_, listed) = api.call(&owner, Method::GET, &members, None).await;
    let roles: Vec<&str> =
        listed["result"].as_array().unwrap().iter().map(|m| m["roles"][0]["id"].as_str().unwrap()).collect();
    assert!(roles.contains(&Role::Viewer.as_str()) && roles.contains(&Role::Editor.as_str()));
}
