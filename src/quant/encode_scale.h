#pragma once

#include <cstdint>
#include <span>

#include "quant/encode_block.h"

namespace agave {

/// The numbers that a format multiplies by its scale, ascending: the integers from `low` to `high`, or, where
/// `values` is not empty, those.
struct Levels {
    int low, high;
    std::span<const int8_t> values;

    /// Where a search for the scale begins and ends and its steps: the level that the largest magnitude falls
    /// on, as a multiple of the largest level.
    float first, last;
    int n_steps;

    int largest() const { return -low > high ? -low : high; }
    bool symmetric() const { return low == -high; }
};

/// The index of a level from its value.
int level_index(const Levels& levels, float value);

/// The nearest level of x * inverse for each of n numbers (a multiple of 4), as a float.
void nearest_levels(const Levels& levels, const float* x, int n, float inverse, float* q);

/// The sum of w * (x - scale * q)^2.
float squared_error(const float* x, const float* w, const float* q, int n, float scale);

/// A scale with the error that its nearest levels leave, and the curvature of the error there: the sum of
/// w * q^2.
struct ScaleFit {
    float scale = 0;
    float error = 0;
    float curvature = 0;
};

/// The best scale that a search over the inverse scale and alternating least squares find for n numbers
/// (Lloyd 1982, Least squares quantization in PCM): levels from the scale, the scale from the levels.
ScaleFit fit_scale(const Levels& levels, const float* x, const float* w, int n);

/// Levels `q` and the scale of one block with a single binary16 scale; returns its bits.
uint16_t fit_half_scale(const Levels& levels, const EncodeBlock& block, float* q);

/// Scales of a superblock: scale of group g = d * integers[g].
struct GroupScales {
    uint16_t d;
    int integers[16];
};

/// Levels `q` and scales of a superblock whose groups of group_size have integer scales in [low, high].
GroupScales fit_group_scales(const Levels& levels, const EncodeBlock& block, int group_size, int low,
                             int high, float* q);

}  // namespace agave
