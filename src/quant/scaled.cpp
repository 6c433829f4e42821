#include "quant/scaled.h"

#include <cstring>

#include "base/float8.h"

namespace agave {

namespace {

template <typename T>
T load(const std::byte* numbers, int64_t index) {
    T value;
    std::memcpy(&value, numbers + static_cast<size_t>(index) * sizeof(T), sizeof value);
    return value;
}

}  // namespace

float number_at(const std::byte* numbers, NumberType type, int64_t index) {
    switch (type) {
        case NumberType::f32:
            return load<float>(numbers, index);
        case NumberType::f16:
            return half_to_float(load<uint16_t>(numbers, index));
        case NumberType::bf16:
            return bfloat16_to_float(load<uint16_t>(numbers, index));
        case NumberType::e4m3:
            return e4m3_to_float(load<uint8_t>(numbers, index));
        case NumberType::e8m0:
            return e8m0_to_float(load<uint8_t>(numbers, index));
        case NumberType::i8:
            return static_cast<float>(load<int8_t>(numbers, index));
        case NumberType::u8:
            return static_cast<float>(load<uint8_t>(numbers, index));
        case NumberType::i32:
            return static_cast<float>(load<int32_t>(numbers, index));
    }
    return 0;
}

void multiply_scales(const ScaledMatrix& m, int64_t row, float* out) {
    for (int64_t begin = 0; begin < m.n_columns; begin += m.scales.columns_each) {
        const float scale = static_cast<float>(m.scales.at(row, begin) * m.scale);
        const int64_t end = begin + m.scales.columns_each;
        for (int64_t i = begin; i < end && i < m.n_columns; i++) out[i] *= scale;
    }
}

}  // namespace agave
