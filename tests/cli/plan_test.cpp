// What plan and doctor print.
#include <gtest/gtest.h>
#include <rapidjson/document.h>

#include "engine/engine.h"
#include "process.h"

namespace agave::test {
namespace {

rapidjson::Document json_of(const Outcome& outcome) {
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    rapidjson::Document document;
    document.Parse(outcome.out.c_str(), outcome.out.size());
    EXPECT_FALSE(document.HasParseError()) << outcome.out.substr(0, 300);
    return document;
}

std::string oracle_model(const char* name) {
    return std::string(AGAVE_TEST_DATA "/oracle/") + name + ".gguf";
}

TEST(Plan, IsWhatTheEngineAllocates) {
    for (const char* name : {"llama-nano", "gemma3-nano", "glm47flash-nano", "nemotronh-nano"}) {
        const std::string path = oracle_model(name);
        const rapidjson::Document plan =
            json_of(agave({"plan", path, "--json", "--ctx-size", "300", "--sequences", "3", "--threads", "2",
                           "--kv-type", "f32"}));
        const ModelFile file = ModelFile::open(path);
        EngineOptions options;
        options.n_threads = 2;
        options.kv_format = KvFormat::f32;
        options.context_size = 900;
        options.max_sequences = 3;
        options.max_outputs = 3;
        Engine engine(file, options);
        const rapidjson::Value& memory = plan["memory"];
        EXPECT_EQ(memory["scratch_bytes"].GetUint64(), engine.executor().scratch_bytes()) << name;
        EXPECT_EQ(memory["kv_bytes"].GetUint64() + memory["state_bytes"].GetUint64(),
                  engine.cache().reserved_bytes())
            << name;
        EXPECT_EQ(memory["state_bytes"].GetUint64(), 3 * engine.cache().state_bytes()) << name;
        uint64_t weights = 0;
        for (const Tensor& tensor : file.tensors()) weights += tensor.n_bytes;
        EXPECT_EQ(memory["weight_bytes"].GetUint64(), weights) << name;
        EXPECT_EQ(memory["total_bytes"].GetUint64(),
                  weights + engine.executor().scratch_bytes() + engine.cache().reserved_bytes());
        EXPECT_TRUE(memory["fits"].GetBool());
        EXPECT_EQ(plan["longest_context"].GetInt64(), engine.model().context_length) << name;
    }
}

TEST(Plan, TakesTheContextThatRunTakes) {
    const std::string path = oracle_model("llama-nano");
    const rapidjson::Document plan = json_of(agave({"plan", path, "--json"}));
    const ModelFile file = ModelFile::open(path);
    EXPECT_EQ(plan["context"].GetInt64(), Engine(file, {}).context_size());
    for (const char* kind : {"prefill", "decode"})
        for (const rapidjson::Value& speed : plan[kind].GetArray()) {
            EXPECT_GT(speed["tokens_per_second"].GetDouble(), 0);
            EXPECT_GT(speed["tokens_per_second_at_most"].GetDouble(), 0);
        }
}

TEST(Plan, SaysWhatDoesNotFit) {
    const Outcome outcome =
        agave({"plan", oracle_model("llama-nano"), "--ctx-size", "2000000", "--sequences", "1000"});
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("does NOT fit"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("the longest context that fits is"), std::string::npos);
    const Outcome absurd =
        agave({"plan", oracle_model("llama-nano"), "--ctx-size", "2000000000", "--sequences", "1000"});
    EXPECT_EQ(absurd.status, 2);
    EXPECT_NE(absurd.err.find("more than the 2147483648"), std::string::npos) << absurd.err;
}

TEST(Doctor, ChecksEverything) {
    const rapidjson::Document json = json_of(agave({"doctor", "--json", "--threads", "1"}));
    EXPECT_TRUE(json["ok"].GetBool());
    for (const char* name : {"processor", "threads", "memory", "huge pages", "speed", "build", "terminal"}) {
        bool found = false;
        for (const rapidjson::Value& check : json["checks"].GetArray()) found |= check["name"] == name;
        EXPECT_TRUE(found) << name;
    }
    EXPECT_GT(json["limits"]["read_bytes_per_second"].GetDouble(), 1e8);
    const Outcome text = agave({"doctor", "--threads", "1"});
    EXPECT_EQ(text.status, 0) << text.err;
    EXPECT_NE(text.out.find("ok      processor"), std::string::npos) << text.out;
}

TEST(Doctor, SaysWhatIsBroken) {
    const char* home = std::getenv("HF_HUB_CACHE");
    const std::string before = home ? home : "";
    ::setenv("HF_HUB_CACHE", "/etc/passwd/nowhere", 1);
    const Outcome outcome = agave({"doctor", "--threads", "1"});
    home ? ::setenv("HF_HUB_CACHE", before.c_str(), 1) : ::unsetenv("HF_HUB_CACHE");
    EXPECT_EQ(outcome.status, 1) << outcome.out;
    EXPECT_NE(outcome.out.find("broken  cache"), std::string::npos) << outcome.out;
    EXPECT_NE(outcome.out.find("-> set HF_HOME"), std::string::npos);
}

}  // namespace
}  // namespace agave::test
