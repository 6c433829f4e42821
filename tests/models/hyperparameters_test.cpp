#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include "../formats/gguf_writer.h"
#include "base/error.h"
#include "models/model.h"

namespace agave {
namespace {

/// What a one-layer Llama of 64 columns says of itself; a case changes one thing.
struct Claims {
    std::string architecture = "llama";
    uint32_t block_count = 1, context_length = 128, embedding_length = 64, head_count = 4, head_count_kv = 2;
    std::optional<uint32_t> key_length, rope_dimensions, expert_count;
    float epsilon = 1e-5f, rope_base = 1e4f;
    std::optional<std::string> scaling_type;
    std::optional<float> scaling_factor;
    std::vector<float> rope_divisors;
    uint64_t n_vocab = 32, n_tokens = 32, output_rows = 0, ffn = 64, q_rows = 64, norm_entries = 64;
    std::string missing_tensor, missing_key, additional_tensor;
};

std::vector<std::byte> write(const Claims& c) {
    GgufWriter file;
    const auto number = [&](const char* key, auto value) {
        if (c.missing_key != key) file.value(c.architecture + "." + key, value);
    };
    const auto tensor = [&](const std::string& name, std::vector<uint64_t> dims) {
        if (c.missing_tensor != name) file.tensor(name, 0, dims);
    };
    file.text("general.architecture", c.architecture);
    number("block_count", c.block_count);
    number("context_length", c.context_length);
    number("embedding_length", c.embedding_length);
    number("attention.head_count", c.head_count);
    number("attention.head_count_kv", c.head_count_kv);
    number("attention.layer_norm_rms_epsilon", c.epsilon);
    number("rope.freq_base", c.rope_base);
    if (c.key_length) number("attention.key_length", *c.key_length);
    if (c.rope_dimensions) number("rope.dimension_count", *c.rope_dimensions);
    if (c.expert_count) number("expert_count", *c.expert_count);
    if (c.scaling_type) file.text(c.architecture + ".rope.scaling.type", *c.scaling_type);
    if (c.scaling_factor) number("rope.scaling.factor", *c.scaling_factor);
    file.texts("tokenizer.ggml.tokens", std::vector<std::string>(c.n_tokens, "x"));

    tensor("token_embd.weight", {64, c.n_vocab});
    tensor("output_norm.weight", {c.norm_entries});
    if (c.output_rows) tensor("output.weight", {64, c.output_rows});
    if (!c.rope_divisors.empty())
        file.float_tensor("rope_freqs.weight", {c.rope_divisors.size()}, c.rope_divisors);
    tensor("blk.0.attn_norm.weight", {64});
    tensor("blk.0.attn_q.weight", {64, c.q_rows});
    tensor("blk.0.attn_k.weight", {64, 32});
    tensor("blk.0.attn_v.weight", {64, 32});
    tensor("blk.0.attn_output.weight", {64, 64});
    tensor("blk.0.ffn_norm.weight", {64});
    tensor("blk.0.ffn_gate.weight", {64, c.ffn});
    tensor("blk.0.ffn_up.weight", {64, 64});
    tensor("blk.0.ffn_down.weight", {64, 64});
    if (!c.additional_tensor.empty()) file.tensor(c.additional_tensor, 0, std::vector<uint64_t>{64});
    return file.bytes();
}

/// The sentence with which the model is refused, or "" when it is built.
std::string refusal(const Claims& claims) {
    const std::vector<std::byte> bytes = write(claims);
    try {
        const ModelFile file = ModelFile::from_bytes(bytes, "crafted.gguf");
        build_model(file);
        return "";
    } catch (const Error& error) {
        return error.what();
    }
}

TEST(Hyperparameters, TheUnchangedModelIsBuilt) {
    EXPECT_EQ(refusal({}), "");
}

TEST(Hyperparameters, ABiasIsAddedOrRefused) {
    Claims claims;
    for (const char* added :
         {"blk.0.attn_q.bias", "blk.0.attn_output.bias", "blk.0.ffn_up.bias", "blk.0.ffn_down.bias"}) {
        claims.additional_tensor = added;
        EXPECT_EQ(refusal(claims), "") << added;
    }
    claims.additional_tensor = "blk.0.attn_q_a.bias";
    EXPECT_EQ(refusal(claims),
              "'crafted.gguf' has the tensor 'blk.0.attn_q_a.bias', a bias that agave does not add in a "
              "'llama' model");
    claims.additional_tensor = "blk.1.attn_q_a.bias";  // of a block that is not run
    EXPECT_EQ(refusal(claims), "");
}

struct Case {
    const char* name;
    std::function<void(Claims&)> change;
    const char* expected;  ///< part of the sentence
};

class BadHyperparameters : public testing::TestWithParam<Case> {};

TEST_P(BadHyperparameters, AreRefusedInOneSentence) {
    Claims claims;
    GetParam().change(claims);
    const std::string sentence = refusal(claims);
    EXPECT_NE(sentence.find(GetParam().expected), std::string::npos) << "got: " << sentence;
    EXPECT_EQ(sentence.find('\n'), std::string::npos);
}

const Case kCases[] = {
    {"no_layers", [](Claims& c) { c.block_count = 0; }, "block_count"},
    {"layers_513", [](Claims& c) { c.block_count = 513; }, "block_count"},
    {"layers_1e9", [](Claims& c) { c.block_count = 1000000000; }, "block_count"},
    {"layers_max", [](Claims& c) { c.block_count = UINT32_MAX; }, "block_count"},
    {"layers_2", [](Claims& c) { c.block_count = 2; }, "blk.1.attn_norm.weight"},
    {"no_heads", [](Claims& c) { c.head_count = 0; }, "head_count"},
    {"no_kv_heads", [](Claims& c) { c.head_count_kv = 0; }, "head_count_kv"},
    {"heads_uneven", [](Claims& c) { c.head_count_kv = 3; }, "K/V heads"},
    {"heads_5", [](Claims& c) { c.head_count = 5, c.head_count_kv = 1; }, "embedding length"},
    {"key_length_0", [](Claims& c) { c.key_length = 0; }, "key_length"},
    {"key_length_odd", [](Claims& c) { c.key_length = 15; }, "odd"},
    {"key_length_32", [](Claims& c) { c.key_length = 32; },
     "'blk.0.attn_q.weight' has 64 rows, expected 128"},
    {"key_length_max", [](Claims& c) { c.key_length = UINT32_MAX; }, "key_length"},
    {"rope_0", [](Claims& c) { c.rope_dimensions = 0; }, "rope.dimension_count"},
    {"rope_too_wide", [](Claims& c) { c.rope_dimensions = 64; }, "rope.dimension_count"},
    {"embedding_641", [](Claims& c) { c.embedding_length = 641; }, "embedding_length"},
    {"embedding_2_31", [](Claims& c) { c.embedding_length = 1u << 31; }, "embedding_length"},
    {"embedding_0", [](Claims& c) { c.embedding_length = 0; }, "embedding_length"},
    {"context_0", [](Claims& c) { c.context_length = 0; }, "context_length"},
    {"epsilon_0", [](Claims& c) { c.epsilon = 0; }, "epsilon"},
    {"epsilon_nan", [](Claims& c) { c.epsilon = std::nanf(""); }, "epsilon"},
    {"epsilon_infinite", [](Claims& c) { c.epsilon = std::numeric_limits<float>::infinity(); }, "epsilon"},
    {"rope_base_0", [](Claims& c) { c.rope_base = 0; }, "freq_base"},
    {"rope_base_nan", [](Claims& c) { c.rope_base = std::nanf(""); }, "freq_base"},
    {"scaling_unknown", [](Claims& c) { c.scaling_type = "longrope"; }, "longrope"},
    {"scaling_factor_0", [](Claims& c) { c.scaling_type = "linear", c.scaling_factor = 0.0f; }, "scaling"},
    {"scaling_factor_missing", [](Claims& c) { c.scaling_type = "linear"; }, "rope.scaling.factor"},
    {"rope_divisors_short", [](Claims& c) { c.rope_divisors = {1, 1}; }, "rope_freqs.weight"},
    {"rope_divisor_0", [](Claims& c) { c.rope_divisors.assign(8, 0); }, "rope_freqs.weight"},
    {"experts", [](Claims& c) { c.expert_count = 8; }, "mixture of experts"},
    {"vocabulary_larger", [](Claims& c) { c.n_tokens = 33; }, "33 tokens"},
    {"output_larger", [](Claims& c) { c.output_rows = 40; }, "output.weight has 40 rows"},
    {"ffn_uneven", [](Claims& c) { c.ffn = 96; }, "96 columns"},
    {"q_rows", [](Claims& c) { c.q_rows = 48; }, "'blk.0.attn_q.weight' has 48 rows, expected 64"},
    {"norm_short", [](Claims& c) { c.norm_entries = 63; }, "output_norm.weight"},
    {"tensor_missing", [](Claims& c) { c.missing_tensor = "blk.0.ffn_down.weight"; },
     "blk.0.ffn_down.weight"},
    {"embedding_missing", [](Claims& c) { c.missing_tensor = "token_embd.weight"; }, "token_embd.weight"},
    {"key_missing", [](Claims& c) { c.missing_key = "block_count"; }, "block_count"},
    {"architecture_unknown", [](Claims& c) { c.architecture = "mamba9"; }, "'mamba9' model; this build runs"},
};

INSTANTIATE_TEST_SUITE_P(Cases, BadHyperparameters, testing::ValuesIn(kCases),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace agave
