#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "cases.h"
#include "formats/model_file.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"

namespace agave {
namespace {

namespace fs = std::filesystem;

constexpr EncodeOptions plain{.add_special = false, .parse_special = true};

bool has_space_mark(const std::string& text) {
    return text.find("▁") != std::string::npos;
}

enum class Maker { hugging_face, llama_cpp };

/// Ids equal to the cases', and text that comes back. Where the reference's text differs from what went in
/// (NFC, bytes without a token), it says what comes back.
void check_cases(const std::string& model, const std::string& cases_path, Maker maker = Maker::hugging_face) {
    SCOPED_TRACE(model);
    const ModelFile file = ModelFile::open(model);
    const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(file.metadata());
    const std::vector<TokenizerCase> cases = read_cases(cases_path);
    ASSERT_GT(cases.size(), 40u);
    for (const TokenizerCase& c : cases) {
        const std::vector<int32_t> ids = tokenizer->encode(c.text, plain);
        if (maker == Maker::llama_cpp && ids != c.ids && normalize_nfc(c.text) != c.text) {
            // llama.cpp has no NFC normalizer; Qwen's tokenizer.json has.
            EXPECT_EQ(ids, tokenizer->encode(normalize_nfc(c.text), plain)) << c.text;
            EXPECT_TRUE(model.find("qwen") != std::string::npos) << c.text;
            continue;
        }
        EXPECT_EQ(ids, c.ids) << c.text;
        const std::string decoded = tokenizer->decode(ids, true);
        if (decoded == c.text || has_space_mark(c.text)) continue;
        ASSERT_TRUE(c.decoded.has_value()) << c.text;
        EXPECT_EQ(decoded, *c.decoded) << c.text;
        EXPECT_NE(c.text, *c.decoded) << c.text;
    }
}

TEST(TokenizerOracle, CommittedVocabularies) {
    int n = 0;
    for (const auto& entry : fs::directory_iterator(AGAVE_TEST_DATA "/tokenizer")) {
        if (entry.path().extension() != ".gguf") continue;
        check_cases(entry.path(), fs::path(entry.path()).replace_extension(".json"));
        n++;
    }
    EXPECT_EQ(n, 8);
}

TEST(TokenizerOracle, StreamGivesTheSameText) {
    for (const char* name : {"llama-nano", "gemma4e-nano", "qwen35-nano", "llamaspm-nano"}) {
        const std::string base = std::string(AGAVE_TEST_DATA "/tokenizer/") + name;
        const ModelFile file = ModelFile::open(base + ".gguf");
        const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(file.metadata());
        for (const TokenizerCase& c : read_cases(base + ".json")) {
            StreamDecoder decoder(*tokenizer, true);
            std::string streamed, bytes;
            for (const int32_t id : c.ids) {
                streamed += decoder.push(id);
                bytes += tokenizer->token_bytes(id, true);
            }
            EXPECT_EQ(streamed + decoder.finish(), bytes) << c.text;
        }
    }
}

TEST(TokenizerOracle, OracleModels) {
    const fs::path root = AGAVE_SHARED "/oracle/data";
    if (!fs::exists(root)) GTEST_SKIP() << "no " << root;
    for (const auto& folder : fs::directory_iterator(root)) {
        std::string model;
        for (const auto& entry : fs::directory_iterator(folder)) {
            if (entry.path().extension() != ".gguf" || entry.path().filename().string().starts_with("mmproj"))
                continue;
            try {
                ModelFile::open(entry.path());
            } catch (const Error& error) {
                if (error.kind() == ErrorKind::unsupported) continue;  // a weight format that is not built in
                throw;
            }
            model = entry.path();
            break;
        }
        if (!model.empty()) check_cases(model, folder.path() / "tokenizer_cases.json");
    }
}

TEST(TokenizerOracle, RealVocabularies) {
    const fs::path root = AGAVE_SHARED "/tokenizer";
    if (!fs::exists(root)) GTEST_SKIP() << "no " << root;
    for (const auto& entry : fs::directory_iterator(root))
        if (entry.path().extension() == ".gguf")
            check_cases(entry.path(), fs::path(entry.path()).replace_extension(".json"), Maker::llama_cpp);
}

TEST(TokenizerOracle, Gemma3OfHuggingFace) {
    const std::string model = AGAVE_SHARED "/../models/gemma270.gguf";
    const std::string cases = AGAVE_SHARED "/tokenizer/hf-gemma3.json";
    if (!fs::exists(model) || !fs::exists(cases)) GTEST_SKIP() << "no " << model;
    check_cases(model, cases);
}

}  // namespace
}  // namespace agave
