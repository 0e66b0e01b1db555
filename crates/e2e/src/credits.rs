//! Prepaid credits: granted by the operator, spent by a tenant, looked at in Postgres and in Redis.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};
use uuid::Uuid;

use crate::http::{Call, call};
use crate::system::{System, text};
use crate::tenant::Tenant;

/// How many tokens the answers to [`question`] may have.
pub const OUTPUT_LIMIT: u64 = 64;

/// A question that is paid from credits, marked with an id that provider and record keep, and with wishes for the
/// provider. Questions with ids of the same length are held for alike.
pub fn question(id: &str, wishes: &str) -> Value {
    let text = format!("[id:{id}] What is a coin worth? [simulator:{wishes}]");
    json!({
        "model": "gpt-4o-mini",
        "max_tokens": OUTPUT_LIMIT,
        "messages": [{"role": "user", "content": text}],
    })
}

/// The same as a stream.
pub fn streamed(id: &str, wishes: &str, limit: Option<u64>) -> Value {
    let mut question = question(id, wishes);
    question["stream"] = json!(true);
    match limit {
        Some(limit) => question["max_tokens"] = json!(limit),
        None => drop(question.as_object_mut().and_then(|members| members.remove("max_tokens"))),
    }
    question
}

/// A tenant's way to ask on credits.
#[derive(Debug, Clone)]
pub struct Asker {
    tenant: Tenant,
    token: String,
}

impl Asker {
    /// A call that nobody brings a key to.
    pub fn ask(&self, proxy: &str, id: &str, question: &Value) -> Call {
        let call = self.tenant.chat(proxy).header("cf-aig-authorization", &self.token);
        call.header("cf-aig-event-id", id).json(question)
    }
}

/// What Redis says of an account's credits, in nano-dollars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Purse {
    /// Neither held nor charged.
    pub free: i64,
    /// Set aside, leases among it.
    pub held: i64,
    /// Charged and not yet in Postgres.
    pub unposted: i64,
    /// Set aside for proxies to spend on their own.
    pub leased: i64,
}

impl System {
    /// Lets the installation pay the provider.
    pub async fn store_operator_key(&self) -> anyhow::Result<()> {
        self.store_operator_key_of("openai", "sk-operator-0123456789abcdef").await
    }

    /// Gives the operator a key of a provider's.
    pub async fn store_operator_key_of(&self, provider: &str, secret: &str) -> anyhow::Result<()> {
        let key = json!({"provider_slug": provider, "secret": secret});
        self.operate("POST", "/provider_keys", &key).await?;
        Ok(())
    }

