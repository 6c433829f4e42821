#include "backends/cpu/kernels_for_level.h"
#include "backends/cpu/levels.h"

namespace agave::cpu {

constinit const Kernels kDotprodKernels = kernels_for_level(CpuLevel::dotprod);

}  // namespace agave::cpu
