#include "quant/format.h"

#include <iterator>

#include "quant/bf16.h"
#include "quant/f16.h"
#include "quant/f32.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q4_k.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"
#include "quant/q8_0.h"

namespace agave {

namespace {

template <typename Block>
constexpr FormatInfo row(Format format, const char* name, int32_t gguf_id,
                         void (*decode)(const std::byte*, float*, int64_t)) {
    return {format, name, gguf_id, Block::kElements, sizeof(Block), decode};
}

// The type ids are those of ggml_type in the GGUF specification.
constexpr FormatInfo kFormats[] = {
    {Format::f32, "F32", 0, 1, 4, decode_f32},
    {Format::f16, "F16", 1, 1, 2, decode_f16},
    {Format::bf16, "BF16", 30, 1, 2, decode_bf16},
    row<BlockQ4_0>(Format::q4_0, "Q4_0", 2, decode_q4_0),
    row<BlockQ4_1>(Format::q4_1, "Q4_1", 3, decode_q4_1),
    row<BlockQ5_0>(Format::q5_0, "Q5_0", 6, decode_q5_0),
    row<BlockQ5_1>(Format::q5_1, "Q5_1", 7, decode_q5_1),
    row<BlockQ8_0>(Format::q8_0, "Q8_0", 8, decode_q8_0),
    row<BlockQ2_K>(Format::q2_k, "Q2_K", 10, decode_q2_k),
    row<BlockQ3_K>(Format::q3_k, "Q3_K", 11, decode_q3_k),
    row<BlockQ4_K>(Format::q4_k, "Q4_K", 12, decode_q4_k),
    row<BlockQ5_K>(Format::q5_k, "Q5_K", 13, decode_q5_k),
    row<BlockQ6_K>(Format::q6_k, "Q6_K", 14, decode_q6_k),
};

constexpr bool in_order() {
    for (size_t i = 0; i < std::size(kFormats); ++i) {
        if (static_cast<size_t>(kFormats[i].format) != i) return false;
    }
    return true;
}
static_assert(in_order(), "kFormats must follow the order of Format");

}  // namespace

const FormatInfo& format_info(Format format) {
    return kFormats[static_cast<size_t>(format)];
}

std::span<const FormatInfo> formats() {
    return kFormats;
}

const FormatInfo* find_gguf_format(uint32_t gguf_id) {
    for (const FormatInfo& info : kFormats) {
        if (static_cast<uint32_t>(info.gguf_id) == gguf_id) return &info;
    }
    return nullptr;
}

}  // namespace agave
