#include "backends/cpu/kernels_for_level.h"
#include "backends/cpu/levels.h"

namespace agave::cpu {

constinit const Kernels kAvx512Bf16Kernels = kernels_for_level(CpuLevel::avx512_bf16);

}  // namespace agave::cpu
