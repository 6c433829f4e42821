// Replies taken apart: against what real templates write (tools/chat/make_replies.py), cut in every way, and
// malformed ones.
#include "chat/reply/parser.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "base/error.h"
#include "chat/jinja/json.h"

namespace agave::chat {
namespace {

using jinja::Value;

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::stringstream content;
    content << file.rdbuf();
    return content.str();
}

/// `control`: markers come as control tokens.
Reply parse(ReplySyntax syntax, ReplyOptions options, const std::string& text,
            const std::vector<size_t>& cuts = {}, bool control = false) {
    std::vector<std::string> tokens;
    if (control)
        for (const MarkerText& marker : markers_of(syntax)) {
            std::string token(marker.text);
            if (token.starts_with("<|channel>")) token = "<|channel>";
            tokens.push_back(token);
        }
    options.control_tokens = tokens;
    ReplyParser parser(syntax, options);
    Reply reply;
    const auto take = [&] {
        for (const ReplyEvent& event : parser.take()) reply.add(event);
    };
    size_t begin = 0, next_cut = 0;
    std::string plain;
    const auto flush = [&] {
        parser.push(plain);
        plain.clear();
        take();
    };
    while (begin < text.size()) {
        while (next_cut < cuts.size() && cuts[next_cut] <= begin) {
            next_cut++;
            flush();
        }
        bool found = false;
        for (const std::string& token : tokens)
            if (text.compare(begin, token.size(), token) == 0) {
                flush();
                parser.push_control(token);
                begin += token.size();
                found = true;
                break;
            }
        if (!found) plain += text[begin++];
    }
    flush();
    parser.finish();
    take();
    return reply;
}

std::string describe(const Reply& reply) {
    std::string out = "content[" + reply.content + "] reasoning[" + reply.reasoning + "]";
    for (const ToolCall& call : reply.tool_calls)
        out += " " + call.name + "(" + call.arguments_json + ")" + (call.complete ? "" : " incomplete");
    return out;
}

std::vector<size_t> every_byte(const std::string& text) {
    std::vector<size_t> cuts;
    for (size_t i = 0; i < text.size(); i++) cuts.push_back(i);
    return cuts;
}

constexpr const char* weather_tools =
    R"([{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object", "properties":)"
    R"( {"city": {"type": "string"}, "days": {"type": "integer"}}}}}])";

const ReplySyntax qwen3{ReasoningSyntax::think, ToolSyntax::json};
const ReplySyntax qwen35{ReasoningSyntax::think, ToolSyntax::xml};
const ReplySyntax glm{ReasoningSyntax::think, ToolSyntax::glm};
const ReplySyntax gemma{ReasoningSyntax::gemma, ToolSyntax::gemma};
const ReplySyntax llama{ReasoningSyntax::none, ToolSyntax::llama};
const ReplySyntax mistral{ReasoningSyntax::mistral, ToolSyntax::mistral};
const ReplySyntax nemotron2{ReasoningSyntax::think, ToolSyntax::toolcall};
const ReplySyntax harmony{ReasoningSyntax::harmony, ToolSyntax::harmony};

/// Parses as a whole, cut into bytes and cut once in every place: one result.
std::string parsed(ReplySyntax syntax, const std::string& text, const std::string& prompt = "",
                   const char* tools = weather_tools) {
    const ReplyOptions options{tools, prompt, {}, 1};
    const std::string whole = describe(parse(syntax, options, text));
    EXPECT_EQ(describe(parse(syntax, options, text, every_byte(text))), whole) << text;
    for (size_t i = 1; i < text.size(); i++)
        EXPECT_EQ(describe(parse(syntax, options, text, {i})), whole) << text << " cut at " << i;
    return whole;
}

