#pragma once

#include <cstdint>

namespace agave {

/// The codes of the E2M1 values nearest to x / (2 * half_scale); returns the sum of w * (x - decoded)^2.
float encode_e2m1(const float* x, const float* w, int n, float half_scale, uint8_t* codes);

}  // namespace agave
