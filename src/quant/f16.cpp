#include "quant/f16.h"

#include <cstring>

#include "base/numeric.h"

namespace agave {

void decode_f16(const std::byte* blocks, float* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        uint16_t bits;
        std::memcpy(&bits, blocks + 2 * i, sizeof bits);
        out[i] = half_to_float(bits);
    }
}

}  // namespace agave
