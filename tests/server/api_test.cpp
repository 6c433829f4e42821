#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "api_harness.h"
#include "base/utf8.h"
#include "tokenizer/prompt_tokens.h"

namespace agave::server::test {
namespace {

const char* const kChatModel = AGAVE_TEST_DATA "/models/chat.gguf";
const char* const kPlainModel = AGAVE_TEST_DATA "/models/plain.gguf";

class ApiTest : public testing::Test {
  protected:
    Server server_{kChatModel};

    Parsed answer(std::string_view path, std::string_view body) {
        const auto response = server_.post(path, body);
        EXPECT_EQ(response->status, 200) << response->body;
        return Parsed(response->body);
    }
    void expect_refusal(std::string_view path, const std::string& body, std::string_view param) {
        const auto response = server_.post(path, body);
        EXPECT_EQ(response->status, 400) << path << " " << body.substr(0, 200);
        const Parsed parsed(response->body);
        const JsonValue error = parsed["error"];
        if (!param.empty()) {
            ASSERT_TRUE(error["param"].is(JsonKind::text)) << response->body;
            EXPECT_EQ(error["param"].as_text(), param) << response->body;
        }
        EXPECT_EQ(error["type"].as_text(), "invalid_request_error");
        EXPECT_GT(error["message"].as_text().size(), 10u);
    }
};

std::string chat_body(const std::string& more, const std::string& words = "inner") {
    return R"({"model":"tiny","messages":[{"role":"user","content":")" + words +
           R"("}],"temperature":0,"max_tokens":12)" + more + "}";
}

std::string content_of(const Parsed& parsed, size_t index = 0) {
    return std::string(parsed["choices"].at(index)["message"]["content"].as_text());
}

std::string replace_invalid(std::string_view bytes) {
    std::string text;
    while (!bytes.empty()) {
        const size_t n = utf8_length(bytes);
        text += n ? bytes.substr(0, n) : "\xEF\xBF\xBD";
        bytes.remove_prefix(n ? n : 1);
    }
    return text;
}

/// The greedy continuation, computed without scheduler and server.
std::vector<int32_t> greedy(Server& server, std::vector<int32_t> prompt, size_t n) {
    EngineOptions options;
    options.n_threads = 1;
    options.context_size = 2048;
    Engine engine(server.file, options);
    Sequence sequence = engine.new_sequence();
    std::vector<int32_t> ids;
    std::span<const float> logits = engine.prefill(sequence, prompt);
    while (ids.size() < n) {
        const auto best = std::max_element(logits.begin(), logits.end()) - logits.begin();
        ids.push_back(static_cast<int32_t>(best));
        if (server.tokenizer->is_end_of_generation(ids.back())) {
            ids.pop_back();
            break;
        }
        logits = engine.prefill(sequence, {&ids.back(), 1});
    }
    engine.release(sequence);
    return ids;
}

TEST_F(ApiTest, ChatAnswersWithTheGreedyContinuation) {
    const Parsed parsed = answer("/v1/chat/completions", chat_body(""));
    const std::vector<int32_t> prompt =
        prompt_tokens("<|bos|><|user|>inner<|end|><|assistant|>", *server_.tokenizer);
    const std::vector<int32_t> ids = greedy(server_, prompt, 12);
    StreamDecoder decoder(*server_.tokenizer);
    std::string expected;
    for (const int32_t id : ids) expected += decoder.push(id);
    expected += decoder.finish();
    EXPECT_EQ(content_of(parsed), expected);
    EXPECT_EQ(parsed["object"].as_text(), "chat.completion");
    EXPECT_EQ(parsed["choices"].at(0)["finish_reason"].as_text(), ids.size() == 12 ? "length" : "stop");
    EXPECT_EQ(parsed["usage"]["prompt_tokens"].as_integer(), static_cast<int64_t>(prompt.size()));
    EXPECT_EQ(parsed["usage"]["completion_tokens"].as_integer(), static_cast<int64_t>(ids.size()));
}

TEST_F(ApiTest, StreamedChatIsTheSameText) {
    const std::string whole = content_of(answer("/v1/chat/completions", chat_body("")));
    const auto response = server_.post(
        "/v1/chat/completions", chat_body(R"(,"stream":true,"stream_options":{"include_usage":true})"));
    EXPECT_EQ(response->content_type, "text/event-stream");
    const auto events = parse_events(response->body);
    ASSERT_GT(events.size(), 4u);
    EXPECT_EQ(events.back().data, "[DONE]");
    std::string text;
    for (size_t i = 0; i + 1 < events.size(); i++) {
        const Parsed chunk(events[i].data);
        EXPECT_EQ(chunk["object"].as_text(), "chat.completion.chunk");
        const JsonValue choice = chunk["choices"].at(0);
        if (i == 0) {
            EXPECT_EQ(choice["delta"]["role"].as_text(), "assistant");
        }
        if (choice["delta"]["content"]) text += choice["delta"]["content"].as_text();
        if (i + 2 == events.size()) {
            EXPECT_EQ(chunk["choices"].size(), 0u);
            EXPECT_GT(chunk["usage"]["completion_tokens"].as_integer(), 0);
        } else {
            EXPECT_TRUE(chunk["usage"].is(JsonKind::null));
        }
    }
    EXPECT_EQ(text, whole);
    EXPECT_GT(response->writes.size(), 4u) << "it came in one piece";
}

