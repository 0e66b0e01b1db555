// Gateways, provider keys and gateway URLs through Cloudflare's own client for JavaScript.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import Cloudflare from "cloudflare";

const account_id = process.env.TOLLGATE_ACCOUNT_ID;
const client = new Cloudflare({
  baseURL: process.env.TOLLGATE_API_URL,
  apiToken: process.env.TOLLGATE_API_TOKEN,
  maxRetries: 0,
});
const gateways = client.aiGateway;
const name = `javascript-${randomBytes(4).toString("hex")}`;

async function all(pages) {
  const found = [];
  for await (const each of pages) found.push(each);
  return found;
}

const least = {
  account_id,
  cache_invalidate_on_update: false,
  cache_ttl: 0,
  collect_logs: true,
  rate_limiting_interval: 0,
  rate_limiting_limit: 0,
};
const settings = {
  cache_ttl: 3600,
  rate_limiting_technique: "sliding",
  authentication: true,
  dlp: { enabled: true, action: "FLAG", profiles: ["a"] },
  guardrails: { prompt: { S1: "BLOCK", P1: "FLAG" }, response: {} },
  log_management: 10_000,
  log_management_strategy: "STOP_INSERTING",
  otel: [{ url: "https://otel.example/v1/traces", headers: { "x-team": "blue" }, content_type: "protobuf" }],
  retry_backoff: "linear",
  retry_delay: 250,
  retry_max_attempts: 3,
  spend_limits: { enabled: true, rules: [{ id: "mine", limitType: "cost", limit: 12.5, window: 86400 }] },
  stripe: { authorization: "secret reference", usage_events: [{ payload: "{}" }] },
  workers_ai_billing_mode: "unified",
  zdr: true,
};

const made = await gateways.create({ ...least, id: name, ...settings });
assert.equal(made.id, name);
assert.ok(made.created_at && made.modified_at);
const { spend_limits, ...others } = settings;
for (const [field, value] of Object.entries(others)) assert.deepEqual(made[field], value, field);
// What a rule leaves open is as the API's description says.
const rule = { ...spend_limits.rules[0], enabled: true, technique: "sliding" };
assert.deepEqual(made.spend_limits.rules, [rule]);
assert.deepEqual(await gateways.get(name, { account_id }), made);

const second = `${name}-b`;
await gateways.create({ ...least, id: second });
const found = await all(gateways.list({ account_id, search: name, per_page: 1 }));
assert.deepEqual(found.map((each) => each.id), [name, second]);

const updated = await gateways.update(name, least);
assert.equal(updated.authentication, false);
assert.equal(updated.spend_limits, null);

await assert.rejects(gateways.create({ ...least, id: name }), Cloudflare.ConflictError);
await assert.rejects(gateways.get("no-such-gateway", { account_id }), Cloudflare.NotFoundError);
await assert.rejects(gateways.create({ ...least, id: "Not A Slug", cache_ttl: -1 }), (error) => {
  assert.ok(error instanceof Cloudflare.BadRequestError);
  assert.deepEqual(error.error.errors.map((each) => each.path), [["body", "id"], ["body", "cache_ttl"]]);
  return true;
});

const keys = gateways.providerConfigs;
const secret = "sk-test-0123456789abcdef";
const key = await keys.create(name, { account_id, alias: "default", default_config: true, provider_slug: "openai", secret });
assert.equal(key.secret_preview, "****cdef");
assert.equal(key.gateway_id, name);
assert.ok(!JSON.stringify(key).includes("sk-test"));
await keys.create(name, { account_id, alias: "spare", default_config: true, provider_slug: "openai", secret });
const listed = await all(keys.list(name, { account_id }));
assert.deepEqual(listed.map((each) => [each.alias, each.default_config]), [["default", false], ["spare", true]]);

const url = await gateways.urls.get("openai", { account_id, gateway_id: name });
assert.ok(url.endsWith(`/v1/${account_id}/${name}/openai`), url);

assert.equal((await gateways.delete(second, { account_id })).id, second);
assert.equal((await gateways.delete(name, { account_id })).id, name);
await assert.rejects(gateways.get(name, { account_id }), Cloudflare.NotFoundError);
console.log("every call was answered as it should be");
