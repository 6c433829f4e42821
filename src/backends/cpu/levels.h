#pragma once

#include "backends/cpu/kernels.h"

namespace agave::cpu {

// The tables of the levels, each defined in its level_*.cpp when CMake compiles that for the target.
extern const Kernels kPortableKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512VnniKernels;
extern const Kernels kAvx512Bf16Kernels;
extern const Kernels kNeonKernels;
extern const Kernels kDotprodKernels;
extern const Kernels kI8mmKernels;

}  // namespace agave::cpu