TEST(Reply, EqualsWhatTemplatesWrite) {
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    const Value data = jinja::parse_json(read_file(AGAVE_TEST_DATA "/chat/replies.json"), "replies.json");
    std::string tools;
    jinja::Budget budget{1'000'000'000, 1u << 30, 500};
    jinja::current_budget = &budget;
    jinja::append_json(tools, *data.find("tools"), {});
    std::mt19937 random(1);
    for (const Value& item : data.find("cases")->items()) {
        const auto text = [&](const char* key) { return std::string(item.find(key)->text()); };
        const std::string reply = text("reply");
        const ReplyOptions options{tools, text("prompt"), {}, 1};
        ReplySyntax syntax;
        for (int i = 0; i < 16; i++) {
            const auto reasoning = static_cast<ReasoningSyntax>(i);
            if (i <= static_cast<int>(ReasoningSyntax::harmony) &&
                text("reasoning_syntax") == name_of(reasoning))
                syntax.reasoning = reasoning;
            const auto calls = static_cast<ToolSyntax>(i);
            if (i <= static_cast<int>(ToolSyntax::harmony) && text("tool_syntax") == name_of(calls))
                syntax.tools = calls;
        }
        const Reply whole = parse(syntax, options, reply);
        const std::string context =
            text("template") + "\n" + text("prompt") + "\n" + reply + "\n" + describe(whole);
        EXPECT_EQ(whole.content, text("content")) << context;
        EXPECT_EQ(whole.reasoning, text("reasoning")) << context;
        const std::vector<Value>& calls = item.find("calls")->items();
        ASSERT_EQ(whole.tool_calls.size(), calls.size()) << context;
        for (size_t i = 0; i < calls.size(); i++) {
            EXPECT_EQ(whole.tool_calls[i].name, calls[i].find("name")->text()) << context;
            EXPECT_TRUE(whole.tool_calls[i].complete) << context;
            const Value arguments = jinja::parse_json(whole.tool_calls[i].arguments_json, "arguments");
            EXPECT_TRUE(jinja::equal(arguments, *calls[i].find("arguments"))) << context;
        }
        EXPECT_EQ(describe(parse(syntax, options, reply, every_byte(reply))), describe(whole));
        EXPECT_EQ(describe(parse(syntax, options, reply, {}, true)), describe(whole));
        for (int i = 0; i < 4; i++) {
            std::vector<size_t> cuts;
            for (size_t at = 0; at < reply.size(); at += 1 + random() % 12) cuts.push_back(at);
            EXPECT_EQ(describe(parse(syntax, options, reply, cuts, i % 2 == 1)), describe(whole));
        }
    }
    jinja::current_budget = nullptr;
}

TEST(Reply, TextWithoutMarkupStaysAsItIs) {
    for (const ReplySyntax syntax : {ReplySyntax{}, qwen3, qwen35, glm, gemma, llama, mistral, nemotron2}) {
        for (const std::string text : {"", " ", "\n\n", "Hello", " Hello \n", "a < b <th <think", "[TOOL",
                                       "x </think> y", "日本 🙂 <", "{\"a\": 1} "})
            EXPECT_EQ(parsed(syntax, text), "content[" + text + "] reasoning[]");
    }
    EXPECT_EQ(parsed({}, "<think>a</think>{\"name\": \"get_weather\", \"parameters\": {}}"),
              "content[<think>a</think>{\"name\": \"get_weather\", \"parameters\": {}}] reasoning[]");
}

TEST(Reply, Reasoning) {
    EXPECT_EQ(parsed(qwen3, "<think>\nHm.\n</think>\n\nYes."), "content[Yes.] reasoning[Hm.]");
    EXPECT_EQ(parsed(qwen3, "\n<think></think>\nYes.\n"), "content[Yes.\n] reasoning[]");
    EXPECT_EQ(parsed(qwen3, "Hm.\n</think>\n\nYes.", "<|im_start|>assistant\n<think>\n"),
              "content[Yes.] reasoning[Hm.]");
    EXPECT_EQ(parsed(qwen3, "<think>\nHm.</think>Yes.", "<think>\n"), "content[Yes.] reasoning[Hm.]");
    EXPECT_EQ(parsed(qwen3, "Yes.</think>", "<think>\n\n</think>\n\n"), "content[Yes.</think>] reasoning[]");
    EXPECT_EQ(parsed(qwen3, "<think>Hm. I"), "content[] reasoning[Hm. I]");
    EXPECT_EQ(parsed(qwen3, "<think>a <think> b</think>c"), "content[c] reasoning[a <think> b]");
    EXPECT_EQ(parsed(qwen3, "The tag <think> opens."), "content[The tag <think> opens.] reasoning[]");
    EXPECT_EQ(parsed(mistral, "[THINK]a[/THINK]b"), "content[b] reasoning[a]");
    EXPECT_EQ(parsed(gemma, "<|channel>thought\na\n<channel|>b"), "content[b] reasoning[a]");
    EXPECT_EQ(parsed(gemma, "<|channel>other\na"), "content[<|channel>other\na] reasoning[]");
    EXPECT_EQ(parsed(gemma, "a\n<channel|>b", "<|turn>model\n<|channel>thought\n"),
              "content[b] reasoning[a]");
    EXPECT_EQ(parsed(gemma, "b", "<|turn>model\n<|channel>thought\n<channel|>"), "content[b] reasoning[]");
}

TEST(Reply, CallsNeedTools) {
    const std::string text = "<tool_call>{\"name\": \"f\", \"arguments\": {}}</tool_call>";
    EXPECT_EQ(parsed(qwen3, text, "", ""), "content[" + text + "] reasoning[]");
    EXPECT_EQ(parsed(qwen3, text, "", "[]"), "content[" + text + "] reasoning[]");
    EXPECT_EQ(parsed(qwen3, text), "content[] reasoning[] f({})");
    EXPECT_THROW(ReplyParser(qwen3, {"[", "", {}, 0}), Error);
}

TEST(Reply, JsonCalls) {
    const auto call = [](const std::string& inside) {
        return parsed(qwen3, "<tool_call>" + inside + "</tool_call>");
    };
    EXPECT_EQ(call(R"({"name":"f","arguments":{"a":[1,-2.5e3,"x",null,true]}})"),
              R"(content[] reasoning[] f({"a":[1,-2.5e3,"x",null,true]}))");
    EXPECT_EQ(call(R"({"arguments": {"a": 1}, "name": "f"})"), R"(content[] reasoning[] f({"a": 1}))");
    EXPECT_EQ(call(R"({"name": "f", "parameters": {"a": 1}})"), R"(content[] reasoning[] f({"a": 1}))");
    EXPECT_EQ(call(R"({"type": "function", "name": "f", "more": [1, {"x": 2.5}], "n": 12})"),
              "content[] reasoning[] f({})");
    EXPECT_EQ(call(R"({"name": "f", "arguments": null})"), "content[] reasoning[] f({})");
    EXPECT_EQ(call(R"({"name": "f", "arguments": "{\"a\": \"b\\nc\\u00e9\\\"\"}"})"),
              R"(content[] reasoning[] f({"a": "b\nc\u00e9\""}))");
    EXPECT_EQ(call(R"({"name": "f", "arguments": "{}"})"), "content[] reasoning[] f({})");
    EXPECT_EQ(call("{\"name\": \"f\", \"arguments\": {\"a\": \"b\nc\td\x01\"}}"),
              R"(content[] reasoning[] f({"a": "b\nc\td\u0001"}))");
    EXPECT_EQ(call(R"({"name": "f", "arguments": {"a": "\ud83d\ude42 \ud83d x \ude42 \ud83d\n"}})"),
              R"(content[] reasoning[] f({"a": "\ud83d\ude42 \ufffd x \ufffd \ufffd\n"}))");
    // The last brace is often forgotten.
    EXPECT_EQ(call(R"({"name": "f", "arguments": {"a": 1})"), R"(content[] reasoning[] f({"a": 1}))");
    EXPECT_EQ(
        parsed(
            qwen3,
            R"(<think>x</think>Hi <tool_call>{"name": "f"}</tool_call> <tool_call> {"name": "g"} </tool_call> ok)"),
        "content[Hi\n\nok] reasoning[x] f({}) g({})");
    EXPECT_EQ(
        parsed(
            nemotron2,
            R"(<TOOLCALL>[{"name": "f", "arguments": {}}, {"name": "g", "arguments": {"x": []}}]</TOOLCALL>)"),
        R"(content[] reasoning[] f({}) g({"x": []}))");
    // A call within the reasoning, which goes on.
    EXPECT_EQ(parsed(qwen3, R"(<think>a <tool_call>{"name": "f"}</tool_call> b</think>c)"),
              "content[c] reasoning[a\n\nb] f({})");
}