TEST_F(ApiTest, SlowReaderGetsItsTextInFewerPieces) {
    const auto response = server_.submit("POST", "/v1/chat/completions", chat_body(R"(,"stream":true)"));
    response->n_unsent_ = 10 << 20;
    server_.run();
    ASSERT_TRUE(response->ended);
    EXPECT_LE(response->writes.size(), 2u);
    std::string text;
    for (const ServerEvent& event : parse_events(response->body)) {
        if (event.data == "[DONE]") continue;
        const Parsed chunk(event.data);
        if (const JsonValue piece = chunk["choices"].at(0)["delta"]["content"]) text += piece.as_text();
    }
    EXPECT_EQ(text, content_of(answer("/v1/chat/completions", chat_body(""))));
}

TEST_F(ApiTest, StopStringEndsTheAnswerBeforeIt) {
    const std::string whole = content_of(answer("/v1/chat/completions", chat_body("")));
    std::string stop;
    // Any plain character of the middle will do.
    for (size_t i = whole.size() / 2; i < whole.size() && stop.empty(); i++)
        if (whole[i] > ' ' && whole[i] < 127 && whole[i] != '"' && whole[i] != '\\') stop = whole[i];
    ASSERT_FALSE(stop.empty()) << whole;
    for (const std::string& form : {"\"" + stop + "\"", "[\"zzzz\",\"" + stop + "\"]"}) {
        const Parsed parsed = answer("/v1/chat/completions", chat_body(",\"stop\":" + form));
        EXPECT_EQ(content_of(parsed), whole.substr(0, whole.find(stop)));
        EXPECT_EQ(parsed["choices"].at(0)["finish_reason"].as_text(), "stop");
    }
}

TEST_F(ApiTest, ChoicesDifferAndASeedRepeatsThem) {
    const std::string more = R"(,"n":3,"seed":7,"temperature":1.5)";
    const std::string body = R"({"messages":[{"role":"user","content":"a"}],"max_tokens":8)" + more + "}";
    const Parsed one = answer("/v1/chat/completions", body), two = answer("/v1/chat/completions", body);
    ASSERT_EQ(one["choices"].size(), 3u);
    for (size_t i = 0; i < 3; i++) {
        EXPECT_EQ(one["choices"].at(i)["index"].as_integer(), static_cast<int64_t>(i));
        EXPECT_EQ(content_of(one, i), content_of(two, i));
    }
    EXPECT_NE(content_of(one, 0), content_of(one, 1));
}

TEST_F(ApiTest, LogprobsAreTheModelsOwn) {
    const Parsed parsed = answer("/v1/chat/completions", chat_body(R"(,"logprobs":true,"top_logprobs":3)"));
    const JsonValue list = parsed["choices"].at(0)["logprobs"]["content"];
    ASSERT_GT(list.size(), 0u);
    std::string bytes;
    for (const JsonValue entry : list) {
        EXPECT_LE(entry["logprob"].as_number(), 0);
        ASSERT_EQ(entry["top_logprobs"].size(), 3u);
        EXPECT_EQ(entry["top_logprobs"].at(0)["logprob"].as_number(), entry["logprob"].as_number())
            << "greedy takes the likeliest";
        for (const JsonValue byte : entry["bytes"]) bytes += static_cast<char>(byte.as_integer());
    }
    EXPECT_EQ(replace_invalid(bytes), content_of(parsed));
}

