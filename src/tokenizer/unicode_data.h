#pragma once

#include <cstddef>
#include <cstdint>

namespace agave {

/// Byte streams written by tools/unicode/generate.py, which states their layout; unicode.cpp expands them.
extern const uint8_t unicode_class_runs[];
extern const size_t unicode_class_runs_size;
extern const uint8_t unicode_combining_classes[];
extern const size_t unicode_combining_classes_size;
extern const uint8_t unicode_decompositions[];
extern const size_t unicode_decompositions_size;

}  // namespace agave
