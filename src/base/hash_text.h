#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace agave {

/// A 64-bit hash of short text; equal on every machine of one byte order.
inline uint64_t hash_text(const char* data, size_t size) {
    const auto mix = [](uint64_t a, uint64_t b) {
        const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
        return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
    };
    const auto read8 = [](const char* p) {
        uint64_t value;
        std::memcpy(&value, p, 8);
        return value;
    };
    const auto read4 = [](const char* p) {
        uint32_t value;
        std::memcpy(&value, p, 4);
        return uint64_t{value};
    };
    constexpr uint64_t k0 = 0x9E3779B97F4A7C15u, k1 = 0xD6E8FEB86659FD93u, k2 = 0xA0761D6478BD642Fu;
    uint64_t seed = (size * k1) ^ k2;
    while (size > 16) {
        seed = mix(read8(data) ^ k0, read8(data + 8) ^ seed);
        data += 16;
        size -= 16;
    }
    uint64_t a = 0, b = 0;
    if (size >= 8) {
        a = read8(data);
        b = read8(data + size - 8);
    } else if (size >= 4) {
        a = read4(data);
        b = read4(data + size - 4);
    } else if (size > 0) {
        const auto byte = [&](size_t i) { return uint64_t{static_cast<uint8_t>(data[i])}; };
        a = byte(0) << 16 | byte(size / 2) << 8 | byte(size - 1);
    }
    return mix(mix(a ^ k0, b ^ seed), k1);
}

}  // namespace agave
