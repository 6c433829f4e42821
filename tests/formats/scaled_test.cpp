#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "formats/huggingface.h"
#include "formats/model_file.h"

namespace agave {
namespace {

std::vector<std::string> case_names() {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(AGAVE_TEST_DATA "/schemes"))
        names.push_back(entry.path().filename());
    std::sort(names.begin(), names.end());
    return names;
}

/// Every scheme against the package that defines it; see tools/quant/make_scheme_fixtures.py.
class ScaledSchemes : public testing::TestWithParam<std::string> {};

TEST_P(ScaledSchemes, DecodesLikeItsPackage) {
    const std::string path = AGAVE_TEST_DATA "/schemes/" + GetParam();
    HuggingFaceFolder folder = open_huggingface(path);
    join_scaled_tensors(folder);
    const MappedFile file(path + "/expected.safetensors");
    const std::vector<SafeTensor> expected = parse_safetensors(file.bytes(), file.path());
    ASSERT_EQ(folder.tensors.size(), expected.size());
    for (const SafeTensor& wanted : expected) {
        SCOPED_TRACE(wanted.name);
        const SafeTensor* found = folder.find(wanted.name);
        ASSERT_NE(found, nullptr);
        ASSERT_NE(found->scaled, nullptr);
        ASSERT_EQ(found->n_dims, 2);
        ASSERT_EQ(found->shape, wanted.shape);
        const int64_t n = wanted.shape[1];
        std::vector<float> row(static_cast<size_t>(n));
        for (int64_t r = 0; r < wanted.shape[0]; r++) {
            found->scaled->format->decode_row(*found->scaled, r, row.data());
            // MLX adds a bias, which may nearly cancel: its rounding counts by the row's largest.
            float largest = 0;
            for (int64_t i = 0; i < n; i++) {
                const float value = number_at(wanted.data, NumberType::f32, r * n + i);
                if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
            }
            const bool affine = found->scaled->format == &kScaledAffine;
            for (int64_t i = 0; i < n; i++) {
                const float value = number_at(wanted.data, NumberType::f32, r * n + i);
                const float got = row[static_cast<size_t>(i)];
                if (std::isnan(value)) {
                    ASSERT_TRUE(std::isnan(got)) << r << ", " << i << ": " << got;
                } else if (got != value) {
                    const float unit = affine ? largest : std::abs(value);
                    ASSERT_LE(std::abs(got - value), std::max(unit * 0x1p-23f, 0x1p-149f))
                        << r << ", " << i << ": " << got << " for " << value;
                }
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Folders, ScaledSchemes, testing::ValuesIn(case_names()), [](const auto& parameter) {
    std::string name = parameter.param;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
});

}  // namespace
}  // namespace agave
