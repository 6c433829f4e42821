#include "quant/encode_block.h"

#include <algorithm>
#include <cmath>

#include "base/numeric.h"

namespace agave {

void EncodeBlock::load(const float* weights, const float* importance, int n_elements) {
    n = n_elements;
    float magnitude = 0, heaviest = 0;
    for (int i = 0; i < n; ++i) {
        magnitude = std::max(magnitude, std::fabs(weights[i]));
        if (importance) heaviest = std::max(heaviest, importance[i]);
    }
    largest = std::frexp(magnitude, &exponent);
    for (int i = 0; i < n; ++i) {
        x[i] = std::ldexp(weights[i], -exponent);
        w[i] = heaviest > 0 ? importance[i] / heaviest : 1.0f;
    }
}

bool EncodeBlock::constant() const {
    return std::count(x, x + n, x[0]) == n;
}

EncodeBlock::Product EncodeBlock::closest_product(int a_low, int a_high,
                                                  std::span<const int> b_values) const {
    Product best;
    float best_off = INFINITY;
    for (int a = a_low; a <= a_high; ++a) {
        for (const int b : b_values) {
            if (a == 0 || b == 0) continue;
            const uint16_t bits = half_bits(x[0] / static_cast<float>(a * b));
            const float off =
                std::fabs(scale_of(bits) * static_cast<float>(a) * static_cast<float>(b) - x[0]);
            if (!(off < best_off)) continue;
            best_off = off;
            best = {bits, a, b};
        }
    }
    return best;
}

uint16_t EncodeBlock::half_bits(float scale) const {
    constexpr float kLargestHalf = 65504.0f;
    const float value = std::clamp(std::ldexp(scale, exponent), -kLargestHalf, kLargestHalf);
    const uint16_t bits = float_to_half(value);
    return (bits & 0x7FFF) == 0 && scale != 0 ? static_cast<uint16_t>(bits | 1) : bits;
}

float EncodeBlock::scale_of(uint16_t bits) const {
    return std::ldexp(half_to_float(bits), -exponent);
}

}  // namespace agave
