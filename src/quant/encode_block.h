#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

namespace agave {

/// A block of weights ready for a search: divided by a power of two so that the largest magnitude lies in
/// [0.5, 1), which keeps squares within float32 whatever the weights, and with weights of the squared errors
/// whose largest is 1.
struct EncodeBlock {
    static constexpr int kMaxElements = 256;

    int n = 0;
    int exponent = 0;   ///< x = weight * 2^-exponent
    float largest = 0;  ///< of the magnitudes of x; 0: all weights are zero
    alignas(16) float x[kMaxElements];
    alignas(16) float w[kMaxElements];

    /// `importance` may be nullptr: all the same.
    void load(const float* weights, const float* importance, int n_elements);

    /// Whether all weights are one number.
    bool constant() const;
    /// For a constant block: integers a and b of the ranges, and the scale for which half(scale) * a * b is
    /// closest to it.
    struct Product {
        uint16_t scale = 0;
        int a = 0, b = 0;
    };
    Product closest_product(int a_low, int a_high, std::span<const int> b) const;

    /// A scale for x as the binary16 number that the file holds for the weights: nearest, but neither
    /// infinite nor, unless the scale is 0, zero.
    uint16_t half_bits(float scale) const;
    /// What the bits mean for x.
    float scale_of(uint16_t bits) const;
};

/// Runs encode_block(const EncodeBlock&, Block&) over the blocks of a row; a block of zero weights becomes
/// zero bytes.
template <typename Block, typename EncodeOne>
inline void encode_blocks(std::span<const float> row, std::span<const float> importance, std::byte* out,
                          EncodeOne encode_one) {
    EncodeBlock input;
    for (size_t i = 0; i < row.size(); i += Block::kElements, out += sizeof(Block)) {
        input.load(row.data() + i, importance.empty() ? nullptr : importance.data() + i, Block::kElements);
        Block block{};
        if (input.largest > 0) encode_one(input, block);
        std::memcpy(out, &block, sizeof block);
    }
}

}  // namespace agave
