#include "quant/format.h"

#include <iterator>

#include "quant/bf16.h"
#include "quant/f16.h"
#include "quant/f32.h"
#include "quant/iq1_m.h"
#include "quant/iq1_s.h"
#include "quant/iq2_s.h"
#include "quant/iq2_xs.h"
#include "quant/iq2_xxs.h"
#include "quant/iq3_s.h"
#include "quant/iq3_xxs.h"
#include "quant/iq4_nl.h"
#include "quant/iq4_xs.h"
#include "quant/mxfp4.h"
#include "quant/nvfp4.h"
#include "quant/q1_0.h"
#include "quant/q2_0.h"
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
#include "quant/tq1_0.h"
#include "quant/tq2_0.h"

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
    row<BlockIQ1_S>(Format::iq1_s, "IQ1_S", 19, decode_iq1_s),
    row<BlockIQ1_M>(Format::iq1_m, "IQ1_M", 29, decode_iq1_m),
    row<BlockIQ2_XXS>(Format::iq2_xxs, "IQ2_XXS", 16, decode_iq2_xxs),
    row<BlockIQ2_XS>(Format::iq2_xs, "IQ2_XS", 17, decode_iq2_xs),
    row<BlockIQ2_S>(Format::iq2_s, "IQ2_S", 22, decode_iq2_s),
    row<BlockIQ3_XXS>(Format::iq3_xxs, "IQ3_XXS", 18, decode_iq3_xxs),
    row<BlockIQ3_S>(Format::iq3_s, "IQ3_S", 21, decode_iq3_s),
    row<BlockIQ4_NL>(Format::iq4_nl, "IQ4_NL", 20, decode_iq4_nl),
    row<BlockIQ4_XS>(Format::iq4_xs, "IQ4_XS", 23, decode_iq4_xs),
    row<BlockTQ1_0>(Format::tq1_0, "TQ1_0", 34, decode_tq1_0),
    row<BlockTQ2_0>(Format::tq2_0, "TQ2_0", 35, decode_tq2_0),
    row<BlockMXFP4>(Format::mxfp4, "MXFP4", 39, decode_mxfp4),
    row<BlockNVFP4>(Format::nvfp4, "NVFP4", 40, decode_nvfp4),
    row<BlockQ1_0>(Format::q1_0, "Q1_0", 41, decode_q1_0),
    row<BlockQ2_0>(Format::q2_0, "Q2_0", 42, decode_q2_0),
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
