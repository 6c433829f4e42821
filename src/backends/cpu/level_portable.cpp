#include "backends/cpu/kernels_for_level.h"
#include "backends/cpu/levels.h"

namespace agave::cpu {

constinit const Kernels kPortableKernels = kernels_for_level(CpuLevel::portable);

}  // namespace agave::cpu
