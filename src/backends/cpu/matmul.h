#pragma once

#include "backends/cpu/matmul_float.h"
#include "backends/cpu/matmul_quantized.h"

namespace agave::cpu {
namespace {

inline Activation activation_for(Format format) {
    if (const QuantizedKernels* f = quantized_kernels_for(format))
        return f->block == 32 ? Activation::int8_block32 : Activation::int8_block256;
#if defined(__AVX512BF16__)
    if (format == Format::bf16) return Activation::bfloat16;
#endif
    return Activation::float32;
}

inline void matmul(const MatmulTask& task) {
    if (task.activation == Activation::float32 || task.activation == Activation::bfloat16)
        return matmul_float(task);
    matmul_quantized(task, *quantized_kernels_for(task.weights.format));
}

}  // namespace
}  // namespace agave::cpu
