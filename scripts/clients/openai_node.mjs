// The official Node client, unchanged, against this server: OPENAI_BASE_URL, BOT and PICTURE say where.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import OpenAI from "openai";

const [TEXT, VISION, EMBEDDING] = ["SmolLM2-135M-Instruct-Q4_1", "demo-vision", "all-MiniLM-L6-v2"];
const client = new OpenAI({ maxRetries: 0 });
const hello = [{ role: "user", content: "Paris is the capital of France. What is the capital of France?" }];
const passed = (what, seen) => console.log(`ok  ${what}${seen === undefined ? "" : ": " + JSON.stringify(seen)}`);

const models = [];
for await (const model of client.models.list()) models.push(model.id);
assert.ok([TEXT, VISION, EMBEDDING, process.env.BOT].every((id) => models.includes(id)), models);
passed("models");

const chat = await client.chat.completions.create({ model: TEXT, messages: hello, temperature: 0, max_tokens: 30 });
assert.match(chat.choices[0].message.content, /Paris/);
passed("chat", chat.choices[0].message.content);

const stream = await client.chat.completions.create({
  model: TEXT, messages: hello, temperature: 0, max_tokens: 30, stream: true, stream_options: { include_usage: true },
});
let text = "", usage;
for await (const chunk of stream) {
  text += chunk.choices[0]?.delta?.content ?? "";
  usage = chunk.usage ?? usage;
}
assert.equal(text, chat.choices[0].message.content);
assert.ok(usage.completion_tokens > 0);
passed("stream with usage", text);

const left = await client.chat.completions.create({ model: TEXT, messages: hello, temperature: 1, max_tokens: 2000, stream: true });
for await (const _ of left) break;
passed("leaving a stream");

const schema = {
  type: "object", additionalProperties: false, required: ["name", "is_capital"],
  properties: { name: { type: "string" }, is_capital: { type: "boolean" } },
};
const structured = await client.chat.completions.create({
  model: TEXT, messages: [{ role: "user", content: "Tell me about Paris." }], temperature: 0, max_tokens: 80,
  response_format: { type: "json_schema", json_schema: { name: "city", strict: true, schema } },
});
assert.equal(typeof JSON.parse(structured.choices[0].message.content).is_capital, "boolean");
passed("schema", structured.choices[0].message.content);

const tools = [{
  type: "function",
  function: {
    name: "get_weather", description: "Tells the weather in a city.",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
}];
const asked = [{ role: "user", content: "What is the weather in Paris?" }];
const called = await client.chat.completions.create({ model: TEXT, messages: asked, tools, tool_choice: "required", temperature: 0, max_tokens: 60 });
const [call] = called.choices[0].message.tool_calls;
assert.equal(called.choices[0].finish_reason, "tool_calls");
assert.equal(typeof JSON.parse(call.function.arguments).city, "string");
passed("tools", call.function);

const runner = client.chat.completions.stream({ model: TEXT, messages: asked, tools, tool_choice: "required", temperature: 0, max_tokens: 60 });
const final = await runner.finalChatCompletion();
assert.equal(final.choices[0].message.tool_calls[0].function.arguments, call.function.arguments);
passed("streamed tools", final.choices[0].message.tool_calls[0].function.arguments);

const answered = await client.chat.completions.create({
  model: TEXT, temperature: 0, max_tokens: 40, tools, tool_choice: "none",
  messages: [...asked, called.choices[0].message, { role: "tool", tool_call_id: call.id, content: "Sunny." }],
});
assert.ok(answered.choices[0].message.content);
passed("a tool's result", answered.choices[0].message.content);

const url = `data:image/png;base64,${readFileSync(process.env.PICTURE).toString("base64")}`;
const seen = await client.chat.completions.create({
  model: VISION, temperature: 0, max_tokens: 20,
  messages: [{ role: "user", content: [{ type: "text", text: "what color is the circle?" }, { type: "image_url", image_url: { url } }] }],
});
assert.match(seen.choices[0].message.content, /red/i);
passed("vision", seen.choices[0].message.content);

const grounded = await client.chat.completions.create({
  model: process.env.BOT, temperature: 0, max_tokens: 60,
  messages: [{ role: "user", content: "How many seats does the parliament of Iceland have?" }],
});
assert.ok(grounded.choices[0].message.content);
assert.ok(grounded.sources.some((source) => source.content.includes("63")));
passed("a bot with sources", grounded.choices[0].message.content);

const embedded = await client.embeddings.create({ model: EMBEDDING, input: ["a cat", "a kitten"] });
assert.equal(embedded.data[1].embedding.length, 384);
const length = embedded.data[0].embedding.reduce((sum, one) => sum + one * one, 0);
assert.ok(Math.abs(length - 1) < 1e-3, `${length}`);
passed("embeddings");

const completed = await client.completions.create({ model: TEXT, prompt: "One, two, three,", max_tokens: 8, temperature: 0 });
assert.ok(completed.choices[0].text.length > 0);
passed("text completions", completed.choices[0].text);

const response = await client.responses.create({ model: TEXT, input: hello, temperature: 0, max_output_tokens: 30 });
assert.match(response.output_text, /Paris/);
passed("responses", response.output_text);
const events = client.responses.stream({ model: TEXT, input: hello, temperature: 0, max_output_tokens: 30 });
let deltas = "";
for await (const event of events) if (event.type === "response.output_text.delta") deltas += event.delta;
assert.equal(deltas, (await events.finalResponse()).output_text);
passed("streamed responses", deltas);

await assert.rejects(client.chat.completions.create({ model: "gpt-4o", messages: hello }), OpenAI.NotFoundError);
await assert.rejects(client.chat.completions.create({ model: TEXT, messages: hello, n: 2 }), OpenAI.BadRequestError);
passed("errors");
