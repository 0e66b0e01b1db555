//! What a request may say of a gateway: Cloudflare's fields with their bounds, and our own.

use serde::Deserialize;
use serde_json::Value;

mod limits;

use super::{GatewaySettings, WorkersAiBillingMode};
use crate::document::{self, Document, Mistake, boolean, integer, nullable, one_of, text, texts};
use crate::gateway::{ErrorShape, KeyPrecedence, StoredKeys};
use crate::id::GatewayId;
use crate::time_zone::TimeZone;

/// The largest integer that JavaScript clients read without loss; where Cloudflare states no upper
/// bound, it is ours.
const MAX_INTEGER: u64 = (1 << 53) - 1;

/// What the answer carries beside the settings. Clients send whole answers back (and older ones
/// always sent `is_default`), so these are known, and decide nothing.
const OF_THE_ANSWER: &[&str] = &[
    "is_default",
    "created_at",
    "modified_at",
    "account_id",
    "account_tag",
    "internal_id",
    "wholesale",
    "warnings",
];

impl GatewaySettings {
    /// Reads the body of a request that creates a gateway.
    pub fn of_new(body: &Value) -> Result<(GatewayId, Self), Vec<Mistake>> {
        document::read(body, |document| {
            let id = document.required("id", one_of::<GatewayId>(
                "1 to 64 lower-case letters, digits, hyphens or underscores, beginning and ending with a letter or digit",
            ));
            let settings = settings(document);
            Some((id?, settings?))
        })
    }

    /// Reads the body of a request that replaces the settings of the gateway `id`. What it leaves
    /// out gets its default: nothing of the earlier settings stays.
    pub fn of_replacement(body: &Value, id: &GatewayId) -> Result<Self, Vec<Mistake>> {
        document::read(body, |document| {
            document.optional("id", (), |given| match given.as_str() {
                Some(given) if given == id.as_str() => Ok(()),
                _ => Err("must be the gateway's own id, which cannot be changed".to_owned()),
            });
            settings(document)
        })
    }

    /// Gives every spend rule that has none an id: 8 hex digits, as Cloudflare's are. They appear
    /// in what callers are told when the rule refuses them.
    pub fn name_spend_rules(&mut self, mut random: impl FnMut() -> [u8; 4]) {
        for rule in self.spend_limits.iter_mut().flat_map(|limits| &mut limits.rules) {
            if rule.id.is_empty() {
                rule.id = hex::encode(random());
            }
        }
    }
}

