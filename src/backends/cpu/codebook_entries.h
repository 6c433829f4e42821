#pragma once

#include "backends/cpu/simd/simd.h"
#include "quant/iq1_m.h"
#include "quant/iq1_s.h"
#include "quant/iq2_s.h"
#include "quant/iq2_xs.h"
#include "quant/iq2_xxs.h"
#include "quant/iq3_s.h"
#include "quant/iq3_xxs.h"

namespace agave::cpu {
namespace {

// look_up_codes(block, codes): the codebook entries of one block, in order.

/// The bits of x, moved to the left by kLeft (to the right where negative), that kMask has.
template <int kLeft, uint32_t kMask>
inline uint32_t moved(uint32_t x) {
    if constexpr (kLeft < 0)
        return x >> -kLeft & kMask;
    else
        return x << kLeft & kMask;
}
inline void look_up_codes(const BlockIQ1_S& block, uint16_t* codes) {
    for (int g = 0; g < 8; ++g, codes += 4) {
        const uint32_t qh = block.qh[g];
        const uint8_t* qs = block.qs + 4 * g;
        codes[0] = kIQ1Grid[qs[0] | moved<8, 0x700>(qh)];
        codes[1] = kIQ1Grid[qs[1] | moved<5, 0x700>(qh)];
        codes[2] = kIQ1Grid[qs[2] | moved<2, 0x700>(qh)];
        codes[3] = kIQ1Grid[qs[3] | moved<-1, 0x700>(qh)];
    }
}
inline void look_up_codes(const BlockIQ1_M& block, uint16_t* codes) {
    for (int i = 0; i < 16; ++i) {
        const uint32_t qh = block.qh[i];
        codes[2 * i] = kIQ1Grid[block.qs[2 * i] | moved<8, 0x700>(qh)];
        codes[2 * i + 1] = kIQ1Grid[block.qs[2 * i + 1] | moved<4, 0x700>(qh)];
    }
}

#if defined(__AVX512VBMI__)

// Codebooks of up to 1024 entries are looked up 32 entries at a time, in registers.

/// Of each of 32 indices < kEntries the table's word.
template <int kEntries>
[[gnu::always_inline]] inline __m512i look_up_words(const uint16_t* table, __m512i indices) {
    __m512i parts[kEntries / 64];
    for (int i = 0; i < kEntries / 64; ++i)
        parts[i] = _mm512_permutex2var_epi16(_mm512_loadu_si512(table + 64 * i), indices,
                                             _mm512_loadu_si512(table + 64 * i + 32));
    for (int bit = 64, n = kEntries / 64; n > 1; n /= 2, bit *= 2) {
        const __mmask32 upper = _mm512_test_epi16_mask(indices, _mm512_set1_epi16(static_cast<short>(bit)));
        for (int i = 0; i < n / 2; ++i)
            parts[i] = _mm512_mask_blend_epi16(upper, parts[2 * i], parts[2 * i + 1]);
    }
    return parts[0];
}
inline __m512i widen_bytes(const uint8_t* p) {
    return _mm512_cvtepu8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(static_cast<const void*>(p))));
}

