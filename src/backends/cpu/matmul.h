#pragma once

#include "backends/cpu/matmul_float.h"
#if defined(__AVX512BF16__)
#include "backends/cpu/levels.h"
#include "backends/cpu/matmul_bfloat16.h"
#else
#include "backends/cpu/matmul_quantized.h"
#endif

namespace agave::cpu {
namespace {

#if defined(__AVX512BF16__)

// The level adds products of bfloat16 to the one before it, whose kernels do all else.
inline Activation activation_for(Format format) {
    return format == Format::bf16 ? Activation::bfloat16 : kAvx512VnniKernels.activation_for(format);
}

inline void matmul(const MatmulTask& task) {
    if (task.activation == Activation::bfloat16) return matmul_bfloat16(task);
    kAvx512VnniKernels.matmul(task);
}

#else

inline Activation activation_for(Format format) {
    if (const QuantizedKernels* f = quantized_kernels_for(format))
        return f->block == 32 ? Activation::int8_block32 : Activation::int8_block256;
    return Activation::float32;
}

inline void matmul(const MatmulTask& task) {
    if (task.activation == Activation::float32) return matmul_float(task);
    matmul_quantized(task, *quantized_kernels_for(task.weights.format));
}

#endif

}  // namespace
}  // namespace agave::cpu