TEST(Reply, MalformedJsonCallsAreContent) {
    for (const std::string inside :
         {"", "x", "[1]", "{\"name\": 3}", "{\"name\": \"\"}", "{\"name\": \"a b\"}", "{\"name\" \"f\"}",
          "{}", "{\"arguments\": {}}", "{\"name\": \"f\", \"arguments\": 3}",
          "{\"name\": \"f\", \"arguments\": \"x\"}", "{'name': 'f'}", "{\"name\": \"f\", \"name\": \"g\"}"}) {
        if (inside.empty()) continue;
        const std::string text = "a\n<tool_call>" + inside + "</tool_call>";
        EXPECT_EQ(parsed(qwen3, text), "content[" + text + "] reasoning[]");
        EXPECT_EQ(parsed(qwen3, text + " b <tool_call>{\"name\": \"f\"}</tool_call>"),
                  "content[" + text + " b] reasoning[] f({})");
        EXPECT_EQ(parsed(qwen3, "<think>" + text + " b</think>c"), "content[c] reasoning[" + text + " b]");
    }
    const std::string two = "<tool_call>\n<tool_call>{\"name\": \"f\"}</tool_call>";
    EXPECT_EQ(parsed(qwen3, two), "content[<tool_call>] reasoning[] f({})");
    // From where it goes wrong.
    EXPECT_EQ(parsed(qwen3, R"(<tool_call>{"name": "f", "arguments": {"a": oops}}</tool_call>)"),
              R"(content[oops}}</tool_call>] reasoning[] f({"a": ) incomplete)");
    EXPECT_EQ(parsed(qwen3, R"(<tool_call>{"name": "f", "arguments": {"a": "b)"),
              R"(content[] reasoning[] f({"a": "b) incomplete)");
    EXPECT_EQ(parsed(qwen3, R"(<tool_call>{"name": "f", "argu)"),
              R"(content[<tool_call>{"name": "f", "argu] reasoning[])");
    EXPECT_EQ(parsed(qwen3, R"(<tool_call>{"name": "f", "arguments": {"a": 1})"),
              R"(content[] reasoning[] f({"a": 1}))");
    EXPECT_EQ(
        parsed(qwen3, "<tool_call>{\"name\": \"f\", \"arguments\": " + std::string(300, '[')),
        "content[<tool_call>{\"name\": \"f\", \"arguments\": " + std::string(300, '[') + "] reasoning[]");
}

