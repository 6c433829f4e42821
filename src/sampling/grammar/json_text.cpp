#include "sampling/grammar/json_text.h"

#include "base/error.h"

namespace agave::grammar {

namespace {

constexpr uint32_t kMaxIndent = 64;

struct Escape {
    char character, letter;
};
constexpr Escape escapes[] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                              {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};

std::string escaped(uint32_t code_point) {
    for (const Escape& escape : escapes)
        if (static_cast<uint32_t>(escape.character) == code_point) return {'\\', escape.letter};
    return strprintf("\\u%04x", code_point);
}

}  // namespace

const CharSet& unescaped_characters() {
    static const CharSet set = normalize({{0x20, 0x21}, {0x23, 0x5B}, {0x5D, kMaxCodePoint}});
    return set;
}

Expr json_characters(Rules& rules, const CharSet& set) {
    std::vector<Expr> parts;
    const CharSet plain = intersect(set, unescaped_characters());
    if (!plain.empty()) parts.push_back(rules.chars(plain));
    for (const CharRange range : intersect(set, complement(unescaped_characters())))
        for (uint32_t c = range.first; c <= range.last; c++) parts.push_back(rules.literal(escaped(c)));
    return rules.choice(parts);
}

std::string json_string_inside(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte >= 0x20 && c != '"' && c != '\\')
            out += c;
        else
            out += escaped(byte);
    }
    return out;
}

std::string json_string(std::string_view text) {
    return '"' + json_string_inside(text) + '"';
}

/// A call of the rule, which is declared before it is made, so that it may call itself.
Expr JsonText::container(Rule& rule, Expr (JsonText::*make)()) {
    if (rule == kNone) {
        rule = rules_.declare(std::string());
        rules_.define(rule, (this->*make)());
    }
    return rules_.call(rule);
}

Expr JsonText::space() {
    return compact_ ? rules_.empty() : container(space_, &JsonText::make_space);
}
Expr JsonText::integer() {
    return container(integer_, &JsonText::make_integer);
}
Expr JsonText::number() {
    return container(number_, &JsonText::make_number);
}
Expr JsonText::string() {
    return container(string_, &JsonText::make_string);
}
Expr JsonText::any() {
    return container(any_, &JsonText::make_any);
}

Expr JsonText::make_space() {
    const Expr indent = rules_.repeat(rules_.chars({{' ', ' '}, {'\t', '\t'}}), 0, kMaxIndent);
    return rules_.choice(
        {rules_.empty(), rules_.literal(" "), rules_.sequence({rules_.literal("\n"), indent})});
}

Expr JsonText::make_integer() {
    const Expr digits = rules_.repeat(rules_.chars({{'0', '9'}}), 0, kUnbounded);
    return rules_.sequence(
        {rules_.optional(rules_.literal("-")),
         rules_.choice({rules_.literal("0"), rules_.sequence({rules_.chars({{'1', '9'}}), digits})})});
}

Expr JsonText::make_number() {
    const Expr digits = rules_.repeat(rules_.chars({{'0', '9'}}), 1, kUnbounded);
    const Expr sign = rules_.optional(rules_.chars({{'+', '+'}, {'-', '-'}}));
    const Expr exponent = rules_.sequence({rules_.chars({{'e', 'e'}, {'E', 'E'}}), sign, digits});
    return rules_.sequence({make_integer(), rules_.optional(rules_.sequence({rules_.literal("."), digits})),
                            rules_.optional(exponent)});
}

Expr JsonText::make_character() {
    const CharRange decimal{'0', '9'};
    const Expr hex = rules_.chars({decimal, {'a', 'f'}, {'A', 'F'}});
    const Expr d = rules_.chars({{'d', 'd'}, {'D', 'D'}});
    const Expr no_surrogate = rules_.choice(
        {rules_.sequence({rules_.chars({decimal, {'a', 'c'}, {'A', 'C'}, {'e', 'f'}, {'E', 'F'}}), hex}),
         rules_.sequence({d, rules_.chars({{'0', '7'}})})});
    const Expr high = rules_.chars({{'8', '9'}, {'a', 'b'}, {'A', 'B'}});
    const Expr low = rules_.chars({{'c', 'f'}, {'C', 'F'}});
    const Expr pair = rules_.sequence({d, high, hex, hex, rules_.literal("\\u"), d, low, hex, hex});
    const Expr unicode = rules_.sequence(
        {rules_.literal("u"), rules_.choice({rules_.sequence({no_surrogate, hex, hex}), pair})});
    CharSet letters{{'/', '/'}};
    for (const Escape& escape : escapes) {
        const auto letter = static_cast<uint32_t>(escape.letter);
        letters.push_back({letter, letter});
    }
    return rules_.choice(
        {rules_.chars(unescaped_characters()),
         rules_.sequence({rules_.literal("\\"), rules_.choice({rules_.chars(letters), unicode})})});
}

Expr JsonText::string(uint32_t least, uint32_t most) {
    const Expr character = container(character_, &JsonText::make_character);
    return rules_.sequence(
        {rules_.literal("\""), rules_.repeat(character, least, most), rules_.literal("\"")});
}

Expr JsonText::make_string() {
    return string(0, kUnbounded);
}

Expr JsonText::make_object() {
    const Expr member = rules_.sequence({string(), colon(), any()});
    const Expr more = rules_.repeat(rules_.sequence({comma(), member}), 0, kUnbounded);
    return between("{", rules_.optional(rules_.sequence({member, more})), "}");
}

Expr JsonText::make_array() {
    const Expr more = rules_.repeat(rules_.sequence({comma(), any()}), 0, kUnbounded);
    return between("[", rules_.optional(rules_.sequence({any(), more})), "]");
}

Expr JsonText::make_any() {
    return rules_.choice({object(), array(), string(), number(), boolean(), null()});
}

}  // namespace agave::grammar
