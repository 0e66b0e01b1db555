//! The second face of the management API: its shapes, its paging, its refusals, and whose things are whose.

#![expect(clippy::unwrap_used, reason = "a test that cannot set up should stop where it fails")]

mod support;

use http::{Method, StatusCode};
use model::AccountId;
use model::permission::PERMISSION_GROUPS;
use serde_json::{Value, json};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use support::{Actor, Answer, Api};
use vault::{Opener, RootRing};

const POLICY: &str = "on_http_request:\n  - type: ai-gateway\n    config: {}\n";

/// A tenant as its scripts see it.
struct Client<'a> {
    api: &'a Api,
    account: AccountId,
    token: Actor,
}

impl<'a> Client<'a> {
    async fn of(api: &'a Api) -> Self {
        let names: Vec<&str> = PERMISSION_GROUPS.iter().map(|group| group.name).collect();
        Self::with(api, &names).await
    }

    async fn with(api: &'a Api, groups: &[&str]) -> Self {
        let (account, owner) = api.owner().await;
        Self { api, account, token: api.token(account, &owner, groups).await }
    }

    async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let bearer = format!("Bearer {}", self.token.bearer);
        let headers =
            [("ngrok-version", "2"), ("authorization", &bearer), ("content-type", "application/json")];
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = self.api.raw(method, path, &headers, body).await;
        assert!(answer.headers().contains_key("ngrok-operation-id"), "{path}");
        (answer.status(), serde_json::from_slice(answer.body()).unwrap_or(Value::Null))
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    async fn made(&self, path: &str, body: Value) -> Value {
        let (status, made) = self.call(Method::POST, path, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{made}");
        made
    }

    async fn refused(&self, method: Method, path: &str, body: Value, status: u16, code: Value) -> Value {
        let (told, answer) = self.call(method, path, Some(body)).await;
        assert_eq!(told.as_u16(), status, "{path}: {answer}");
        assert_eq!(answer["error_code"], code, "{path}: {answer}");
        assert_eq!(answer["status_code"], status);
        assert!(answer["msg"].is_string() && answer["details"].is_object(), "{answer}");
        answer
    }

    async fn endpoint(&self, host: &str) -> Value {
        self.made("/endpoints", json!({"url": format!("https://{host}"), "traffic_policy": POLICY})).await
    }
}

fn code(number: u16) -> Value {
    json!(format!("ERR_NGROK_{number}"))
}

fn id(document: &Value) -> &str {
    document["id"].as_str().unwrap()
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_endpoint_is_a_host_a_gateway_and_a_policy_in_one(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let client = Client::of(&api).await;
    let body = json!({"url": "https://AI.example.com", "type": "cloud", "bindings": ["public"],
        "traffic_policy": POLICY, "description": "ours", "metadata": "{}", "pooling_enabled": true});
    let made = client.made("/endpoints", body).await;
    assert!(id(&made).starts_with("ep_"));
    for (field, value) in [
        ("url", json!("https://ai.example.com")),
        ("public_url", json!("https://ai.example.com")),
        ("host", json!("ai.example.com")),
        ("hostport", json!("ai.example.com:443")),
        ("port", json!(443)),
        ("proto", json!("https")),
        ("type", json!("cloud")),
        ("bindings", json!(["public"])),
        ("traffic_policy", json!(POLICY)),
        ("description", json!("ours")),
        ("pooling_enabled", json!(true)),
        ("name", json!("ai-example-com")),
        ("domain", Value::Null),
        ("uri", json!(format!("http://api.example/endpoints/{}", id(&made)))),
    ] {
        assert_eq!(made[field], value, "{field}");
    }
    let path = format!("/endpoints/{}", id(&made));
    assert_eq!(client.get(&path).await, (StatusCode::OK, made.clone()));
    assert_eq!(made["warnings"], json!([]));
    let with_keys =
        "on_http_request: [{type: ai-gateway, config: {providers: [{id: openai, api_keys: [{value: a}]}]}}]";
    let open = json!({"url": "https://open.example.com", "traffic_policy": with_keys});
    let open = client.made("/endpoints", open).await;
    assert!(open["warnings"][0].as_str().unwrap().contains("`openai`"), "{open}");

    // Two hosts whose gateways would be called the same have one each.
    let other = client.endpoint("ai-example.com").await;
    assert!(other["name"].as_str().unwrap().starts_with("ai-example-com-"), "{other}");

    let policy = format!("{POLICY}on_http_response: []\n");
    let change = json!({"traffic_policy": policy, "description": "", "url": "http://b.example.com"});
    let (status, changed) = client.call(Method::PATCH, &path, Some(change)).await;
    assert_eq!(status, StatusCode::OK, "{changed}");
    assert_eq!(
        (&changed["traffic_policy"], &changed["description"], &changed["url"], &changed["metadata"]),
        (&json!(policy), &json!(""), &json!("http://b.example.com"), &json!("{}"))
    );
    assert_eq!(client.call(Method::DELETE, &path, None).await, (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(client.get(&path).await.0, StatusCode::NOT_FOUND);
    // The gateway that was made for it is gone too, and its name free.
    assert_eq!(client.endpoint("ai.example.com").await["name"], "ai-example-com");
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_endpoint_that_makes_no_sense_is_refused_with_the_reason(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (client, other) = (Client::of(&api).await, Client::of(&api).await);
    client.endpoint("a.example.com").await;
    let with = |field: &str, value: Value| {
        let mut body = json!({"url": "https://b.example.com", "traffic_policy": POLICY});
        body[field] = value;
        body
    };
    for body in [
        with("url", json!("https://10.0.0.1")),
        with("url", json!("https://b.example.com:8080")),
        with("url", json!("https://api.example")),
        with("url", json!("https://*")),
        with("url", json!("")),
        with("type", json!("agent")),
        with("bindings", json!(["internal"])),
        with("traffic_policy", json!("")),
        with("traffic_polcy", json!("x")),
        with("description", json!("x".repeat(256))),
        with("metadata", json!("x".repeat(4097))),
    ] {
        client.refused(Method::POST, "/endpoints", body, 400, Value::Null).await;
    }
    let body = with("url", json!("https://a.example.com"));
    other.refused(Method::POST, "/endpoints", body, 409, Value::Null).await;

    let policy = "on_http_request:\n  - actions:\n      - type: rate-limt\n";
    let body = with("traffic_policy", json!(policy));
    let told = client.refused(Method::POST, "/endpoints", body, 400, code(18002)).await;
    let told = told["msg"].as_str().unwrap();
    assert!(told.contains("line 3") && told.contains("rate-limit"), "{told}");
    let long = json!(format!("on_http_request: [] # {}", "x".repeat(200_000)));
    client.refused(Method::POST, "/endpoints", with("traffic_policy", long), 400, code(18002)).await;
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_secret_is_kept_sealed_and_never_told(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let client = Client::of(&api).await;
    let vault = client.made("/vaults", json!({"name": "gateway-auth", "description": "for callers"})).await;
    assert!(id(&vault).starts_with("vault_") && vault["created_by"].as_str().unwrap().starts_with("ak_"));
    client.refused(Method::POST, "/vaults", json!({"name": "gateway-auth"}), 409, code(23004)).await;
    client.refused(Method::POST, "/vaults", json!({"name": "a b"}), 400, code(23000)).await;

    let new = json!({"name": "api-key", "value": "sk-canary", "vault_id": "", "vault_name": "gateway-auth"});
    let secret = client.made("/vault_secrets", new.clone()).await;
    assert!(id(&secret).starts_with("secret_"));
    assert_eq!((&secret["vault"]["id"], &secret["vault_name"]), (&vault["id"], &json!("gateway-auth")));
    assert_eq!(secret["vault"]["uri"], vault["uri"]);
    assert!(secret["created_by"]["id"].as_str().unwrap().starts_with("ak_"));
    client.refused(Method::POST, "/vault_secrets", new, 409, code(24005)).await;
    for (body, status, number) in [
        (json!({"name": "x", "value": "v"}), 400, 24008),
        (json!({"name": "x", "value": "v", "vault_name": "none"}), 404, 24009),
        (json!({"name": "x", "value": "v", "vault_id": "vault_1"}), 404, 24006),
        (json!({"name": "x", "value": "", "vault_id": id(&vault)}), 400, 24003),
        (json!({"name": "x?", "value": "v", "vault_id": id(&vault)}), 400, 24000),
    ] {
        client.refused(Method::POST, "/vault_secrets", body, status, code(number)).await;
    }
    let path = format!("/vault_secrets/{}", id(&secret));
    let change = json!({"value": "sk-canary-2", "description": "rotated"});
    let (status, changed) = client.call(Method::PATCH, &path, Some(change)).await;
    assert_eq!((status, &changed["description"]), (StatusCode::OK, &json!("rotated")));
    let lists = ["/vault_secrets".to_owned(), format!("/vaults/{}/secrets", id(&vault))];
    for list in &lists {
        assert_eq!(client.get(list).await.1["secrets"], json!([changed]), "{list}");
    }
    assert!(!format!("{secret}{changed}").contains("canary"));

    // A proxy opens what is kept.
    let (sealed, keys): (Vec<u8>, Vec<u8>) = sqlx::query_as(
        "select sealed, credentials_key from vault_secrets join accounts on accounts.id = account_id",
    )
    .fetch_one(&api.store.pool)
    .await
    .unwrap();
    let opener = Opener::new(RootRing::parse("KEYS", api.credentials.expose()).unwrap());
    let key = opener.credentials_key(client.account, &keys).unwrap();
    let secret_id = id(&secret).parse().unwrap();
    assert_eq!(key.open_vault_secret(secret_id, &sealed).unwrap().expose(), "sk-canary-2");

    let of_vault = format!("/vaults/{}", id(&vault));
    client.refused(Method::DELETE, &of_vault, Value::Null, 409, code(23003)).await;
    assert_eq!(client.call(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(client.call(Method::DELETE, &of_vault, None).await.0, StatusCode::NO_CONTENT);
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_gateway_key_is_shown_once_and_has_provider_keys_of_its_own(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let client = Client::of(&api).await;
    let endpoint = client.endpoint("a.example.com").await;
    let attached = json!([{"provider_id": "OpenAI", "value": "sk-proj-0123456789abcdef0123456789abcdef"}]);
    let new = json!({"endpoint_id": id(&endpoint), "description": "team red", "provider_keys": attached});
    let key = client.made("/ai_gateway_api_keys", new).await;
    let token = key["token"].as_str().unwrap();
    assert!(token.starts_with("ng-") && token.contains("-g1-"));
    assert!(model::token::is_ours(token) && id(&key).starts_with("aigk_"));
    assert_eq!(key["last_used"], Value::Null);
    assert_eq!(key["endpoint"], json!({"id": endpoint["id"], "uri": endpoint["uri"]}));
    assert_eq!(key["provider_keys"][0]["provider_id"], "openai");
    assert_eq!(key["provider_keys"][0]["display_name"], "sk-proj-01***cdef");
    let path = format!("/ai_gateway_api_keys/{}", id(&key));
    let shown = client.get(&path).await.1;
    assert!(shown["token"].is_null() && shown["provider_keys"] == key["provider_keys"], "{shown}");

    for (body, status, number) in [
        (json!({"description": "x"}), 422, 27006),
        (json!({"endpoint_id": "ep_1"}), 404, 27002),
        (json!({"endpoint_id": id(&endpoint), "description": "x".repeat(256)}), 422, 27004),
        (json!({"endpoint_id": id(&endpoint), "metadata": "x".repeat(4097)}), 422, 27005),
    ] {
        client.refused(Method::POST, "/ai_gateway_api_keys", body, status, code(number)).await;
    }
    let policy = "on_http_request:\n  - actions:\n      - type: deny\n";
    let body = json!({"url": "https://b.example.com", "traffic_policy": policy});
    let closed = client.made("/endpoints", body).await;
    let body = json!({"endpoint_id": id(&closed)});
    client.refused(Method::POST, "/ai_gateway_api_keys", body, 422, code(27003)).await;

    let other = client.endpoint("c.example.com").await;
    let moved = json!({"endpoint_id": id(&other)});
    assert_eq!(client.call(Method::PATCH, &path, Some(moved)).await.1["endpoint"]["id"], other["id"]);

    let provider_keys = "/ai_gateway_provider_keys";
    for (field, value, status, number) in [
        ("ai_gateway_api_key_id", json!("aigk_1"), 404, 27509),
        ("ai_gateway_api_key_id", json!(""), 422, 27510),
        ("provider_id", json!("nobody"), 422, 27508),
        ("value", json!(""), 422, 27507),
        ("value", Value::Null, 422, 27510),
    ] {
        let mut body = json!({"ai_gateway_api_key_id": id(&key), "provider_id": "groq", "value": "gsk"});
        body[field] = value;
        client.refused(Method::POST, provider_keys, body, status, code(number)).await;
    }
    let mut newest = Value::Null;
    for number in 0..15 {
        let body = json!({"ai_gateway_api_key_id": id(&key), "provider_id": "groq",
            "value": format!("gsk-{number}"), "description": number.to_string()});
        newest = client.made(provider_keys, body).await;
    }
    let body = json!({"ai_gateway_api_key_id": id(&key), "provider_id": "groq", "value": "gsk"});
    client.refused(Method::POST, provider_keys, body, 422, code(27506)).await;
    let list = format!("{provider_keys}?ai_gateway_api_key_id={}", id(&key));
    let listed = client.get(&list).await.1;
    assert_eq!(listed["ai_gateway_provider_keys"].as_array().unwrap().len(), 16);
    assert_eq!(listed["ai_gateway_provider_keys"][0], newest, "the newest first");
    let one = format!("{provider_keys}/{}", id(&newest));
    let change = Some(json!({"description": "b"}));
    assert_eq!(client.call(Method::PATCH, &one, change).await.1["description"], "b");
    assert_eq!(client.call(Method::DELETE, &one, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(client.call(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(client.get(provider_keys).await.1["ai_gateway_provider_keys"], json!([]));
}

#[sqlx::test(migrations = "../../migrations")]
async fn lists_are_read_from_the_newest_on_and_can_be_filtered(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let client = Client::of(&api).await;
    for number in 0..5 {
        let body =
            json!({"name": format!("vault-{number}"), "metadata": if number < 2 { "old" } else { "new" }});
        client.made("/vaults", body).await;
    }
    let names = |page: &Value| -> Vec<String> {
        let vaults = page["vaults"].as_array().unwrap();
        vaults.iter().map(|vault| vault["name"].as_str().unwrap().to_owned()).collect()
    };
    let mut path = "/vaults?limit=2".to_owned();
    let mut seen = Vec::new();
    loop {
        let (status, page) = client.get(&path).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        seen.push(names(&page));
        let Some(next) = page["next_page_uri"].as_str() else { break };
        path = next.strip_prefix("http://api.example").unwrap().to_owned();
    }
    assert_eq!(seen, [vec!["vault-4", "vault-3"], vec!["vault-2", "vault-1"], vec!["vault-0"]]);

    let all = client.get("/vaults").await.1;
    assert_eq!((names(&all).len(), &all["next_page_uri"]), (5, &Value::Null));
    let before = format!("/vaults?beforeId={}&limit=100", id(&all["vaults"][3]));
    assert_eq!(names(&client.get(&before).await.1), ["vault-0"]);
    let filter = "obj.metadata == 'old' && timestamp(obj.created_at) > timestamp(time.now).subtract('1d')";
    let query = form_urlencoded::Serializer::new(String::new()).append_pair("filter", filter).finish();
    let (_, page) = client.get(&format!("/vaults?limit=1&{query}")).await;
    assert_eq!(names(&page), ["vault-1"]);
    let next = page["next_page_uri"].as_str().unwrap().strip_prefix("http://api.example").unwrap();
    assert_eq!(names(&client.get(next).await.1), ["vault-0"]);

    for bad in ["limit=0", "limit=x", "before_id=7", "before_id=ep_00000000000000000000000000000abc"] {
        assert_eq!(client.get(&format!("/vaults?{bad}")).await.0, StatusCode::BAD_REQUEST, "{bad}");
    }
    let (status, told) = client.get("/vaults?filter=obj.").await;
    assert_eq!((status, &told["error_code"]), (StatusCode::BAD_REQUEST, &json!("invalid_cel_expression")));

    let (one, other) = (client.endpoint("a.example.com").await, client.endpoint("b.example.com").await);
    let by_id = client.get(&format!("/endpoints?id={}", id(&one))).await.1;
    assert_eq!(by_id["endpoints"], json!([one]));
    let by_url = client.get("/endpoints?url[]=https://b.example.com").await.1;
    assert_eq!(by_url["endpoints"], json!([other]));
}

#[sqlx::test(migrations = "../../migrations")]
async fn another_tenants_things_look_unknown(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (victim, stranger) = (Client::of(&api).await, Client::of(&api).await);
    let endpoint = victim.endpoint("a.example.com").await;
    let vault = victim.made("/vaults", json!({"name": "v"})).await;
    let secret = json!({"name": "s", "value": "x", "vault_name": "v"});
    let secret = victim.made("/vault_secrets", secret).await;
    let key = victim.made("/ai_gateway_api_keys", json!({"endpoint_id": id(&endpoint)})).await;
    let provider_key = json!({"ai_gateway_api_key_id": id(&key), "provider_id": "groq", "value": "gsk"});
    let provider_key = victim.made("/ai_gateway_provider_keys", provider_key).await;
    let api_key = victim.made("/api_keys", json!({"description": "ci"})).await;
    let ip_policy = victim.made("/ip_policies", json!({"description": "office"})).await;
    let rule = json!({"ip_policy_id": id(&ip_policy), "cidr": "10.0.0.0/8", "action": "allow"});
    let ip_policy_rule = victim.made("/ip_policy_rules", rule.clone()).await;
    stranger.refused(Method::POST, "/ip_policy_rules", rule, 404, Value::Null).await;
    let unknown = "00000000000000000000000000000abc";
    for (path, theirs, prefix) in [
        ("/ip_policies", &ip_policy, "ipp_"),
        ("/ip_policy_rules", &ip_policy_rule, "ipr_"),
        ("/endpoints", &endpoint, "ep_"),
        ("/vaults", &vault, "vault_"),
        ("/vault_secrets", &secret, "secret_"),
        ("/ai_gateway_api_keys", &key, "aigk_"),
        ("/ai_gateway_provider_keys", &provider_key, "aigpk_"),
        ("/api_keys", &api_key, "ak_"),
    ] {
        for (method, body) in [
            (Method::GET, None),
            (Method::PATCH, Some(json!({"description": "mine"}))),
            (Method::DELETE, None),
        ] {
            let told = async |id: &str| {
                let path = format!("{path}/{id}");
                let (status, mut answer) = stranger.call(method.clone(), &path, body.clone()).await;
                answer["details"] = Value::Null;
                (status, answer)
            };
            let foreign = told(id(theirs)).await;
            assert_eq!(foreign, told(&format!("{prefix}{unknown}")).await, "{method} {path}");
            assert_eq!(foreign.0, StatusCode::NOT_FOUND, "{method} {path}");
        }
        assert!(!stranger.get(path).await.1.to_string().contains(id(theirs)), "{path}");
        assert_eq!(victim.get(&format!("{path}/{}", id(theirs))).await.0, StatusCode::OK, "{path}");
    }
    assert_eq!(stranger.get(&format!("/vaults/{}/secrets", id(&vault))).await.0, StatusCode::NOT_FOUND);
    let body = json!({"name": "s", "value": "x", "vault_id": id(&vault)});
    stranger.refused(Method::POST, "/vault_secrets", body, 404, code(24006)).await;
    let body = json!({"name": "s", "value": "x", "vault_name": "v"});
    stranger.refused(Method::POST, "/vault_secrets", body, 404, code(24009)).await;
    let body = json!({"endpoint_id": id(&endpoint)});
    stranger.refused(Method::POST, "/ai_gateway_api_keys", body, 404, code(27002)).await;
    let body = json!({"ai_gateway_api_key_id": id(&key), "provider_id": "groq", "value": "gsk"});
    stranger.refused(Method::POST, "/ai_gateway_provider_keys", body, 404, code(27509)).await;
    let listed = stranger.get(&format!("/ai_gateway_provider_keys?ai_gateway_api_key_id={}", id(&key))).await;
    assert_eq!(listed.1["ai_gateway_provider_keys"], json!([]));
}

#[sqlx::test(migrations = "../../migrations")]
async fn a_token_does_here_what_it_may_do_and_nothing_else(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let reader = Client::with(&api, &["AI Gateway Read"]).await;
    assert_eq!(reader.get("/vaults").await.0, StatusCode::OK);
    reader.refused(Method::POST, "/vaults", json!({"name": "v"}), 403, code(204)).await;
    reader.refused(Method::POST, "/api_keys", json!({}), 403, code(204)).await;
    let runner = Client::with(&api, &["AI Gateway Run"]).await;
    assert_eq!(runner.get("/endpoints").await.0, StatusCode::FORBIDDEN);

    let client = Client::with(&api, &["Account API Tokens Write", "AI Gateway Read"]).await;
    let made = client.made("/api_keys", json!({"description": "ci", "metadata": "m"})).await;
    let bearer = made["token"].as_str().unwrap().to_owned();
    let child = Client { api: &api, account: client.account, token: Actor { bearer, user: None } };
    assert_eq!(child.get("/vaults").await.0, StatusCode::OK);
    child.refused(Method::POST, "/vaults", json!({"name": "v"}), 403, code(204)).await;
    let path = format!("/api_keys/{}", id(&made));
    let shown = client.get(&path).await.1;
    assert_eq!((&shown["token"], &shown["description"]), (&Value::Null, &json!("ci")));
    let (_, changed) = client.call(Method::PATCH, &path, Some(json!({"metadata": "n"}))).await;
    assert_eq!((&changed["description"], &changed["metadata"]), (&json!("ci"), &json!("n")));
    assert_eq!(client.get("/api_keys").await.1["keys"][0], changed);
    assert_eq!(client.call(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(child.get("/vaults").await.0, StatusCode::FORBIDDEN);
}

#[sqlx::test(migrations = "../../migrations")]
async fn who_speaks_otherwise_is_told_in_the_words_of_this_face(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let client = Client::of(&api).await;
    let bearer = format!("Bearer {}", client.token.bearer);
    let session = format!("Bearer {}", api.person().await.bearer);
    let (version, json_type) = (("ngrok-version", "2"), ("content-type", "application/json"));
    let post = Method::POST;
    for (method, headers, body, status, number) in [
        (Method::GET, vec![("authorization", bearer.as_str())], "", 400, 218),
        (Method::GET, vec![("authorization", &bearer), ("ngrok-version", "1")], "", 400, 218),
        (Method::GET, vec![version], "", 403, 200),
        (Method::GET, vec![version, ("authorization", "Bearer canary")], "", 403, 202),
        (Method::GET, vec![version, ("authorization", &session)], "", 403, 206),
        (post.clone(), vec![version, ("authorization", &bearer)], "{}", 400, 210),
        (post, vec![version, ("authorization", &bearer), json_type], "{", 400, 213),
    ] {
        let answer = api.raw(method, "/vaults", &headers, body).await;
        let told: Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!((answer.status().as_u16(), &told["error_code"]), (status, &code(number)), "{told}");
        assert!(!answer.headers().contains_key("www-authenticate") && !told.to_string().contains("canary"));
        assert_eq!(told["details"]["operation_id"], answer.headers()["ngrok-operation-id"].to_str().unwrap());
    }
    for (method, path) in
        [(Method::PUT, "/vaults"), (Method::GET, "/nothing"), (Method::GET, "/vaults/a/b/c")]
    {
        let (status, told) = {
            let headers = [version, ("authorization", bearer.as_str())];
            let answer = api.raw(method, path, &headers, "").await;
            (answer.status(), serde_json::from_slice::<Value>(answer.body()).unwrap())
        };
        let expected = json!({"status_code": 404, "msg": "Not Found", "details": {"path": path}});
        assert_eq!((status, told), (StatusCode::NOT_FOUND, expected));
    }
    // Whoever does not name the version is answered as everybody else.
    let answer = api.raw(Method::GET, "/nothing", &[], "").await;
    assert!(String::from_utf8_lossy(answer.body()).contains("\"errors\""));

    for path in ["/event_destinations", "/event_subscriptions/esb_1/sources", "/credentials"] {
        let (status, told) = client.get(path).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{told}");
        assert!(told["msg"].as_str().unwrap().len() > 30 && told["details"].is_object());
    }

    let asked = [
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "authorization,ngrok-version"),
    ];
    let preflight = api.raw(Method::OPTIONS, "/endpoints", &asked, "").await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    for (name, value) in [
        ("access-control-allow-origin", "https://app.example"),
        ("access-control-allow-headers", "authorization,ngrok-version"),
        ("access-control-allow-credentials", "true"),
        ("access-control-max-age", "600"),
    ] {
        assert_eq!(preflight.headers()[name], value);
    }
}

#[sqlx::test(migrations = "../../migrations")]
async fn an_account_that_asks_too_much_is_told_to_wait(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let (client, other) = (Client::of(&api).await, Client::of(&api).await);
    let mut told = (StatusCode::OK, Value::Null);
    for _ in 0..121 {
        told = client.get("/vaults/vault_1").await;
    }
    assert_eq!((told.0, &told.1["error_code"]), (StatusCode::TOO_MANY_REQUESTS, &code(226)));
    assert_eq!(other.get("/vaults").await.0, StatusCode::OK);
}

/// What the client for Go sends and reads: its headers, bodies without what is not said, pages by the address
/// of the next one, and errors whose details are all texts.
#[sqlx::test(migrations = "../../migrations")]
async fn the_client_for_go_finds_what_its_types_say(pool: PgPoolOptions, address: PgConnectOptions) {
    let api = Api::start(pool, address).await;
    let client = Client::of(&api).await;
    let endpoint = client.endpoint("a.example.com").await;
    let bearer = format!("Bearer {}", client.token.bearer);
    let call = async |method: Method, path: &str, body: Option<Value>| {
        let mut headers = vec![
            ("authorization", bearer.as_str()),
            ("user-agent", "github.com/ngrok/ngrok-api-go/v8"),
            ("ngrok-version", "2"),
        ];
        headers.extend(body.is_some().then_some(("content-type", "application/json")));
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let answer = api.raw(method, path, &headers, body).await;
        (answer.status().as_u16(), serde_json::from_slice::<Value>(answer.body()).unwrap_or(Value::Null))
    };
    let new = |number: usize| json!({"endpoint_id": id(&endpoint), "description": format!("key {number}")});
    for number in 0..5 {
        let (status, key) = call(Method::POST, "/ai_gateway_api_keys", Some(new(number))).await;
        assert_eq!(status, 201, "{key}");
        for text in
            ["id", "uri", "created_at", "updated_at", "description", "metadata", "display_name", "token"]
        {
            assert!(key[text].is_string(), "{text}: {key}");
        }
        for reference in ["created_by", "last_updated_by", "endpoint"] {
            assert!(
                key[reference]["id"].is_string() && key[reference]["uri"].is_string(),
                "{reference}: {key}"
            );
        }
        assert!(key["last_used"].is_null() && key["provider_keys"].is_array(), "{key}");
    }
    // Its lists go on with the address that they are given, until there is none or nothing is in a page.
    let mut next = Some("/ai_gateway_api_keys?limit=2".to_owned());
    let mut found = Vec::new();
    while let Some(path) = next {
        let (status, page) = call(Method::GET, &path, None).await;
        assert_eq!(status, 200, "{page}");
        let keys = page["ai_gateway_api_keys"].as_array().unwrap();
        assert!(!keys.is_empty(), "{page}");
        found.extend(keys.iter().map(|key| key["description"].as_str().unwrap().to_owned()));
        next = page["next_page_uri"]
            .as_str()
            .map(|uri| uri.strip_prefix("http://api.example").unwrap().to_owned());
    }
    assert_eq!(found, ["key 4", "key 3", "key 2", "key 1", "key 0"]);

    let (_, page) = call(Method::GET, "/ai_gateway_api_keys?limit=1", None).await;
    let path = format!("/ai_gateway_api_keys/{}", id(&page["ai_gateway_api_keys"][0]));
    let (status, changed) = call(Method::PATCH, &path, Some(json!({"metadata": "m"}))).await;
    assert_eq!((status, &changed["metadata"], &changed["description"]), (200, &json!("m"), &json!("key 4")));
    assert_eq!(call(Method::DELETE, &path, None).await, (204, Value::Null));
    for (method, path) in [(Method::GET, path.as_str()), (Method::DELETE, &path), (Method::GET, "/nothing")] {
        let (status, told) = call(method, path, None).await;
        assert_eq!((status, &told["status_code"]), (404, &json!(404)), "{told}");
        assert!(told["msg"].is_string(), "{told}");
        assert!(told["details"].as_object().unwrap().values().all(Value::is_string), "{told}");
    }
}

/// What proxies are told of the one gateway with a policy that names IP policies.
async fn served(api: &Api) -> Value {
    let served: Vec<String> =
        sqlx::query_scalar("select served_policy from gateways where served_policy is not null")
            .fetch_all(&api.store.pool)
            .await
            .unwrap();
    let [served] = served.as_slice() else { panic!("{served:?}") };
    serde_json::from_str::<Value>(served).unwrap()["on_http_request"][0]["config"].clone()
}

#[sqlx::test(migrations = "../../migrations")]
async fn traffic_policies_name_ip_policies_and_follow_their_rules(
    pool: PgPoolOptions,
    address: PgConnectOptions,
) {
    let api = Api::start(pool, address).await;
    let (client, stranger) = (Client::of(&api).await, Client::of(&api).await);
    let office = client.made("/ip_policies", json!({"description": "office", "metadata": "m"})).await;
    assert_eq!(office["uri"], json!(format!("http://api.example/ip_policies/{}", id(&office))));
    let rule =
        |cidr: &str, action: &str| json!({"ip_policy_id": id(&office), "cidr": cidr, "action": action});
    let made = client.made("/ip_policy_rules", rule("203.0.113.0/24", "allow")).await;
    assert_eq!((&made["action"], &made["ip_policy"]["uri"]), (&json!("allow"), &office["uri"]));
    for (cidr, action) in [("203.0.113.7", "allow"), ("203.0.113.0/33", "allow"), ("10.0.0.0/8", "maybe")] {
        client.refused(Method::POST, "/ip_policy_rules", rule(cidr, action), 400, Value::Null).await;
    }

    let naming = |named: &str| {
        let guard = format!("{{type: restrict-ips, config: {{ip_policies: [{named}]}}}}");
        json!({"url": "https://a.example.com", "traffic_policy": format!("on_http_request: [{guard}, {{type: ai-gateway}}]")})
    };
    let nobodys = "ipp_00000000000000000000000000000abc";
    let told = client.refused(Method::POST, "/endpoints", naming(nobodys), 400, code(18002)).await;
    assert!(told["msg"].as_str().unwrap().contains("ip_policies[0]: There is no IP policy"), "{told}");
    stranger.refused(Method::POST, "/endpoints", naming(id(&office)), 400, code(18002)).await;
    let endpoint = client.made("/endpoints", naming(id(&office))).await;
    assert_eq!(
        endpoint["traffic_policy"],
        naming(id(&office))["traffic_policy"],
        "it is shown as it was written"
    );
    assert_eq!(served(&api).await, json!({"allow": ["203.0.113.0/24"], "deny": []}));
    assert_eq!(endpoint["warnings"], json!([]));
    client.made("/ai_gateway_api_keys", json!({"endpoint_id": id(&endpoint)})).await;

    let denied = client.made("/ip_policy_rules", rule("203.0.113.7/32", "deny")).await;
    assert_eq!(served(&api).await, json!({"allow": ["203.0.113.0/24"], "deny": ["203.0.113.7/32"]}));
    let path = format!("/ip_policy_rules/{}", id(&made));
    let (status, changed) = client.call(Method::PATCH, &path, Some(json!({"cidr": "2001:db8::/32"}))).await;
    assert_eq!(
        (status, &changed["cidr"], &changed["action"]),
        (StatusCode::OK, &json!("2001:db8::/32"), &json!("allow"))
    );
    assert_eq!(served(&api).await["allow"], json!(["2001:db8::/32"]));
    assert_eq!(client.call(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(served(&api).await["allow"], json!(["0.0.0.0/32"]), "nobody is let in by no rule");

    let listed = client.get("/ip_policy_rules").await.1;
    assert_eq!(listed["ip_policy_rules"], json!([denied]));
    let path = format!("/ip_policies/{}", id(&office));
    let (_, changed) = client.call(Method::PATCH, &path, Some(json!({"description": "home"}))).await;
    assert_eq!((&changed["description"], &changed["metadata"]), (&json!("home"), &json!("m")));
    assert_eq!(client.get("/ip_policies").await.1["ip_policies"], json!([changed]));
    client.refused(Method::DELETE, &path, json!({}), 409, Value::Null).await;
    let at = format!("/endpoints/{}", id(&endpoint));
    let (status, _) = client.call(Method::PATCH, &at, Some(json!({"traffic_policy": POLICY}))).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(client.call(Method::DELETE, &path, None).await.0, StatusCode::NO_CONTENT);
    assert_eq!(client.get("/ip_policy_rules").await.1["ip_policy_rules"], json!([]));
}
