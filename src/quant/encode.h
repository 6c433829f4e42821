#pragma once

#include <cstddef>
#include <span>

#include "quant/format.h"

namespace agave {

/// Encodes one row of finite weights (a multiple of the format's block_elements) into its blocks at `out`.
/// Minimises the sum of importance * (weight - decoded weight)^2 over each block; `importance` holds one
/// number >= 0 for each weight, or is empty: all weights count the same, as they do in a block whose
/// importance is 0 throughout. A scale beyond the largest of the format is cut to it. Deterministic: the
/// bytes depend on the arguments alone.
using EncodeRow = void (*)(std::span<const float> row, std::span<const float> importance, std::byte* out);

/// The encoder of a format; every format has one.
EncodeRow encoder(Format format);

}  // namespace agave
