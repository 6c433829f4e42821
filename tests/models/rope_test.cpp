#include <gtest/gtest.h>

#include <cmath>

#include "../formats/gguf_writer.h"
#include "models/common.h"

namespace agave {
namespace {

TEST(RopeTable, FrequenciesAreThePapers) {
    const RopeTable table = rope_table(10000.0, 8);
    ASSERT_EQ(table.inverse_frequencies.size(), 4u);
    const double expected[] = {1.0, 0.1, 0.01, 0.001};
    for (size_t i = 0; i < 4; i++) EXPECT_NEAR(table.inverse_frequencies[i], expected[i], 1e-6 * expected[i]);
}

TEST(RopeTable, LinearScalingDividesAndDivisorsDivideEach) {
    GgufWriter writer;
    writer.text("general.architecture", "llama");
    writer.text("llama.rope.scaling.type", "linear");
    writer.value<float>("llama.rope.scaling.factor", 4.0f);
    writer.float_tensor("rope_freqs.weight", {4}, {1, 2, 4, 8});
    const std::vector<std::byte> bytes = writer.bytes();
    const ModelFile file = ModelFile::from_bytes(bytes, "crafted.gguf");
    Model model;
    model.architecture = "llama";
    const RopeTable plain = rope_table(500000.0, 8);
    const RopeTable scaled = scaled_rope_table(file, model, 500000.0, 8);
    const float divisors[] = {4, 8, 16, 32};
    for (size_t i = 0; i < 4; i++)
        EXPECT_FLOAT_EQ(scaled.inverse_frequencies[i], plain.inverse_frequencies[i] / divisors[i]);
}

}  // namespace
}  // namespace agave
