#include <array>
#include <bit>

#include "base/float8.h"
#include "quant/scaled.h"

namespace agave {

namespace {

/// The 256 values of E4M3.
constexpr std::array<float, 256> kE4M3 = [] {
    std::array<float, 256> values{};
    for (uint32_t code = 0; code < 256; code++) {
        const uint32_t exponent = code >> 3 & 0xF, fraction = code & 7;
        const float magnitude = exponent == 0 ? static_cast<float>(fraction) * 0x1p-9f
                                              : std::bit_cast<float>((exponent + 120) << 23 | fraction << 20);
        values[code] = code & 0x80 ? -magnitude : magnitude;
    }
    values[0x7F] = values[0xFF] = std::bit_cast<float>(0x7FC00000u);
    return values;
}();

void decode_e4m3(const ScaledMatrix& m, int64_t row, float* out) {
    const std::byte* codes = m.weights + static_cast<size_t>(row * m.n_columns);
    for (int64_t i = 0; i < m.n_columns; i++) out[i] = kE4M3[static_cast<uint8_t>(codes[i])];
    multiply_scales(m, row, out);
}

void decode_e5m2(const ScaledMatrix& m, int64_t row, float* out) {
    const std::byte* codes = m.weights + static_cast<size_t>(row * m.n_columns);
    for (int64_t i = 0; i < m.n_columns; i++) out[i] = e5m2_to_float(static_cast<uint8_t>(codes[i]));
    multiply_scales(m, row, out);
}

}  // namespace

const ScaledFormat kScaledE4M3{"FP8", decode_e4m3};
const ScaledFormat kScaledE5M2{"FP8", decode_e5m2};

}  // namespace agave
