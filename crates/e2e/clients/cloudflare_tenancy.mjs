// Accounts and API tokens through Cloudflare's own client for JavaScript.

import assert from "node:assert/strict";
import Cloudflare from "cloudflare";

const baseURL = process.env.TOLLGATE_API_URL;
const account_id = process.env.TOLLGATE_ACCOUNT_ID;
const client = new Cloudflare({ baseURL, apiToken: process.env.TOLLGATE_API_TOKEN, maxRetries: 0 });

async function all(pages) {
  const found = [];
  for await (const each of pages) found.push(each);
  return found;
}

assert.ok((await all(client.accounts.list())).some((account) => account.id === account_id));
const groups = await all(client.accounts.tokens.permissionGroups.list({ account_id }));
const run = groups.find((group) => group.name === "AI Gateway Run");
assert.ok(run);

const policies = [
  { effect: "allow", permission_groups: [{ id: run.id }], resources: { [`com.cloudflare.api.account.${account_id}`]: "*" } },
];
const made = await client.accounts.tokens.create({ account_id, name: "runner", policies });
assert.ok(made.value);
assert.ok((await all(client.accounts.tokens.list({ account_id }))).some((token) => token.id === made.id));

const runner = new Cloudflare({ baseURL, apiToken: made.value, maxRetries: 0 });
assert.equal((await runner.user.tokens.verify()).status, "active");

const rolled = await client.accounts.tokens.value.update(made.id, { account_id, body: {} });
assert.notEqual(rolled, made.value);
await assert.rejects(runner.user.tokens.verify(), Cloudflare.AuthenticationError);

await client.accounts.tokens.delete(made.id, { account_id });
await assert.rejects(client.accounts.tokens.get(made.id, { account_id }), Cloudflare.NotFoundError);
console.log("every call was answered as it should be");
