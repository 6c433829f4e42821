// Every command on the oracle's tiny models, against Hugging Face; skipped where ../shared is not there.
#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <unistd.h>

#include "process.h"

namespace agave::test {
namespace {

std::string ids_text(const rapidjson::Value& ids, const char* separator) {
    std::string text;
    for (const auto& id : ids.GetArray())
        text += (text.empty() ? "" : separator) + std::to_string(id.GetInt());
    return text;
}

class Oracle : public testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        if (::access(model().c_str(), R_OK) != 0) GTEST_SKIP() << "no " << model();
    }
    std::string path(const char* name) const {
        return std::string(AGAVE_SHARED "/oracle/data/") + GetParam() + "/" + name;
    }
    std::string model() const { return path("model-f32.gguf"); }
    rapidjson::Document json(const char* name) const {
        rapidjson::Document document;
        document.Parse(read_whole(path(name)).c_str());
        EXPECT_FALSE(document.HasParseError()) << name;
        return document;
    }
};

TEST_P(Oracle, GreedyIdsAreHuggingFaces) {
    const rapidjson::Document prompts = json("prompts.json"), runs = json("greedy.json");
    ASSERT_FALSE(runs.Empty());
    for (const auto& run : runs.GetArray()) {
        const rapidjson::Value& prompt = prompts["prompts"][run["prompt"].GetUint()];
        const Outcome outcome = agave({"logits", model(), "--tokens", ids_text(prompt, ","), "--greedy",
                                       std::to_string(run["ids"].Size())});
        EXPECT_EQ(outcome.out, "[" + ids_text(run["ids"], ", ") + "]\n") << outcome.err;
    }
}

TEST_P(Oracle, TextBecomesHuggingFacesIdsAndComesBack) {
    const rapidjson::Document cases = json("tokenizer_cases.json");
    for (const auto& test : cases.GetArray()) {
        const std::string text(test["text"].GetString(), test["text"].GetStringLength());
        const std::string ids = ids_text(test["ids"], " ");
        EXPECT_EQ(agave({"tokenize", model(), "--no-special"}, text).out, ids + "\n") << text;
        // Where the reference's own way back is another text (a dummy prefix behind special tokens), ours may
        // differ.
        const std::string decoded(test["decoded"].GetString(), test["decoded"].GetStringLength());
        if (decoded != text || text.empty()) continue;
        EXPECT_EQ(agave({"tokenize", model(), "--decode", "--show-special"}, ids).out, text);
    }
}

TEST_P(Oracle, RunsAndInspects) {
    const Outcome run = agave({"run", model(), "Hello world", "-n", "8", "--seed", "1"});
    EXPECT_EQ(run.status, 0) << run.err;
    EXPECT_NE(run.err.find("tokens/s"), std::string::npos);
    EXPECT_EQ(agave({"inspect", model(), "--tensors"}).status, 0);
    const std::string text = temporary_path("text.txt");
    std::string words;
    for (int i = 0; i < 100; i++) words += "Some words to be scored, again and again. ";
    write_whole(text, words);
    const Outcome perplexity = agave({"perplexity", model(), "--file", text, "--ctx-size", "64", "-q"});
    EXPECT_EQ(perplexity.status, 0) << perplexity.err;
    EXPECT_TRUE(perplexity.out.starts_with("perplexity "));
}

INSTANTIATE_TEST_SUITE_P(Models, Oracle,
                         testing::Values("llama-nano", "llamaspm-nano", "qwen3-nano", "gemma3-nano",
                                         "gemma3v-nano"));

}  // namespace
}  // namespace agave::test
