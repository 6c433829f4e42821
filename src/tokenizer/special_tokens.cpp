#include "tokenizer/special_tokens.h"

#include <algorithm>

namespace agave {

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
    for (int32_t id = 0; id < vocabulary.size(); id++) {
        const TokenType type = vocabulary.type(id);
        const bool special =
            type == TokenType::control || type == TokenType::user_defined || type == TokenType::unknown;
        // Of several tokens with one spelling, the one that find() gives stands for all.
        if (special && !vocabulary.text(id).empty()) sorted_.push_back(id);
    }
    std::sort(sorted_.begin(), sorted_.end(), [&](int32_t a, int32_t b) {
        const int order = vocabulary.text(a).compare(vocabulary.text(b));
        return order != 0 ? order < 0 : a < b;
    });
    const auto same_text = [&](int32_t a, int32_t b) { return vocabulary.text(a) == vocabulary.text(b); };
    sorted_.erase(std::unique(sorted_.begin(), sorted_.end(), same_text), sorted_.end());

    second_bytes_.resize(4 * 256);
    for (const int32_t id : sorted_) {
        const std::string_view text = vocabulary.text(id);
        const auto first = static_cast<uint8_t>(text[0]);
        first_[first + 1]++;
        uint64_t* set = &second_bytes_[4u * first];
        if (text.size() == 1) {
            for (int i = 0; i < 4; i++) set[i] = ~uint64_t{0};
        } else {
            const auto second = static_cast<uint8_t>(text[1]);
            set[second / 64] |= uint64_t{1} << (second % 64);
        }
    }
    for (int i = 0; i < 256; i++) first_[i + 1] += first_[i];
}

SpecialTokens::Match SpecialTokens::next(std::string_view text, size_t from, bool control) const {
    if (sorted_.empty()) return {};
    for (size_t at = from; at < text.size(); at++) {
        const auto first = static_cast<uint8_t>(text[at]);
        if (first_[first] == first_[first + 1]) continue;
        if (at + 1 < text.size()) {
            const auto second = static_cast<uint8_t>(text[at + 1]);
            if ((second_bytes_[4u * first + second / 64] >> (second % 64) & 1) == 0) continue;
        }
        if (const Match match = longest_at(text, at, control); match.id >= 0) return match;
    }
    return {};
}

SpecialTokens::Match SpecialTokens::longest_at(std::string_view text, size_t at, bool control) const {
    Match best;
    const auto first = static_cast<uint8_t>(text[at]);
    size_t low = first_[first], high = first_[first + 1];
    // [low, high) are the tokens that begin with the first `depth` bytes of the text.
    for (size_t depth = 1;; depth++) {
        const std::string_view candidate = vocabulary_.text(sorted_[low]);
        if (candidate.size() == depth) {
            if (control || vocabulary_.type(sorted_[low]) == TokenType::user_defined)
                best = {at, depth, sorted_[low]};
            low++;
        }
        if (low == high || at + depth == text.size()) return best;
        const auto byte_at_depth = [&](int32_t id) {
            return static_cast<uint8_t>(vocabulary_.text(id)[depth]);
        };
        const auto byte = static_cast<uint8_t>(text[at + depth]);
        const auto begin = sorted_.begin();
        const auto lower =
            std::partition_point(begin + static_cast<ptrdiff_t>(low), begin + static_cast<ptrdiff_t>(high),
                                 [&](int32_t id) { return byte_at_depth(id) < byte; });
        const auto upper = std::partition_point(lower, begin + static_cast<ptrdiff_t>(high),
                                                [&](int32_t id) { return byte_at_depth(id) == byte; });
        if (lower == upper) return best;
        low = static_cast<size_t>(lower - begin);
        high = static_cast<size_t>(upper - begin);
    }
}

}  // namespace agave