inline void look_up_codes(const BlockIQ2_XXS& block, uint16_t* codes) {
    // Word 4 g + i takes byte 8 g + i.
    const __m512i bytes = _mm512_loadu_si512(block.qs);
    alignas(64) static constexpr auto kIndex = [] {
        struct {
            uint8_t v[64];
        } t{};
        for (int i = 0; i < 32; ++i) t.v[2 * i] = static_cast<uint8_t>(8 * (i / 4) + i % 4);
        return t;
    }();
    const __m512i indices =
        _mm512_maskz_permutexvar_epi8(0x5555555555555555, _mm512_load_si512(kIndex.v), bytes);
    _mm512_storeu_si512(codes, look_up_words<256>(kIQ2_XXSGrid, indices));
}
inline void look_up_codes(const BlockIQ2_XS& block, uint16_t* codes) {
    const __m512i indices = _mm512_and_si512(_mm512_loadu_si512(block.qs), _mm512_set1_epi16(511));
    _mm512_storeu_si512(codes, look_up_words<512>(kIQ2_XSGrid, indices));
}
inline void look_up_codes(const BlockIQ2_S& block, uint16_t* codes) {
    // The upper byte of word i takes the 8 bits from bit 2 i of qh on.
    uint64_t qh;
    std::memcpy(&qh, block.qh, 8);
    alignas(64) static constexpr auto kSelect = [] {
        struct {
            uint8_t v[64];
        } t{};
        for (int i = 0; i < 32; ++i) t.v[2 * i + 1] = static_cast<uint8_t>(2 * i);
        return t;
    }();
    const __m512i high =
        _mm512_and_si512(_mm512_multishift_epi64_epi8(_mm512_load_si512(kSelect.v),
                                                      _mm512_set1_epi64(static_cast<long long>(qh))),
                         _mm512_set1_epi16(0x300));
    _mm512_storeu_si512(codes, look_up_words<1024>(kIQ2_SGrid, _mm512_or_si512(widen_bytes(block.qs), high)));
}
inline void look_up_codes(const BlockIQ3_XXS& block, uint16_t* codes) {
    for (int i = 0; i < 64; i += 32)
        _mm512_storeu_si512(codes + i, look_up_words<256>(kIQ3_XXSGrid, widen_bytes(block.qs + i)));
}
inline void look_up_codes(const BlockIQ3_S& block, uint16_t* codes) {
    for (int i = 0; i < 64; i += 32) {
        uint32_t qh;
        std::memcpy(&qh, block.qh + i / 8, 4);
        const __m512i low = widen_bytes(block.qs + i);
        const __m512i indices = _mm512_or_si512(low, _mm512_maskz_set1_epi16(qh, 256));
        _mm512_storeu_si512(codes + i, look_up_words<512>(kIQ3_SGrid, indices));
    }
}

#else

/// One store instead of four: a core has fewer of them than of anything else here.
inline void store_codes(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint16_t* codes) {
    const uint64_t all = a | b << 16 | c << 32 | d << 48;
    std::memcpy(codes, &all, 8);
}

inline void look_up_codes(const BlockIQ2_XXS& block, uint16_t* codes) {
    const uint16_t* grid = kIQ2_XXSGrid;
    const uint8_t* qs = block.qs;
    for (int g = 0; g < 8; ++g, codes += 4, qs += 8)
        store_codes(grid[qs[0]], grid[qs[1]], grid[qs[2]], grid[qs[3]], codes);
}
inline void look_up_codes(const BlockIQ2_XS& block, uint16_t* codes) {
    const uint16_t* grid = kIQ2_XSGrid;
    const uint16_t* qs = block.qs;
    for (int g = 0; g < 8; ++g, codes += 4, qs += 4)
        store_codes(grid[qs[0] & 511], grid[qs[1] & 511], grid[qs[2] & 511], grid[qs[3] & 511], codes);
}
inline void look_up_codes(const BlockIQ2_S& block, uint16_t* codes) {
    const uint16_t* grid = kIQ2_SGrid;
    const uint8_t* qs = block.qs;
    for (int g = 0; g < 8; ++g, codes += 4, qs += 4) {
        const uint32_t qh = block.qh[g];
        store_codes(grid[qs[0] | moved<8, 0x300>(qh)], grid[qs[1] | moved<6, 0x300>(qh)],
                    grid[qs[2] | moved<4, 0x300>(qh)], grid[qs[3] | moved<2, 0x300>(qh)], codes);
    }
}
inline void look_up_codes(const BlockIQ3_XXS& block, uint16_t* codes) {
    const uint16_t* grid = kIQ3_XXSGrid;
    const uint8_t* qs = block.qs;
    for (int g = 0; g < 16; ++g, codes += 4, qs += 4)
        store_codes(grid[qs[0]], grid[qs[1]], grid[qs[2]], grid[qs[3]], codes);
}
inline void look_up_codes(const BlockIQ3_S& block, uint16_t* codes) {
    const uint16_t* grid = kIQ3_SGrid;
    const uint8_t* qs = block.qs;
    for (int g = 0; g < 16; ++g, codes += 4, qs += 4) {
        const uint32_t qh = block.qh[g / 2] >> g % 2 * 4;
        store_codes(grid[qs[0] | moved<8, 0x100>(qh)], grid[qs[1] | moved<7, 0x100>(qh)],
                    grid[qs[2] | moved<6, 0x100>(qh)], grid[qs[3] | moved<5, 0x100>(qh)], codes);
    }
}

#endif

}  // namespace
}  // namespace agave::cpu
