// quantize, on a file made here; numbers that need llama.cpp are compared by tools/quant/compare_mixes.py.
#include <gtest/gtest.h>
#include <rapidjson/document.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "process.h"

namespace agave::test {
namespace {

namespace fs = std::filesystem;

const std::string plain = test_model("plain.gguf");

std::string fresh(const std::string& name) {
    const std::string path = temporary_path(name);
    fs::remove(path);
    return path;
}

/// Name -> format of the tensors of a file.
std::vector<std::pair<std::string, std::string>> formats_of(const std::string& path) {
    rapidjson::Document json;
    json.Parse(agave({"inspect", "--tensors", "--json", path}).out.c_str());
    EXPECT_FALSE(json.HasParseError());
    std::vector<std::pair<std::string, std::string>> formats;
    for (const auto& tensor : json["tensors"].GetArray())
        formats.emplace_back(tensor["name"].GetString(), tensor["format"].GetString());
    return formats;
}

TEST(Quantize, WritesAModelThatAnswersAlike) {
    const std::string path = fresh("q8.gguf");
    const Outcome outcome = agave({"quantize", plain, path, "Q8_0"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("-> Q8_0"), std::string::npos);
    EXPECT_EQ(outcome.err, "");
    EXPECT_FALSE(fs::exists(path + ".part"));
    const Outcome before = agave({"run", plain, "--raw", "-n", "1", "-t", "0", "-q", "a"});
    const Outcome after = agave({"run", path, "--raw", "-n", "1", "-t", "0", "-q", "a"});
    EXPECT_EQ(before.out, after.out);
    for (const auto& [name, format] : formats_of(path))
        EXPECT_EQ(format, name.find("norm") == std::string::npos ? "Q8_0" : "F32") << name;
}

TEST(Quantize, EveryMixIsRead) {
    const std::string path = fresh("mix.gguf");
    for (const char* mix : {"F32", "F16", "bf16", "Q4_0", "q4_1", "Q5_0", "Q5_1", "IQ4_NL", "MXFP4_MOE",
                            "Q4_K", "Q2_K", "Q3_K_M", "IQ2_XXS", "TQ2_0"}) {
        const Outcome outcome = agave({"quantize", "--force", "--quiet", plain, path, mix});
        EXPECT_EQ(outcome.status, 0) << mix << ": " << outcome.err;
        EXPECT_EQ(outcome.out + outcome.err, "") << mix;
        EXPECT_EQ(agave({"run", path, "--raw", "-n", "1", "-q", "a"}).status, 0) << mix;
    }
}

TEST(Quantize, RulesDecide) {
    const std::string path = fresh("rules.gguf");
    const Outcome outcome =
        agave({"quantize", plain, path, "q4_0", "--tensor-type", "blk.*.attn_?.weight=q5_1", "--tensor-type",
               "ffn_down=bf16", "--token-embedding-type", "f16"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    for (const auto& [name, format] : formats_of(path)) {
        if (name.find(".attn_q.") != std::string::npos) {
            EXPECT_EQ(format, "Q5_1") << name;
        }
        if (name.find("ffn_down") != std::string::npos) {
            EXPECT_EQ(format, "BF16") << name;
        }
        if (name == "token_embd.weight") {
            EXPECT_EQ(format, "F16");
        }
        if (name.find("ffn_up") != std::string::npos) {
            EXPECT_EQ(format, "Q4_0") << name;
        }
    }
    const std::string other = fresh("other.gguf");
    EXPECT_NE(
        agave({"quantize", plain, other, "q4_0", "--tensor-type", "nothing=q8_0"}).err.find("no matrix"),
        std::string::npos);
    EXPECT_NE(agave({"quantize", plain, other, "q4_0", "--tensor-type", "q8_0"}).err.find("PATTERN=FORMAT"),
              std::string::npos);
    EXPECT_NE(agave({"quantize", plain, other, "q4_0", "--tensor-type", "attn=q9"}).err.find("not a format"),
              std::string::npos);
    EXPECT_FALSE(fs::exists(other));
}

TEST(Quantize, RefusesInOneSentence) {
    const std::string path = fresh("refused.gguf");
    const auto refused = [&](std::vector<std::string> arguments, const char* why) {
        const Outcome outcome = agave(std::move(arguments));
        EXPECT_EQ(outcome.status, 2) << outcome.err;
        EXPECT_NE(outcome.err.find(why), std::string::npos) << outcome.err;
        EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
        EXPECT_FALSE(fs::exists(path));
        EXPECT_FALSE(fs::exists(path + ".part"));
    };
    refused({"quantize", plain, path, "Q9"}, "is not a format");
    refused({"quantize", plain, path}, "needs");
    refused({"quantize", plain, plain, "Q8_0"}, "is the model itself");
    refused({"quantize", plain, plain, "Q8_0", "--force"}, "is the model itself");
    refused({"quantize", plain + ".none", path, "Q8_0"}, "No such file");
    refused({"quantize", plain, temporary_path("none/x.gguf"), "Q8_0"}, "No such file");
    refused({"quantize", plain, path, "Q8_0", "--imatrix", plain}, "is no importance matrix");
    refused({"quantize", plain, path, "Q8_0", "--imatrix", path}, "No such file");
    write_whole(path, "precious");
    const Outcome outcome = agave({"quantize", plain, path, "Q8_0"});
    EXPECT_EQ(outcome.status, 2);
    EXPECT_NE(outcome.err.find("--force"), std::string::npos);
    EXPECT_EQ(read_whole(path), "precious");
}

/// NaN and infinity in the source name the tensor; a number beyond F16 names the format.
TEST(Quantize, RefusesNumbersThatCannotBeEncoded) {
    const std::string f32 = fresh("f32.gguf"), path = fresh("nan.gguf");
    ASSERT_EQ(agave({"quantize", "-q", plain, f32, "F32"}).status, 0);
    const std::string bytes = read_whole(f32);
    // The last tensor's last number lies before the padding of the end: every number of the last kilobyte.
    for (const uint32_t bits : {0x7FC00000u, 0xFF800000u, 0x49742400u}) {
        std::string broken = bytes;
        for (size_t at = bytes.size() / 2 / 64 * 64; at < bytes.size() / 2 + 4096; at += 4)
            std::copy_n(reinterpret_cast<const char*>(&bits), 4, broken.begin() + static_cast<ptrdiff_t>(at));
        write_whole(f32, broken);
        const Outcome outcome = agave({"quantize", "-q", f32, path, "F16"});
        EXPECT_EQ(outcome.status, 2) << outcome.err;
        EXPECT_NE(outcome.err.find(bits == 0x49742400u ? "which F16 cannot" : "which no format can encode"),
                  std::string::npos)
            << outcome.err;
        EXPECT_NE(outcome.err.find("the tensor '"), std::string::npos) << outcome.err;
        EXPECT_FALSE(fs::exists(path));
        EXPECT_FALSE(fs::exists(path + ".part"));
    }
}

TEST(Quantize, JsonHoldsTheErrors) {
    const std::string path = fresh("json.gguf");
    const Outcome outcome = agave({"quantize", "--json", plain, path, "Q4_0"});
    rapidjson::Document json;
    json.Parse(outcome.out.c_str());
    ASSERT_FALSE(json.HasParseError()) << outcome.out;
    EXPECT_EQ(json["bytes"].GetUint64(), fs::file_size(path));
    double largest = 0;
    for (const auto& tensor : json["tensors"].GetArray())
        largest = std::max(largest, tensor["relative_rms_error"].GetDouble());
    EXPECT_GT(largest, 0.02);
    EXPECT_LT(largest, 0.15);
}

/// The metadata says what was made, and keeps the tokenizer; bytes do not depend on the number of threads.
TEST(Quantize, IsTheSameWithAnyNumberOfThreads) {
    const std::string one = fresh("one.gguf"), three = fresh("three.gguf");
    ASSERT_EQ(agave({"quantize", "-q", "--threads", "1", plain, one, "Q4_K_M"}).status, 0);
    ASSERT_EQ(agave({"quantize", "-q", "--threads", "3", plain, three, "Q4_K_M"}).status, 0);
    EXPECT_EQ(read_whole(one), read_whole(three));
    const std::string metadata = agave({"inspect", "--json", one}).out;
    EXPECT_NE(metadata.find("\"general.file_type\": 15"), std::string::npos) << metadata.substr(0, 2000);
    EXPECT_EQ(agave({"tokenize", one}, "some text").out, agave({"tokenize", plain}, "some text").out);
}

TEST(Perplexity, AgainstItselfIsNothing) {
    const std::string text = temporary_path("against.txt");
    write_whole(text, read_whole(AGAVE_TEST_DATA "/../../README.md").substr(0, 4000));
    rapidjson::Document json;
    json.Parse(
        agave({"perplexity", plain, "--file", text, "--against", plain, "--json", "-q", "--ctx-size", "32"})
            .out.c_str());
    ASSERT_FALSE(json.HasParseError());
    EXPECT_EQ(json["kl_divergence"].GetDouble(), 0);
    EXPECT_EQ(json["same_likeliest_token"].GetDouble(), 1);
    const std::string small = fresh("against.gguf");
    ASSERT_EQ(agave({"quantize", "-q", plain, small, "Q4_0"}).status, 0);
    json.Parse(
        agave({"perplexity", small, "--file", text, "--against", plain, "--json", "-q", "--ctx-size", "32"})
            .out.c_str());
    ASSERT_FALSE(json.HasParseError());
    EXPECT_GT(json["kl_divergence"].GetDouble(), 0);
    EXPECT_LT(json["kl_divergence"].GetDouble(), 1);
}

TEST(Quantize, MeasuresWhatItMade) {
    const Outcome outcome = agave({"quantize", plain, fresh("measured.gguf"), "Q8_0", "--measure"});
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_NE(outcome.out.find("KL divergence 0.0"), std::string::npos) << outcome.out;
}

/// An importance matrix names every matrix but the embedding and the output, and quantize takes it.
TEST(Calibrate, MakesWhatQuantizeReads) {
    const std::string text = temporary_path("calibrate.txt"), path = fresh("important.gguf");
    write_whole(text, read_whole(AGAVE_TEST_DATA "/../../README.md").substr(0, 4000));
    const std::vector<std::string> command = {"calibrate", plain, "--file",     text, "-o",
                                              path,        "-q",  "--ctx-size", "32"};
    const Outcome outcome = agave(command);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(outcome.out + outcome.err, "");
    EXPECT_EQ(agave(command).status, 2) << "replaced without --force";
    size_t n_matrices = 0;
    for (const auto& [name, format] : formats_of(plain))
        n_matrices += name.starts_with("blk.") && name.find("norm") == std::string::npos;
    EXPECT_EQ(formats_of(path).size(), 2 * n_matrices);
    const std::string with = fresh("with.gguf"), without = fresh("without.gguf");
    ASSERT_EQ(agave({"quantize", "-q", plain, with, "Q4_0", "--imatrix", path}).status, 0);
    ASSERT_EQ(agave({"quantize", "-q", plain, without, "Q4_0"}).status, 0);
    EXPECT_NE(read_whole(with), read_whole(without));
    // Of another model: other names, other sizes.
    EXPECT_EQ(agave({"quantize", "-q", path, fresh("x.gguf"), "Q4_0", "--imatrix", path}).status, 2);
    EXPECT_EQ(
        agave({"calibrate", plain, "--file", text, "-o", fresh("y.gguf"), "--ctx-size", "100000"}).status, 2);
    EXPECT_EQ(agave({"calibrate", plain, "--file", text, "-o", plain, "--force"}).status, 2);
}

}  // namespace
}  // namespace agave::test
