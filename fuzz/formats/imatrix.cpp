#include <cmath>
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "formats/imatrix.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        const agave::ImportanceMatrix matrix =
            agave::ImportanceMatrix::from_bytes({reinterpret_cast<const std::byte*>(data), size}, "fuzz");
        for (const agave::ImportanceEntry& entry : matrix.entries()) {
            if (entry.values.empty()) __builtin_trap();
            for (const float value : entry.values)
                if (!std::isfinite(value) || value < 0) __builtin_trap();
        }
    } catch (const agave::Error&) {
    }
    return 0;
}