TEST_F(ApiTest, CompletionsScoreAPromptAsTheEngineDoes) {
    const std::vector<int32_t> ids = {1, 60, 61, 262, 17, 4, 99, 200, 130, 5};
    EngineOptions options;
    options.n_threads = 1;
    options.context_size = 2048;
    Engine engine(server_.file, options);
    Sequence sequence = engine.new_sequence();
    std::vector<float> expected(1, NAN);
    engine.prefill_with_logits(sequence, ids, static_cast<int64_t>(ids.size()),
                               [&](int64_t i, std::span<const float> logits) {
                                   const size_t next = static_cast<size_t>(i) + 1;
                                   if (next < ids.size())
                                       expected.push_back(log_probability(logits, ids[next]));
                               });
    engine.release(sequence);
    std::string list;
    for (const int32_t id : ids) list += (list.empty() ? "" : ",") + std::to_string(id);
    const Parsed parsed =
        answer("/v1/completions", R"({"prompt":[[)" + list +
                                      R"(],[1,60]],"max_tokens":1,"logprobs":1,"echo":true,)" +
                                      R"("temperature":0,"seed":1234})");
    ASSERT_EQ(parsed["choices"].size(), 2u);
    const JsonValue logprobs = parsed["choices"].at(0)["logprobs"];
    ASSERT_EQ(logprobs["token_logprobs"].size(), ids.size() + 1);
    ASSERT_EQ(logprobs["tokens"].size(), ids.size() + 1);
    ASSERT_EQ(logprobs["text_offset"].size(), ids.size() + 1);
    EXPECT_TRUE(logprobs["token_logprobs"].at(0).is(JsonKind::null));
    EXPECT_TRUE(logprobs["top_logprobs"].at(0).is(JsonKind::null));
    for (size_t i = 1; i < ids.size(); i++) {
        EXPECT_EQ(static_cast<float>(logprobs["token_logprobs"].at(i).as_number()), expected[i]) << i;
        EXPECT_GE(logprobs["top_logprobs"].at(i).size(), 1u);
    }
    EXPECT_EQ(parsed["choices"].at(1)["logprobs"]["tokens"].size(), 3u);
}

TEST_F(ApiTest, EchoRepeatsThePrompt) {
    for (const char* stream : {"false", "true"}) {
        const std::string body =
            R"({"prompt":["the one","the other"],"echo":true,"max_tokens":3,"temperature":0,"stream":)" +
            std::string(stream) + "}";
        const auto response = server_.post("/v1/completions", body);
        ASSERT_EQ(response->status, 200) << response->body;
        std::string texts[2];
        if (std::string_view(stream) == "false") {
            const Parsed parsed(response->body);
            for (size_t i = 0; i < 2; i++) texts[i] = parsed["choices"].at(i)["text"].as_text();
        } else {
            for (const ServerEvent& event : parse_events(response->body)) {
                if (event.data == "[DONE]") continue;
                const Parsed chunk(event.data);
                const JsonValue choice = chunk["choices"].at(0);
                texts[choice["index"].as_integer()] += choice["text"].as_text();
            }
        }
        EXPECT_TRUE(texts[0].starts_with("the one")) << texts[0];
        EXPECT_TRUE(texts[1].starts_with("the other")) << texts[1];
        EXPECT_GT(texts[0].size(), 7u);
    }
    const Parsed only = answer("/v1/completions", R"({"prompt":"the","echo":true,"max_tokens":0})");
    EXPECT_EQ(only["choices"].at(0)["text"].as_text(), "the");
}

TEST_F(ApiTest, NulInAPromptCutsNothing) {
    const Parsed with = answer("/v1/completions", R"({"prompt":"a\u0000bc","max_tokens":1})");
    const Parsed without = answer("/v1/completions", R"({"prompt":"abc","max_tokens":1})");
    EXPECT_EQ(with["usage"]["prompt_tokens"].as_integer(),
              without["usage"]["prompt_tokens"].as_integer() + 1);
}

TEST_F(ApiTest, BadFieldsAreNamed) {
    const auto bad = [&](const std::string& field, std::string_view param) {
        expect_refusal("/v1/chat/completions",
                       R"({"messages":[{"role":"user","content":"a"}],)" + field + "}", param);
    };
    for (const char* name : {"temperature", "top_p", "presence_penalty", "frequency_penalty", "min_p",
                             "max_tokens", "max_completion_tokens", "n", "top_k", "repeat_penalty"}) {
        const std::string quoted = "\"" + std::string(name) + "\":";
        for (const char* value : {"-1000", "1e300", "\"1\"", "[]", "{}", "true"}) bad(quoted + value, name);
        bad(quoted + "99999999999999999999999", "");
        bad(quoted + "1e999", "");
        bad(quoted + "NaN", "");
    }
    for (const char* name : {"n", "max_tokens", "seed", "top_k"})
        bad("\"" + std::string(name) + "\":1.5", name);
    bad(R"("n":0)", "n");
    bad(R"("max_tokens":0)", "max_tokens");
    bad(R"("stream":1)", "stream");
    bad(R"("stream_options":{"include_usage":true})", "stream_options");
    bad(R"("stream":true,"stream_options":{"x":true})", "stream_options.x");
    bad(R"("top_logprobs":2)", "top_logprobs");
    bad(R"("logprobs":true,"top_logprobs":21)", "top_logprobs");
    bad(R"("stop":"")", "stop");
    bad(R"("stop":[1])", "stop");
    bad(R"("logit_bias":{"x":1})", "logit_bias.x");
    bad(R"("logit_bias":{"1":101})", "logit_bias.1");
    bad(R"("logit_bias":{"1000000":1})", "logit_bias.1000000");
    bad(R"("logit_bias":{"-1":1})", "logit_bias.-1");
    bad(R"("tools":[{"type":"function","function":{}}])", "tools[0].function.name");
    bad(R"("tools":[{"type":"retrieval"}])", "tools[0].type");
    bad(R"("tool_choice":"required")", "tool_choice");
    bad(R"("tool_choice":"sometimes")", "tool_choice");
    bad(R"("tools":[{"function":{"name":"a"}}],"tool_choice":{"type":"function","function":{"name":"b"}})",
        "tool_choice");
    bad(R"("response_format":{"type":"xml"})", "response_format.type");
    bad(R"("response_format":{"type":"json_schema","json_schema":{"name":"x"}})",
        "response_format.json_schema.schema");
    bad(R"("reasoning_effort":"huge")", "reasoning_effort");
    bad(R"("chat_template_kwargs":[1])", "chat_template_kwargs");
    bad(R"("functions":[])", "functions");
    bad(R"("unheard_of":1)", "unheard_of");
    bad(R"("n":1,"n":2)", "n");
}

