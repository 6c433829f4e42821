#pragma once

#include <string>

namespace agave {

/// The instruction-set level of the CPU kernels, chosen once at start. Levels of one architecture are
/// ordered: a CPU that runs a level runs the ones before it.
enum class CpuLevel {
    portable,     ///< plain C++
    avx2,         ///< x86-64: AVX2, FMA, F16C
    avx512_vnni,  ///< x86-64: AVX-512 F, BW, DQ, VL, VBMI, VNNI
    avx512_bf16,  ///< x86-64: the above and AVX-512 BF16
    neon,         ///< ARM: Advanced SIMD
    dotprod,      ///< ARM: the above and SDOT/UDOT
    i8mm          ///< ARM: the above and SMMLA
};

/// The best level that this CPU and operating system run.
CpuLevel best_cpu_level();

/// "avx2", "avx512-bf16", ...
const char* cpu_level_name(CpuLevel level);

/// The marketing name of the processor, e.g. "AMD EPYC", or "unknown".
std::string cpu_model_name();

}  // namespace agave
