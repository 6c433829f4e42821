// inspect, tokenize, logits, perplexity and bench; expected numbers come from tools/cli/make_models.py
// (NumPy).
#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include <cmath>
#include <cstring>

#include "process.h"

namespace agave::test {
namespace {

const std::string chat = test_model("chat.gguf"), plain = test_model("plain.gguf");

rapidjson::Document parse_json(const std::string& text) {
    rapidjson::Document document;
    document.Parse<rapidjson::kParseValidateEncodingFlag>(text.c_str(), text.size());
    EXPECT_FALSE(document.HasParseError()) << text.substr(0, 300);
    return document;
}

rapidjson::Document json_of(const Outcome& outcome) {
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return parse_json(outcome.out);
}

/// The data of an .npy file of float32, whose header must hold `shape`: the beginning of Python's tuple.
std::vector<float> read_npy(const std::string& path, const std::string& shape) {
    const std::string bytes = read_whole(path);
    EXPECT_TRUE(bytes.starts_with("\x93NUMPY"));
    EXPECT_NE(bytes.find("'descr': '<f4'"), std::string::npos);
    EXPECT_NE(bytes.find(shape), std::string::npos) << bytes.substr(10, 80);
    const size_t begin =
        10 + static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
    std::vector<float> data((bytes.size() - begin) / sizeof(float));
    std::memcpy(data.data(), bytes.data() + begin, data.size() * sizeof(float));
    return data;
}

struct Expected {
    std::string tokens, greedy;
    std::vector<double> logits;
    Expected() {
        const rapidjson::Document json = parse_json(read_whole(test_model("expected.json")));
        tokens = joined(json["tokens"], ",");
        greedy = "[" + joined(json["greedy"], ", ") + "]\n";
        for (const auto& value : json["logits"].GetArray()) logits.push_back(value.GetDouble());
    }
    static std::string joined(const rapidjson::Value& ids, const char* separator) {
        std::string text;
        for (const auto& id : ids.GetArray())
            text += (text.empty() ? "" : separator) + std::to_string(id.GetInt());
        return text;
    }
};

TEST(Logits, MatchTheReference) {
    const Expected expected;
    const std::string path = temporary_path("last.npy");
    const Outcome outcome =
        agave({"logits", chat, "--tokens", expected.tokens, "--last", "1", "--out", path, "--exact"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.out, "");
    const std::vector<float> logits = read_npy(path, "(1, 270");
    ASSERT_EQ(logits.size(), expected.logits.size());
    for (size_t i = 0; i < logits.size(); i++)
        EXPECT_NEAR(static_cast<double>(logits[i]), expected.logits[i], 2e-5) << i;
}

TEST(Logits, AreThoseOfEveryTokenUnlessLastIsGiven) {
    const Expected expected;
    const std::string path = temporary_path("all.npy"), path_of_last = temporary_path("three.npy");
    ASSERT_EQ(agave({"logits", chat, "--tokens", expected.tokens, "--out", path}).status, 0);
    ASSERT_EQ(
        agave({"logits", chat, "--tokens", expected.tokens, "--last", "3", "--out", path_of_last}).status, 0);
    const std::vector<float> all = read_npy(path, "(10, 270"), last = read_npy(path_of_last, "(3, 270");
    ASSERT_EQ(all.size(), 2700u);
    EXPECT_EQ(std::vector<float>(all.end() - 810, all.end()), last);
}

TEST(Logits, GreedyIdsMatchTheReference) {
    const Expected expected;
    const Outcome outcome = agave({"logits", chat, "--tokens", expected.tokens, "--greedy", "12", "--exact"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.out, expected.greedy);
    const std::string path = temporary_path("ids.json");
    write_whole(path, " [" + expected.tokens + "]\n");
    EXPECT_EQ(agave({"logits", chat, "--tokens", "@" + path, "--greedy", "12", "--exact"}).out,
              expected.greedy);
}

TEST(Inspect, ShowsWhatTheFileHolds) {
    const Outcome outcome = agave({"inspect", chat, "--tensors"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    for (const char* part :
         {"tiny test model", "architecture  llama", "2 layers", "Q8_0", "F16", "K/V for", "scratch",
          "llama.block_count = 2", "tokenizer.ggml.tokens = 270: [", "blk.1.ffn_down.weight", "64 x 32"})
        EXPECT_NE(outcome.out.find(part), std::string::npos) << part << "\n" << outcome.out;
}

TEST(Inspect, JsonAddsUp) {
    const rapidjson::Document json = json_of(agave({"inspect", chat, "--json", "--tensors"}));
    EXPECT_STREQ(json["architecture"].GetString(), "llama");
    EXPECT_TRUE(json["runnable"].GetBool());
    EXPECT_EQ(json["metadata"]["llama.context_length"].GetInt(), 32768);
    EXPECT_EQ(json["metadata"]["tokenizer.ggml.tokens"]["length"].GetInt(), 270);
    EXPECT_EQ(json["metadata"]["tokenizer.ggml.merges"].Size(), 8u);
    uint64_t bytes = 0, tensors = 0;
    for (const auto& format : json["formats"].GetArray()) {
        bytes += format["bytes"].GetUint64();
        tensors += format["tensors"].GetUint64();
    }
    EXPECT_EQ(bytes, json["memory"]["weight_bytes"].GetUint64());
    EXPECT_EQ(tensors, json["tensors"].Size());
    // 2 layers of 2 K/V heads of 8 + 8 numbers of 2 bytes, in pages of 64 tokens.
    for (const auto& plan : json["memory"]["kv"].GetArray()) {
        EXPECT_EQ(plan["f16_bytes"].GetInt64(), plan["context"].GetInt64() * 128);
        EXPECT_EQ(plan["f32_bytes"].GetInt64(), plan["context"].GetInt64() * 256);
    }
}

TEST(Inspect, WorksForAnArchitectureThatIsNotRun) {
    const Outcome text = agave({"inspect", test_model("foreign.gguf")});
    EXPECT_EQ(text.status, 0) << text.err;
    EXPECT_NE(text.out.find("architecture  abacus"), std::string::npos);
    EXPECT_NE(text.out.find("not runnable: "), std::string::npos);
    const rapidjson::Document json = json_of(agave({"inspect", test_model("foreign.gguf"), "--json"}));
    EXPECT_FALSE(json["runnable"].GetBool());
    EXPECT_NE(std::strstr(json["reason"].GetString(), "abacus"), nullptr);
}

TEST(Inspect, WritesATensor) {
    const std::string path = temporary_path("beads.npy");
    EXPECT_EQ(
        agave({"inspect", test_model("foreign.gguf"), "--tensor", "beads.weight", "--out", path}).status, 0);
    const std::vector<float> beads = read_npy(path, "(3, 4");
    ASSERT_EQ(beads.size(), 12u);
    for (size_t i = 0; i < 12; i++) EXPECT_EQ(beads[i], static_cast<float>(i));
}

TEST(Tokenize, GivesIdsAndTakesThemBack) {
    // "hello" and " the": h e and Ġ t + h e are merges; bytes begin at 6, merges at 262.
    const Outcome outcome = agave({"tokenize", chat}, "hello the");
    EXPECT_EQ(outcome.out, "1 262 269 117 264\n") << outcome.err;
    EXPECT_EQ(agave({"tokenize", chat, "--json"}, "hello the").out, "[1, 262, 269, 117, 264]\n");
    EXPECT_EQ(agave({"tokenize", chat, "--no-special"}, "hello the").out, "262 269 117 264\n");
    EXPECT_EQ(agave({"tokenize", plain}, "hello the").out, "262 269 117 264\n");
    EXPECT_EQ(agave({"tokenize", chat, "--decode"}, "[1, 262, 269, 117, 264]").out, "hello the");
    EXPECT_EQ(agave({"tokenize", chat, "--decode"}, "1,262 269\n117 264\n").out, "hello the");
    EXPECT_EQ(agave({"tokenize", chat, "--decode", "--show-special"}, "1 262").out, "<|bos|>he");
    EXPECT_EQ(agave({"tokenize", chat, "--decode", "--json"}, "16").out, "\"\\n\"\n");
}

TEST(Tokenize, ReadsControlTokensUnlessToldOtherwise) {
    EXPECT_EQ(agave({"tokenize", plain}, "<|end|>").out, "2\n");
    EXPECT_EQ(agave({"tokenize", plain, "--no-parse-special"}, "<|end|>").out, "66 130 107 116 106 130 68\n");
}

TEST(Tokenize, TakesNulInvalidAndEmptyText) {
    using namespace std::string_literals;
    EXPECT_EQ(agave({"tokenize", plain}, "a\0b"s).out, "103 6 104\n");
    EXPECT_EQ(agave({"tokenize", plain}, "\xFF").out, "261\n");
    EXPECT_EQ(agave({"tokenize", plain}, "").out, "\n");
    EXPECT_EQ(agave({"tokenize", plain, "--json"}, "").out, "[]\n");
    const Outcome bad = agave({"tokenize", plain, "--decode"}, "270");
    EXPECT_EQ(bad.status, 2);
    EXPECT_NE(bad.err.find("270"), std::string::npos) << bad.err;
}

/// The definition, from logits that other tests hold against the reference.
double perplexity_by_hand(const std::vector<int>& ids, size_t n_ctx, bool adds_bos) {
    double sum = 0;
    int count = 0;
    for (size_t chunk = 0; chunk + n_ctx <= ids.size(); chunk += n_ctx) {
        std::string tokens;
        for (size_t i = 0; i < n_ctx; i++)
            tokens += (i ? "," : "") + std::to_string(i == 0 && adds_bos ? 1 : ids[chunk + i]);
        const std::string path = temporary_path("chunk.npy");
        EXPECT_EQ(agave({"logits", chat, "--tokens", tokens, "--out", path, "--kv-type", "f16"}).status, 0);
        const std::vector<float> logits = read_npy(path, "(" + std::to_string(n_ctx) + ", 270");
        for (size_t i = n_ctx / 2; i + 1 < n_ctx; i++, count++) {
            double total = 0;
            for (size_t v = 0; v < 270; v++) total += std::exp(static_cast<double>(logits[i * 270 + v]));
            sum += std::log(total) -
                   static_cast<double>(logits[i * 270 + static_cast<size_t>(ids[chunk + i + 1])]);
        }
    }
    return std::exp(sum / count);
}

TEST(Perplexity, IsAsDefined) {
    std::string text;
    for (int i = 0; i < 30; i++) text += "the hen <|end|> told all";
    const std::string path = temporary_path("text.txt");
    write_whole(path, text);
    const rapidjson::Document ids_json =
        json_of(agave({"tokenize", chat, "--json", "--no-parse-special"}, text));
    std::vector<int> ids;
    for (const auto& id : ids_json.GetArray()) ids.push_back(id.GetInt());
    for (const auto& [model, with_bos] : {std::pair(chat, true), std::pair(plain, false)}) {
        if (!with_bos) ids.erase(ids.begin());
        const rapidjson::Document json =
            json_of(agave({"perplexity", model, "--file", path, "--ctx-size", "32", "--json", "-q"}));
        EXPECT_EQ(json["tokens"].GetUint64(), ids.size());
        EXPECT_EQ(json["chunks"].GetUint64(), ids.size() / 32);
        EXPECT_EQ(json["scored"].GetUint64(), ids.size() / 32 * 15);
        const double expected = perplexity_by_hand(ids, 32, with_bos);
        EXPECT_NEAR(json["perplexity"].GetDouble(), expected, 1e-4 * expected);
    }
    const Outcome plain_text = agave({"perplexity", chat, "--file", path, "--ctx-size", "32"});
    EXPECT_TRUE(plain_text.out.starts_with("perplexity "));
    EXPECT_NE(plain_text.err.find("chunk 2 of "), std::string::npos);
}

TEST(Bench, JsonHasItsShape) {
    const rapidjson::Document json = json_of(
        agave({"bench", chat, "-p", "16,32", "-n", "4", "-d", "0,70", "-r", "3", "-t", "1", "--json"}));
    ASSERT_EQ(json["prefill"].Size(), 4u);
    ASSERT_EQ(json["decode"].Size(), 2u);
    for (const char* kind : {"prefill", "decode"}) {
        for (const auto& row : json[kind].GetArray()) {
            EXPECT_GT(row["tokens_per_second"].GetDouble(), 0);
            EXPECT_GE(row["tokens_per_second"].GetDouble(), row["tokens_per_second_lowest"].GetDouble());
            EXPECT_LE(row["tokens_per_second"].GetDouble(), row["tokens_per_second_highest"].GetDouble());
            EXPECT_GT(row["bytes_per_second"].GetDouble(), 0);
            EXPECT_GT(row["operations_per_second"].GetDouble(), 0);
        }
    }
    EXPECT_EQ(json["decode"][1]["depth"].GetInt(), 70);
    EXPECT_EQ(json["decode"][1]["tokens"].GetInt(), 4);
    EXPECT_GT(json["limits"]["read_bytes_per_second"].GetDouble(), 1e8);
    EXPECT_GT(json["limits"]["int8_ops_per_second"].GetDouble(), 1e8);
    EXPECT_TRUE(json["limits"]["bf16_flops_per_second"].IsNumber());
}

TEST(Bench, TextHasMedianAndSpread) {
    const Outcome outcome = agave({"bench", chat, "-p", "8", "-n", "0", "-r", "2", "-t", "1"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("limits: read "), std::string::npos);
    EXPECT_NE(outcome.out.find("prefill       8 tokens at depth 0"), std::string::npos) << outcome.out;
    EXPECT_EQ(outcome.out.find("decode"), std::string::npos);
}

}  // namespace
}  // namespace agave::test