    /// Notes of the operator's only key that the provider goes on billing when it is left, and waits
    /// until every proxy knows.
    pub async fn provider_bills_on(&self) -> anyhow::Result<()> {
        let keys = call("GET", format!("{}/operator/provider_keys", self.api())).bearer(self.operator());
        let id = text(&keys.send().await?.json(), "/result/0/id")?;
        self.operate("PUT", &format!("/provider_keys/{id}"), &json!({"cancel": "drain"})).await?;
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let proxies = call("GET", format!("{}/operator/proxies", self.api())).bearer(self.operator());
            let proxies = proxies.send().await?.json();
            let listed = proxies["result"].as_array().context("the proxies")?;
            if listed.iter().all(|proxy| proxy["lag"] == 0) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the proxies lag behind: {proxies}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn operate(&self, method: &str, path: &str, body: &Value) -> anyhow::Result<Value> {
        let call = call(method, format!("{}/operator{path}", self.api())).bearer(self.operator());
        let answer = call.json(body).send().await?;
        ensure!(answer.status == 200, "{method} {path}: {} {}", answer.status, answer.text());
        Ok(answer.json()["result"].clone())
    }

    /// Grants credits, and waits until Redis knows of them if it knows the account.
    pub async fn grant(&self, tenant: &Tenant, nanos: i64) -> anyhow::Result<()> {
        let before = self.purse(tenant).await?;
        self.ask_for_grant(tenant, nanos, &Uuid::now_v7().to_string()).await?;
        let Some(before) = before else { return Ok(()) };
        let all = |purse: Purse| purse.free + purse.held;
        self.purse_when(tenant, "the granted credits", |purse| all(purse) >= all(before) + nanos).await?;
        Ok(())
    }

    /// Grants credits, once for each key, without waiting for Redis to know of them.
    pub async fn ask_for_grant(&self, tenant: &Tenant, nanos: i64, key: &str) -> anyhow::Result<()> {
        self.bill(tenant, "credits", nanos, key).await?;
        Ok(())
    }

    /// Takes credits, once for each key, and says whether that has been decided.
    pub async fn ask_for_debit(&self, tenant: &Tenant, nanos: i64, key: &str) -> anyhow::Result<String> {
        text(&self.bill(tenant, "debits", nanos, key).await?, "/result/state")
    }

    async fn bill(&self, tenant: &Tenant, what: &str, nanos: i64, key: &str) -> anyhow::Result<Value> {
        let url = format!("{}/accounts/{}/ai-gateway/billing/{what}", self.api(), tenant.account);
        let call = call("POST", url).bearer(self.operator()).header("idempotency-key", key);
        let answer = call.json(&json!({"amount_nanos": nanos})).send().await?;
        ensure!(answer.status == 200, "{what}: {} {}", answer.status, answer.text());
        Ok(answer.json())
    }

    /// Grants what is missing to exactly this balance, and says how much that was. Nothing may be under way.
    pub async fn grant_up_to(&self, tenant: &Tenant, nanos: i64) -> anyhow::Result<i64> {
        self.purse_when(tenant, "everything to be posted", |purse| purse.unposted == 0).await?;
        let missing = nanos - self.balance(tenant).await?;
        ensure!(missing > 0, "there is more already, by {}", -missing);
        self.grant(tenant, missing).await?;
        Ok(missing)
    }

    /// What the account has in Postgres, promotions included, in nano-dollars.
    pub async fn balance(&self, tenant: &Tenant) -> anyhow::Result<i64> {
        let mut connection = PgConnection::connect(&self.database_url).await?;
        let question = "SELECT coalesce(sum(balance), 0)::bigint FROM ledger_accounts \
            WHERE account_id = $1 AND kind IN ('credits', 'promotion')";
        let account: Uuid = tenant.account.parse()?;
        Ok(sqlx::query_scalar(question).bind(account).fetch_one(&mut connection).await?)
    }

    /// What Redis says of the account, in the newest era that knows it.
    pub async fn purse(&self, tenant: &Tenant) -> anyhow::Result<Option<Purse>> {
        let account: Uuid = tenant.account.parse()?;
        let ends = [format!(":a:{}", account.simple()), format!(":a:{}", account.hyphenated())];
        let keys = self.redis_keys("*:a:*").await?;
        let newest =
            keys.iter().filter(|key| ends.iter().any(|end| key.ends_with(end))).max_by_key(|key| era(key));
        let Some(key) = newest else { return Ok(None) };
        let mut connection = self.redis.connection().await?;
        let hash: BTreeMap<String, String> =
            redis::cmd("HGETALL").arg(key).query_async(&mut connection).await?;
        let number = |name: &str| hash.get(name).map_or(Ok(0), |text| text.parse::<i64>());
        Ok(Some(Purse {
            free: number("free")?,
            held: number("held")?,
            unposted: number("unposted")?,
            leased: number("leased")?,
        }))
    }

    /// Waits until Redis says something of the account, at most a minute.
    pub async fn purse_when(
        &self,
        tenant: &Tenant,
        what: &str,
        enough: impl Fn(Purse) -> bool,
    ) -> anyhow::Result<Purse> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let found = self.purse(tenant).await;
            match found {
                Ok(Some(purse)) if enough(purse) => return Ok(purse),
                found if Instant::now() > deadline => bail!("waited for {what}; Redis has {found:?}"),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// The holds that Redis has, also in eras that are over, as `key field`.
    pub async fn holds(&self) -> anyhow::Result<Vec<String>> {
        let mut connection = self.redis.connection().await?;
        let mut holds = Vec::new();
        for key in self.redis_keys("*:h:*").await? {
            let fields: Vec<String> = redis::cmd("HKEYS").arg(&key).query_async(&mut connection).await?;
            // Beside the holds stand words of the scripts; a hold's name is an id.
            let ids = fields.iter().filter(|field| field.len() >= 32);
            holds.extend(ids.map(|field| format!("{key} {field}")));
        }
        Ok(holds)
    }

    /// How many proxies have said what they hold in the newest era of an account's shard.
    pub async fn declared(&self, tenant: &Tenant) -> anyhow::Result<usize> {
        let account: Uuid = tenant.account.parse()?;
        let shard = format!("{{m{:03}}}", account.as_bytes()[15]);
        let mut connection = self.redis.connection().await?;
        let era: u64 = redis::cmd("GET").arg(format!("{shard}:era")).query_async(&mut connection).await?;
        Ok(redis::cmd("SCARD").arg(format!("{shard}:{era}:d")).query_async(&mut connection).await?)
    }

    async fn redis_keys(&self, pattern: &str) -> anyhow::Result<Vec<String>> {
        let mut connection = self.redis.connection().await?;
        redis::cmd("KEYS").arg(pattern).query_async(&mut connection).await.context(pattern.to_owned())
    }

    /// Lets a tenant ask on credits through every proxy, after a first question each of which the story need not
    /// know.
    pub async fn asker(&self, tenant: &Tenant) -> anyhow::Result<Asker> {
        let (_, token) = tenant.gateway_token("demo").await?;
        let asker = Asker { tenant: tenant.clone(), token };
        for (number, proxy) in self.proxies.iter().enumerate() {
            let id = format!("warm-up-{number}");
            tenant.until(200, || asker.ask(&proxy.url, &id, &question(&id, "words=1"))).await?;
        }
        self.purse_when(tenant, "the first questions to be posted", |purse| {
            purse.held == 0 && purse.unposted == 0
        })
        .await?;
        Ok(asker)
    }
}

/// The era in a key such as `{m007}:3:a:…`.
fn era(key: &str) -> u64 {
    key.split(':').nth(1).and_then(|era| era.parse().ok()).unwrap_or_default()
}
