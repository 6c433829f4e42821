#include "backends/cpu/kernels_for_level.h"
#include "backends/cpu/levels.h"

namespace agave::cpu {

constinit const Kernels kI8mmKernels = kernels_for_level(CpuLevel::i8mm);

}  // namespace agave::cpu