TEST(Reply, XmlCalls) {
    const auto call = [](const std::string& inside) {
        return parsed(qwen35, "<tool_call>\n<function=get_weather>\n" + inside + "</function>\n</tool_call>");
    };
    EXPECT_EQ(call(""), "content[] reasoning[] get_weather({})");
    EXPECT_EQ(call("<parameter=city>\n12\n</parameter>\n<parameter=days>\n12\n</parameter>\n"),
              R"(content[] reasoning[] get_weather({"city": "12", "days": 12}))");
    EXPECT_EQ(call("<parameter=city>a</parameter><parameter=days>many</parameter>"),
              R"(content[] reasoning[] get_weather({"city": "a", "days": "many"}))");
    EXPECT_EQ(call("<parameter=city>\n\n\"a\"\n\n</parameter>\n"),
              R"(content[] reasoning[] get_weather({"city": "\n\"a\"\n"}))");
    EXPECT_EQ(call("<parameter=city>\n<parameter=x></function></tool_call>\n</parameter>\n"),
              R"(content[] reasoning[] get_weather({"city": "<parameter=x></function></tool_call>"}))");
    for (const auto& [text, json] :
         std::vector<std::pair<std::string, std::string>>{{"1", "1"},
                                                          {"1x", "\"1x\""},
                                                          {"-", "\"-\""},
                                                          {"01", "\"01\""},
                                                          {"1.5e-3", "1.5e-3"},
                                                          {"True", "true"},
                                                          {"none", "\"none\""},
                                                          {"None", "null"},
                                                          {"[1, 2]", "[1, 2]"},
                                                          {"[1, 2", "\"[1, 2\""},
                                                          {"{\"a\": {}}", "{\"a\": {}}"},
                                                          {"\"q\"", "\"\\\"q\\\"\""},
                                                          {"", "\"\""},
                                                          {" 1 ", "1"},
                                                          {"a\n", "\"a\\n\""}})
        EXPECT_EQ(call("<parameter=new>\n" + text + "\n</parameter>\n"),
                  "content[] reasoning[] get_weather({\"new\": " + json + "})");
    // Without <tool_call>, and two in one.
    EXPECT_EQ(parsed(qwen35, "Hi\n<function=f>\n</function><function=g></function>"),
              "content[Hi] reasoning[] f({}) g({})");
    EXPECT_EQ(parsed(qwen35, "<tool_call>\n<function=f>\n</tool_call>"), "content[] reasoning[] f({})");
    for (const std::string text : {"<tool_call>\n<function>", "<tool_call>x", "<function=a b>", "<function=>",
                                   "<tool_call>\n<function=f"})
        EXPECT_EQ(parsed(qwen35, text), "content[" + text + "] reasoning[]");
    EXPECT_EQ(parsed(qwen35, "<function=f><parameter=a>\n1\n"),
              R"(content[] reasoning[] f({"a": "1) incomplete)");
    EXPECT_EQ(parsed(qwen35, "<function=get_weather><parameter=city>\n1\n"),
              R"(content[] reasoning[] get_weather({"city": "1) incomplete)");
    EXPECT_EQ(parsed(qwen35, "<function=f><parameter=a>1</parameter>oops</function>"),
              R"(content[oops</function>] reasoning[] f({"a": 1) incomplete)");
}

