#include "formats/hf_tokenizer.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "cases.h"
#include "formats/model_file.h"
#include "tokenizer/tokenizer.h"

namespace agave {
namespace {

namespace fs = std::filesystem;

/// A folder's tokenizer with what it views.
struct Loaded {
    std::shared_ptr<const void> texts;
    Metadata metadata;
    std::unique_ptr<Tokenizer> tokenizer;

    explicit Loaded(const std::string& folder, const HfTokenizerRequest& request = {}) {
        std::vector<MetadataEntry> entries;
        texts = read_hf_tokenizer(folder, request, entries);
        metadata = Metadata(folder, std::move(entries));
        tokenizer = Tokenizer::load(metadata);
    }
};

void check_cases(const std::string& folder, const std::string& cases_path,
                 const HfTokenizerRequest& request = {}) {
    SCOPED_TRACE(folder);
    const Loaded loaded(folder, request);
    const std::vector<TokenizerCase> cases = read_cases(cases_path);
    ASSERT_GT(cases.size(), 40u);
    for (const TokenizerCase& c : cases)
        EXPECT_EQ(loaded.tokenizer->encode(c.text, {.add_special = false}), c.ids) << c.text;
}

TEST(HfTokenizer, GivesTheIdsOfTheTokenizersLibrary) {
    int n = 0;
    for (const auto& folder : fs::directory_iterator(AGAVE_TEST_DATA "/tokenizer/hf")) {
        check_cases(folder.path(), folder.path() / "cases.json");
        n++;
    }
    EXPECT_EQ(n, 19);
}

/// The architecture that a folder of the oracle becomes.
std::string architecture_of(const ModelFile& gguf) {
    return std::string(gguf.metadata().text("general.architecture"));
}

std::vector<std::string> as_strings(const std::vector<std::string_view>* texts) {
    return texts == nullptr ? std::vector<std::string>()
                            : std::vector<std::string>(texts->begin(), texts->end());
}

TEST(HfTokenizer, FoldersOfTheOracleAgreeWithTheirGguf) {
    const fs::path root = AGAVE_SHARED "/oracle/data";
    if (!fs::exists(root)) GTEST_SKIP() << "no " << root;
    for (const auto& folder : fs::directory_iterator(root)) {
        if (!fs::exists(folder.path() / "hf") || !fs::exists(folder.path() / "model-f32.gguf")) continue;
        SCOPED_TRACE(folder.path());
        const ModelFile gguf = ModelFile::open(folder.path() / "model-f32.gguf");
        const Metadata& theirs = gguf.metadata();
        const std::string architecture = architecture_of(gguf);
        const HfTokenizerRequest request = {
            architecture, static_cast<int64_t>(theirs.texts("tokenizer.ggml.tokens")->size())};
        check_cases(folder.path() / "hf", folder.path() / "tokenizer_cases.json", request);
        const Loaded loaded(folder.path() / "hf", request);
        const Metadata& ours = loaded.metadata;
        for (const char* key : {"tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.chat_template"}) {
            // Two names of one pattern.
            if (!theirs.find(key) || theirs.text(key) == "pixtral") continue;
            EXPECT_EQ(ours.text_or(key, ""), theirs.text(key)) << key;
        }
        for (const char* key : {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
                                "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.padding_token_id"}) {
            // llama.cpp's converter gives GLM a BOS and an unknown token; its tokenizer.json has none.
            if (theirs.text_or("tokenizer.ggml.pre", "") == "glm4" && !ours.find(key)) continue;
            EXPECT_EQ(ours.integer_or(key, -1, 0, 1 << 20), theirs.integer_or(key, -1, 0, 1 << 20)) << key;
        }
        EXPECT_EQ(as_strings(ours.texts("tokenizer.ggml.tokens")),
                  as_strings(theirs.texts("tokenizer.ggml.tokens")));
        if (theirs.find("tokenizer.ggml.merges")) {
            EXPECT_EQ(as_strings(ours.texts("tokenizer.ggml.merges")),
                      as_strings(theirs.texts("tokenizer.ggml.merges")));
        }
        EXPECT_EQ(*ours.integers("tokenizer.ggml.token_type"), *theirs.integers("tokenizer.ggml.token_type"));
        if (architecture == "llama" && theirs.find("tokenizer.ggml.scores")) {
            EXPECT_EQ(*ours.numbers("tokenizer.ggml.scores"), *theirs.numbers("tokenizer.ggml.scores"));
        }
        EXPECT_EQ(loaded.tokenizer->adds_bos(), Tokenizer::load(theirs)->adds_bos());
    }
}

TEST(HfTokenizer, RealVocabularies) {
    const fs::path root = AGAVE_SHARED "/../heldout/npm";
    if (!fs::exists(root))
        GTEST_SKIP() << "no " << root << "; tools/tokenizer/fetch_tokenizers.sh fetches it";
    for (const char* name : {"gemma3", "gptoss", "qwen3"})
        check_cases(root / name, AGAVE_SHARED "/tokenizer/hf-" + std::string(name) + ".json");
}

/// A folder of files made in a test.
class Folder {
  public:
    Folder() {
        std::string name = (fs::temp_directory_path() / "agave-test-XXXXXX").string();
        EXPECT_NE(::mkdtemp(name.data()), nullptr);
        path_ = name;
    }
    ~Folder() { fs::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    Folder& write(const std::string& name, std::string_view text) {
        fs::create_directories(fs::path(path_ + "/" + name).parent_path());
        std::FILE* file = std::fopen((path_ + "/" + name).c_str(), "wb");
        EXPECT_NE(file, nullptr);
        std::fwrite(text.data(), 1, text.size(), file);
        std::fclose(file);
        return *this;
    }
    const std::string& path() const { return path_; }

    /// The sentence of the error, without the folder's path; "" when it loads.
    std::string error(int64_t n_vocab = 0) const {
        try {
            const Loaded loaded(path_, {"llama", n_vocab});
        } catch (const Error& error) {
            std::string text = error.what();
            for (size_t at; (at = text.find(path_ + "/")) != std::string::npos;)
                text.erase(at, path_.size() + 1);
            for (size_t at; (at = text.find(path_)) != std::string::npos;)
                text.replace(at, path_.size(), "FOLDER");
            return text;
        }
        return "";
    }

  private:
    std::string path_;
};

struct TinyJson {
    std::string vocab = R"("a":0,"b":1,"ab":2)";
    std::string merges = R"(["a b"])";
    std::string added = R"({"id":3,"content":"<s>","special":true},{"id":4,"content":"<e>","special":true})";
    std::string model;  ///< more members of "model"
    std::string normalizer = "null";
    std::string pre_tokenizer = R"({"type":"ByteLevel","add_prefix_space":false})";
    std::string post_processor = "null";

