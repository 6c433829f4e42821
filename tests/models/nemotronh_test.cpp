#include <gtest/gtest.h>

#include <functional>
#include <map>

#include "../formats/gguf_writer.h"
#include "base/error.h"
#include "models/model.h"

namespace agave {
namespace {

/// What a Nemotron of a Mamba layer, an attention layer and a mixture of experts says of itself; a case
/// changes one thing. 32 columns; Mamba of 4 heads of 12 in 2 groups with states of 10.
struct Claims {
    std::map<std::string, uint32_t> numbers = {
        {"block_count", 3},          {"context_length", 128},     {"embedding_length", 32},
        {"attention.head_count", 4}, {"attention.key_length", 8}, {"ssm.inner_size", 48},
        {"ssm.time_step_rank", 4},   {"ssm.group_count", 2},      {"ssm.state_size", 10},
        {"expert_count", 8},         {"expert_used_count", 2}};
    std::vector<int32_t> kv_heads = {0, 2, 0}, feed_forward = {0, 0, 24};
    std::map<std::string, std::vector<uint64_t>> tensors = {{"token_embd.weight", {32, 16}},
                                                            {"output_norm.weight", {32}},
                                                            {"blk.0.attn_norm.weight", {32}},
                                                            {"blk.0.ssm_in.weight", {32, 140}},
                                                            {"blk.0.ssm_conv1d.weight", {4, 88}},
                                                            {"blk.0.ssm_conv1d.bias", {88}},
                                                            {"blk.0.ssm_dt.bias", {4}},
                                                            {"blk.0.ssm_a", {1, 4}},
                                                            {"blk.0.ssm_d", {1, 4}},
                                                            {"blk.0.ssm_norm.weight", {24, 2}},
                                                            {"blk.0.ssm_out.weight", {48, 32}},
                                                            {"blk.1.attn_norm.weight", {32}},
                                                            {"blk.1.attn_q.weight", {32, 32}},
                                                            {"blk.1.attn_k.weight", {32, 16}},
                                                            {"blk.1.attn_v.weight", {32, 16}},
                                                            {"blk.1.attn_output.weight", {32, 32}},
                                                            {"blk.2.attn_norm.weight", {32}},
                                                            {"blk.2.ffn_gate_inp.weight", {32, 8}},
                                                            {"blk.2.exp_probs_b.bias", {8}},
                                                            {"blk.2.ffn_up_exps.weight", {32, 24, 8}},
                                                            {"blk.2.ffn_down_exps.weight", {24, 32, 8}},
                                                            {"blk.2.ffn_up_shexp.weight", {32, 40}},
                                                            {"blk.2.ffn_down_shexp.weight", {40, 32}}};
};

std::vector<std::byte> write(const Claims& claims) {
    GgufWriter file;
    file.text("general.architecture", "nemotron_h_moe");
    for (const auto& [name, number] : claims.numbers) file.value("nemotron_h_moe." + name, number);
    file.value("nemotron_h_moe.attention.layer_norm_rms_epsilon", 1e-5f);
    file.array("nemotron_h_moe.attention.head_count_kv", claims.kv_heads);
    file.array("nemotron_h_moe.feed_forward_length", claims.feed_forward);
    for (const auto& [name, dims] : claims.tensors) file.tensor(name, 0, dims);
    return file.bytes();
}

/// The sentence with which the model is refused, or "" when it is built.
std::string refusal(const Claims& claims) {
    const std::vector<std::byte> bytes = write(claims);
    try {
        const ModelFile model_file = ModelFile::from_bytes(bytes, "crafted.gguf");
        build_model(model_file);
        return "";
    } catch (const Error& error) {
        return error.what();
    }
}

TEST(Nemotron, TheUnchangedModelIsBuilt) {
    EXPECT_EQ(refusal({}), "");
}

/// The model of the claims, without its file: only its graph's shape may be looked at.
Model built(const Claims& claims) {
    const std::vector<std::byte> bytes = write(claims);
    const ModelFile file = ModelFile::from_bytes(bytes, "crafted.gguf");
    return build_model(file);
}

TEST(Nemotron, TheBlockForMultiTokenPredictionIsNotRun) {
    Claims claims;
    claims.numbers["block_count"] = 4;
    claims.numbers["nextn_predict_layers"] = 1;
    claims.kv_heads.push_back(2);
    claims.feed_forward.push_back(24);
    const Model model = built(claims);
    EXPECT_EQ(model.n_layers, 3);
    EXPECT_EQ(model.graph.kv_layers.size(), 1u);
    claims.numbers["nextn_predict_layers"] = 4;
    EXPECT_NE(refusal(claims).find("nextn_predict_layers"), std::string::npos);
}

/// llama.cpp's converter gives the MLPs of a model with mixtures the length 0, like Mamba layers.
TEST(Nemotron, AnMlpWithoutALengthIsKnownByItsMatrices) {
    Claims claims;
    claims.kv_heads[1] = 0;
    claims.tensors["blk.1.ffn_up.weight"] = {32, 20};
    claims.tensors["blk.1.ffn_down.weight"] = {20, 32};
    EXPECT_EQ(built(claims).graph.kv_layers.size(), 0u);
    EXPECT_EQ(built(claims).graph.state_layers.size(), 2u);
}

struct Case {
    const char* name;
    std::function<void(Claims&)> change;
    const char* expected;  ///< part of the sentence
};

class BadNemotron : public testing::TestWithParam<Case> {};

TEST_P(BadNemotron, IsRefusedInOneSentence) {
    Claims claims;
    GetParam().change(claims);
    const std::string sentence = refusal(claims);
    EXPECT_NE(sentence.find(GetParam().expected), std::string::npos) << "got: " << sentence;
    EXPECT_EQ(sentence.find('\n'), std::string::npos);
}

const Case kCases[] = {
    {"kv_heads_short", [](Claims& c) { c.kv_heads.pop_back(); }, "has 2 entries, expected one for each of 3"},
    {"kv_heads_long", [](Claims& c) { c.kv_heads.push_back(0); }, "has 4 entries"},
    {"kv_heads_negative", [](Claims& c) { c.kv_heads[0] = -1; }, "has the entry -1"},
    {"kv_heads_uneven", [](Claims& c) { c.kv_heads[1] = 3; }, "cannot share 3 K/V heads"},
    {"kv_heads_many", [](Claims& c) { c.kv_heads[1] = 1 << 30; }, "K/V heads"},
    {"feed_forward_short", [](Claims& c) { c.feed_forward = {0}; }, "feed_forward_length has 1 entries"},
    {"feed_forward_negative", [](Claims& c) { c.feed_forward[1] = -7; }, "has the entry -7"},
    {"mlp_without_matrices", [](Claims& c) { c.feed_forward[0] = 5; }, "blk.0.ffn_up.weight"},
    {"inner_0", [](Claims& c) { c.numbers["ssm.inner_size"] = 0; }, "ssm.inner_size"},
    {"inner_uneven", [](Claims& c) { c.numbers["ssm.inner_size"] = 50; }, "do not fall into 4 heads"},
    {"inner_huge", [](Claims& c) { c.numbers["ssm.inner_size"] = UINT32_MAX; }, "ssm.inner_size"},
    {"inner_other", [](Claims& c) { c.numbers["ssm.inner_size"] = 96; }, "has 140 rows, expected 236"},
    {"heads_0", [](Claims& c) { c.numbers["ssm.time_step_rank"] = 0; }, "ssm.time_step_rank"},
    {"heads_other", [](Claims& c) { c.numbers["ssm.time_step_rank"] = 8; }, "has 140 rows, expected 144"},
    {"groups_0", [](Claims& c) { c.numbers["ssm.group_count"] = 0; }, "ssm.group_count"},
    {"groups_uneven", [](Claims& c) { c.numbers["ssm.group_count"] = 3; }, "in 3 groups"},
    {"state_0", [](Claims& c) { c.numbers["ssm.state_size"] = 0; }, "ssm.state_size"},
    {"state_huge", [](Claims& c) { c.numbers["ssm.state_size"] = 1u << 31; }, "ssm.state_size"},
    {"state_other", [](Claims& c) { c.numbers["ssm.state_size"] = 11; }, "has 140 rows, expected 144"},
    {"conv_short", [](Claims& c) { c.tensors["blk.0.ssm_conv1d.weight"] = {4, 87}; }, "ssm_conv1d.weight"},
    {"conv_long", [](Claims& c) { c.tensors["blk.0.ssm_conv1d.weight"] = {17, 88}; }, "convolves 17 inputs"},
    {"bias_missing", [](Claims& c) { c.tensors.erase("blk.0.ssm_dt.bias"); }, "blk.0.ssm_dt.bias"},
    {"a_short", [](Claims& c) { c.tensors["blk.0.ssm_a"] = {1, 3}; }, "'blk.0.ssm_a' has 3 entries"},
    {"norm_short", [](Claims& c) { c.tensors["blk.0.ssm_norm.weight"] = {24}; }, "blk.0.ssm_norm.weight"},
    {"in_bias", [](Claims& c) { c.tensors["blk.0.ssm_in.bias"] = {140}; }, "biases in its Mamba layers"},
    {"out_rows", [](Claims& c) { c.tensors["blk.0.ssm_out.weight"] = {48, 31}; }, "31 columns"},
    {"experts_0", [](Claims& c) { c.numbers["expert_count"] = 0; }, "expert_count"},
    {"experts_other", [](Claims& c) { c.numbers["expert_count"] = 9; }, "has 8 rows, expected 9"},
    {"experts_used", [](Claims& c) { c.numbers["expert_used_count"] = 9; }, "expert_used_count"},
    {"expert_groups", [](Claims& c) { c.numbers["expert_group_count"] = 3; }, "3 groups"},
    {"expert_groups_used", [](Claims& c) { c.numbers["expert_group_used_count"] = 2; }, "2 groups"},
    {"expert_columns", [](Claims& c) { c.tensors["blk.2.ffn_up_exps.weight"] = {32, 25, 8}; },
     "'blk.2.ffn_up_exps.weight' has the shape [32, 25, 8]"},
    {"latent_alone", [](Claims& c) { c.tensors["blk.2.ffn_latent_down.weight"] = {32, 16}; },
     "ffn_up_exps.weight"},
};

INSTANTIATE_TEST_SUITE_P(Cases, BadNemotron, testing::ValuesIn(kCases),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace agave
