#pragma once

#include <cstdint>

#include "quant/encode_block.h"

namespace agave {

/// Levels `q` (0 .. largest_q), scale and minimum of one block with w = d * q + m, both binary16.
struct HalfAffine {
    uint16_t d, m;
};
HalfAffine fit_half_affine(const EncodeBlock& block, int largest_q, float* q);

/// The shape of a superblock with w = (d * scale) * q - (dmin * min): groups of `group_size`, levels
/// 0 .. largest_q, scales and mins 0 .. largest_integer.
struct AffineShape {
    int group_size;
    int largest_q;
    int largest_integer;
    int reach;  ///< how far from the rounded scale and min of a group better ones are looked for
};

struct GroupAffine {
    uint16_t d, dmin;
    int scales[16], mins[16];
};
GroupAffine fit_group_affine(const AffineShape& shape, const EncodeBlock& block, float* q);

}  // namespace agave
