#pragma once

// Included by each level_*.cpp, once, after nothing else: composes the table of one instruction-set level
// from the kernels, which are templates and inline functions with internal linkage over simd/simd.h.

#include "backends/cpu/activation.h"
#include "backends/cpu/attention.h"
#include "backends/cpu/convolve.h"
#include "backends/cpu/delta_net.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/kv_page.h"
#include "backends/cpu/matmul.h"
#include "backends/cpu/norm.h"
#include "backends/cpu/peak.h"
#include "backends/cpu/quantize_row.h"
#include "backends/cpu/rope.h"
#include "backends/cpu/selective_scan.h"
#include "backends/cpu/simd/simd.h"

namespace agave::cpu {
namespace {

constexpr Kernels kernels_for_level(CpuLevel level) {
    Kernels table{};
    table.level = level;
#if !defined(__ARM_FEATURE_MATMUL_INT8)
    table.activation_for = activation_for;
    table.matmul = matmul;
#endif
    // Beyond the products of matrices, the upper levels have nothing that the one before lacks: they take
    // its.
#if !defined(__AVX512BF16__) && !defined(__ARM_FEATURE_DOTPROD)
    table.quantize_row = quantize_row;
    table.rms_norm = rms_norm;
    table.rope = rope;
    table.silu_gate = silu_gate;
    table.gelu_gate = gelu_gate;
    table.clamped_gate = clamped_gate;
    table.squared_relu = squared_relu;
    table.softcap = softcap;
    table.scale = scale;
    table.add = add;
    table.add_scaled = add_scaled;
    table.store_kv = store_kv;
    table.attention_item = attention_item;
    table.attention_merge = attention_merge;
    table.sigmoid_gate = sigmoid_gate;
#if !defined(AGAVE_WITHOUT_CONVOLVE)
    table.convolve = convolve;
#endif
#if !defined(AGAVE_WITHOUT_DELTA_NET)
    table.delta_net = delta_net;
#endif
#if !defined(AGAVE_WITHOUT_SELECTIVE_SCAN)
    table.selective_scan = selective_scan;
#endif
#endif
    table.peak = peak_loops();
    return table;
}

}  // namespace
}  // namespace agave::cpu
