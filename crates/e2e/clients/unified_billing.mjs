// The customer's OpenAI page, "With Stored Keys (BYOK) / Unified Billing", word for word but for the token and the
// address, and the same question as a stream and as a response.

import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({
  apiKey: process.env.GATEWAY_API_KEY,
  baseURL: process.env.GATEWAY_BASE_URL,
});

// Ensure your OpenAI API key is stored with BYOK
// or Unified Billing has credits
const response = await client.chat.completions.create({
  model: "gpt-4o-mini",
  messages: [{ role: "user", content: "Hello, world!" }],
});
assert.ok(response.choices[0].message.content);
assert.equal(response.choices[0].finish_reason, "stop");

let text = "";
const stream = await client.chat.completions.create({
  model: "gpt-4o-mini",
  messages: [{ role: "user", content: "Hello, world!" }],
  stream: true,
});
for await (const chunk of stream) {
  assert.equal(chunk.choices.length, 1);
  assert.ok(!chunk.usage);
  text += chunk.choices[0].delta.content ?? "";
}
assert.equal(text, response.choices[0].message.content);

const story = await client.responses.create({
  model: "gpt-5.1",
  input: [{ role: "user", content: "Write a one-sentence bedtime story about a unicorn." }],
});
assert.equal(story.status, "completed");
assert.ok(story.output_text);

// All tenants share the operator's account at the provider, so nothing is kept there.
assert.equal(story.store, false);
await assert.rejects(client.files.list(), OpenAI.BadRequestError);
await assert.rejects(
  client.responses.create({ model: "gpt-5.1", input: "And then?", previous_response_id: story.id }),
  OpenAI.BadRequestError,
);
console.log("every call was answered as it should be");