TEST(Reply, TypesOfParameters) {
    const auto value = [](const std::string& schema, const std::string& text) {
        const std::string tools = R"([{"name": "f", "parameters": {"properties": {"a": )" + schema + "}}}]";
        const std::string out =
            parsed(qwen35, "<function=f><parameter=a>" + text + "</parameter></function>", "", tools.c_str());
        const std::string begin = "content[] reasoning[] f({\"a\": ";
        EXPECT_TRUE(out.starts_with(begin)) << out;
        return out.substr(begin.size(), out.size() - begin.size() - 2);
    };
    EXPECT_EQ(value(R"({"type": "string"})", "true"), "\"true\"");
    EXPECT_EQ(value(R"({"type": ["string", "null"]})", "12"), "\"12\"");
    EXPECT_EQ(value(R"({"type": ["string", "null"]})", "null"), "null");
    EXPECT_EQ(value(R"({"type": "number"})", "12"), "12");
    EXPECT_EQ(value(R"({"type": "integer"})", "1.5"), "\"1.5\"");
    EXPECT_EQ(value(R"({"anyOf": [{"type": "integer"}, {"type": "string"}]})", "12"), "12");
    EXPECT_EQ(value(R"({"anyOf": [{"type": "boolean"}, {"type": "string"}]})", "12"), "\"12\"");
    EXPECT_EQ(value(R"({"enum": ["1", "2"]})", "1"), "\"1\"");
    EXPECT_EQ(value(R"({"enum": [1, 2]})", "1"), "1");
    EXPECT_EQ(value(R"({"type": "integer", "nullable": true})", "None"), "null");
    EXPECT_EQ(value("true", "12"), "12");
}

TEST(Reply, GlmCalls) {
    EXPECT_EQ(parsed(glm, "<tool_call>f</tool_call>"), "content[] reasoning[] f({})");
    EXPECT_EQ(parsed(glm,
                     "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>x\n</arg_value>\n</"
                     "tool_call>\n<tool_call>g</tool_call>"),
              R"(content[] reasoning[] f({"a": "x\n"}) g({}))");
    for (const std::string text :
         {"<tool_call></tool_call>", "<tool_call><b>", "<tool_call>f", "<tool_call>a,b"})
        EXPECT_EQ(parsed(glm, text), "content[" + text + "] reasoning[]");
    EXPECT_EQ(parsed(glm, "<tool_call>f g</tool_call>"), "content[g</tool_call>] reasoning[] f() incomplete");
    EXPECT_EQ(parsed(glm, "<tool_call>f\n<arg_key>a</arg_key><arg_value>[1"),
              R"(content[] reasoning[] f({"a": "[1) incomplete)");
}

