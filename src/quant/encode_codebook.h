#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "quant/encode_block.h"

namespace agave {

/// A codebook prepared for the exact search of the nearest entry: an entry is two halves, and the error of an
/// entry is the sum of two numbers from tables of all halves.
class Codebook {
  public:
    static constexpr int kMaxHalves = 81;
    static constexpr int kMaxLevels = 8;

    /// The entries hold 16 / bits weights of `bits` bits each, the numbers of levels.
    Codebook(std::span<const uint16_t> entries, int bits, std::span<const uint8_t> levels);

    int n_weights() const { return 2 * n_positions_; }
    int n_levels() const { return n_levels_; }
    int n_halves() const { return n_halves_; }
    float level_number(int index) const { return levels_[index]; }
    /// Level of weight i of an entry, as a number.
    float level(int entry, int i) const;
    int level_index(int entry, int i) const {
        return entries_[static_cast<size_t>(entry)] >> bits_ * i & mask_;
    }

    /// Sums over the positions of one half: `table` of every half from the costs [position][level].
    void half_table(const float costs[][kMaxLevels], float* table) const;
    /// The smallest cost over the positions of one half, in place of their sum.
    void half_minimum(const float costs[][kMaxLevels], float* table) const;

    struct Nearest {
        int entry;
        float error;
    };
    /// The entry of the least first[its first half] + second[its second half]; `hint`: an entry likely near
    /// it.
    Nearest nearest(const float* first, const float* second, int hint) const;
    /// The entry of the least sum where one of the two halves pays its `flipped` price instead.
    Nearest nearest_flipped(const float* first, const float* second, const float* first_flipped,
                            const float* second_flipped) const;

  private:
    struct Member {
        uint8_t second;
        uint16_t entry;
    };

    std::span<const uint16_t> entries_;
    int bits_, mask_;
    int n_positions_;  ///< weights of a half
    int n_levels_;
    int n_halves_;
    float levels_[kMaxLevels];
    std::vector<Member> members_;          ///< by first half
    uint16_t begin_[kMaxHalves + 1] = {};  ///< of each first half in members_
    std::vector<uint8_t> first_, second_;  ///< halves of each entry

    int half_of(int entry, int begin) const;
};

/// How a codebook format divides its superblock.
struct CodebookShape {
    const Codebook& book;
    int group_size;  ///< weights with one scale
    enum class Signs {
        free,   ///< a bit for each weight
        even,   ///< 7 bits for 8 weights: the number of negative ones is even
        shifts  ///< none: the levels are -1, 0, 1 and all of a group, or of an entry, move by +-1/8
    } signs;
    bool shift_each_entry;
    float unit;  ///< scale of a group = d * unit * (2 * integer + 1)
    int largest_integer;
};

/// What encodes a superblock of a codebook format.
struct CodebookChoice {
    uint16_t d;
    uint8_t integers[16];  ///< by group
    uint16_t entries[64];  ///< in the order of the weights
    uint8_t signs[32];     ///< bit j of number i: weight 8 i + j is negative
    bool minus[32];        ///< number i: entry i (or all of its group) moves by -1/8
};

CodebookChoice fit_codebook(const CodebookShape& shape, const EncodeBlock& block);

}  // namespace agave