TEST_F(ApiTest, BadMessagesAreNamed) {
    const auto bad = [&](const std::string& message, std::string_view param) {
        expect_refusal("/v1/chat/completions", R"({"messages":[)" + message + "]}", param);
    };
    bad("", "messages");
    bad("1", "messages[0]");
    bad(R"({"content":"a"})", "messages[0].role");
    bad(R"({"role":"robot","content":"a"})", "messages[0].role");
    bad(R"({"role":"user","content":1})", "messages[0].content");
    bad(R"({"role":"user","content":[{"type":"image_url","image_url":{"url":"data:"}}]})",
        "messages[0].content[0].type");
    bad(R"({"role":"tool","content":"a"})", "messages[0].tool_call_id");
    bad(R"({"role":"assistant","tool_calls":[{"function":{"arguments":"{}"}}]})",
        "messages[0].tool_calls[0].function.name");
    expect_refusal("/v1/chat/completions", R"({"model":"tiny"})", "messages");
}

TEST_F(ApiTest, WhatIsNoJsonIsRefused) {
    for (const char* path : {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/tokenize"}) {
        for (const std::string& body :
             {std::string(), std::string("{"), std::string("[]"), std::string("null"),
              std::string("{\"prompt\":\"\\ud800\"}"), std::string("{\"prompt\":\"\xFF\"}"),
              std::string("{\"prompt\":\"a\0b\"}", 16), std::string("{} x"),
              "{\"messages\":" + std::string(100000, '[') + std::string(100000, ']') + "}"})
            expect_refusal(path, body, "");
    }
    const auto response = server_.post("/v1/messages", "{");
    EXPECT_EQ(response->status, 400);
    EXPECT_EQ(Parsed(response->body)["type"].as_text(), "error");
    EXPECT_EQ(server_.post("/api/chat", "{")->status, 400);
}

TEST_F(ApiTest, UnknownModelIs404) {
    const auto response = server_.post("/v1/chat/completions",
                                       R"({"model":"gpt-9","messages":[{"role":"user","content":"a"}]})");
    EXPECT_EQ(response->status, 404);
    EXPECT_EQ(Parsed(response->body)["error"]["code"].as_text(), "model_not_found");
    EXPECT_EQ(server_.request("GET", "/v1/models/none")->status, 404);
    EXPECT_EQ(Parsed(server_.request("GET", "/v1/models/tiny")->body)["id"].as_text(), "tiny");
    EXPECT_EQ(Parsed(server_.request("GET", "/v1/models")->body)["data"].size(), 1u);
}

TEST_F(ApiTest, WrongMethodIs405AndUnknownPathIsLeft) {
    const auto response = server_.request("GET", "/v1/chat/completions");
    EXPECT_EQ(response->status, 405);
    ASSERT_EQ(response->headers.size(), 1u);
    EXPECT_EQ(response->headers[0].second, "POST");
    HttpRequest request;
    request.method = "GET";
    request.path = "/nothing";
    EXPECT_FALSE(server_.api->handle(request, std::make_shared<KeptResponse>()));
    EXPECT_EQ(server_.post("/v1/embeddings", "{}")->status, 501);
}

TEST_F(ApiTest, PromptLongerThanTheContextIsRefused) {
    const auto response = server_.post("/v1/chat/completions", chat_body("", std::string(20000, 'x')));
    EXPECT_EQ(response->status, 400);
    EXPECT_EQ(Parsed(response->body)["error"]["code"].as_text(), "context_length_exceeded");
}

TEST_F(ApiTest, ClientThatGoesAwayEndsTheGenerationWithinAStep) {
    for (const char* more : {R"(,"stream":true)", "", R"(,"n":4)"}) {
        const auto response = server_.submit(
            "POST", "/v1/chat/completions",
            R"({"messages":[{"role":"user","content":"a"}],"ignore_eos":true)" + std::string(more) + "}");
        for (int i = 0; i < 5; i++) server_.scheduler->step();
        EXPECT_EQ(server_.api->n_active(), 1u);
        response->go_away();
        server_.scheduler->step();
        server_.scheduler->step();
        EXPECT_EQ(server_.api->n_active(), 0u) << more;
        server_.run();
        EXPECT_EQ(server_.scheduler->statistics().n_running, 0);
    }
}

TEST_F(ApiTest, ShuttingDownEndsStreamsWithAnError) {
    const auto stream =
        server_.submit("POST", "/v1/chat/completions", chat_body(R"(,"stream":true,"ignore_eos":true)"));
    const auto message = server_.submit(
        "POST", "/v1/messages",
        R"({"model":"tiny","max_tokens":500,"stream":true,"messages":[{"role":"user","content":"a"}]})");
    const auto whole = server_.submit("POST", "/v1/chat/completions", chat_body(R"(,"ignore_eos":true)"));
    for (int i = 0; i < 4; i++) server_.scheduler->step();
    server_.api->cancel_all();
    server_.run();
    ASSERT_TRUE(stream->ended && message->ended && whole->ended);
    EXPECT_EQ(Parsed(parse_events(stream->body).back().data)["error"]["type"].as_text(), "server_error");
    const auto events = parse_events(message->body);
    if (events.back().name != "message_stop") {
        EXPECT_EQ(events.back().name, "error");
        EXPECT_EQ(Parsed(events.back().data)["error"]["type"].as_text(), "overloaded_error");
    }
    EXPECT_EQ(whole->status, 503);
    EXPECT_EQ(server_.post("/v1/chat/completions", chat_body(""))->status, 503);
}

TEST(ApiQueue, FullQueueIs503WithRetryAfter) {
    SchedulerOptions options;
    options.max_running = 1;
    options.max_waiting = 2;
    Server server(kChatModel, options);
    std::vector<std::shared_ptr<KeptResponse>> responses;
    for (int i = 0; i < 4; i++)
        responses.push_back(server.submit("POST", "/v1/chat/completions", chat_body("")));
    EXPECT_EQ(responses[3]->status, 503);
    EXPECT_EQ(responses[3]->headers.at(0).first, "retry-after");
    // With more choices than room, none of them is left running.
    const auto many = server.submit("POST", "/v1/chat/completions", chat_body(R"(,"n":8)"));
    EXPECT_EQ(many->status, 503);
    server.run();
    EXPECT_EQ(server.api->n_active(), 0u);
    for (int i = 0; i < 2; i++) EXPECT_EQ(responses[static_cast<size_t>(i)]->status, 200);
}

TEST(ApiPlain, ModelWithoutTemplateRefusesChats) {
    Server server(kPlainModel);
    const auto response = server.post("/v1/chat/completions", chat_body(""));
    EXPECT_EQ(response->status, 400);
    EXPECT_NE(response->body.find("has no chat template"), std::string::npos);
    EXPECT_EQ(server.post("/v1/completions", R"({"prompt":"a"})")->status, 200);
    EXPECT_EQ(server.post("/api/generate", R"({"model":"tiny","prompt":"a","stream":false})")->status, 200);
}

const std::string kTools =
    R"("tools":[{"type":"function","function":{"name":"get_weather","description":"The weather.",)"
    R"("parameters":{"type":"object","properties":{"city":{"enum":["Rome","Oslo"]}},"required":["city"],)"
    R"("additionalProperties":false}}},{"type":"function","function":{"name":"stop","parameters":)"
    R"({"type":"object","properties":{},"additionalProperties":false}}}])";
const std::string kLong = R"({"messages":[{"role":"user","content":"inner"}],"temperature":1.5,"seed":3,)"
                          R"("max_tokens":300,)";

TEST_F(ApiTest, RequiredCallsFollowTheirSchema) {
    const std::string body = kLong + kTools + R"(,"parallel_tool_calls":false,"tool_choice":)";
    for (const char* choice : {R"({"type":"function","function":{"name":"get_weather"}})", "\"required\""}) {
        const Parsed parsed = answer("/v1/chat/completions", body + choice + "}");
        const JsonValue answered = parsed["choices"].at(0);
        EXPECT_EQ(answered["finish_reason"].as_text(), "tool_calls");
        ASSERT_EQ(answered["message"]["tool_calls"].size(), 1u) << parsed.text;
        EXPECT_TRUE(answered["message"]["content"].is(JsonKind::null));
        const JsonValue function = answered["message"]["tool_calls"].at(0)["function"];
        const Parsed arguments{std::string(function["arguments"].as_text())};
        if (function["name"].as_text() == "get_weather") {
            const std::string_view city = arguments["city"].as_text();
            EXPECT_TRUE(city == "Rome" || city == "Oslo") << city;
        } else {
            EXPECT_EQ(function["name"].as_text(), "stop");
            EXPECT_EQ(arguments.json.root().size(), 0u);
        }
        // The same call, streamed.
        std::string name, text;
        for (const ServerEvent& event :
             parse_events(server_.post("/v1/chat/completions", body + choice + R"(,"stream":true})")->body)) {
            if (event.data == "[DONE]") continue;
            const Parsed chunk(event.data);
            for (const JsonValue call : chunk["choices"].at(0)["delta"]["tool_calls"]) {
                if (const JsonValue part = call["function"]["name"]) name += part.as_text();
                text += call["function"]["arguments"].as_text();
            }
        }
        EXPECT_EQ(name, function["name"].as_text());
        EXPECT_EQ(text, function["arguments"].as_text());
    }
}

TEST_F(ApiTest, CallsOfTheOtherSurfaces) {
    const std::string schema =
        R"({"type":"object","properties":{"city":{"enum":["Rome"]}},"required":["city"],"additionalProperties":false})";
    const Parsed message = answer(
        "/v1/messages",
        R"({"model":"tiny","max_tokens":300,"messages":[{"role":"user","content":"inner"}],"tools":[{"name":"w","input_schema":)" +
            schema + R"(}],"tool_choice":{"type":"any","disable_parallel_tool_use":true}})");
    EXPECT_EQ(message["stop_reason"].as_text(), "tool_use");
    EXPECT_EQ(message["content"].at(0)["input"]["city"].as_text(), "Rome");
    ASSERT_EQ(message["content"].size(), 1u);
    const Parsed response = answer(
        "/v1/responses",
        R"({"input":"inner","parallel_tool_calls":false,"tool_choice":"required","tools":[{"type":"function","name":"w","parameters":)" +
            schema + "}]}");
    EXPECT_EQ(response["status"].as_text(), "completed");
    EXPECT_EQ(response["output"].at(0)["type"].as_text(), "function_call");
    EXPECT_EQ(Parsed(std::string(response["output"].at(0)["arguments"].as_text()))["city"].as_text(), "Rome");
}

TEST_F(ApiTest, FormatsAreHonouredOrRefused) {
    const std::string schema =
        R"({"type":"object","properties":{"a":{"enum":[1,22]}},"required":["a"],"additionalProperties":false})";
    const auto object = [&](const std::string& format) {
        return Parsed(content_of(answer("/v1/chat/completions", kLong + format + "}")));
    };
    const std::string wrapped =
        R"("response_format":{"type":"json_schema","json_schema":{"name":"x","strict":true,"schema":)" +
        schema + "}}";
    const int64_t a = object(wrapped)["a"].as_integer();
    EXPECT_TRUE(a == 1 || a == 22);
    EXPECT_EQ(content_of(answer("/v1/chat/completions", kLong + R"("grammar":"root ::= \"yes\" | \"no\""})"))
                      .size() |
                  1,
              3u);
    const Parsed line =
        answer("/api/chat",
               R"({"model":"tiny","stream":false,"messages":[{"role":"user","content":"a"}],"format":)" +
                   schema + "}");
    const Parsed inner{std::string(line["message"]["content"].as_text())};
    EXPECT_TRUE(inner["a"].is(JsonKind::integer));
    expect_refusal(
        "/v1/chat/completions",
        kLong + R"("response_format":{"type":"json_schema","json_schema":{"schema":{"type":"nothing"}}}})",
        "");
    expect_refusal("/v1/chat/completions", kLong + R"("grammar":"root ::= missing"})", "");
    expect_refusal("/v1/chat/completions", kLong + kTools + "," + wrapped + "}", "response_format");
}

TEST_F(ApiTest, CallsAndResultsOfTheConversationAreShown) {
    // This template knows no tools, so words tell the model of them.
    const auto count = [&](const std::string& more) {
        return answer("/v1/chat/completions",
                      R"({"max_tokens":1,"messages":[{"role":"user","content":"inner"})" + more +
                          "}")["usage"]["prompt_tokens"]
            .as_integer();
    };
    const int64_t bare = count("]");
    EXPECT_GT(count("]," + kTools), bare + 200);
    EXPECT_EQ(count("]," + kTools + R"(,"tool_choice":"none")"), bare);
    const std::string history =
        R"(,{"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"stop","arguments":"{}"}}]},)"
        R"({"role":"tool","tool_call_id":"c1","content":"done"}])";
    EXPECT_GT(count(history), bare + 40);
    expect_refusal(
        "/v1/chat/completions",
        R"({"messages":[{"role":"assistant","content":null,"tool_calls":[{"function":{"name":"a","arguments":"{"}}]}]})",
        "messages[0].tool_calls[0].function.arguments");
}

