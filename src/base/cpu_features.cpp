#include "base/cpu_features.h"

#include <cstdio>
#include <cstring>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

namespace agave {

CpuLevel best_cpu_level() {
#if defined(__x86_64__)
    __builtin_cpu_init();
    const bool avx2 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c");
    if (!avx2) return CpuLevel::portable;
    const bool vnni = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
    if (!vnni) return CpuLevel::avx2;
    return __builtin_cpu_supports("avx512bf16") ? CpuLevel::avx512_bf16 : CpuLevel::avx512_vnni;
#elif defined(__aarch64__) && defined(__linux__)
    // HWCAP_ASIMDDP and HWCAP2_I8MM of <asm/hwcap.h>, spelt out because older headers lack the second.
    const unsigned long dotprod_bit = 1ul << 20, i8mm_bit = 1ul << 13;
    if (!(getauxval(AT_HWCAP) & dotprod_bit)) return CpuLevel::neon;
    return getauxval(AT_HWCAP2) & i8mm_bit ? CpuLevel::i8mm : CpuLevel::dotprod;
#elif defined(__aarch64__)
    return CpuLevel::dotprod;
#else
    return CpuLevel::portable;
#endif
}

const char* cpu_level_name(CpuLevel level) {
    switch (level) {
        case CpuLevel::portable:
            return "portable";
        case CpuLevel::avx2:
            return "avx2";
        case CpuLevel::avx512_vnni:
            return "avx512-vnni";
        case CpuLevel::avx512_bf16:
            return "avx512-bf16";
        case CpuLevel::neon:
            return "neon";
        case CpuLevel::dotprod:
            return "dotprod";
        case CpuLevel::i8mm:
            return "i8mm";
    }
    return "unknown";
}

std::string cpu_model_name() {
    std::string name = "unknown";
    std::FILE* file = std::fopen("/proc/cpuinfo", "r");
    if (!file) return name;
    char line[256];
    while (std::fgets(line, sizeof line, file)) {
        if (std::strncmp(line, "model name", 10) != 0) continue;
        if (const char* colon = std::strchr(line, ':')) {
            name = colon + 1;
            while (!name.empty() && name.front() == ' ') name.erase(0, 1);
            while (!name.empty() && (name.back() == '\n' || name.back() == ' ')) name.pop_back();
        }
        break;
    }
    std::fclose(file);
    return name;
}

}  // namespace agave
