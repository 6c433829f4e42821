#pragma once

#include <cstddef>
#include <cstdint>

#include "graph/kv_layer.h"

namespace agave {

/// How one number of K or V is stored.
enum class KvFormat : uint8_t { f16, f32 };

constexpr size_t kv_element_bytes(KvFormat format) {
    return format == KvFormat::f16 ? 2 : 4;
}

/// Tokens in one page. Pages begin at absolute multiples of it, so a token's place never depends on the
/// batch.
constexpr int kPageTokens = 64;

/// Bytes of a layer's part of a page. How K and V lie inside it is the backend's choice.
constexpr size_t page_bytes(const KvShape& shape, KvFormat format) {
    // Rows of a latent cache are read as whole vectors of 16.
    const int columns =
        shape.latent ? (shape.head_dim + 15) / 16 * 16 : shape.head_dim + shape.value_head_dim;
    return static_cast<size_t>(kPageTokens) * static_cast<size_t>(shape.kv_heads) *
           static_cast<size_t>(columns) * kv_element_bytes(format);
}

/// One layer's K and V of one sequence, as a backend sees it: page p covers positions
/// [p * kPageTokens, (p + 1) * kPageTokens) and lies at base + page_ids[p] * page_stride. Pages that a
/// sliding window has passed have id -1.
struct KvView {
    std::byte* base = nullptr;  ///< the pool, at this layer's part of its pages
    size_t page_stride = 0;     ///< bytes from one page to the next
    const int32_t* page_ids = nullptr;

    std::byte* page(int64_t index) const { return base + static_cast<size_t>(page_ids[index]) * page_stride; }
};

}  // namespace agave