TEST_F(ApiTest, OpenApiDocumentIsJsonAndNamesTheModel) {
    const Parsed document(server_.request("GET", "/openapi.json")->body);
    EXPECT_EQ(document["components"]["schemas"]["model"]["enum"].at(0).as_text(), "tiny");
    for (auto path = document["paths"].begin(); path != document["paths"].end(); ++path) {
        const std::string_view method = (*path)["get"] ? "GET" : "POST";
        const std::string target =
            path.name() == "/v1/models/{name}" ? "/v1/models/x" : std::string(path.name());
        const auto response = server_.request(method, target, "");
        EXPECT_NE(response->status, 405) << target;
    }
}

TEST_F(ApiTest, TokenizeAndBack) {
    const Parsed tokens = answer("/tokenize", R"({"content":"the inner one","add_special":true})");
    EXPECT_EQ(tokens["tokens"].at(0).as_integer(), 1);
    const Parsed text = answer("/detokenize", tokens.text);
    EXPECT_EQ(text["content"].as_text(), "<|bos|>the inner one");
    const Parsed pieces = answer("/tokenize", R"({"content":"the","with_pieces":true})");
    EXPECT_TRUE(pieces["tokens"].at(0)["piece"].is(JsonKind::text));
    expect_refusal("/detokenize", R"({"tokens":[-1]})", "tokens");
    expect_refusal("/detokenize", R"({"tokens":[1e3]})", "tokens");
    expect_refusal("/tokenize", R"({})", "content");
}

