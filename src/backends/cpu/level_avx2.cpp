#include "backends/cpu/kernels_for_level.h"
#include "backends/cpu/levels.h"

namespace agave::cpu {

constinit const Kernels kAvx2Kernels = kernels_for_level(CpuLevel::avx2);

}  // namespace agave::cpu
