#pragma once

#include <cstddef>
#include <cstdint>

namespace agave::cpu {
namespace {

/// Bytes of unpacked panels that stay in the L2 cache beside the activations.
constexpr size_t kPanelCacheBytes = 256 * 1024;
/// Weights of a row that are unpacked at a time when few rows of activations use them: a strip stays in L1.
constexpr int64_t kStripWeights = 512;
/// Rows of activations from which panels are unpacked as a whole.
constexpr int kManyRows = 24;

inline size_t round_up_64(size_t n) {
    return (n + 63) / 64 * 64;
}
/// 34 bytes for 32 weights is the most that a quantised format takes.
inline size_t tail_bytes(int64_t k) {
    return round_up_64(static_cast<size_t>(k) * 16 / 32 * 34);
}
/// Blocks of 32 have up to three numbers; blocks of 256 at most 17.
inline size_t prepared_bytes(int64_t k) {
    return round_up_64(static_cast<size_t>(k) / 256 * (17 * 4) + static_cast<size_t>(k) / 32 * 12) *
           kManyRows;
}
/// Q2_K takes the most lines: 90 for 256 weights.
inline size_t panels_bytes(int64_t k) {
    const size_t one = static_cast<size_t>(k + 255) / 256 * 90 * 64;
    return one > kPanelCacheBytes ? one : kPanelCacheBytes;
}
inline size_t quantized_scratch_bytes(int64_t k) {
    return tail_bytes(k) + prepared_bytes(k) + kManyRows * 64 + panels_bytes(k);
}

/// Weight rows that the exact path decodes at a time.
constexpr int kFloatGemvRows = 8;
inline size_t float_scratch_bytes(int64_t k) {
    return static_cast<size_t>(k) * sizeof(float) * kFloatGemvRows;
}

}  // namespace
}  // namespace agave::cpu
