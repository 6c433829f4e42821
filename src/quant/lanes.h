#pragma once

#include <cstring>

namespace agave {

/// Four floats that every compiler target adds and multiplies at once; the encoders' only arithmetic in bulk.
typedef float Float4 __attribute__((vector_size(16)));

inline Float4 load4(const float* at) {
    Float4 v;
    std::memcpy(&v, at, sizeof v);
    return v;
}

inline void store4(float* at, Float4 v) {
    std::memcpy(at, &v, sizeof v);
}

inline Float4 splat4(float v) {
    return Float4{v, v, v, v};
}

inline float sum4(Float4 v) {
    return (v[0] + v[2]) + (v[1] + v[3]);
}

/// To the nearest integer, ties to even, for magnitudes below 2^22.
inline Float4 round4(Float4 v) {
    const Float4 magic = splat4(12582912.0f);
    return (v + magic) - magic;
}

inline Float4 clamp4(Float4 v, Float4 low, Float4 high) {
    v = v < low ? low : v;
    return v > high ? high : v;
}

}  // namespace agave