    std::string text() const {
        return "{\"added_tokens\":[" + added + "],\"normalizer\":" + normalizer +
               ",\"pre_tokenizer\":" + pre_tokenizer + ",\"post_processor\":" + post_processor +
               ",\"model\":{\"type\":\"BPE\"," + model + "\"vocab\":{" + vocab + "},\"merges\":" + merges +
               "}}";
    }
};

std::string error_of(const TinyJson& json, int64_t n_vocab = 0) {
    Folder folder;
    return folder.write("tokenizer.json", json.text()).error(n_vocab);
}

TEST(HfTokenizer, LoadsATinyFolder) {
    Folder folder;
    folder.write("tokenizer.json", TinyJson().text())
        .write("tokenizer_config.json",
               R"({"bos_token":{"content":"<s>"},"eos_token":"<e>","add_bos_token":true,
            "chat_template":[{"name":"default","template":"D"},{"name":"tool use","template":"T"}]})")
        .write("config.json", R"({"eos_token_id":1,"pad_token_id":-1,"bos_token_id":200000})")
        .write(
            "generation_config.json",
            R"({"eos_token_id":[4,2,900],"do_sample":true,"temperature":0.5,"top_k":20,"top_p":1,"min_p":null})");
    const Loaded loaded(folder.path(), {"llama", 8});
    const Tokenizer& tokenizer = *loaded.tokenizer;
    EXPECT_EQ(tokenizer.n_vocab(), 8);
    EXPECT_EQ(tokenizer.token_text(7), "[PAD7]");
    EXPECT_EQ(tokenizer.encode("ab<e>a"), (std::vector<int32_t>{3, 2, 4, 0}));
    EXPECT_EQ(tokenizer.bos(), 3);
    EXPECT_EQ(tokenizer.eos(), 4);
    EXPECT_TRUE(tokenizer.is_end_of_generation(4));
    EXPECT_TRUE(tokenizer.is_end_of_generation(2));
    EXPECT_FALSE(tokenizer.is_end_of_generation(1));
    const Metadata& metadata = loaded.metadata;
    EXPECT_EQ(metadata.find("tokenizer.ggml.padding_token_id"), nullptr);
    EXPECT_EQ(metadata.text("tokenizer.chat_template"), "D");
    EXPECT_EQ(metadata.text("tokenizer.chat_template.tool_use"), "T");
    EXPECT_EQ(as_strings(metadata.texts("tokenizer.chat_templates")), std::vector<std::string>{"tool_use"});
    EXPECT_EQ(metadata.number("general.sampling.temp"), 0.5);
    EXPECT_EQ(metadata.number("general.sampling.top_p"), 1);
    EXPECT_EQ(metadata.integer("general.sampling.top_k", 0, 99), 20);
    EXPECT_EQ(metadata.find("general.sampling.min_p"), nullptr);
}

TEST(HfTokenizer, TakesTheChatTemplateFromItsFileFirst) {
    Folder folder;
    folder.write("tokenizer.json", TinyJson().text())
        .write("tokenizer_config.json", R"({"chat_template":"C"})");
    EXPECT_EQ(Loaded(folder.path()).metadata.text("tokenizer.chat_template"), "C");
    folder.write("chat_template.jinja", "F").write("additional_chat_templates/rag.jinja", "R");
    const Loaded loaded(folder.path());
    EXPECT_EQ(loaded.metadata.text("tokenizer.chat_template"), "F");
    EXPECT_EQ(loaded.metadata.text("tokenizer.chat_template.rag"), "R");
}

TEST(HfTokenizer, SamplingDefaultsOnlyWhereTheMakersSample) {
    Folder folder;
    folder.write("tokenizer.json", TinyJson().text())
        .write("generation_config.json", R"({"temperature":0.5})");
    EXPECT_EQ(Loaded(folder.path()).metadata.find("general.sampling.temp"), nullptr);
}

TEST(HfTokenizer, PutsThePostProcessorsTokensInFront) {
    TinyJson json;
    json.post_processor =
        R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},{"SpecialToken":{"id":"<e>"}},
        {"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[3]},"<e>":{"ids":[4]}}})";
    Folder folder;
    folder.write("tokenizer.json", json.text());
    EXPECT_EQ(Loaded(folder.path()).tokenizer->encode("ab"), (std::vector<int32_t>{3, 4, 2}));
    EXPECT_EQ(Loaded(folder.path()).tokenizer->encode("ab", {.add_special = false}),
              (std::vector<int32_t>{2}));
    // tokenizer_config.json has the last word.
    folder.write("tokenizer_config.json", R"({"bos_token":"<s>","eos_token":"<e>","add_eos_token":true})");
    EXPECT_EQ(Loaded(folder.path()).tokenizer->encode("ab"), (std::vector<int32_t>{2, 4}));
}

TEST(HfTokenizer, DropsTokensThatTheModelDoesNotEmbed) {
    Folder folder;
    folder.write("tokenizer.json", TinyJson().text());
    EXPECT_EQ(Loaded(folder.path(), {"llama", 4}).tokenizer->encode("a<e>").size(),
              1u);  // < e > are no tokens
}

TEST(HfTokenizer, RefusesWhatItDoesNotKnowByName) {
    const auto with = [](auto member, const char* value) {
        TinyJson json;
        json.*member = value;
        return error_of(json);
    };
    EXPECT_EQ(with(&TinyJson::pre_tokenizer,
                   R"({"type":"Sequence","pretokenizers":[{"type":"Split","pattern":{"Regex":"\\p{Greek}+"},
        "behavior":"Isolated","invert":false},{"type":"ByteLevel","add_prefix_space":false,"use_regex":false}]})"),
              "'tokenizer.json': the pre-tokenizer's pattern is not known: \\p{Greek}+");
    EXPECT_EQ(with(&TinyJson::pre_tokenizer, R"({"type":"WhitespaceSplit"})"),
              "'tokenizer.json': the pre-tokenizer \"WhitespaceSplit\" is not known");
    EXPECT_NE(with(&TinyJson::pre_tokenizer, "null").find("has no ByteLevel part"), std::string::npos);
    EXPECT_NE(with(&TinyJson::pre_tokenizer, R"({"type":"ByteLevel"})").find("add_prefix_space"),
              std::string::npos);
    EXPECT_NE(with(&TinyJson::normalizer, R"({"type":"NFKC"})").find("the normalizer \"NFKC\" is not known"),
              std::string::npos);
    EXPECT_NE(with(&TinyJson::post_processor, R"({"type":"BertProcessing"})")
                  .find("\"BertProcessing\" is not supported"),
              std::string::npos);
    EXPECT_NE(with(&TinyJson::model, R"("end_of_word_suffix":"</w>",)").find("end_of_word_suffix"),
              std::string::npos);
    EXPECT_NE(with(&TinyJson::added, R"({"id":3,"content":"x","single_word":true})").find("single word"),
              std::string::npos);
    Folder folder;
    EXPECT_EQ(folder.write("tokenizer.json", R"({"model":{"type":"Unigram","vocab":[["a",0]]}})").error(),
              "'tokenizer.json': a tokenizer of the type \"Unigram\" is not supported; supported is BPE");
    EXPECT_EQ(Folder().error(),
              "'FOLDER': has no tokenizer.json and no tokenizer.model, so its text cannot be tokenized");
}

