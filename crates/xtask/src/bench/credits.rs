//! Accounts that pay from credits, with everything on: a token, a rate limit, a hold on credits, metering, logging.

use std::cell::Cell;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::json;

use super::redis::Redis;
use crate::http::{Api, text};

/// A limit that no bench reaches, so that every request is counted and none refused.
const LIMIT: u64 = 1_000_000_000;
/// Longer than any bench: the present window and the one before have all requests.
const WINDOW_SECONDS: u64 = 3_600;

/// An account with credits and a gateway of its own.
pub(super) struct Payer {
    pub(super) name: &'static str,
    /// What it is to have when a load begins, in nano-dollars.
    wealth: i64,
    /// What it was given so far.
    granted: Cell<i64>,
    account_id: String,
    gateway_token: String,
}

/// What a payer's requests left behind.
pub(super) struct Proof {
    pub(super) name: &'static str,
    /// Records in Postgres.
    pub(super) records: u64,
    /// Those among them that money was set aside for.
    pub(super) holds: u64,
    /// Those whose callers had left before.
    pub(super) left_early: u64,
    /// What the rate limit counted.
    pub(super) counted: u64,
    /// Nano-dollars that were granted, that were paid, and that are left.
    pub(super) granted: i64,
    pub(super) paid: i64,
    pub(super) left: i64,
}

impl Payer {
    /// Makes the account, as the operator, with so many nano-dollars.
    pub(super) fn new(api: &Api<'_>, name: &'static str, nanos: i64) -> Result<Self> {
        let account = api.result("POST", "/accounts", Some(&json!({"name": name})))?;
        let account_id = text(&account, "id")?.to_owned();
        let gateways = format!("/accounts/{account_id}/ai-gateway/gateways");
        let gateway = json!({
            "id": "bench", "authentication": true, "collect_logs": true, "cache_invalidate_on_update": false,
            "cache_ttl": 0, "rate_limiting_interval": WINDOW_SECONDS, "rate_limiting_limit": LIMIT,
            "rate_limiting_technique": "fixed",
        });
        api.result("POST", &gateways, Some(&gateway))?;
        let token =
            api.result("POST", &format!("{gateways}/bench/tokens"), Some(&json!({"name": "bench"})))?;
        api.grant(&account_id, nanos, "bench")?;
        let gateway_token = text(&token, "value")?.to_owned();
        Ok(Self { name, wealth: nanos, granted: Cell::new(nanos), account_id, gateway_token })
    }

    /// Makes up for what was spent. When a load ends its connections hang up, and who hangs up pays what was on its
    /// way: without this the account with next to nothing would soon have nothing.
    pub(super) fn refill(
        &self,
        api: &Api<'_>,
        query: impl Fn(&str) -> Result<String>,
        redis: &mut Redis,
    ) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let missing = self.wealth - self.balance(&query)?;
            if missing > 0 {
                api.grant(&self.account_id, missing, &format!("bench {}", self.granted.get()))?;
                self.granted.set(self.granted.get() + missing);
            }
            if self.free(redis)?.is_none_or(|free| free >= self.wealth) {
                return Ok(());
            }
            ensure!(
                Instant::now() < deadline,
                "{}: what was granted cannot be spent after a minute",
                self.name
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the account has in Postgres.
    fn balance(&self, query: impl Fn(&str) -> Result<String>) -> Result<i64> {
        let account = &self.account_id;
        let question = format!(
            "SELECT coalesce(sum(balance), 0)::bigint FROM ledger_accounts WHERE account_id = '{account}'"
        );
        Ok(query(&question)?.trim().parse()?)
    }

    /// What can be spent, if Redis knows the account.
    fn free(&self, redis: &mut Redis) -> Result<Option<i64>> {
        let found = redis.ask(&["KEYS", &format!("{{m{:03}}}:*:a:*", self.shard()?)])?;
        let Some(key) = found.iter().find(|key| key.replace('-', "").ends_with(&self.account_id)) else {
            return Ok(None);
        };
        let free = redis.ask(&["HMGET", key, "free"])?;
        Ok(free.first().and_then(|free| free.parse().ok()))
    }

    fn shard(&self) -> Result<u8> {
        let last = self.account_id.get(30..).context("an account id of 32 digits")?;
        Ok(u8::from_str_radix(last, 16)?)
    }

    pub(super) fn path(&self) -> String {
        format!("/v1/{}/bench/openai/chat/completions", self.account_id)
    }

    /// The caller brings a token and no key, and no key is stored either.
    pub(super) fn headers(&self) -> Vec<(&'static str, String)> {
        vec![("cf-aig-authorization", format!("Bearer {}", self.gateway_token))]
    }

    /// What Postgres, which `query` asks for one line, and Redis say of the account.
    pub(super) fn proof(&self, query: impl Fn(&str) -> Result<String>, redis: &mut Redis) -> Result<Proof> {
        let Self { name, granted, account_id, .. } = self;
        let line = query(&format!(
            "SELECT count(*), count(hold), count(*) FILTER (WHERE hold IS NULL AND cause = 'caller_left' AND paid = 0), \
             coalesce(sum(paid), 0)::bigint, (SELECT coalesce(sum(balance), 0)::bigint \
             FROM ledger_accounts WHERE account_id = '{account_id}') FROM usage_known WHERE account_id = '{account_id}'"
        ))?;
        let figures: Result<Vec<i64>, _> = line.trim().split('|').map(str::parse).collect();
        let [records, holds, left_early, paid, left] = figures.with_context(|| line.clone())?[..] else {
            bail!("five figures, not {line}")
        };
        Ok(Proof {
            name,
            records: u64::try_from(records)?,
            holds: u64::try_from(holds)?,
            left_early: u64::try_from(left_early)?,
            counted: self.counted(redis)?,
            granted: granted.get(),
            paid,
            left,
        })
    }

    /// What the rate limit of the account's only gateway counted.
    fn counted(&self, redis: &mut Redis) -> Result<u64> {
        let mut sum = 0;
        for key in redis.ask(&["KEYS", &format!("{{m{:03}}}:*:c:*", self.shard()?)])? {
            for figure in redis.ask(&["HMGET", &key, "c", "p"])? {
                sum += figure.parse::<u64>().unwrap_or_default();
            }
        }
        Ok(sum)
    }
}

impl Proof {
    /// Whether every request was recorded, held for, counted and paid, but for those that nobody waited for any more
    /// before anything was done for them.
    pub(super) fn holds_together(&self) -> bool {
        let Self { records, holds, left_early, counted, granted, paid, left, name: _ } = self;
        *records == holds + left_early && holds == counted && granted - paid == *left
    }
}
