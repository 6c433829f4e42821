#include "quant/encode.h"

#include <iterator>

#include "quant/bf16.h"
#include "quant/f16.h"
#include "quant/f32.h"
#include "quant/iq1_m.h"
#include "quant/iq1_s.h"
#include "quant/iq2_s.h"
#include "quant/iq2_xs.h"
#include "quant/iq2_xxs.h"
#include "quant/iq3_s.h"
#include "quant/iq3_xxs.h"
#include "quant/iq4_nl.h"
#include "quant/iq4_xs.h"
#include "quant/mxfp4.h"
#include "quant/nvfp4.h"
#include "quant/q1_0.h"
#include "quant/q2_0.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q4_k.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"
#include "quant/q8_0.h"
#include "quant/tq1_0.h"
#include "quant/tq2_0.h"

namespace agave {

namespace {

// In the order of Format. Apart from the table of decoders, so that a program that only runs models carries
// no encoder.
constexpr EncodeRow kEncoders[] = {
    encode_f32,    encode_f16,     encode_bf16,   encode_q4_0,  encode_q4_1,    encode_q5_0,  encode_q5_1,
    encode_q8_0,   encode_q2_k,    encode_q3_k,   encode_q4_k,  encode_q5_k,    encode_q6_k,  encode_iq1_s,
    encode_iq1_m,  encode_iq2_xxs, encode_iq2_xs, encode_iq2_s, encode_iq3_xxs, encode_iq3_s, encode_iq4_nl,
    encode_iq4_xs, encode_tq1_0,   encode_tq2_0,  encode_mxfp4, encode_nvfp4,   encode_q1_0,  encode_q2_0,
};
static_assert(std::size(kEncoders) == static_cast<size_t>(Format::q2_0) + 1);

}  // namespace

EncodeRow encoder(Format format) {
    return kEncoders[static_cast<size_t>(format)];
}

}  // namespace agave
