#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "formats/huggingface.h"
#include "temporary_folder.h"

namespace agave {
namespace {

struct Part {
    const char* name;
    const char* type;
    const char* shape;
    size_t n_bytes;
    uint8_t fill = 0;
};

/// What joining the parts of a folder says of it; "no error" where it goes through.
std::string join(std::string_view config, std::initializer_list<Part> parts) {
    std::string header = "{", data;
    for (const Part& part : parts) {
        header += std::string(header.size() > 1 ? "," : "") + "\"" + part.name + R"(":{"dtype":")" +
                  part.type + R"(","shape":)" + part.shape + R"(,"data_offsets":[)" +
                  std::to_string(data.size()) + "," + std::to_string(data.size() + part.n_bytes) + "]}";
        data.append(part.n_bytes, static_cast<char>(part.fill));
    }
    header += "}";
    const uint64_t length = header.size();
    std::string file(sizeof length, 0);
    std::memcpy(file.data(), &length, sizeof length);
    file += header + data;
    const TemporaryFolder folder;
    folder.write("model.safetensors", std::as_bytes(std::span(file)));
    folder.write("config.json", std::as_bytes(std::span(config)));
    HuggingFaceFolder opened = open_huggingface(folder.path());
    try {
        join_scaled_tensors(opened);
    } catch (const Error& error) {
        EXPECT_TRUE(error.kind() == ErrorKind::bad_file || error.kind() == ErrorKind::unsupported);
        return error.what();
    }
    return "no error";
}
#define EXPECT_SAYS(part, config, ...) \
    EXPECT_PRED_FORMAT2(testing::IsSubstring, part, join(config, {__VA_ARGS__}))

std::string method(const char* name, const char* more = "") {
    return std::string(R"({"quantization_config":{"quant_method":")") + name + "\"" + more + "}}";
}

TEST(ScaledRefusals, AnUnknownMethodByName) {
    EXPECT_SAYS("'bitsandbytes'", method("bitsandbytes"), {"a", "U8", "[1]", 1});
    EXPECT_SAYS("does not know", R"({"quantization_config":{}})", {"a", "U8", "[1]", 1});
    EXPECT_SAYS("does not know", R"({"quantization_config":{"quant_method":7}})", {"a", "U8", "[1]", 1});
}
TEST(ScaledRefusals, VariantsOfAMethodByName) {
    const Part any{"a", "U8", "[1]", 1};
    EXPECT_SAYS("'marlin'", method("gptq", R"(,"bits":4,"checkpoint_format":"marlin")"), any);
    EXPECT_SAYS("'bits'", method("gptq", R"(,"bits":3)"), any);
    EXPECT_SAYS("'gemv'", method("awq", R"(,"bits":4,"version":"GEMV")"), any);
    EXPECT_SAYS("'w4a8_awq'", method("modelopt", R"(,"quant_algo":"W4A8_AWQ")"), any);
    EXPECT_SAYS("'marlin-24'", method("compressed-tensors", R"(,"format":"marlin-24")"), any);
    EXPECT_SAYS("'transform_config'", method("compressed-tensors", R"(,"transform_config":{"a":1})"), any);
    EXPECT_SAYS("'sparse-bitmask'",
                method("compressed-tensors", R"(,"sparsity_config":{"format":"sparse-bitmask"})"), any);
    EXPECT_SAYS("'hqq'", R"({"quantization":{"group_size":32,"bits":4,"mode":"hqq"}})",
                {"a.weight", "U32", "[1,4]", 16}, {"a.scales", "F32", "[1,1]", 4});
}
TEST(ScaledRefusals, EntriesOfOtherTypes) {
    const Part any{"a", "U8", "[1]", 1};
    for (const char* bits : {"null", "\"4\"", "4.0", "-4", "9223372036854775808", "[4]"})
        EXPECT_SAYS("'bits'", method("gptq", (std::string(",\"bits\":") + bits).c_str()), any);
    EXPECT_SAYS("'bits'", method("awq"), any);
    for (const char* block :
         {"[128]", "[0,128]", "[128,-1]", "[1,2,3]", "\"128\"", "[128,1e9]", "9223372036854775807"})
        EXPECT_SAYS("'weight_block_size'",
                    method("fp8", (std::string(",\"weight_block_size\":") + block).c_str()), any);
    EXPECT_SAYS("'checkpoint_format'", method("gptq", R"(,"bits":4,"checkpoint_format":[])"), any);
    EXPECT_SAYS("'num_bits'",
                method("compressed-tensors", R"(,"config_groups":{"g":{"weights":{"num_bits":null}}})"), any);
}
TEST(ScaledRefusals, MissingParts) {
    EXPECT_SAYS("no tensor 'a_scales'", method("mxfp4"), {"a_blocks", "U8", "[2,1,16]", 32});
    EXPECT_SAYS("no tensor 'a.weight_scale_2'", method("modelopt", R"(,"quant_algo":"NVFP4")"),
                {"a.weight", "U8", "[2,8]", 16}, {"a.weight_scale", "F8_E4M3", "[2,1]", 2});
    EXPECT_SAYS("no tensor 'a.weight_shape'", method("compressed-tensors"),
                {"a.weight_packed", "I32", "[2,8]", 64});
    EXPECT_SAYS("no tensor 'a.scales'", method("awq", R"(,"bits":4)"), {"a.qweight", "I32", "[32,1]", 128});
    EXPECT_SAYS("no tensor 'a.biases'", R"({"quantization":{"group_size":32,"bits":4}})",
                {"a.weight", "U32", "[1,4]", 16}, {"a.scales", "F32", "[1,1]", 4});
}
TEST(ScaledRefusals, ScalesOfAnotherShape) {
    const std::string fp8 = method("fp8", R"(,"weight_block_size":[2,4])");
    EXPECT_SAYS("no error", fp8, {"a.weight", "F8_E4M3", "[3,8]", 24},
                {"a.weight_scale_inv", "F32", "[2,2]", 16});
    EXPECT_SAYS("'a.weight_scale_inv'", fp8, {"a.weight", "F8_E4M3", "[3,8]", 24},
                {"a.weight_scale_inv", "F32", "[2,3]", 24});
    EXPECT_SAYS("'a.weight_scale_inv'", fp8, {"a.weight", "F8_E4M3", "[3,8]", 24},
                {"a.weight_scale_inv", "F32", "[4,1]", 16});
    EXPECT_SAYS("'a.weight_scale_inv'", fp8, {"a.weight", "F8_E4M3", "[3,8]", 24},
                {"a.weight_scale_inv", "F32", "[0]", 0});
    // Blocks of two rows do not divide matrices of three.
    EXPECT_SAYS("'a_scale_inv'", fp8, {"a", "F8_E4M3", "[2,3,4]", 24}, {"a_scale_inv", "F32", "[2,2,1]", 16});
    EXPECT_SAYS("'a_scales'", method("mxfp4"), {"a_blocks", "U8", "[2,1,16]", 32},
                {"a_scales", "U8", "[3]", 3});
    EXPECT_SAYS("'a.weight_scale'", method("compressed-tensors"), {"a.weight_packed", "U8", "[2,8]", 16},
                {"a.weight_scale", "F8_E4M3", "[2,2]", 4}, {"a.weight_global_scale", "F32", "[1]", 4});
    EXPECT_SAYS("'a.scales'", R"({"quantization":{"group_size":32,"bits":4}})",
                {"a.weight", "U32", "[1,4]", 16}, {"a.scales", "F32", "[1,2]", 8},
                {"a.biases", "F32", "[1,1]", 4});
    EXPECT_SAYS("whole groups", R"({"quantization":{"group_size":64,"bits":4}})",
                {"a.weight", "U32", "[1,4]", 16}, {"a.scales", "F32", "[1,1]", 4},
                {"a.biases", "F32", "[1,1]", 4});
}
TEST(ScaledRefusals, ScalesOfAnotherType) {
    EXPECT_SAYS("'a.weight_scale'", method("fp8"), {"a.weight", "F8_E4M3", "[2,4]", 8},
                {"a.weight_scale", "I32", "[]", 4});
    EXPECT_SAYS("'a.weight_scale'", method("modelopt", R"(,"quant_algo":"NVFP4")"),
                {"a.weight", "U8", "[2,8]", 16}, {"a.weight_scale", "BF16", "[2,1]", 4},
                {"a.weight_scale_2", "F32", "[]", 4});
    EXPECT_SAYS("'a.weight_global_scale'", method("compressed-tensors"),
                {"a.weight_packed", "U8", "[2,8]", 16}, {"a.weight_scale", "F8_E4M3", "[2,1]", 2},
                {"a.weight_global_scale", "F32", "[2]", 8});
}
TEST(ScaledRefusals, ShapesThatLie) {
    const std::string packed =
        method("compressed-tensors", R"(,"config_groups":{"g":{"weights":{"num_bits":4}}})");
    // 0x0101010101010101 rows and columns.
    EXPECT_SAYS("weight_shape", packed, {"a.weight_packed", "I32", "[2,1]", 8},
                {"a.weight_shape", "I64", "[2]", 16, 1}, {"a.weight_scale", "F32", "[2,1]", 8});
    EXPECT_SAYS("two dimensions", packed, {"a.weight_packed", "I32", "[2,1]", 8},
                {"a.weight_shape", "I64", "[3]", 24});
    const std::string gptq = method("gptq", R"(,"bits":4,"group_size":8)");
    EXPECT_SAYS("whole words", gptq, {"a.qweight", "I32", "[1,7]", 28});
    EXPECT_SAYS("'a.scales'", gptq, {"a.qweight", "I32", "[2,8]", 64}, {"a.scales", "F16", "[1,8]", 16},
                {"a.qzeros", "I32", "[1,1]", 4});
    EXPECT_SAYS("'a.qzeros'", gptq, {"a.qweight", "I32", "[2,8]", 64}, {"a.scales", "F16", "[2,8]", 32},
                {"a.qzeros", "I32", "[1,1]", 4});
}
TEST(ScaledRefusals, GroupsThatHaveNoScale) {
    const std::string gptq = method("gptq", R"(,"bits":4,"group_size":8)");
    for (const uint8_t fill : {uint8_t{1}, uint8_t{0x80}})
        EXPECT_SAYS("'a.g_idx'", gptq, {"a.qweight", "I32", "[1,8]", 32}, {"a.scales", "F16", "[1,8]", 16},
                    {"a.qzeros", "I32", "[1,1]", 4}, {"a.g_idx", "I32", "[8]", 32, fill});
    EXPECT_SAYS("'a.g_idx'", gptq, {"a.qweight", "I32", "[1,8]", 32}, {"a.scales", "F16", "[1,8]", 16},
                {"a.qzeros", "I32", "[1,1]", 4}, {"a.g_idx", "I32", "[9]", 36});
}
TEST(ScaledRefusals, EmptyMatrices) {
    EXPECT_SAYS("not empty", method("fp8"), {"a.weight", "F8_E4M3", "[0,4]", 0},
                {"a.weight_scale", "F32", "[]", 4});
    EXPECT_SAYS("not empty", method("fp8"), {"a.weight", "F8_E4M3", "[4]", 4},
                {"a.weight_scale", "F32", "[]", 4});
    EXPECT_SAYS("not empty", method("awq", R"(,"bits":4)"), {"a.qweight", "I32", "[0,1]", 0});
}

}  // namespace
}  // namespace agave