TEST(Reply, GemmaCalls) {
    const auto call = [](const std::string& inside) {
        return parsed(gemma, "<|tool_call>" + inside + "<tool_call|>");
    };
    EXPECT_EQ(call("call:f{}"), "content[] reasoning[] f({})");
    EXPECT_EQ(
        call("call:f{a:<|\"|>x\ny\"{<|\"|>,b:-1.5,c:true,d:None,e:[1,{k:<|\"|>v<|\"|>},[]],g:{}}"),
        R"(content[] reasoning[] f({"a": "x\ny\"{", "b": -1.5, "c": true, "d": null, "e": [1, {"k": "v"}, []], "g": {}}))");
    EXPECT_EQ(call("call:f{ <|\"|>a b<|\"|> : \"x\\n\" , \"k\": word }"),
              R"(content[] reasoning[] f({"a b": "x\n", "k": "word"}))");
    EXPECT_EQ(call("call:get_weather{city:12,days:12}"),
              R"(content[] reasoning[] get_weather({"city": "12", "days": 12}))");
    EXPECT_EQ(parsed(gemma,
                     "<|channel>thought\nx<channel|><|tool_call>call:f{}<tool_call|><|tool_call>call:g{a:1}<"
                     "tool_call|>"),
              R"(content[] reasoning[x] f({}) g({"a": 1}))");
    for (const std::string text : {"<|tool_call>f{}<tool_call|>", "<|tool_call>call:{}", "<|tool_call>call:f",
                                   "<|tool_call>call:a b{}"})
        EXPECT_EQ(parsed(gemma, text), "content[" + text + "] reasoning[]");
    EXPECT_EQ(parsed(gemma, "<|tool_call>call:f{a:<|\"|>x"),
              R"(content[] reasoning[] f({"a": "x) incomplete)");
    EXPECT_EQ(parsed(gemma, "<|tool_call>call:f{a}"), R"(content[a}] reasoning[] f({) incomplete)");
    EXPECT_EQ(parsed(gemma, "<|tool_call>call:f{a:1]"), R"(content[]] reasoning[] f({"a": 1) incomplete)");
}

TEST(Reply, LlamaCalls) {
    const std::string call = R"({"name": "get_weather", "parameters": {"city": "x"}})";
    EXPECT_EQ(parsed(llama, call), R"(content[] reasoning[] get_weather({"city": "x"}))");
    EXPECT_EQ(parsed(llama, "<|python_tag|>" + call + "; " + call + "\n"),
              R"(content[] reasoning[] get_weather({"city": "x"}) get_weather({"city": "x"}))");
    for (const std::string text : {R"({"name": "Bob", "parameters": {}})", R"({"name": "get_weather" "x"})",
                                   R"({"a": 1})", R"(See {"name": "get_weather", "parameters": {}})",
                                   R"(<|python_tag|>brave_search.call(query="x"))"})
        EXPECT_EQ(parsed(llama, text), "content[" + text + "] reasoning[]");
}

TEST(Reply, MistralCalls) {
    EXPECT_EQ(parsed(mistral, R"([TOOL_CALLS]f[CALL_ID]abcdefghi[ARGS]{"a": "[ARGS]"}[TOOL_CALLS]g[ARGS]{})"),
              R"(content[] reasoning[] f({"a": "[ARGS]"}) g({}))");
    EXPECT_EQ(
        parsed(
            mistral,
            R"(Hi [TOOL_CALLS] [{"name": "f", "arguments": {}, "id": "abcdefghi"}, {"name": "g", "arguments": {"x": 1}}])"),
        R"(content[Hi] reasoning[] f({}) g({"x": 1}))");
    EXPECT_EQ(parsed(mistral, R"([TOOL_CALLS]f{"a": 1})"), R"(content[] reasoning[] f({"a": 1}))");
    for (const std::string text : {"[TOOL_CALLS]f g", "[TOOL_CALLS][ARGS]", "[TOOL_CALLS]f[ARGS]x",
                                   "[TOOL_CALLS][1]", "[TOOL_CALLS]f[CALL_ID]x"})
        EXPECT_EQ(parsed(mistral, text), "content[" + text + "] reasoning[]");
    const Reply reply = parse(mistral, {weather_tools, "", {}, 7},
                              R"([TOOL_CALLS]f[CALL_ID]abcdefghi[ARGS]{}[TOOL_CALLS]g[ARGS]{})");
    EXPECT_EQ(reply.tool_calls[0].id, "abcdefghi");
    EXPECT_EQ(reply.tool_calls[1].id.size(), 9u);
}

