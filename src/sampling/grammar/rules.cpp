#include "sampling/grammar/rules.h"

#include <algorithm>

#include "base/error.h"
#include "base/utf8.h"

namespace agave::grammar {

namespace {

constexpr size_t kMaxNodes = 1u << 19;
constexpr size_t kMaxBytes = 1u << 23;

/// Work with counts that only matter while they are small.
uint32_t saturate(uint64_t n) {
    return static_cast<uint32_t>(std::min<uint64_t>(n, UINT32_MAX));
}

}  // namespace

CharSet normalize(CharSet set) {
    std::sort(set.begin(), set.end(), [](CharRange a, CharRange b) { return a.first < b.first; });
    CharSet merged;
    for (const CharRange range : set) {
        if (range.first > range.last) continue;
        if (!merged.empty() && range.first <= merged.back().last + 1)
            merged.back().last = std::max(merged.back().last, range.last);
        else
            merged.push_back(range);
    }
    CharSet result;
    for (const CharRange range : merged) {
        if (range.first < 0xD800) result.push_back({range.first, std::min(range.last, uint32_t{0xD7FF})});
        if (range.last > 0xDFFF) result.push_back({std::max(range.first, uint32_t{0xE000}), range.last});
    }
    return result;
}

CharSet complement(const CharSet& set) {
    CharSet result;
    uint32_t next = 0;
    for (const CharRange range : normalize(set)) {
        if (range.first > next) result.push_back({next, range.first - 1});
        next = range.last + 1;
    }
    if (next <= kMaxCodePoint) result.push_back({next, kMaxCodePoint});
    return normalize(std::move(result));
}

CharSet intersect(const CharSet& a, const CharSet& b) {
    CharSet outside = complement(a);
    const CharSet outside_b = complement(b);
    outside.insert(outside.end(), outside_b.begin(), outside_b.end());
    return complement(outside);
}

bool contains(const CharSet& set, uint32_t code_point) {
    return std::any_of(set.begin(), set.end(), [code_point](CharRange range) {
        return range.first <= code_point && code_point <= range.last;
    });
}

uint32_t decode_utf8(std::string_view text) {
    const size_t length = utf8_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    uint32_t code_point = length <= 1 ? first : first & (0x7Fu >> length);
    for (size_t i = 1; i < length; i++)
        code_point = code_point << 6 | (static_cast<unsigned char>(text[i]) & 0x3Fu);
    return code_point;
}

Expr Rules::add(Node node) {
    if (nodes_.size() >= kMaxNodes || bytes_.size() > kMaxBytes || children_.size() > 4 * kMaxNodes)
        fail(ErrorKind::usage, "%s is too large", source);
    nodes_.push_back(node);
    return static_cast<Expr>(nodes_.size() - 1);
}

Expr Rules::literal(std::string_view bytes) {
    const auto begin = static_cast<uint32_t>(bytes_.size());
    bytes_ += bytes;
    return add({Kind::literal, begin, static_cast<uint32_t>(bytes.size()), 0, saturate(bytes.size())});
}

Expr Rules::chars(const CharSet& set) {
    const CharSet normal = normalize(set);
    if (normal.empty()) return never();
    const auto begin = static_cast<uint32_t>(ranges_.size());
    ranges_.insert(ranges_.end(), normal.begin(), normal.end());
    return add(
        {Kind::chars, begin, static_cast<uint32_t>(normal.size()), 0, normal.back().last < 0x80 ? 1u : 8u});
}

Expr Rules::sequence(const std::vector<Expr>& parts) {
    if (parts.size() == 1) return parts[0];
    const auto begin = static_cast<uint32_t>(children_.size());
    uint64_t states = 0;
    for (Expr part : parts) states += nodes_[part].states;
    children_.insert(children_.end(), parts.begin(), parts.end());
    return add({Kind::sequence, begin, static_cast<uint32_t>(parts.size()), 0, saturate(states)});
}

Expr Rules::choice(const std::vector<Expr>& alternatives) {
    if (alternatives.empty()) return never();
    if (alternatives.size() == 1) return alternatives[0];
    const Expr expr = sequence(alternatives);
    nodes_[expr].kind = Kind::choice;
    return expr;
}

Expr Rules::repeat(Expr what, uint32_t least, uint32_t most) {
    if (least == 1 && most == 1) return what;
    const uint32_t count = most == kUnbounded ? least + 1 : most;
    // Copies of anything but a little thing call a rule of its own.
    if (count > 1 && nodes_[what].states > 2) what = call(define(std::string(), what));
    return add({Kind::repeat, least, most, what, saturate(uint64_t{nodes_[what].states} * count + 1)});
}

Expr Rules::list(Expr separator, const std::vector<Item>& items, bool may_be_empty) {
    const auto begin = static_cast<uint32_t>(children_.size());
    uint64_t states = 4;
    children_.push_back(separator);
    for (const Item& item : items) {
        children_.push_back(item.what);
        children_.push_back(item.optional);
        states += uint64_t{nodes_[item.what].states} + nodes_[separator].states + 3;
    }
    return add({Kind::list, begin, static_cast<uint32_t>(2 * items.size() + 1), may_be_empty ? 1u : 0u,
                saturate(states)});
}

Expr Rules::machine(Dfa dfa) {
    const uint32_t states = dfa.size();
    machines_.push_back(std::move(dfa));
    return add({Kind::machine, 0, 0, static_cast<uint32_t>(machines_.size() - 1), states});
}

Rule Rules::declare(std::string name) {
    if (rules_.size() >= kMaxNodes) fail(ErrorKind::usage, "%s is too large", source);
    rules_.push_back({std::move(name)});
    return static_cast<Rule>(rules_.size() - 1);
}

}  // namespace agave::grammar