TEST(HfTokenizer, RefusesDamagedFiles) {
    const auto with = [](auto member, const char* value, int64_t n_vocab = 0) {
        TinyJson json;
        json.*member = value;
        return error_of(json, n_vocab);
    };
    EXPECT_EQ(with(&TinyJson::vocab, R"("a":0,"b":0)"),
              "'tokenizer.json': the id 0 is given to the token \"a\" and to \"b\"");
    for (const char* vocab :
         {R"("a":-1)", R"("a":"0")", R"("a":16777216)", R"("a":1e3)", R"("a":99999999999999999999)"})
        EXPECT_NE(with(&TinyJson::vocab, vocab).find("the id of the token \"a\" is no integer"),
                  std::string::npos)
            << vocab;
    EXPECT_NE(with(&TinyJson::vocab, R"("a":0,"b":1,"ab":5)", 5).find("the id of the token \"ab\""),
              std::string::npos);
    EXPECT_NE(with(&TinyJson::vocab, "").find("model.vocab"), std::string::npos);
    EXPECT_NE(with(&TinyJson::vocab, R"("a":0,"a":1)").find("twice"), std::string::npos);
    EXPECT_NE(with(&TinyJson::merges, R"(["a x"])").find("not in the vocabulary"), std::string::npos);
    EXPECT_NE(with(&TinyJson::merges, R"([["a","b","ab"]])").find("model.merges[0]"), std::string::npos);
    EXPECT_NE(with(&TinyJson::merges, R"([["a"]])").find("model.merges[0]"), std::string::npos);
    EXPECT_NE(with(&TinyJson::merges, R"([7])").find("model.merges[0]"), std::string::npos);
    EXPECT_NE(with(&TinyJson::merges, "{}").find("model.merges"), std::string::npos);
    EXPECT_NE(with(&TinyJson::added, R"({"id":0,"content":"x"})").find("the id 0 is given"),
              std::string::npos);
    EXPECT_NE(with(&TinyJson::added, R"({"id":-3,"content":"x"})").find("added_tokens.id"),
              std::string::npos);
    EXPECT_NE(with(&TinyJson::added, R"({"content":"x"})").find("added_tokens.id"), std::string::npos);
    EXPECT_NE(with(&TinyJson::added, R"({"id":3})").find("added_tokens.content"), std::string::npos);
    EXPECT_NE(with(&TinyJson::added, "7").find("added_tokens.id"), std::string::npos);
    EXPECT_NE(with(&TinyJson::post_processor, R"({"type":"TemplateProcessing","single":[]})")
                  .find("post_processor.single"),
              std::string::npos);
    EXPECT_NE(with(&TinyJson::post_processor,
                   R"({"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"<s>"}},
        {"Sequence":{"id":"A"}}],"special_tokens":{"<s>":{"ids":[77]}}})",
                   8)
                  .find("post_processor.special_tokens.ids"),
              std::string::npos);
    for (const char* file :
         {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "config.json"}) {
        Folder folder;
        folder.write("tokenizer.json", TinyJson().text()).write(file, "{\"a\":");
        EXPECT_NE(folder.error().find(std::string("'") + file + "' is not valid JSON"), std::string::npos)
            << folder.error();
    }
    for (const char* text : {"[]", "7", "null", "\"x\"", "{}", R"({"model":7})", R"({"model":{"type":7}})"}) {
        Folder folder;
        EXPECT_NE(folder.write("tokenizer.json", text).error(), "") << text;
    }
}

