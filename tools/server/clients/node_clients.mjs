// Talks to a running server through the JavaScript clients: node node_clients.mjs URL MODEL
// Exits 1 when a case fails; see python_clients.py for what is checked.
import assert from "node:assert/strict";
import OpenAI from "openai";
import Anthropic from "@anthropic-ai/sdk";
import { generateText, jsonSchema, streamText, tool } from "ai";
import * as ai from "ai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { createAnthropic } from "@ai-sdk/anthropic";

const [url, model] = process.argv.slice(2);
const ask = [{ role: "user", content: "Say one short sentence about the sea." }];
const parameters = {
  type: "object",
  properties: { city: { type: "string", maxLength: 20 } },
  required: ["city"],
  additionalProperties: false,
};
const functionTool = { type: "function", function: { name: "get_weather", description: "The weather.", parameters } };
const openai = new OpenAI({ baseURL: url + "/v1", apiKey: "none", maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey: "none", maxRetries: 0 });
const compatible = createOpenAICompatible({ name: "agave", baseURL: url + "/v1", supportsStructuredOutputs: true, includeUsage: true });
const claude = createAnthropic({ baseURL: url + "/v1", apiKey: "none" });

async function idleSoon() {
  for (let i = 0; i < 100; i++) {
    const text = await (await fetch(url + "/metrics")).text();
    const line = text.split("\n").find((l) => l.startsWith("agave_requests_running"));
    assert(line, "/metrics does not say what runs");
    if (Number(line.split(" ").at(-1)) === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.fail("a generation goes on after its client has gone");
}

const cases = {
  async openai_chat() {
    const whole = await openai.chat.completions.create({ model, messages: ask, temperature: 0, max_tokens: 12 });
    const stream = await openai.chat.completions.create({
      model, messages: ask, temperature: 0, max_tokens: 12, stream: true, stream_options: { include_usage: true },
    });
    let text = "", usage;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, whole.choices[0].message.content);
    assert.equal(usage.completion_tokens, whole.usage.completion_tokens);
  },
  async openai_tools() {
    const stream = openai.chat.completions.stream({
      model, messages: ask, temperature: 0, max_tokens: 100, tools: [functionTool], tool_choice: "required",
      parallel_tool_calls: false,
    });
    const final = await stream.finalChatCompletion();
    const call = final.choices[0].message.tool_calls[0];
    assert.deepEqual(Object.keys(JSON.parse(call.function.arguments)), ["city"]);
  },
  async openai_schema() {
    const r = await openai.chat.completions.create({
      model, messages: ask, temperature: 0, max_tokens: 100,
      response_format: { type: "json_schema", json_schema: { name: "place", strict: true, schema: parameters } },
    });
    assert.deepEqual(Object.keys(JSON.parse(r.choices[0].message.content)), ["city"]);
  },
  async openai_logprobs() {
    const r = await openai.chat.completions.create({
      model, messages: ask, temperature: 0, max_tokens: 6, logprobs: true, top_logprobs: 2,
    });
    assert.equal(r.choices[0].logprobs.content.map((t) => t.token).join(""), r.choices[0].message.content);
  },
  async openai_responses() {
    const whole = await openai.responses.create({ model, input: "Say hello.", temperature: 0, max_output_tokens: 8 });
    const stream = openai.responses.stream({ model, input: "Say hello.", temperature: 0, max_output_tokens: 8 });
    const final = await stream.finalResponse();
    assert.equal(final.output_text, whole.output_text);
  },
  async openai_errors() {
    await assert.rejects(openai.chat.completions.create({ model, messages: ask, temperature: -1 }), (error) => {
      return error instanceof OpenAI.BadRequestError && error.param === "temperature";
    });
    await assert.rejects(openai.chat.completions.create({ model: "none", messages: ask }), OpenAI.NotFoundError);
  },
  async openai_cancel() {
    const stream = await openai.chat.completions.create({
      model, messages: ask, max_tokens: 4000, stream: true, ignore_eos: true,
    });
    for await (const chunk of stream) {
      assert(chunk.id);
      break;
    }
    stream.controller.abort();
    await idleSoon();
  },
  async anthropic_messages() {
    const body = { model, max_tokens: 12, messages: ask, temperature: 0, system: "Be brief." };
    const whole = await anthropic.messages.create(body);
    const final = await anthropic.messages.stream(body).finalMessage();
    assert.equal(final.content[0].text, whole.content[0].text);
    assert.equal(final.usage.output_tokens, whole.usage.output_tokens);
    const counted = await anthropic.messages.countTokens({ model, messages: ask, system: "Be brief." });
    assert.equal(counted.input_tokens, whole.usage.input_tokens + whole.usage.cache_read_input_tokens);
  },
  async anthropic_tools() {
    const final = await anthropic.messages.stream({
      model, max_tokens: 100, messages: ask, temperature: 0,
      tools: [{ name: "get_weather", description: "The weather.", input_schema: parameters }],
      tool_choice: { type: "any", disable_parallel_tool_use: true },
    }).finalMessage();
    assert.equal(final.stop_reason, "tool_use");
    assert.deepEqual(Object.keys(final.content.at(-1).input), ["city"]);
  },
  async anthropic_errors() {
    await assert.rejects(anthropic.messages.create({ model, max_tokens: -1, messages: ask }),
      Anthropic.BadRequestError);
  },
};

for (const [name, provider] of [["compatible", compatible], ["anthropic", claude]]) {
  cases[`ai_${name}_text`] = async () => {
    const settings = { model: provider(model), prompt: ask[0].content, temperature: 0, maxOutputTokens: 12, maxRetries: 0 };
    const whole = await generateText(settings);
    const stream = streamText({ ...settings, onError({ error }) { throw error; } });
    let text = "";
    for await (const piece of stream.textStream) text += piece;
    assert.equal(text, whole.text);
    assert((await stream.usage).outputTokens > 0);
  };
  cases[`ai_${name}_tools`] = async () => {
    const made = await generateText({
      model: provider(model), prompt: "The weather in Rome?", temperature: 0, maxOutputTokens: 100, maxRetries: 0,
      tools: { get_weather: tool({ description: "The weather.", inputSchema: jsonSchema(parameters) }) },
      toolChoice: { type: "tool", toolName: "get_weather" },
    });
    assert.equal(made.toolCalls[0].toolName, "get_weather");
    assert.deepEqual(Object.keys(made.toolCalls[0].input), ["city"]);
  };
}
cases.ai_compatible_object = async () => {
  const settings = { model: compatible(model), prompt: "A city?", temperature: 0, maxOutputTokens: 100, maxRetries: 0 };
  const made = ai.generateObject
    ? (await ai.generateObject({ ...settings, schema: jsonSchema(parameters) })).object
    : (await generateText({ ...settings, output: ai.Output.object({ schema: jsonSchema(parameters) }) })).output;
  assert.deepEqual(Object.keys(made), ["city"]);
};

let failed = 0;
for (const [name, run] of Object.entries(cases)) {
  try {
    await run();
    console.log("ok   " + name);
  } catch (error) {
    failed++;
    console.log(`FAIL ${name}: ${String(error.stack ?? error).slice(0, 600)}`);
  }
}
process.exit(failed ? 1 : 0);
