#include "tokenizer/special_tokens.h"

#include <algorithm>

namespace agave {

SpecialTokens::SpecialTokens(const Vocabulary& vocabulary, bool spaces_are_marked) {
    constexpr size_t longest_run = 1024;
    if (spaces_are_marked)
        for (size_t i = 0; i < longest_run; i++) space_marks_ += space_mark;
    for (int32_t id = 0; id < vocabulary.size(); id++) {
        const TokenType type = vocabulary.type(id);
        if (type != TokenType::control && type != TokenType::user_defined && type != TokenType::unknown)
            continue;
        std::string_view text = vocabulary.text(id);
        if (text.empty()) continue;
        const bool user_defined = type == TokenType::user_defined;
        if (spaces_are_marked && user_defined && text.find_first_not_of(' ') == std::string_view::npos)
            text = std::string_view(space_marks_).substr(0, text.size() * space_mark.size());
        sorted_.push_back({text, id, user_defined});
    }
    std::sort(sorted_.begin(), sorted_.end(), [](const Spelling& a, const Spelling& b) {
        const int order = a.text.compare(b.text);
        return order != 0 ? order < 0 : a.id < b.id;
    });
    const auto same_text = [](const Spelling& a, const Spelling& b) { return a.text == b.text; };
    sorted_.erase(std::unique(sorted_.begin(), sorted_.end(), same_text), sorted_.end());

    second_bytes_.resize(4 * 256);
    for (const auto& [text, id, user_defined] : sorted_) {
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
        if (sorted_[low].text.size() == depth) {
            if (control || sorted_[low].user_defined) best = {at, depth, sorted_[low].id};
            low++;
        }
        if (low == high || at + depth == text.size()) return best;
        const auto byte = static_cast<uint8_t>(text[at + depth]);
        const auto byte_at_depth = [&](const Spelling& s) { return static_cast<uint8_t>(s.text[depth]); };
        const auto begin = sorted_.begin();
        const auto lower =
            std::partition_point(begin + static_cast<ptrdiff_t>(low), begin + static_cast<ptrdiff_t>(high),
                                 [&](const Spelling& s) { return byte_at_depth(s) < byte; });
        const auto upper = std::partition_point(lower, begin + static_cast<ptrdiff_t>(high),
                                                [&](const Spelling& s) { return byte_at_depth(s) == byte; });
        if (lower == upper) return best;
        low = static_cast<size_t>(lower - begin);
        high = static_cast<size_t>(upper - begin);
    }
}

}  // namespace agave
