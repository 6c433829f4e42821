#include "backends/cpu/kernels_for_level.h"
#include "backends/cpu/levels.h"

namespace agave::cpu {

constinit const Kernels kAvx512VnniKernels = kernels_for_level(CpuLevel::avx512_vnni);

}  // namespace agave::cpu
