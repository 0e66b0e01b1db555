// Drives a gateway through OpenAI's own client for JavaScript.
//
// The environment says where and as whom; every check that fails ends the script with its reason.

import assert from "node:assert/strict";
import OpenAI, { toFile } from "openai";

const token = process.env.GATEWAY_AUTHORIZATION;
const client = new OpenAI({
  apiKey: process.env.GATEWAY_API_KEY,
  baseURL: process.env.GATEWAY_BASE_URL,
  defaultHeaders: token ? { "cf-aig-authorization": `Bearer ${token}` } : {},
});
const messages = [{ role: "user", content: "Hello, world!" }];

async function chatCompletion() {
  const { data, response } = await client.chat.completions.create({ model: "gpt-4o-mini", messages }).withResponse();
  assert.ok(data.choices[0].message.content);
  assert.equal(response.headers.get("cf-aig-log-id"), response.headers.get("cf-aig-request-id"));
  assert.equal(response.headers.get("cf-aig-step"), "0");
  return data.choices[0].message.content;
}

async function streamedChatCompletion(whole) {
  let text = "";
  for await (const chunk of await client.chat.completions.create({ model: "gpt-4o-mini", messages, stream: true })) {
    assert.equal(chunk.choices.length, 1);
    assert.ok(!chunk.usage);
    text += chunk.choices[0].delta.content ?? "";
  }
  assert.equal(text, whole);
}

async function toolCall() {
  const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const tools = [{ type: "function", function: { name: "weather", parameters } }];
  const question = { model: "gpt-4o", messages, tools, tool_choice: "required" };
  const answer = await client.chat.completions.create(question);
  const call = answer.choices[0].message.tool_calls[0].function;
  assert.equal(call.name, "weather");
  assert.ok("city" in JSON.parse(call.arguments));
  const streamed = await client.chat.completions.stream(question).finalChatCompletion();
  assert.equal(streamed.choices[0].message.tool_calls[0].function.arguments, call.arguments);
}

async function jsonSchema() {
  const schema = { type: "object", properties: { answer: { type: "string" } }, required: ["answer"], additionalProperties: false };
  const response_format = { type: "json_schema", json_schema: { name: "reply", strict: true, schema } };
  const answer = await client.chat.completions.create({ model: "gpt-4o", messages, response_format });
  assert.equal(typeof JSON.parse(answer.choices[0].message.content).answer, "string");
}

async function response() {
  const question = { model: "gpt-5.1", input: "Write a one-sentence bedtime story about a unicorn." };
  const whole = await client.responses.create(question);
  assert.equal(whole.status, "completed");
  const kinds = [];
  let text = "";
  for await (const event of await client.responses.create({ ...question, stream: true })) {
    kinds.push(event.type);
    if (event.type === "response.output_text.delta") text += event.delta;
  }
  assert.equal(kinds[0], "response.created");
  assert.equal(kinds.at(-1), "response.completed");
  assert.equal(text, whole.output_text);
}

async function embeddingsAndModels() {
  const answer = await client.embeddings.create({ model: "text-embedding-3-small", input: "one", dimensions: 64 });
  assert.equal(answer.data[0].embedding.length, 64);
  const names = [];
  for await (const model of client.models.list()) names.push(model.id);
  assert.ok(names.includes("gpt-4o-mini"));
}

async function uploads() {
  const file = await toFile(Buffer.alloc(50_000), "silence.wav");
  assert.ok((await client.audio.transcriptions.create({ model: "gpt-4o-transcribe", file })).text);
  const image = await toFile(Buffer.alloc(2_000), "gate.png", { type: "image/png" });
  assert.ok((await client.images.edit({ model: "gpt-image-1", image, prompt: "Open the gate" })).data[0].b64_json);
  const speech = await client.audio.speech.create({ model: "gpt-4o-mini-tts", voice: "alloy", input: "Good evening" });
  assert.ok((await speech.arrayBuffer()).byteLength > 100);
}

async function errors() {
  await assert.rejects(client.chat.completions.create({ model: "gpt-nope", messages }), OpenAI.NotFoundError);
  const headers = { "x-simulator": `status=503; fail_times=1; key=javascript-${process.pid}` };
  assert.ok((await client.chat.completions.create({ model: "gpt-4o-mini", messages }, { headers })).choices);
}

async function abortInTheMiddleOfAStream() {
  const headers = { "x-simulator": "chunks=200; chunk_ms=20", "cf-aig-event-id": "abort-javascript" };
  const stream = await client.chat.completions.create({ model: "gpt-4o-mini", messages, stream: true }, { headers });
  let seen = 0;
  for await (const _ of stream) if (++seen === 3) break;
  stream.controller.abort();
}

const whole = await chatCompletion();
await streamedChatCompletion(whole);
await toolCall();
await jsonSchema();
await response();
await embeddingsAndModels();
await uploads();
await errors();
await abortInTheMiddleOfAStream();
console.log("every call was answered as it should be");
