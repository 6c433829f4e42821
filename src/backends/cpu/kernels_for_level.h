#pragma once

// Included by each level_*.cpp, once, after nothing else: composes the table of one instruction-set level
// from the kernels, which are templates and inline functions with internal linkage over simd/simd.h.

#include "backends/cpu/kernels.h"
#include "backends/cpu/simd/simd.h"

namespace agave::cpu {
namespace {

constexpr Kernels kernels_for_level(CpuLevel level) {
    Kernels table{};
    table.level = level;
    return table;
}

}  // namespace
}  // namespace agave::cpu
