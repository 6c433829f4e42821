// `agave run` on a model with random weights: what goes in, what comes out, and how it ends.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "process.h"

namespace agave::test {
namespace {

const std::string chat = test_model("chat.gguf"), plain = test_model("plain.gguf");
constexpr int end_of_turn = 2, escape_byte = 0x1B;
/// The test vocabulary: six control tokens, then the bytes.
constexpr int token_of_byte(int byte) {
    return 6 + byte;
}
std::string always(int token) {
    return "--logit-bias=" + std::to_string(token) + "=1000";
}
std::string never(int token) {
    return "--logit-bias=" + std::to_string(token) + "=-inf";
}

rapidjson::Document json_of(const Outcome& outcome) {
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    rapidjson::Document document;
    document.Parse<rapidjson::kParseValidateEncodingFlag>(outcome.out.c_str(), outcome.out.size());
    EXPECT_FALSE(document.HasParseError()) << outcome.out;
    return document;
}

TEST(Run, StreamsTextAndStatistics) {
    const Outcome outcome = agave({"run", chat, "hello", "-n", "4", always(token_of_byte('x'))});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "xxxx\n");
    for (const char* part :
         {"prefill 7 tokens", "decode 3 tokens", "tokens/s", "first token after", "memory"})
        EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
    EXPECT_EQ(outcome.err.find('\x1b'), std::string::npos);
}

TEST(Run, IsTheCommandOfAModelAlone) {
    EXPECT_EQ(agave({chat, "hello", "-n", "4", "-q", always(token_of_byte('x'))}).out, "xxxx\n");
    EXPECT_EQ(agave({"-n", "4", "-q", chat, "hello", always(token_of_byte('x'))}).out, "xxxx\n");
}

TEST(Run, QuietPrintsOnlyTheText) {
    const Outcome outcome = agave({"run", chat, "hello", "-n", "2", "-q", always(token_of_byte('x'))});
    EXPECT_EQ(outcome.out, "xx\n");
    EXPECT_EQ(outcome.err, "");
}

TEST(Run, VerboseShowsTheRenderedPromptWithOneBos) {
    const Outcome outcome = agave({"run", chat, "hello", "-n", "1", "-V", "--system", "be brief"});
    EXPECT_NE(outcome.err.find("\n<|bos|><|system|>be brief<|end|><|user|>hello<|end|><|assistant|>\n"),
              std::string::npos)
        << outcome.err;
    const Outcome raw = agave({"run", chat, "hello", "-n", "1", "-V", "--raw"});
    EXPECT_NE(raw.err.find("\n<|bos|>hello\n"), std::string::npos) << raw.err;
    const Outcome without = agave({"run", plain, "hello", "-n", "1", "-V"});
    EXPECT_NE(without.err.find(":\nhello\n"), std::string::npos) << without.err;
}

TEST(Run, SystemMessageNeedsATemplate) {
    const Outcome outcome = agave({"run", plain, "hello", "--system", "be brief"});
    EXPECT_EQ(outcome.status, 2);
    EXPECT_NE(outcome.err.find("has no chat template"), std::string::npos) << outcome.err;
}

/// chat.gguf with sampling recommendations, put in front of its metadata.
std::string model_with_sampling(const std::string& name, float temperature, int32_t top_k) {
    std::string more;
    const auto number = [&](auto value) { more.append(reinterpret_cast<const char*>(&value), sizeof value); };
    const auto key = [&](std::string_view text, uint32_t type) {
        number(uint64_t{text.size()});
        more += text;
        number(type);
    };
    key("general.sampling.temp", 6);
    number(temperature);
    key("general.sampling.top_k", 5);
    number(top_k);
    key("test.padding", 8);  // the tensors stay aligned
    const size_t padding = 32 - (more.size() + 8) % 32;
    number(uint64_t{padding});
    more += std::string(padding, 'x');
    std::string bytes = read_whole(chat);
    bytes[16] = static_cast<char>(bytes[16] + 3);
    bytes.insert(24, more);
    const std::string path = temporary_path(name);
    write_whole(path, bytes);
    return path;
}

TEST(Run, TakesTheSamplingThatTheFileRecommends) {
    const std::string model = model_with_sampling("sampling.gguf", 0.25f, 7);
    const auto setup = [&](std::vector<std::string> more) {
        std::vector<std::string> arguments = {"run", model, "hello", "-n", "1", "-V"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return agave(arguments).err;
    };
    EXPECT_NE(setup({}).find("sampling: temperature 0.25, top-k 7 (model file), top-p 0.95, min-p 0.05, "),
              std::string::npos)
        << setup({});
    EXPECT_NE(setup({"-t", "0.8"}).find("sampling: temperature 0.8 (command line), top-k 7 (model file), "),
              std::string::npos);
    EXPECT_NE(agave({"inspect", model}).out.find("temperature 0.25, top-k 7, as the file recommends"),
              std::string::npos);
    const rapidjson::Document json = json_of(agave({"inspect", model, "--json"}));
    EXPECT_EQ(json["sampling"]["temperature"].GetDouble(), 0.25);
    EXPECT_EQ(json["sampling"]["top-k"].GetInt(), 7);
    EXPECT_FALSE(json["sampling"].HasMember("top-p"));
    const std::string bad = model_with_sampling("bad-sampling.gguf", -1.0f, 7);
    const Outcome refused = agave({"run", bad, "hello"});
    EXPECT_EQ(refused.status, 2);
    const std::string fault = "general.sampling.temp is -1, but must be a number from 0 to 1e+06";
    EXPECT_NE(refused.err.find(fault), std::string::npos) << refused.err;
    EXPECT_NE(agave({"inspect", bad}).out.find(fault), std::string::npos);
}

TEST(Run, InspectTellsOfReasoningAndTools) {
    EXPECT_NE(agave({"inspect", chat}).out.find("reasoning: none, not to be switched; tool calls: none"),
              std::string::npos);
    const rapidjson::Document json = json_of(agave({"inspect", chat, "--json"}));
    EXPECT_STREQ(json["chat"]["reasoning"].GetString(), "none");
    EXPECT_FALSE(json["chat"]["reasoning_switch"].GetBool());
}

/// chat.gguf with another chat template, of its length.
std::string model_with_template(const std::string& name, std::string source) {
    std::string bytes = read_whole(chat);
    const size_t end = bytes.find("{% if add_generation_prompt %}<|assistant|>{% endif %}") + 54;
    const size_t begin = bytes.rfind("{% for", end - 60);
    EXPECT_LT(source.size() + 4, end - begin);
    source += "{#" + std::string(end - begin - source.size() - 4, '.') + "#}";
    bytes.replace(begin, end - begin, source);
    const std::string path = temporary_path(name);
    write_whole(path, bytes);
    return path;
}
std::string thinking_model() {
    return model_with_template(
        "thinking.gguf",
        "{{ messages[-1].content }}{% if enable_thinking is defined and not enable_thinking %}"
        "<think></think>{% else %}<think>{% endif %}");
}

TEST(Run, ReasoningIsKeptFromPipes) {
    const std::string model = thinking_model(), x = always(token_of_byte('x'));
    const Outcome piped = agave({"run", model, "hello", "-n", "4", x});
    EXPECT_EQ(piped.out, "");
    EXPECT_NE(piped.err.find("the answer is all reasoning"), std::string::npos) << piped.err;
    const Outcome shown = agave({"run", model, "hello", "-n", "4", "-q", "--show-reasoning", "always", x});
    EXPECT_EQ(shown.out, "<think>\nxxxx\n</think>\n");
    EXPECT_EQ(shown.err, "");
    EXPECT_EQ(
        agave({"run", model, "hello", "-n", "4", "-q", "--show-reasoning", "always", "--color", "always", x})
            .out,
        "\x1b[2mx\x1b[0m\x1b[2mx\x1b[0m\x1b[2mx\x1b[0m\x1b[2mx\x1b[0m\n");
    const rapidjson::Document json = json_of(agave({"run", model, "hello", "-n", "4", "--json", x}));
    EXPECT_STREQ(json["text"].GetString(), "");
    EXPECT_STREQ(json["reasoning"].GetString(), "xxxx");
    // Stop strings are looked for in the answer.
    EXPECT_EQ(
        agave({"run", model, "hello", "-n", "4", "-q", "--show-reasoning", "always", "--stop", "xx", x}).out,
        "<think>\nxxxx\n</think>\n");
}

TEST(Run, ReasoningIsShownOnATerminal) {
    Process::Options terminal;
    terminal.terminal = true;
    Process process(
        {"run", thinking_model(), "hello", "-n", "2", "-q", "--color", "never", always(token_of_byte('x'))},
        {}, terminal);
    const std::string out = process.finish().out;
    EXPECT_NE(out.find("<think>"), std::string::npos) << out;
    EXPECT_NE(out.find("xx"), std::string::npos) << out;
}

TEST(Run, ReasoningIsSwitchedByTheTemplate) {
    const std::string model = thinking_model(), x = always(token_of_byte('x'));
    EXPECT_EQ(agave({"run", model, "hello", "-n", "4", "-q", "--reasoning", "off", x}).out, "xxxx\n");
    EXPECT_EQ(agave({"run", model, "hello", "-n", "4", "-q", "--reasoning", "on", x}).out, "");
    for (const auto& [arguments, sentence] : std::vector<std::pair<std::vector<std::string>, const char*>>{
             {{"run", chat, "x", "--reasoning", "off"},
              "--reasoning off: the model's chat template has no switch for reasoning"},
             {{"run", model, "x", "--reasoning", "high"}, "switches reasoning on and off only"},
             {{"run", plain, "x", "--reasoning", "on"}, "has no chat template that could switch it"},
             {{"run", chat, "x", "--reasoning", "on", "--raw"},
              "--reasoning and --raw exclude each other"}}) {
        const Outcome outcome = agave(arguments);
        EXPECT_EQ(outcome.status, 2);
        EXPECT_NE(outcome.err.find(sentence), std::string::npos) << outcome.err;
    }
}

TEST(Run, JsonIsOneObject) {
    const Outcome outcome =
        agave({"run", chat, "hello", "-n", "4", "--json", "--seed", "9", always(token_of_byte('"'))});
    const rapidjson::Document json = json_of(outcome);
    EXPECT_STREQ(json["text"].GetString(), "\"\"\"\"");
    EXPECT_STREQ(json["finish_reason"].GetString(), "length");
    EXPECT_EQ(json["tokens"].Size(), 4u);
    EXPECT_EQ(json["prompt_tokens"].GetInt(), 7);
    EXPECT_EQ(json["seed"].GetUint64(), 9u);
    EXPECT_GT(json["timings"]["prefill_tokens_per_second"].GetDouble(), 0);
    EXPECT_GT(json["timings"]["first_token_seconds"].GetDouble(), 0);
    EXPECT_GT(json["peak_resident_bytes"].GetUint64(), 0u);
    EXPECT_EQ(outcome.err, "");
}

TEST(Run, JsonOfRandomBytesIsValidUtf8) {
    const rapidjson::Document json =
        json_of(agave({"run", plain, "hello", "-n", "300", "--json", "--seed", "3", "-t", "5", "--top-k", "0",
                       "--min-p", "0", "--top-p", "1", never(end_of_turn)}));
    EXPECT_EQ(json["tokens"].Size(), 300u);
}

TEST(Run, StopsAtTheEndOfTheTurn) {
    const rapidjson::Document json = json_of(agave({"run", chat, "hello", "--json", always(end_of_turn)}));
    EXPECT_STREQ(json["finish_reason"].GetString(), "stop");
    EXPECT_STREQ(json["text"].GetString(), "");
    EXPECT_EQ(json["tokens"].Size(), 0u);
}

TEST(Run, StopsBeforeAStopString) {
    const rapidjson::Document json = json_of(agave({"run", chat, "hello", "--json", "--stop", "zzz", "--stop",
                                                    "xxx", "-n", "9", always(token_of_byte('x'))}));
    EXPECT_STREQ(json["finish_reason"].GetString(), "stop");
    EXPECT_STREQ(json["text"].GetString(), "");
    // What looked like the beginning of a stop string is text after all.
    EXPECT_EQ(agave({"run", chat, "hi", "-q", "--stop", "xxxy", "-n", "5", always(token_of_byte('x'))}).out,
              "xxxxx\n");
}

TEST(Run, SameSeedSameTextOtherSeedOther) {
    const auto text = [&](const char* seed) {
        return agave({"run", plain, "hello", "-q", "-n", "40", "--seed", seed}).out;
    };
    EXPECT_EQ(text("1"), text("1"));
    EXPECT_NE(text("1"), text("2"));
}

TEST(Run, ResultsDoNotDependOnChunksAndThreads) {
    const std::string words(200, 'w');
    const auto text = [&](std::vector<std::string> more) {
        std::vector<std::string> arguments{"run", plain, words, "-q", "-n", "24", "-t", "0"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        return agave(arguments).out;
    };
    const std::string expected = text({});
    EXPECT_EQ(text({"--prefill-chunk", "1"}), expected);
    EXPECT_EQ(text({"--prefill-chunk", "7", "--threads", "1"}), expected);
    EXPECT_EQ(text({"--threads", "2"}), expected);
}

TEST(Run, PromptThatDoesNotFitIsAnErrorWithBothNumbers) {
    const Outcome outcome = agave({"run", plain, std::string(70, 'w'), "--ctx-size", "64"});
    EXPECT_EQ(outcome.status, 2);
    EXPECT_EQ(outcome.out, "");
    EXPECT_NE(outcome.err.find("the prompt has 70 tokens, but the context holds 64"), std::string::npos)
        << outcome.err;
}

TEST(Run, FullContextIsSaid) {
    const std::vector<std::string> arguments{"run", plain, std::string(60, 'w'),      "--ctx-size",
                                             "64",  "-q",  always(token_of_byte('x'))};
    const Outcome outcome = agave(arguments);
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.out, "xxxxx\n");  // the last one needs no room
    EXPECT_NE(outcome.err.find("the context of 64 tokens is full"), std::string::npos) << outcome.err;
    std::vector<std::string> as_json = arguments;
    as_json.push_back("--json");
    EXPECT_STREQ(json_of(agave(as_json))["finish_reason"].GetString(), "context");
}

TEST(Run, PromptFromAPipeKeepsNulAndInvalidUtf8) {
    using namespace std::string_literals;
    const std::string input = "a\0b\xFF\xC3(\n"s;
    const Outcome piped = agave({"run", plain, "-n", "1", "--json"}, input);
    EXPECT_EQ(json_of(piped)["prompt_tokens"].GetInt(), 6);  // without the newline
    EXPECT_EQ(json_of(agave({"run", plain, "-n", "1", "--json"}, "two\n\n"))["prompt_tokens"].GetInt(), 4);
    const Outcome in_template = agave({"run", chat, "-n", "1", "--json"}, input);
    EXPECT_EQ(json_of(in_template)["prompt_tokens"].GetInt(), 10);
}

TEST(Run, EmptyPromptFromAPipeIsAnError) {
    const Outcome outcome = agave({"run", chat});
    EXPECT_EQ(outcome.status, 2);
    EXPECT_NE(outcome.err.find("the prompt on standard input is empty"), std::string::npos) << outcome.err;
    EXPECT_EQ(agave({"run", plain, ""}).status, 2);  // no BOS: nothing to begin with
}

TEST(Run, ProfileNamesOperations) {
    const Outcome outcome = agave({"run", chat, "hello", "-n", "3", "--profile"});
    for (const char* part : {"operation", "calls", "GB/s", "attention"})
        EXPECT_NE(outcome.err.find(part), std::string::npos) << outcome.err;
}

TEST(Run, ColorGoesToStandardErrorOnRequest) {
    const Outcome outcome =
        agave({"run", chat, "hello", "-n", "1", "--color", "always", always(token_of_byte('x'))});
    EXPECT_EQ(outcome.out, "x\n");
    EXPECT_NE(outcome.err.find("\x1b[2m"), std::string::npos);
}

TEST(Run, ControlCharactersReachAPipeButNotATerminal) {
    const std::vector<std::string> arguments{
        "run", plain, "hello", "-q", "-n", "3", always(token_of_byte(escape_byte))};
    EXPECT_EQ(agave(arguments).out, "\x1b\x1b\x1b\n");
    EXPECT_EQ(Process(arguments, {}, {.terminal = true}).finish().out, "\u241b\u241b\u241b\n");
}

TEST(Run, InterruptStopsAndStillPrintsStatistics) {
    Process process({"run", plain, "hello", always(token_of_byte('x'))});
    process.wait_for_output(10);
    process.send_signal(SIGINT);
    const Outcome outcome = process.finish();
    EXPECT_EQ(outcome.status, 130);
    EXPECT_TRUE(outcome.out.ends_with("x\n"));
    EXPECT_NE(outcome.err.find("decode"), std::string::npos) << outcome.err;
}

TEST(Run, SecondInterruptEndsTheProgram) {
    // Nobody reads, so the program waits in a write that the first one does not end.
    constexpr int pipe_bytes = 4096, token_of_the = 264;
    Process process({"run", plain, "hello", "--threads", "1", always(token_of_the)}, {},
                    {.pipe_bytes = pipe_bytes});
    process.wait_for_unread_output(pipe_bytes - 8);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    process.send_signal(SIGINT);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    process.send_signal(SIGINT);
    const Outcome outcome = process.finish();
    EXPECT_EQ(outcome.status, 130);
    EXPECT_EQ(outcome.err.find("decode"), std::string::npos) << outcome.err;
}

TEST(Run, ClosedOutputEndsQuietly) {
    Process process({"run", plain, "hello", always(token_of_byte('x'))});
    process.wait_for_output(5);
    process.close_output();
    const Outcome outcome = process.finish();
    EXPECT_EQ(outcome.status, 0);
    EXPECT_EQ(outcome.err, "");
}

TEST(Run, FullDiskIsAnError) {
    if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
    const Outcome outcome = agave({"logits", chat, "--tokens", "1,2", "--out", "/dev/full"});
    EXPECT_EQ(outcome.status, 1) << outcome.err;
    EXPECT_NE(outcome.err.find("No space left"), std::string::npos) << outcome.err;
}

TEST(Run, FileThatShrinksInUseIsAnError) {
    const std::string path = temporary_path("shrinks.gguf");
    write_whole(path, read_whole(plain));
    Process process({"run", path, "hello", always(token_of_byte('x'))});
    process.wait_for_output(10);
    ASSERT_EQ(::truncate(path.c_str(), 4096), 0);
    const Outcome outcome = process.finish();
    EXPECT_EQ(outcome.status, 1);
    EXPECT_NE(outcome.err.find("a model file changed or became shorter while it was in use"),
              std::string::npos)
        << outcome.err;
}

TEST(Run, TruncatedFileIsOneSentence) {
    const std::string whole = read_whole(chat), path = temporary_path("truncated.gguf");
    for (size_t size :
         {size_t{0}, size_t{3}, size_t{24}, whole.size() / 4, whole.size() / 2, whole.size() - 1}) {
        write_whole(path, std::string_view(whole).substr(0, size));
        const Outcome outcome = agave({"run", path, "hello"});
        EXPECT_EQ(outcome.status, 2) << size << ": " << outcome.err;
        EXPECT_TRUE(outcome.err.starts_with("agave: ") &&
                    outcome.err.find("truncated.gguf") != std::string::npos)
            << outcome.err;
    }
}

TEST(Run, ForeignArchitectureIsNamed) {
    const Outcome outcome = agave({"run", test_model("foreign.gguf"), "hello"});
    EXPECT_EQ(outcome.status, 2);
}

}  // namespace
}  // namespace agave::test