TEST_F(ApiTest, MessagesInAnthropicsOrder) {
    const std::string body =
        R"({"model":"tiny","max_tokens":6,"temperature":0,"system":[{"type":"text","text":"be kind"}],)"
        R"("messages":[{"role":"user","content":[{"type":"text","text":"inner"}]}])";
    const Parsed whole = answer("/v1/messages", body + "}");
    EXPECT_EQ(whole["type"].as_text(), "message");
    EXPECT_EQ(whole["role"].as_text(), "assistant");
    EXPECT_EQ(whole["stop_reason"].as_text(), "max_tokens");
    const auto events = parse_events(server_.post("/v1/messages", body + R"(,"stream":true})")->body);
    std::vector<std::string> order;
    std::string text;
    for (const ServerEvent& event : events) {
        const Parsed data(event.data);
        EXPECT_EQ(data["type"].as_text(), event.name);
        if (order.empty() || order.back() != event.name) order.push_back(event.name);
        if (event.name == "content_block_delta") text += data["delta"]["text"].as_text();
        if (event.name == "message_delta") {
            EXPECT_EQ(data["delta"]["stop_reason"].as_text(), "max_tokens");
            const JsonValue usage = data["usage"];
            EXPECT_EQ(usage["output_tokens"].as_integer(), 6);
            EXPECT_EQ(usage["input_tokens"].as_integer() + usage["cache_read_input_tokens"].as_integer(),
                      whole["usage"]["input_tokens"].as_integer() +
                          whole["usage"]["cache_read_input_tokens"].as_integer());
        }
    }
    EXPECT_EQ(order, (std::vector<std::string>{"message_start", "content_block_start", "content_block_delta",
                                               "content_block_stop", "message_delta", "message_stop"}));
    EXPECT_EQ(text, whole["content"].at(0)["text"].as_text());
    const Parsed count =
        answer("/v1/messages/count_tokens",
               R"({"model":"tiny","system":"be kind","messages":[{"role":"user","content":"inner"}]})");
    EXPECT_EQ(count["input_tokens"].as_integer(), whole["usage"]["input_tokens"].as_integer() +
                                                      whole["usage"]["cache_read_input_tokens"].as_integer());
}

