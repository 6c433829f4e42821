#include "backends/cpu/kernels.h"

#include <array>
#include <iterator>

#include "backends/cpu/activation_row.h"
#include "backends/cpu/delta_net_scratch.h"
#include "backends/cpu/levels.h"
#include "backends/cpu/matmul_scratch.h"
#include "base/error.h"

namespace agave::cpu {
namespace {

constexpr const Kernels* kLevels[] = {
    &kPortableKernels,
#if defined(__x86_64__)
    &kAvx2Kernels,
#if !AGAVE_CPU_SMALL
    &kAvx512VnniKernels,
    &kAvx512Bf16Kernels,
#endif
#elif defined(__aarch64__)
    &kNeonKernels,
    &kDotprodKernels,
    &kI8mmKernels,
#endif
};

/// The tables, where a level takes the kernels that it leaves out from the one before it. What the lowest
/// level leaves out is of an operation that no architecture of this build uses.
std::array<Kernels, std::size(kLevels)> complete_tables() {
    std::array<Kernels, std::size(kLevels)> tables;
    for (size_t i = 0; i < tables.size(); ++i) {
        tables[i] = *kLevels[i];
        const auto inherit = [&](auto member) {
            if (i > 0 && !(tables[i].*member)) tables[i].*member = tables[i - 1].*member;
        };
        inherit(&Kernels::activation_for);
        inherit(&Kernels::quantize_row);
        inherit(&Kernels::matmul);
        inherit(&Kernels::rms_norm);
        inherit(&Kernels::rope);
        inherit(&Kernels::silu_gate);
        inherit(&Kernels::gelu_gate);
        inherit(&Kernels::clamped_gate);
        inherit(&Kernels::squared_relu);
        inherit(&Kernels::softcap);
        inherit(&Kernels::scale);
        inherit(&Kernels::add);
        inherit(&Kernels::add_scaled);
        inherit(&Kernels::store_kv);
        inherit(&Kernels::attention_item);
        inherit(&Kernels::attention_merge);
        inherit(&Kernels::convolve);
        inherit(&Kernels::selective_scan);
        inherit(&Kernels::delta_net);
        inherit(&Kernels::sigmoid_gate);
    }
    return tables;
}

}  // namespace

std::vector<CpuLevel> available_levels() {
    const CpuLevel best = best_cpu_level();
    std::vector<CpuLevel> levels;
    for (const Kernels* table : kLevels)
        if (table->level <= best) levels.push_back(table->level);
    return levels;
}

size_t activation_row_bytes(Activation activation, int64_t k) {
    return row_bytes_of(activation, k);
}

size_t matmul_scratch_bytes(int64_t k) {
    const size_t quantized = quantized_scratch_bytes(k), floats = float_scratch_bytes(k);
    return quantized > floats ? quantized : floats;
}

size_t delta_net_scratch_bytes(int key_dim) {
    return static_cast<size_t>(layout_delta_net(key_dim).size) * sizeof(float);
}

const Kernels& kernels(CpuLevel level) {
    static const std::array<Kernels, std::size(kLevels)> tables = complete_tables();
    for (const Kernels& table : tables)
        if (table.level == level && level <= best_cpu_level()) return table;
    fail(ErrorKind::unsupported, "the CPU level \"%s\" is not in this build or not in this processor",
         cpu_level_name(level));
}

}  // namespace agave::cpu