TEST(HfTokenizer, RefusesFilesThatContradictEachOther) {
    Folder folder;
    folder.write("tokenizer.json", TinyJson().text())
        .write("tokenizer_config.json", R"({"added_tokens_decoder":{"4":{"content":"<other>"}}})");
    EXPECT_NE(folder.error().find("\"<other>\" has the id 4"), std::string::npos);
    folder.write("tokenizer_config.json", R"({"added_tokens_decoder":{"5":{"content":"<e>"}}})");
    EXPECT_NE(folder.error().find("\"<e>\" has the id 5"), std::string::npos);
    folder.write("tokenizer_config.json", R"({"added_tokens_decoder":{"x":{"content":"<e>"}}})");
    EXPECT_NE(folder.error().find("added_tokens_decoder"), std::string::npos);
    folder.write("tokenizer_config.json",
                 R"({"added_tokens_decoder":{"6":{"content":"<new>","special":true}}})");
    EXPECT_EQ(Loaded(folder.path()).tokenizer->encode("<new>"), std::vector<int32_t>{6});
}

/// SentencePiece's ModelProto, by hand.
std::string field(int number, std::string_view bytes) {
    return std::string{static_cast<char>(number << 3 | 2), static_cast<char>(bytes.size())} +
           std::string(bytes);
}
std::string piece(std::string_view text, char type) {
    return field(1, field(1, text) + std::string("\x15\0\0\x80\xBF\x18", 6) + type);
}

