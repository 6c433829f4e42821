#pragma once

#include <cstdint>

namespace agave {

/// The 16 values of IQ4_NL and IQ4_XS: kvalues_iq4nl of llama.cpp's ggml-common.h.
inline constexpr int8_t kIQ4Values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

}  // namespace agave
