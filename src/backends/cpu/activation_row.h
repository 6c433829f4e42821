#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernels.h"

namespace agave::cpu {
namespace {

// How a quantised row of activations lies in memory (activation_row_bytes() in all):
//   int8_block32:  int8 [k], float scale [k / 32], int32 sum of the int8 [k / 32], float scale * sum [k / 32]
//   int8_block256: int8 [k], float scale [k / 256], int16 sum of each 16 [k / 16], of each 32 [k / 32]

template <typename T>
inline const T* typed(const std::byte* p) {
    return static_cast<const T*>(static_cast<const void*>(p));
}
template <typename T>
inline T* typed(std::byte* p) {
    return static_cast<T*>(static_cast<void*>(p));
}

template <typename T>
inline const std::byte* as_bytes_pointer(const T* p) {
    return static_cast<const std::byte*>(static_cast<const void*>(p));
}

/// Pointers into one row of int8_block32; Byte is std::byte or const std::byte.
template <typename Byte>
struct Block32Row {
    Byte* base;
    int64_t k;

    auto quants() const { return typed<int8_t>(base); }
    auto scales() const { return typed<float>(base + k); }
    auto sums() const { return typed<int32_t>(base + k + k / 32 * 4); }
    auto scaled_sums() const { return typed<float>(base + k + k / 32 * 8); }
};

/// Pointers into one row of int8_block256.
template <typename Byte>
struct Block256Row {
    Byte* base;
    int64_t k;

    auto quants() const { return typed<int8_t>(base); }
    auto scales() const { return typed<float>(base + k); }
    auto sums16() const { return typed<int16_t>(base + k + k / 256 * 4); }
    auto sums32() const { return typed<int16_t>(base + k + k / 256 * 4 + k / 16 * 2); }
};

/// An odd number of cache lines, so that the rows of a tile fall into different sets of the L1 cache.
inline size_t row_bytes_of(Activation activation, int64_t k) {
    int64_t bytes = 0;
    switch (activation) {
        case Activation::float32:
            bytes = k * 4;
            break;
        case Activation::bfloat16:
            bytes = k * 2;
            break;
        case Activation::int8_block32:
            bytes = k + k / 32 * 12;
            break;
        case Activation::int8_block256:
            bytes = k + k / 256 * 4 + k / 16 * 2 + k / 32 * 2;
            break;
    }
    return static_cast<size_t>((bytes + 63) / 64 | 1) * 64;
}

}  // namespace
}  // namespace agave::cpu