fn settings(document: &mut Document<'_>) -> Option<GatewaySettings> {
    document.ignored(OF_THE_ANSWER);
    let number = || nullable(integer(0..=MAX_INTEGER));
    // Every member is read before the first `?`, so that all mistakes are told together.
    let cache_invalidate_on_update = document.required("cache_invalidate_on_update", boolean);
    let cache_ttl = document.required("cache_ttl", number());
    let collect_logs = document.required("collect_logs", boolean);
    let rate_limiting_interval = document.required("rate_limiting_interval", number());
    let rate_limiting_limit = document.required("rate_limiting_limit", number());
    let rate_limiting_technique =
        document.optional("rate_limiting_technique", None, nullable(one_of("`fixed` or `sliding`")));
    let authentication = document.optional("authentication", false, boolean);
    let byok_only = document.optional("byok_only", false, boolean);
    let dlp = document.kept_object("dlp", data_loss_prevention);
    let guardrails = document.kept_object("guardrails", |guardrails| {
        for phase in ["prompt", "response"] {
            if !guardrails.has(phase) {
                guardrails.mistake(phase, format!("`{phase}` is required"));
            }
            guardrails.kept_object(phase, hazards);
        }
    });
    let log_classification = document.optional("log_classification", false, boolean);
    let log_management = document.optional("log_management", None, nullable(integer(10_000..=10_000_000)));
    let log_management_strategy = document.optional(
        "log_management_strategy",
        None,
        nullable(one_of("`STOP_INSERTING` or `DELETE_OLDEST`")),
    );
    let logpush = document.optional("logpush", false, boolean);
    let logpush_public_key = document.optional("logpush_public_key", None, nullable(text(16..=1024)));
    let otel = document.kept_list("otel", 16, exporter);
    let retry_backoff =
        document.optional("retry_backoff", None, nullable(one_of("`constant`, `linear` or `exponential`")));
    let retry_delay = document.optional("retry_delay", None, nullable(integer(0..=60_000)));
    let retry_max_attempts = document.optional("retry_max_attempts", None, nullable(integer(1..=5)));
    let spend_limits = document.object("spend_limits", limits::spend_limits);
    let store_id = document.optional("store_id", None, nullable(text(1..=64)));
    let stripe = document.kept_object("stripe", |stripe| {
        stripe.required("authorization", text(1..=4096));
        if !stripe.has("usage_events") {
            stripe.mistake("usage_events", "`usage_events` is required");
        }
        stripe.kept_list("usage_events", 64, |event| {
            event.required("payload", text(1..=8192));
        });
    });
    let workers_ai_billing_mode = document.optional(
        "workers_ai_billing_mode",
        WorkersAiBillingMode::Postpaid,
        one_of("`postpaid` or `unified`"),
    );
    let zdr = document.optional("zdr", false, boolean);
    let error_shape = document.optional(
        "error_shape",
        ErrorShape::ByCaller,
        one_of("`by_caller`, `gateway`, `provider` or `ngrok`"),
    );
    let stored_keys =
        document.optional("stored_keys", StoredKeys::Authenticated, one_of("`authenticated` or `open`"));
    let key_precedence =
        document.optional("key_precedence", KeyPrecedence::Request, one_of("`request` or `stored`"));
    let token_budget = document.object("token_budget", limits::token_budget);
    let max_output_tokens =
        document.optional("max_output_tokens", None, nullable(integer(1..=u64::from(u32::MAX))));
    let time_zone = document.optional(
        "time_zone",
        TimeZone::UTC,
        one_of("`UTC`, or a distance from it such as `+02:00`"),
    );
    Some(GatewaySettings {
        cache_invalidate_on_update: cache_invalidate_on_update?,
        cache_ttl: cache_ttl?,
        collect_logs: collect_logs?,
        rate_limiting_interval: rate_limiting_interval?,
        rate_limiting_limit: rate_limiting_limit?,
        rate_limiting_technique: rate_limiting_technique?,
        authentication: authentication?,
        byok_only: byok_only?,
        dlp,
        guardrails,
        log_classification: log_classification?,
        log_management: log_management?,
        log_management_strategy: log_management_strategy?,
        logpush: logpush?,
        logpush_public_key: logpush_public_key?,
        otel,
        retry_backoff: retry_backoff?,
        retry_delay: retry_delay?,
        retry_max_attempts: retry_max_attempts?,
        spend_limits: spend_limits?,
        store_id: store_id?,
        stripe,
        workers_ai_billing_mode: workers_ai_billing_mode?,
        zdr: zdr?,
        error_shape: error_shape?,
        stored_keys: stored_keys?,
        key_precedence: key_precedence?,
        token_budget: token_budget?,
        max_output_tokens: max_output_tokens?.and_then(|tokens| u32::try_from(tokens).ok()),
        time_zone: time_zone?,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Action {
    Flag,
    Block,
}

#[derive(Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Side {
    Request,
    Response,
}

fn action(value: &Value) -> Result<Action, String> {
    one_of("`FLAG` or `BLOCK`")(value)
}

/// Two forms: the older with one action for all profiles, the newer with policies.
fn data_loss_prevention(dlp: &mut Document<'_>) {
    dlp.required("enabled", boolean);
    if !dlp.has("policies") {
        dlp.required("action", action);
        dlp.required("profiles", texts(256));
        return;
    }
    dlp.kept_list("policies", 64, |policy| {
        policy.required("id", text(1..=128));
        policy.required("enabled", boolean);
        policy.required("action", action);
        policy.required("check", one_of::<Vec<Side>>("a list of `REQUEST` and `RESPONSE`"));
        policy.required("profiles", texts(256));
    });
}

fn hazards(phase: &mut Document<'_>) {
    const CODES: [&str; 14] =
        ["S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "S9", "S10", "S11", "S12", "S13", "P1"];
    for code in CODES {
        phase.optional(code, None, |value| action(value).map(Some));
    }
}

fn exporter(exporter: &mut Document<'_>) {
    exporter.required("url", |value| {
        let url = text(1..=2048)(value)?;
        let absolute = url.starts_with("https://") || url.starts_with("http://");
        if absolute { Ok(()) } else { Err("must begin with `https://` or `http://`".to_owned()) }
    });
    exporter.each_of("headers", |value| text(0..=4096)(value).map(|_| ()));
    exporter.optional("authorization", None, nullable(text(1..=4096)));
    exporter.optional("content_type", (), |value| match value.as_str() {
        Some("json" | "protobuf") => Ok(()),
        _ => Err("must be `json` or `protobuf`".to_owned()),
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn least() -> Value {
        json!({
            "id": "demo",
            "cache_invalidate_on_update": false,
            "cache_ttl": 0,
            "collect_logs": true,
            "rate_limiting_interval": null,
            "rate_limiting_limit": 0,
        })
    }

    fn with(members: Value) -> Value {
        let mut body = least();
        body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        body
    }

    fn paths(body: &Value) -> Vec<String> {
        let mistakes = GatewaySettings::of_new(body).err().unwrap_or_default();
        mistakes.into_iter().map(|mistake| mistake.path.join(".")).collect()
    }

    #[test]
    fn the_five_required_fields_are_enough() {
        let (id, settings) = GatewaySettings::of_new(&least()).unwrap();
        assert_eq!(id.as_str(), "demo");
        let expected = GatewaySettings {
            cache_ttl: Some(0),
            rate_limiting_limit: Some(0),
            ..GatewaySettings::default()
        };
        assert_eq!(settings, expected);
    }

    #[test]
    fn all_mistakes_are_told_together_each_with_its_path() {
        let body = json!({
            "id": "Not A Slug",
            "cache_ttl": -1,
            "collect_logs": "yes",
            "rate_limiting_interval": 1.5,
            "retry_max_attempts": 6,
            "log_management": 9_999,
            "logpush_public_key": "short",
            "otel": [{"headers": {"a": 1}}],
            "guardrails": {"prompt": {"S1": "block", "S99": "FLAG"}},
            "invented": true,
        });
        let expected = [
            "body.id",
            "body.cache_invalidate_on_update",
            "body.cache_ttl",
            "body.collect_logs",
            "body.rate_limiting_interval",
            "body.rate_limiting_limit",
            "body.guardrails.prompt.S1",
            "body.guardrails.prompt.S99",
            "body.guardrails.response",
            "body.log_management",
            "body.logpush_public_key",
            "body.otel.0.url",
            "body.otel.0.headers.a",
            "body.retry_max_attempts",
            "body.invented",
        ];
        assert_eq!(paths(&body), expected);
        assert_eq!(paths(&json!([])), ["body"]);
    }

    #[test]
    fn both_forms_of_data_loss_prevention_are_understood() {
        let older = json!({"dlp": {"enabled": true, "action": "FLAG", "profiles": ["p"]}});
        let newer = json!({"dlp": {"enabled": true, "policies": [
            {"id": "a", "enabled": true, "action": "BLOCK", "check": ["REQUEST"], "profiles": []}
        ]}});
        let mixed = json!({"dlp": {"enabled": true, "action": "FLAG", "policies": [{"id": "a"}]}});
        assert_eq!(paths(&with(older)), [""; 0]);
        assert_eq!(paths(&with(newer)), [""; 0]);
        assert_eq!(
            paths(&with(mixed)),
            [
                "body.dlp.policies.0.enabled",
                "body.dlp.policies.0.action",
                "body.dlp.policies.0.check",
                "body.dlp.policies.0.profiles",
                "body.dlp.action",
            ]
        );
    }

    #[test]
    fn spend_rules_and_usage_events_are_read_to_the_bottom() {
        let good = json!({
            "spend_limits": {"enabled": true, "rules": [
                {"limitType": "cost", "limit": 0.5, "window": 2_592_000, "technique": "fixed",
                 "metadata": {"team": {"mode": "partition"}, "user": {"mode": "filter", "values": ["a"]}},
                 "model": {"mode": "filter", "values": ["gpt-4o"]}}
            ]},
            "stripe": {"authorization": "Bearer x", "usage_events": [{"payload": "{}"}]},
        });
        assert_eq!(paths(&with(good)), [""; 0]);
        let rules: Vec<Value> =
            (0..21).map(|_| json!({"limitType": "cost", "limit": 1, "window": 60})).collect();
        assert_eq!(paths(&with(json!({"spend_limits": {"rules": rules}}))), ["body.spend_limits.rules"]);
        let bad = json!({
            "spend_limits": {"rules": [{"limitType": "tokens", "limit": 0, "metadata": {"team": {"mode": "x"}}}]},
            "stripe": {"usage_events": [{}]},
        });
        assert_eq!(
            paths(&with(bad)),
            [
                "body.spend_limits.rules.0.limitType",
                "body.spend_limits.rules.0.limit",
                "body.spend_limits.rules.0.window",
                "body.spend_limits.rules.0.metadata.team",
                "body.stripe.authorization",
                "body.stripe.usage_events.0.payload",
            ]
        );
    }

    #[test]
    fn a_replacement_forgets_what_it_leaves_out_and_keeps_the_id() {
        let id = "demo".parse().unwrap();
        let answer = with(json!({"is_default": false, "created_at": "2026-10-01T00:00:00Z"}));
        assert!(!GatewaySettings::of_replacement(&answer, &id).unwrap().authentication);
        let renamed = with(json!({"id": "other"}));
        let mistakes = GatewaySettings::of_replacement(&renamed, &id).unwrap_err();
        assert_eq!(mistakes[0].path, ["body", "id"]);
    }

    #[test]
    fn a_rule_without_an_id_gets_one_and_an_id_stays() {
        let rules = json!({"spend_limits": {"rules": [
            {"id": "mine", "limitType": "cost", "limit": 1, "window": 60},
            {"limitType": "cost", "limit": 1, "window": 60},
        ]}});
        let (_, mut settings) = GatewaySettings::of_new(&with(rules)).unwrap();
        settings.name_spend_rules(|| [0xab; 4]);
        let ids: Vec<String> = settings.spend_limits.unwrap().rules.into_iter().map(|rule| rule.id).collect();
        assert_eq!(ids, ["mine", "abababab"]);
    }
}