TEST_F(ApiTest, MessagesGoOnWithTheAssistantsBeginning) {
    const auto count = [&](const std::string& messages) {
        return answer("/v1/messages/count_tokens",
                      R"({"model":"tiny","messages":[)" + messages + "]}")["input_tokens"]
            .as_integer();
    };
    const std::string question = R"({"role":"user","content":"inner"})";
    EXPECT_EQ(count(question + R"(,{"role":"assistant","content":"xyz"})"), count(question) + 3);
}

TEST_F(ApiTest, MessagesRefuseInTheirShape) {
    for (const char* more :
         {R"("max_tokens":0)", R"("max_tokens":5,"temperature":-1)", R"("max_tokens":5,"tools":[{}])",
          R"("max_tokens":5,"tool_choice":{"type":"any"})", R"("max_tokens":5,"unheard_of":1)",
          R"("max_tokens":5,"stop_sequences":[""])", R"("max_tokens":5,"thinking":{"type":"x"})",
          R"("top_k":1)"}) {
        const auto response =
            server_.post("/v1/messages", R"({"model":"tiny","messages":[{"role":"user","content":"a"}],)" +
                                             std::string(more) + "}");
        EXPECT_EQ(response->status, 400) << more;
        const Parsed parsed(response->body);
        EXPECT_EQ(parsed["error"]["type"].as_text(), "invalid_request_error");
        EXPECT_EQ(parsed["request_id"].as_text(), "req_1");
    }
    const auto missing = server_.post(
        "/v1/messages", R"({"model":"x","max_tokens":5,"messages":[{"role":"user","content":"a"}]})");
    EXPECT_EQ(missing->status, 404);
    EXPECT_EQ(Parsed(missing->body)["error"]["type"].as_text(), "not_found_error");
}

