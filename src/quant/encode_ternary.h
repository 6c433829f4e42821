#pragma once

#include <cstdint>

#include "quant/encode_block.h"

namespace agave {

/// Levels `q` of -1, 0, 1 and the scale of one block; returns its binary16 bits. The best there is, up to the
/// rounding of the scale.
uint16_t fit_ternary(const EncodeBlock& block, float* q);

}  // namespace agave
