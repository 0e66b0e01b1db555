"""Gateways, provider keys and gateway URLs through Cloudflare's own client for Python."""

import os
import uuid

from cloudflare import APIStatusError, BadRequestError, Cloudflare, ConflictError, NotFoundError

account = os.environ["TOLLGATE_ACCOUNT_ID"]
client = Cloudflare(
    base_url=os.environ["TOLLGATE_API_URL"], api_token=os.environ["TOLLGATE_API_TOKEN"], max_retries=0
)
gateways = client.ai_gateway
name = f"python-{uuid.uuid4().hex[:8]}"

least = dict(
    cache_invalidate_on_update=False,
    cache_ttl=0,
    collect_logs=True,
    rate_limiting_interval=0,
    rate_limiting_limit=0,
)
everything = dict(
    least,
    cache_ttl=3600,
    rate_limiting_technique="sliding",
    authentication=True,
    byok_only=True,
    dlp={
        "enabled": True,
        "policies": [{"id": "p", "enabled": True, "action": "FLAG", "check": ["REQUEST"], "profiles": ["a"]}],
    },
    guardrails={"prompt": {"s1": "BLOCK", "p1": "FLAG"}, "response": {}},
    log_classification=True,
    log_management=10_000,
    log_management_strategy="DELETE_OLDEST",
    logpush=True,
    logpush_public_key="a public key of sorts",
    otel=[{"url": "https://otel.example/v1/traces", "headers": {"x-team": "blue"}, "content_type": "json"}],
    retry_backoff="exponential",
    retry_delay=250,
    retry_max_attempts=3,
    spend_limits={
        "enabled": True,
        "rules": [
            {
                "limit_type": "cost",
                "limit": 12.5,
                "window": 86400,
                "metadata": {"team": {"mode": "partition"}},
                "model": {"mode": "filter", "values": ["gpt-4o"]},
            }
        ],
    },
    store_id=None,
    stripe={"authorization": "secret reference", "usage_events": [{"payload": "{}"}]},
    workers_ai_billing_mode="unified",
    zdr=True,
)


def refused(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"{kind.__name__} was expected")


made = gateways.create(account_id=account, id=name, **everything)
assert made.id == name and made.created_at and made.modified_at, made
assert made.cache_ttl == 3600 and made.rate_limiting_technique == "sliding" and made.authentication, made
assert made.guardrails.prompt.s1 == "BLOCK" and made.dlp.policies[0].check == ["REQUEST"], made
assert made.otel[0].headers == {"x-team": "blue"} and made.retry_backoff == "exponential", made
rule = made.spend_limits.rules[0]
assert rule.limit == 12.5 and rule.limit_type == "cost" and len(rule.id) == 8, rule
assert made.stripe.usage_events[0].payload == "{}" and made.workers_ai_billing_mode == "unified", made
assert made.log_management_strategy == "DELETE_OLDEST" and made.zdr and made.byok_only, made

assert gateways.get(name, account_id=account).to_dict() == made.to_dict()

# `search` finds it, and the client's own pagination walks pages of one until an empty one.
second = f"{name}-b"
gateways.create(account_id=account, id=second, **least)
found = [each.id for each in gateways.list(account_id=account, search=name, per_page=1)]
assert found == [name, second], found

updated = gateways.update(name, account_id=account, **least)
assert updated.cache_ttl == 0 and not updated.authentication and updated.spend_limits is None, updated

refused(ConflictError, lambda: gateways.create(account_id=account, id=name, **least))
refused(NotFoundError, lambda: gateways.get("no-such-gateway", account_id=account))
mistaken = dict(least, cache_ttl=-1, rate_limiting_limit="many")
error = refused(BadRequestError, lambda: gateways.create(account_id=account, id="Not A Slug", **mistaken))
assert [each.code for each in error.errors] == [7001, 7001, 7001], error.body
assert [each["path"] for each in error.body["errors"]] == [
    ["body", "id"],
    ["body", "cache_ttl"],
    ["body", "rate_limiting_limit"],
], error.body

keys = gateways.provider_configs
key = keys.create(
    name,
    account_id=account,
    alias="default",
    default_config=True,
    provider_slug="openai",
    secret="sk-test-0123456789abcdef",
    rate_limit=100,
    rate_limit_period=60,
)
assert key.alias == "default" and key.default_config and key.gateway_id == name, key
assert key.provider_slug == "openai" and key.secret_preview == "****cdef" and key.secret_id, key
assert key.rate_limit == 100 and key.modified_at, key
assert "sk-test" not in key.to_json()
keys.create(
    name, account_id=account, alias="spare", default_config=False, provider_slug="openai", secret="sk-spare"
)
listed = {each.alias: each.default_config for each in keys.list(name, account_id=account)}
assert listed == {"default": True, "spare": False}, listed
error = refused(
    BadRequestError,
    lambda: keys.create(
        name, account_id=account, alias="x", default_config=False, provider_slug="openai", secret_id="y"
    ),
)
assert "secret_id" in str(error), error

url = gateways.urls.get("openai", account_id=account, gateway_id=name)
assert url.endswith(f"/v1/{account}/{name}/openai"), url
refused(APIStatusError, lambda: gateways.urls.get("no-such-provider", account_id=account, gateway_id=name))

assert gateways.delete(second, account_id=account).id == second
assert gateways.delete(name, account_id=account).id == name
refused(NotFoundError, lambda: gateways.get(name, account_id=account))
print("every call was answered as it should be")