TEST_F(ApiTest, OllamaStreamsLines) {
    const std::string options = R"("options":{"temperature":0,"num_predict":6,"num_ctx":4096})";
    const auto response = server_.post(
        "/api/chat",
        R"({"model":"tiny:latest","messages":[{"role":"user","content":"inner"}],)" + options + "}");
    EXPECT_EQ(response->content_type, "application/x-ndjson");
    std::string text;
    size_t at = 0;
    bool done = false;
    while (at < response->body.size()) {
        const size_t end = response->body.find('\n', at);
        ASSERT_NE(end, std::string::npos);
        const Parsed line(response->body.substr(at, end - at));
        text += line["message"]["content"].as_text();
        EXPECT_FALSE(done);
        done = line["done"].as_boolean();
        if (done) {
            EXPECT_EQ(line["eval_count"].as_integer(), 6);
        }
        at = end + 1;
    }
    EXPECT_TRUE(done);
    const Parsed whole = answer(
        "/api/chat",
        R"({"model":"tiny","stream":false,"messages":[{"role":"user","content":"inner"}],)" + options + "}");
    EXPECT_EQ(whole["message"]["content"].as_text(), text);
    EXPECT_EQ(whole["done_reason"].as_text(), "length");
    const Parsed generated =
        answer("/api/generate", R"({"model":"tiny","stream":false,"prompt":"inner",)" + options + "}");
    EXPECT_EQ(generated["response"].as_text(), text);
    EXPECT_EQ(Parsed(server_.request("GET", "/api/tags")->body)["models"].at(0)["name"].as_text(), "tiny");
    EXPECT_TRUE(answer("/api/show", R"({"model":"tiny"})")["model_info"]["general.architecture"]);
    EXPECT_TRUE(Parsed(server_.request("GET", "/api/version")->body)["version"]);
    EXPECT_EQ(server_.post("/api/chat", R"({"model":"tiny","messages":[],"options":{"mirostat":2}})")->status,
              400);
}

TEST_F(ApiTest, ResponsesInOpenAIsOrder) {
    const std::string body = R"({"model":"tiny","input":"inner","temperature":0,"max_output_tokens":6)";
    const Parsed whole = answer("/v1/responses", body + "}");
    EXPECT_EQ(whole["status"].as_text(), "incomplete");
    EXPECT_EQ(whole["incomplete_details"]["reason"].as_text(), "max_output_tokens");
    const std::string_view text = whole["output"].at(0)["content"].at(0)["text"].as_text();
    const auto events = parse_events(server_.post("/v1/responses", body + R"(,"stream":true})")->body);
    std::vector<std::string> order;
    std::string streamed;
    for (size_t i = 0; i < events.size(); i++) {
        const Parsed data(events[i].data);
        EXPECT_EQ(data["type"].as_text(), events[i].name);
        EXPECT_EQ(data["sequence_number"].as_integer(), static_cast<int64_t>(i));
        if (order.empty() || order.back() != events[i].name) order.push_back(events[i].name);
        if (events[i].name == "response.output_text.delta") streamed += data["delta"].as_text();
        if (events[i].name == "response.incomplete") {
            EXPECT_EQ(data["response"]["output"].at(0)["content"].at(0)["text"].as_text(), text);
        }
    }
    EXPECT_EQ(streamed, text);
    EXPECT_EQ(order,
              (std::vector<std::string>{
                  "response.created", "response.in_progress", "response.output_item.added",
                  "response.content_part.added", "response.output_text.delta", "response.output_text.done",
                  "response.content_part.done", "response.output_item.done", "response.incomplete"}));
    expect_refusal("/v1/responses", R"({"input":"a","previous_response_id":"resp_1"})",
                   "previous_response_id");
    expect_refusal("/v1/responses", R"({"input":[{"type":"input_image"}]})", "input[0].type");
    expect_refusal("/v1/responses", R"({"input":"a","tools":[{"type":"web_search"}]})", "tools[0].type");
}

}  // namespace
}  // namespace agave::server::test