TEST(Reply, IdsOfCallsDiffer) {
    const std::string text =
        R"(<tool_call>{"name": "f"}</tool_call><tool_call>{"id": "mine", "name": "f"}</tool_call><tool_call>{"name": "f"}</tool_call>)";
    const Reply a = parse(qwen3, {weather_tools, "", {}, 1}, text),
                b = parse(qwen3, {weather_tools, "", {}, 2}, text);
    ASSERT_EQ(a.tool_calls.size(), 3u);
    EXPECT_TRUE(a.tool_calls[0].id.starts_with("call_"));
    EXPECT_EQ(a.tool_calls[0].id.size(), 29u);
    EXPECT_EQ(a.tool_calls[1].id, "mine");
    EXPECT_NE(a.tool_calls[0].id, a.tool_calls[2].id);
    EXPECT_NE(a.tool_calls[0].id, b.tool_calls[0].id);
}

TEST(Reply, Harmony) {
    const std::string analysis = "<|channel|>analysis<|message|>Hm.\n<|end|>";
    const std::string start = "<|start|>assistant";
    EXPECT_EQ(parsed(harmony, analysis + start + "<|channel|>final<|message|> Yes.\n<|return|>"),
              "content[ Yes.\n] reasoning[Hm.\n]");
    EXPECT_EQ(parsed(harmony, analysis + start + "<|channel|>final<|message|>Yes"),
              "content[Yes] reasoning[Hm.\n]");
    EXPECT_EQ(parsed(harmony, "Yes", "<|start|>assistant<|channel|>final<|message|>"),
              "content[Yes] reasoning[]");
    EXPECT_EQ(parsed(harmony, "m<|end|>", "<|start|>assistant<|channel|>analysis<|message|>H"),
              "content[] reasoning[m]");
    EXPECT_EQ(parsed(harmony, "<|message|>Yes", "<|start|>assistant<|channel|>final"),
              "content[Yes] reasoning[]");
    EXPECT_EQ(parsed(harmony, analysis, "<|start|>user<|message|>Hi<|end|><|start|>assistant"),
              "content[] reasoning[Hm.\n]");
    EXPECT_EQ(parsed(harmony, "<|channel|>commentary<|message|>Let me see.<|end|>" + start +
                                  "<|channel|>final<|message|>Yes."),
              "content[Let me see.\n\nYes.] reasoning[]");
    for (const std::string header : {"<|channel|>commentary to=functions.get_weather <|constrain|>json",
                                     " to=functions.get_weather<|channel|>commentary json",
                                     "<|channel|>analysis to=functions.get_weather",
                                     "to=get_weather<|channel|>commentary <|constrain|>json"})
        EXPECT_EQ(parsed(harmony, header + "<|message|>{\"city\": \"x\"}<|call|>"),
                  R"(content[] reasoning[] get_weather({"city": "x"}))");
    EXPECT_EQ(parsed(harmony, analysis + start + " to=functions.f<|channel|>commentary<|message|> {\"a\": "),
              R"(content[] reasoning[Hm.
] f({"a": ) incomplete)");
    const std::string code = "<|channel|>analysis to=python<|message|>print(1)";
    EXPECT_EQ(parsed(harmony, code + "<|call|>"), "content[" + code + "] reasoning[]");
    EXPECT_EQ(parsed(harmony, "Plain text."), "content[Plain text.] reasoning[]");
    EXPECT_EQ(parsed(harmony, "assist"), "content[assist] reasoning[]");
    EXPECT_EQ(parsed(harmony, "assistants"), "content[assistants] reasoning[]");
    EXPECT_EQ(parsed(harmony, std::string(10, ' ') + "x<|end|>"), "content[          x] reasoning[]");
}

