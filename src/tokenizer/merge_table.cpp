#include "tokenizer/merge_table.h"

#include <bit>

namespace agave {
namespace {

constexpr std::string_view merges_key = "tokenizer.ggml.merges";

/// The tokens that one line of the list names, with their hashes.
struct Names {
    std::string_view left;
    std::string_view right;
    std::string_view merged;  ///< in `buffer` or `long_text`
    uint64_t hashes[3];
    char buffer[64];
    std::string long_text;

    void set_merged() {
        const size_t size = left.size() + right.size();
        char* out = buffer;
        if (size > sizeof buffer) {
            long_text.resize(size);
            out = long_text.data();
        }
        std::memcpy(out, left.data(), left.size());
        std::memcpy(out + left.size(), right.data(), right.size());
        merged = {out, size};
    }
};

/// The id of a token that a merge names, or -1. A GGUF spells the user-defined tokens of nothing but spaces
/// with spaces, the merges with marks.
int32_t find_named(const Vocabulary& vocabulary, std::string_view text, uint64_t hash) {
    const int32_t id = vocabulary.find_known(text, hash);
    if (id >= 0 || !text.starts_with(space_mark)) return id;
    std::string spaces;
    for (; text.starts_with(space_mark); text.remove_prefix(space_mark.size())) spaces += ' ';
    return text.empty() ? vocabulary.find(spaces) : -1;
}

}  // namespace

MergeTable::MergeTable(const Metadata& metadata, const Vocabulary& vocabulary) {
    const char* path = metadata.path().c_str();
    const std::vector<std::string_view>* lines = metadata.texts(merges_key);
    if (lines == nullptr)
        fail(ErrorKind::bad_file, "%s: tokenizer.ggml.merges is missing; byte-pair encoding needs it", path);
    if (lines->size() >= rank_mask)
        fail(ErrorKind::bad_file, "%s: tokenizer.ggml.merges has %zu elements; at most %u are supported",
             path, lines->size(), rank_mask - 1);
    const size_t n_slots = std::bit_ceil(std::max<size_t>(lines->size() * 2, 16));
    slots_.resize(n_slots);
    mask_ = n_slots - 1;
    shift_ = static_cast<unsigned>(64 - std::countr_zero(n_slots));
    rules_.resize(lines->size());

    uint64_t probes_left = 64 * lines->size() + 4096;
    constexpr size_t batch = 16;
    Names names[batch];
    for (size_t begin = 0; begin < lines->size(); begin += batch) {
        const size_t n = std::min(batch, lines->size() - begin);
        // First the memory accesses of all, then their use, so that they overlap.
        for (size_t i = 0; i < n; i++) {
            const std::string_view line = (*lines)[begin + i];
            const size_t space = line.find(' ', 1);
            if (space == std::string_view::npos || space + 1 == line.size())
                fail(ErrorKind::bad_file, "%s: merge %zu (\"%s\") is not two tokens with a space between",
                     path, begin + i, printable(line).c_str());
            Names& name = names[i];
            name.left = line.substr(0, space);
            name.right = line.substr(space + 1);
            name.set_merged();
            name.hashes[0] = hash_text(name.left.data(), name.left.size());
            name.hashes[1] = hash_text(name.right.data(), name.right.size());
            name.hashes[2] = hash_text(name.merged.data(), name.merged.size());
            for (const uint64_t hash : name.hashes) vocabulary.prefetch(hash);
        }
        for (size_t i = 0; i < n; i++) {
            const Names& name = names[i];
            const Rule rule = {find_named(vocabulary, name.left, name.hashes[0]),
                               find_named(vocabulary, name.right, name.hashes[1]),
                               find_named(vocabulary, name.merged, name.hashes[2])};
            if (rule.left < 0 || rule.right < 0 || rule.merged < 0)
                fail(ErrorKind::bad_file,
                     "%s: merge %zu (\"%s\") names a token that is not in the vocabulary", path, begin + i,
                     printable((*lines)[begin + i]).c_str());
            rules_[begin + i] = rule;
            __builtin_prefetch(&slots_[hash_pair(rule.left, rule.right) >> shift_], 1);
        }
        for (size_t i = 0; i < n; i++) insert(static_cast<uint32_t>(begin + i), metadata.path(), probes_left);
    }
}

void MergeTable::insert(uint32_t rank, const std::string& path, uint64_t& probes_left) {
    const Rule& rule = rules_[rank];
    const uint64_t hash = hash_pair(rule.left, rule.right);
    uint64_t at = hash >> shift_;
    for (; slots_[at] != 0; at = (at + 1) & mask_) {
        if (probes_left-- == 0)
            fail(ErrorKind::bad_file, "%s: the merges are made to collide in a hash table", path.c_str());
        if (slots_[at] >> rank_bits != (hash & 0xFF)) continue;
        const Rule& other = rules_[(slots_[at] & rank_mask) - 1];
        if (other.left == rule.left && other.right == rule.right) return;  // said before, at a better rank
    }
    slots_[at] = static_cast<uint32_t>(hash & 0xFF) << rank_bits | (rank + 1);
}

}  // namespace agave
