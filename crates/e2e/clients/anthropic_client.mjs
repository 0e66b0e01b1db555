// Drives a gateway through Anthropic's own client for JavaScript.
//
// The environment says where and as whom; every check that fails ends the script with its reason.

import assert from "node:assert/strict";
import Anthropic from "@anthropic-ai/sdk";

const { GATEWAY_AUTHORIZATION: token, GATEWAY_API_KEY: key, GATEWAY_KEY_HEADER: header } = process.env;
const headers = token ? { "cf-aig-authorization": `Bearer ${token}` } : {};
// The client of today sends its key as a bearer token; those before it sent it in a header of its own.
const inItsOwnHeader = header === "x-api-key";
if (inItsOwnHeader) headers["x-api-key"] = key;
const client = new Anthropic({
  apiKey: inItsOwnHeader ? null : key,
  baseURL: process.env.GATEWAY_BASE_URL,
  defaultHeaders: headers,
});
const messages = [{ role: "user", content: "Hello, world!" }];
const question = { model: "claude-haiku-4-5", max_tokens: 500, messages };

const { data: whole, response } = await client.messages.create(question).withResponse();
assert.ok(whole.content[0].text && whole.usage.output_tokens > 0);
assert.equal(response.headers.get("cf-aig-log-id"), response.headers.get("cf-aig-request-id"));

let text = "";
const stream = client.messages.stream(question).on("text", (delta) => (text += delta));
const final = await stream.finalMessage();
assert.equal(text, whole.content[0].text);
assert.deepEqual(final.usage.output_tokens, whole.usage.output_tokens);

const thinks = { ...question, max_tokens: 2000, thinking: { type: "enabled", budget_tokens: 1024 } };
const thought = await client.messages.stream(thinks).finalMessage();
assert.deepEqual(thought.content.map((block) => block.type), ["thinking", "text"]);

const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
const tools = [{ name: "get_weather", input_schema }];
const asks = { ...question, tools, messages: [{ role: "user", content: "How is the weather in Oslo?" }] };
const called = await client.messages.create(asks);
assert.deepEqual(called.content[0].input, { city: "Oslo" });
assert.deepEqual((await client.messages.stream(asks).finalMessage()).content[0].input, { city: "Oslo" });

const counted = await client.messages.countTokens({ model: question.model, messages });
assert.equal(counted.input_tokens, whole.usage.input_tokens);

const names = [];
for await (const model of client.models.list()) names.push(model.id);
assert.ok(names.some((name) => name.startsWith("claude-haiku-4-5")), names.join());

await assert.rejects(client.messages.create({ ...question, messages: [] }), Anthropic.BadRequestError);
await assert.rejects(client.messages.create({ ...question, model: "claude-nope" }), Anthropic.NotFoundError);
const busy = { headers: { "x-simulator": "status=429" }, maxRetries: 0 };
await assert.rejects(client.messages.create(question, busy), Anthropic.RateLimitError);
for (const wish of ["error_in_stream=2", "half_stream=2"]) {
  const broken = client.messages.stream(question, { headers: { "x-simulator": wish } });
  await assert.rejects(broken.finalMessage(), Anthropic.APIError);
}

const slow = { "x-simulator": "chunks=200; chunk_ms=20", "cf-aig-event-id": "abort-anthropic" };
let seen = 0;
for await (const _ of await client.messages.create({ ...question, stream: true }, { headers: slow })) {
  if (++seen === 5) break;
}