TEST(HfTokenizer, ReadsSentencePieceModels) {
    const std::string bpe = field(2, std::string("\x18\x02", 2));
    const std::string pieces =
        piece("<unk>", 2) + piece("<s>", 3) + piece("</s>", 3) + piece("▁", 1) + piece("a", 1);
    Folder folder;
    folder.write("tokenizer.model", pieces + bpe);
    const Loaded loaded(folder.path());
    EXPECT_EQ(loaded.tokenizer->encode("a"), (std::vector<int32_t>{1, 3, 4}));
    EXPECT_EQ((*loaded.metadata.numbers("tokenizer.ggml.scores"))[4], -1);
    folder.write("tokenizer.model", pieces + bpe + field(3, std::string("\x18\0", 2)));  // no dummy prefix
    EXPECT_EQ(Loaded(folder.path()).tokenizer->encode("a"), (std::vector<int32_t>{1, 4}));

    const auto error = [&](const std::string& model) {
        return Folder().write("tokenizer.model", model).error();
    };
    EXPECT_EQ(error(pieces),
              "'tokenizer.model': a SentencePiece model of the type Unigram is not supported; supported "
              "is BPE");
    EXPECT_NE(error(pieces + bpe + field(3, field(2, "x"))).find("precompiled_charsmap"), std::string::npos);
    EXPECT_NE(error(pieces + piece("b", 9) + bpe).find("unknown type 9"), std::string::npos);
    EXPECT_NE(error(bpe).find("no pieces"), std::string::npos);
    const std::string whole = pieces + bpe;
    for (size_t n = 1; n < whole.size(); n++) EXPECT_NE(error(whole.substr(0, n)), "") << n;
    EXPECT_NE(error("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), "");
    EXPECT_NE(error(std::string(11, '\xFF')).find("more than ten bytes"), std::string::npos);
}

}  // namespace
}  // namespace agave
