#pragma once

#include <cstdint>
#include <cstring>
#include <new>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "backends/cpu/kernels.h"
#include "base/numeric.h"
#include "quant/format.h"

namespace agave::cpu {

/// Bytes at a multiple of 64, with nothing addressable behind them when a sanitizer looks.
class AlignedBytes {
  public:
    explicit AlignedBytes(size_t n)
        : size_(n), data_(static_cast<std::byte*>(::operator new(n, std::align_val_t{64}))) {
        std::memset(data_, 0, n);
    }
    AlignedBytes(AlignedBytes&& other) noexcept
        : size_(other.size_), data_(std::exchange(other.data_, nullptr)) {}
    ~AlignedBytes() { ::operator delete(data_, std::align_val_t{64}); }
    AlignedBytes(const AlignedBytes&) = delete;
    AlignedBytes& operator=(const AlignedBytes&) = delete;
    std::byte* data() const { return data_; }
    size_t size() const { return size_; }

  private:
    size_t size_;
    std::byte* data_;
};

/// Byte offsets of the binary16 numbers of a block; -1: none.
struct HalfOffsets {
    int first;
    int second;
};
inline HalfOffsets half_offsets(Format format) {
    switch (format) {
        case Format::q4_0:
        case Format::q5_0:
        case Format::q8_0:
        case Format::q1_0:
        case Format::q2_0:
        case Format::iq1_s:
        case Format::iq2_xxs:
        case Format::iq2_xs:
        case Format::iq2_s:
        case Format::iq3_xxs:
        case Format::iq3_s:
        case Format::iq4_nl:
        case Format::iq4_xs:
            return {0, -1};
        case Format::q4_1:
        case Format::q5_1:
        case Format::q4_k:
        case Format::q5_k:
            return {0, 2};
        case Format::q2_k:
            return {80, 82};
        case Format::q3_k:
            return {108, -1};
        case Format::q6_k:
            return {208, -1};
        case Format::tq1_0:
            return {52, -1};
        case Format::tq2_0:
            return {64, -1};
        default:
            return {-1, -1};
    }
}

/// Random blocks whose scales are small positive or negative numbers.
inline void fill_weights(Format format, std::span<std::byte> out, std::mt19937& random) {
    const FormatInfo& info = format_info(format);
    std::normal_distribution<float> normal;
    const auto put = [&](size_t at, auto value) { std::memcpy(out.data() + at, &value, sizeof value); };
    for (size_t b = 0; b < out.size(); b += info.block_bytes) {
        if (format == Format::f32) {
            put(b, normal(random));
        } else if (format == Format::f16) {
            put(b, float_to_half(normal(random)));
        } else if (format == Format::bf16) {
            put(b, float_to_bfloat16(normal(random)));
        } else {
            for (size_t i = 0; i < info.block_bytes; ++i) out[b + i] = static_cast<std::byte>(random() & 255);
            if (format == Format::mxfp4) put(b, static_cast<uint8_t>(118 + random() % 8));
            if (format == Format::nvfp4) {
                for (size_t i = 0; i < 4; ++i) put(b + i, static_cast<uint8_t>(random() % 0x40));
            }
            // The binary16 of IQ1_M is spread over the top nibbles of its last four 16-bit numbers.
            if (format == Format::iq1_m) {
                for (size_t i = 0; i < 4; ++i) {
                    const unsigned nibble = i == 3 ? 0x2 : random() & 15;
                    out[b + 49 + 2 * i] = (out[b + 49 + 2 * i] & std::byte{0x0F}) | std::byte(nibble << 4);
                }
            }
            const HalfOffsets halves = half_offsets(format);
            if (halves.first >= 0)
                put(b + static_cast<size_t>(halves.first), float_to_half(normal(random) * 0.05f));
            if (halves.second >= 0)
                put(b + static_cast<size_t>(halves.second), float_to_half(normal(random) * 0.1f));
        }
    }
}

/// A weight matrix and rows of activations, for benchmarks and tests.
struct MatmulCase {
    MatmulCase(Format format_in, int64_t n_weights_in, int64_t k_in, int n_rows_in, uint32_t seed = 1)
        : format(format_in),
          n_weights(n_weights_in),
          k(k_in),
          n_rows(n_rows_in),
          row_bytes(static_cast<size_t>(k) / format_info(format).block_elements *
                    format_info(format).block_bytes),
          weights(static_cast<size_t>(n_weights) * row_bytes),
          x(static_cast<size_t>(n_rows * k)) {
        std::mt19937 random(seed);
        fill_weights(format, {weights.data(), weights.size()}, random);
        std::normal_distribution<float> normal;
        for (float& v : x) v = normal(random);
    }

    WeightMatrix matrix() const { return {weights.data(), format, k, row_bytes}; }

    Format format;
    int64_t n_weights, k;
    int n_rows;
    size_t row_bytes;
    AlignedBytes weights;
    std::vector<float> x;
};

}  // namespace agave::cpu