TEST(Reply, ControlTokensAreMarkersAndTextIsNot) {
    ReplyOptions options{
        weather_tools, "", {"<|channel|>", "<|message|>", "<|end|>", "<|start|>", "<|return|>"}, 1};
    ReplyParser parser(harmony, options);
    parser.push_control("<|channel|>");
    parser.push("final");
    parser.push_control("<|message|>");
    parser.push("The mark <|end|> ends; <|start");
    parser.push_control("<|unknown|>");
    parser.push("|> starts.");
    parser.push_control("<|return|>");
    parser.finish();
    Reply reply;
    for (const ReplyEvent& event : parser.take()) reply.add(event);
    EXPECT_EQ(describe(reply), "content[The mark <|end|> ends; <|start|> starts.] reasoning[]");
}

TEST(Reply, StreamsArguments) {
    ReplyParser parser(qwen35, {weather_tools, "", {}, 1});
    parser.push("<tool_call>\n<function=get_weather>\n<parameter=city>\nZür");
    std::vector<ReplyEvent> events = parser.take();
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].kind, ReplyEvent::call_begin);
    EXPECT_EQ(events[0].text, "get_weather");
    EXPECT_EQ(events[1].text, "{\"city\": \"Zür");
    parser.push("ich\n</parameter>\n</function>\n</tool_call>");
    events = parser.take();
    ASSERT_EQ(events.size(), 2u);
    EXPECT_EQ(events[0].text, "ich\"}");
    EXPECT_EQ(events[1].kind, ReplyEvent::call_end);
}

TEST(Reply, RandomMarkupIsTheSameHoweverItIsCut) {
    std::mt19937 random(3);
    for (const ReplySyntax syntax : {qwen3, qwen35, glm, gemma, llama, mistral, nemotron2, harmony}) {
        std::vector<std::string> parts = {
            " ",       "\n",        "x",           "{",
            "}",       "[",         "]",           "\"",
            ":",       ",",         "\\",          "1",
            "name",    "arguments", "get_weather", "{\"name\": \"get_weather\", \"arguments\": {",
            "call:f{", "f",         "true",        "to=",
            "é",       "analysis",  "final"};
        for (const MarkerText& marker : markers_of(syntax)) {
            parts.emplace_back(marker.text);
            parts.emplace_back(marker.text);
            parts.emplace_back(marker.text.substr(0, marker.text.size() / 2));
        }
        for (int i = 0; i < 1500; i++) {
            std::string text;
            for (size_t n = 1 + random() % 25; n > 0; n--) text += parts[random() % parts.size()];
            const ReplyOptions options{weather_tools, "", {}, 1};
            const std::string whole = describe(parse(syntax, options, text));
            ASSERT_EQ(describe(parse(syntax, options, text, every_byte(text))), whole) << text;
            ASSERT_EQ(describe(parse(syntax, options, text, {text.size() / 2})), whole) << text;
        }
    }
}

TEST(ReplySyntax, NoMarkerBeginsAnother) {
    for (int r = 0; r <= static_cast<int>(ReasoningSyntax::harmony); r++)
        for (int t = 0; t <= static_cast<int>(ToolSyntax::harmony); t++) {
            const std::vector<MarkerText> markers =
                markers_of({static_cast<ReasoningSyntax>(r), static_cast<ToolSyntax>(t)});
            for (const MarkerText& a : markers)
                for (const MarkerText& b : markers)
                    EXPECT_TRUE(a.text == b.text || !a.text.starts_with(b.text)) << a.text << " " << b.text;
        }
}

TEST(ReplySyntax, IsFoundInTheTemplate) {
    const std::string folder = AGAVE_SHARED "/templates/";
    if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
    std::istringstream expected(read_file(AGAVE_TEST_DATA "/chat/reply_syntaxes.txt"));
    int n = 0;
    for (std::string name, reasoning, tools; expected >> name >> reasoning >> tools; n++) {
        const ReplySyntax syntax = find_reply_syntax(read_file(folder + name + ".jinja"));
        EXPECT_EQ(name_of(syntax.reasoning), reasoning) << name;
        EXPECT_EQ(name_of(syntax.tools), tools) << name;
    }
    EXPECT_EQ(n, 70);
}

}  // namespace
}  // namespace agave::chat
