// Endpoints and API keys through ngrok's own client for JavaScript, as far as it has the calls.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";

const { Ngrok } = createRequire(import.meta.url)("@ngrok/ngrok-api");

const baseUrl = process.env.TOLLGATE_CONTROL_URL;
const client = new Ngrok({ apiToken: process.env.TOLLGATE_API_TOKEN, baseUrl });
const name = `javascript-${randomBytes(4).toString("hex")}`;

// The client reads every answer as JSON, also one that says "done" and nothing else. What became of the
// thing is asked afterwards.
async function deleted(call, lookup) {
  await call().catch((error) => assert(error instanceof SyntaxError, error));
  await assert.rejects(lookup, (error) => {
    assert.equal(error.statusCode, 404);
    assert(error.details instanceof Map);
    return true;
  });
}

// The client cannot make endpoints.
const hosts = ["a", "b", "c"].map((label) => `https://${label}.${name}.example.com`);
for (const url of hosts) {
  const answer = await fetch(`${baseUrl}/endpoints`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${process.env.TOLLGATE_API_TOKEN}`,
      "content-type": "application/json",
      "ngrok-version": "2",
    },
    body: JSON.stringify({ url, traffic_policy: '{"on_http_request":[{"type":"ai-gateway","config":{}}]}' }),
  });
  assert.equal(answer.status, 201, await answer.text());
}

// Its pages begin behind a camel-cased `beforeId`.
for (const limit of [undefined, "1", "2"]) {
  const endpoints = await client.endpoints.list(undefined, limit);
  assert.deepEqual(
    endpoints.map((endpoint) => endpoint.publicUrl),
    hosts.toReversed(),
  );
}
const [newest, older] = await client.endpoints.list();
assert.deepEqual(
  (await client.endpoints.list(newest.id)).map((endpoint) => endpoint.id)[0],
  older.id,
);
const endpoint = await client.endpoints.get(newest.id);
assert.deepEqual(endpoint, newest);
assert.equal(endpoint.hostport, `c.${name}.example.com:443`);
assert.equal(endpoint.trafficPolicy, '{"on_http_request":[{"type":"ai-gateway","config":{}}]}');

const key = await client.apiKeys.create({ description: name, metadata: "{}" });
assert.equal(key.description, name);
const withKey = new Ngrok({ apiToken: key.token, baseUrl });
assert.equal((await withKey.endpoints.get(newest.id)).id, newest.id);
const changed = await client.apiKeys.update({ id: key.id, description: "renamed" });
assert.deepEqual([changed.description, changed.metadata, changed.token], ["renamed", "{}", null]);
assert((await client.apiKeys.list(undefined, "1")).some((each) => each.id === key.id));
await deleted(
  () => client.apiKeys.delete(key.id),
  () => client.apiKeys.get(key.id),
);
await assert.rejects(withKey.endpoints.list(), (error) => error.errorCode === "ERR_NGROK_202");

await assert.rejects(client.eventDestinations.list(), (error) => {
  assert.equal(error.statusCode, 400);
  return error.msg.length > 30;
});
