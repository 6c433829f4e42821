#include "backends/cpu/kernels_for_level.h"
#include "backends/cpu/levels.h"

namespace agave::cpu {

constinit const Kernels kNeonKernels = kernels_for_level(CpuLevel::neon);

}  // namespace agave::cpu
