#include "quant/encode_e2m1.h"

#include <cmath>

#include "quant/e2m1.h"

namespace agave {

float encode_e2m1(const float* x, const float* w, int n, float half_scale, uint8_t* codes) {
    float error = 0;
    for (int i = 0; i < n; ++i) {
        const float magnitude = std::fabs(x[i]);
        int code = 0;
        for (int k = 1; k < 8; ++k)
            code += magnitude > half_scale * 0.5f * static_cast<float>(kDoubledE2M1[k - 1] + kDoubledE2M1[k]);
        // With scale 0 every code is 0.
        if (half_scale == 0) code = 0;
        const float off = magnitude - half_scale * static_cast<float>(kDoubledE2M1[code]);
        error += w[i] * off * off;
        // The code of -0 is read as +0 by some and as -0 by others.
        codes[i] = static_cast<uint8_t>(code | (code != 0 && x[i] < 0) << 3);
    }
    return error;
}

}  // namespace agave
