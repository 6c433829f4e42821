#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// Every weight format that agave knows by name. The value is an index into formats(), not a file's type id.
enum class Format : uint8_t {
    f32,
    f16,
    bf16,
    q4_0,
    q4_1,
    q5_0,
    q5_1,
    q8_0,
    q2_k,
    q3_k,
    q4_k,
    q5_k,
    q6_k,
    iq1_s,
    iq1_m,
    iq2_xxs,
    iq2_xs,
    iq2_s,
    iq3_xxs,
    iq3_s,
    iq4_nl,
    iq4_xs,
    tq1_0,
    tq2_0,
    mxfp4,
    nvfp4,
    q1_0,
    q2_0,
};

/// What the engine knows of one weight format. A row of weights is a sequence of blocks.
struct FormatInfo {
    Format format;
    const char* name;         ///< as people write it: "Q4_K"
    int32_t gguf_id;          ///< ggml's type id in a GGUF file
    uint16_t block_elements;  ///< weights in a block (1 for the float formats)
    uint16_t block_bytes;     ///< bytes in a block

    /// Decodes `n` weights (a multiple of block_elements) from `blocks` to float32: bit for bit what
    /// gguf-py's `dequantize` gives (for Q1_0 and Q2_0, which it lacks: what llama.cpp does).
    void (*decode)(const std::byte* blocks, float* out, int64_t n);
};

/// The table row of a format.
const FormatInfo& format_info(Format format);

/// All rows, in the order of Format.
std::span<const FormatInfo> formats();

/// The row with this GGUF type id, or nullptr.
const FormatInfo* find_gguf_format(uint32_t gguf_id);

}  // namespace agave
