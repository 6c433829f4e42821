#include "engine/gguf_layout.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "models/model.h"

namespace agave {
namespace {

std::vector<int64_t> sources(const RowOrder& order, int64_t n) {
    std::vector<int64_t> result;
    for (int64_t i = 0; i < n; i++) result.push_back(order.source(i));
    return result;
}

TEST(RowOrder, Interleaves) {
    EXPECT_EQ(sources({.interleaved_head_dim = 4}, 8), (std::vector<int64_t>{0, 2, 1, 3, 4, 6, 5, 7}));
}

TEST(RowOrder, TilesHeads) {
    // Two key heads with three value heads each, of two rows, behind one row that stays: k0v0 k0v1 k0v2 k1v0
    // ...
    const RowOrder order{.first = 1, .tiled_head = 2, .n_tiles = 2, .heads_in_group = 3};
    EXPECT_EQ(sources(order, 13), (std::vector<int64_t>{0, 1, 2, 7, 8, 3, 4, 9, 10, 5, 6, 11, 12}));
    EXPECT_TRUE(order.rows_move());
    EXPECT_FALSE(order.columns_move());
}

TEST(CopyTensor, MovesColumns) {
    const float weights[] = {0, 1, 2, 3, 4, 5, 6, 7};
    Tensor tensor;
    tensor.n_dims = 2;
    tensor.shape = {4, 2, 1, 1};
    tensor.data = reinterpret_cast<const std::byte*>(weights);
    tensor.n_bytes = sizeof weights;
    const RowOrder order{.tiled_head = 1, .n_tiles = 2, .heads_in_group = 2, .columns = true};
    std::vector<float> moved(8), encoded(8);
    copy_tensor(tensor, order, [&](std::span<const std::byte> bytes) {
        ASSERT_EQ(bytes.size(), sizeof weights);
        std::memcpy(moved.data(), bytes.data(), bytes.size());
    });
    EXPECT_EQ(moved, (std::vector<float>{0, 2, 1, 3, 4, 6, 5, 7}));
    ThreadTeam team(1);
    encode_tensor(team, {tensor, Format::f32, order}, nullptr, [&](std::span<const std::byte> bytes) {
        std::memcpy(encoded.data(), bytes.data(), bytes.size());
    });
    EXPECT_EQ(encoded, moved);
}

/// Folders, rearranged, against the files that llama.cpp's converter made of them.
class GgufLayout : public testing::TestWithParam<const char*> {};

TEST_P(GgufLayout, IsTheConverters) {
    const std::string base = std::string(AGAVE_SHARED "/oracle/data/") + GetParam() + "-nano/";
    if (::access((base + "hf").c_str(), R_OK) != 0) GTEST_SKIP() << "no " << base;
    const ModelFile folder = open_model_file(base + "hf"), file = ModelFile::open(base + "model-f32.gguf");
    EXPECT_EQ(folder.metadata().text("general.architecture"), file.metadata().text("general.architecture"));
    EXPECT_NO_THROW(check_gguf_layout(folder));
    EXPECT_EQ(folder.tensors().size(), file.tensors().size());
    for (const Tensor& expected : file.tensors()) {
        SCOPED_TRACE(expected.name);
        Tensor tensor = folder.tensor(expected.name);
        const RowOrder order = gguf_order(folder, tensor);
        if (tensor.n_dims == 1) std::swap(tensor.shape[0], tensor.shape[1]);
        std::vector<float> got;
        ThreadTeam team(1);
        encode_tensor(team, {tensor, Format::f32, order}, nullptr, [&](std::span<const std::byte> bytes) {
            const size_t n = got.size();
            got.resize(n + bytes.size() / sizeof(float));
            std::memcpy(got.data() + n, bytes.data(), bytes.size());
        });
        tensor = folder.tensor(expected.name);
        set_gguf_shape(folder, tensor);
        EXPECT_EQ(tensor.n_dims, expected.n_dims);
        EXPECT_EQ(tensor.shape, expected.shape);
        // llama.cpp's converter permutes q and k of Nemotron-H as Llama's, which changes nothing without
        // RoPE.
        const bool permuted =
            std::string_view(GetParam()).starts_with("nemotron") &&
            (expected.name.ends_with("attn_q.weight") || expected.name.ends_with("attn_k.weight"));
        const std::vector<float> wanted = decode_tensor(expected);
        ASSERT_EQ(got.size(), wanted.size());
        for (size_t i = 0; i < got.size() && !permuted; i++)
            ASSERT_LE(std::abs(got[i] - wanted[i]), 1e-6f * std::max(1.0f, std::abs(wanted[i]))) << i;
    }
}

INSTANTIATE_TEST_SUITE_P(Models, GgufLayout,
                         testing::Values("llama", "llamaspm", "qwen3", "gemma3", "glm4", "glm4moe",
                                         "glm47flash", "gptoss", "gemma4d", "gemma4e", "gemma4m", "nemotronh",
                                         "nemotronhmoe", "qwen35", "qwen35moe"));

}  // namespace
}  // namespace agave
