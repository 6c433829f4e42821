#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "formats/model_file.h"

namespace agave {

/// Writes a float32 array in C order as a NumPy file (format version 1.0, numpy.lib.format). A regular file
/// appears whole or not at all: it is written beside `path` under a temporary name, synchronised and renamed.
/// A device or pipe is written directly. `shape` is outermost first and its product is data.size(). Throws
/// Error(usage) when `path` cannot be written to and Error(runtime) when writing fails, e.g. on a full disk.
void write_npy_float32(const std::string& path, std::span<const int64_t> shape, std::span<const float> data);

/// The same for a tensor decoded to float32, a few rows at a time. The array's shape is the tensor's n_dims
/// dimensions, outermost first as NumPy and PyTorch print it.
void write_npy_tensor(const std::string& path, const Tensor& tensor);

}  // namespace agave
