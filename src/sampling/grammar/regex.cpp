#include "sampling/grammar/regex.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/error.h"
#include "base/utf8.h"
#include "sampling/grammar/json_text.h"

namespace agave::grammar {

namespace {

constexpr int kMaxDepth = 50;
constexpr uint32_t kMaxRepetitions = 10000;

/// WhiteSpace and LineTerminator of ECMA-262.
const CharSet kSpace{{'\t', '\r'},     {' ', ' '},       {0xA0, 0xA0},     {0x1680, 0x1680},
                     {0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
                     {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
const CharSet kDigit{{'0', '9'}};
const CharSet kWord{{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};
const CharSet kLineEnds{{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}};

class RegexReader {
  public:
    RegexReader(Rules& rules, std::string_view pattern) : rules_(rules), pattern_(pattern) {}

    Expr read() {
        if (valid_utf8_prefix(pattern_) != pattern_.size()) refuse("bytes that are no UTF-8");
        const Alternatives whole = read_alternatives(0);
        if (at_ < pattern_.size()) refuse("a \")\" without \"(\"");
        const Expr anything = rules_.repeat(json_characters(rules_, {{0, kMaxCodePoint}}), 0, kUnbounded);
        std::vector<Expr> choices;
        for (const Alternative& alternative : whole) {
            std::vector<Expr> parts;
            if (!alternative.at_start) parts.push_back(anything);
            parts.push_back(alternative.expr);
            if (!alternative.at_end) parts.push_back(anything);
            choices.push_back(rules_.sequence(parts));
        }
        return rules_.choice(choices);
    }

  private:
    struct Alternative {
        Expr expr;
        bool at_start, at_end;  ///< bound by ^ and by $
    };
    using Alternatives = std::vector<Alternative>;

    [[noreturn]] void refuse(const char* what) {
        fail(ErrorKind::usage, "the regular expression \"%s\" has %s", printable(pattern_).c_str(), what);
    }

    char peek(size_t ahead = 0) const { return at_ + ahead < pattern_.size() ? pattern_[at_ + ahead] : '\0'; }
    bool take(std::string_view symbol) {
        if (!pattern_.substr(at_).starts_with(symbol)) return false;
        at_ += symbol.size();
        return true;
    }
    bool at_end() const { return at_ >= pattern_.size(); }

    Alternatives read_alternatives(int depth) {
        if (depth > kMaxDepth) refuse("groups nested more than 50 deep");
        Alternatives alternatives;
        do {
            read_alternative(depth, alternatives);
        } while (take("|"));
        return alternatives;
    }

    /// What is bound inside a group stays so only where the group is a whole alternative.
    void read_alternative(int depth, Alternatives& out) {
        std::vector<Expr> parts;
        std::optional<Alternatives> alone;
        bool bound_start = false, bound_end = false;
        while (!at_end() && peek() != '|' && peek() != ')') {
            if (bound_end) refuse("something behind \"$\"");
            if (take("^")) {
                if (!parts.empty() || alone) refuse("something before \"^\"");
                bound_start = true;
                continue;
            }
            if (take("$")) {
                bound_end = true;
                continue;
            }
            if (alone) parts.push_back(unbound(*alone)), alone.reset();
            if (peek() == '(') {
                Alternatives group = read_group(depth);
                if (parts.empty() && !is_quantifier()) {
                    alone = std::move(group);
                    continue;
                }
                parts.push_back(unbound(group));
            } else {
                parts.push_back(read_atom());
            }
            parts.back() = read_quantifiers(parts.back());
        }
        if (alone) {
            for (const Alternative& a : *alone)
                out.push_back({a.expr, a.at_start || bound_start, a.at_end || bound_end});
            return;
        }
        out.push_back({parts.empty() ? rules_.empty() : rules_.sequence(parts), bound_start, bound_end});
    }

    Expr unbound(const Alternatives& alternatives) {
        std::vector<Expr> choices;
        for (const Alternative& alternative : alternatives) {
            if (alternative.at_start || alternative.at_end) refuse("an anchor in the middle");
            choices.push_back(alternative.expr);
        }
        return rules_.choice(choices);
    }

    Alternatives read_group(int depth) {
        at_++;
        if (take("?")) {
            if (take("<")) {
                if (peek() == '=' || peek() == '!') refuse("look-around, which agave cannot follow");
                while (!at_end() && peek() != '>') at_++;
                if (!take(">")) refuse("a group's name without end");
            } else if (!take(":")) {
                refuse("look-around or flags, which agave cannot follow");
            }
        }
        Alternatives alternatives = read_alternatives(depth + 1);
        if (!take(")")) refuse("a \"(\" without \")\"");
        return alternatives;
    }

    bool is_quantifier() const { return peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{'; }

    Expr read_quantifiers(Expr what) {
        if (!is_quantifier()) return what;
        uint32_t least = 0, most = kUnbounded;
        if (take("+")) {
            least = 1;
        } else if (take("?")) {
            most = 1;
        } else if (!take("*")) {
            at_++;
            least = most = read_count();
            if (take(",")) most = peek() == '}' ? kUnbounded : read_count();
            if (!take("}")) refuse("a \"{\" without \"}\"");
            if (most < least) refuse("a quantifier whose end is before its beginning");
        }
        take("?");  // as few as possible: the same texts
        if (is_quantifier()) refuse("a quantifier behind a quantifier");
        return rules_.repeat(what, least, most);
    }
    uint32_t read_count() {
        uint32_t n = 0;
        if (peek() < '0' || peek() > '9') refuse("a quantifier without a number");
        for (; peek() >= '0' && peek() <= '9'; at_++) {
            n = n * 10 + static_cast<uint32_t>(peek() - '0');
            if (n > kMaxRepetitions) refuse("more than 10000 repetitions");
        }
        return n;
    }

    Expr read_atom() {
        if (is_quantifier()) refuse("nothing to repeat");
        if (take(".")) return json_characters(rules_, complement(kLineEnds));
        if (take("[")) return json_characters(rules_, read_class());
        if (peek() == '\\') return json_characters(rules_, read_escape(false));
        if (peek() == '}' || peek() == ']') refuse("a bracket that was not opened");
        return json_characters(rules_, one(read_plain()));
    }

    static CharSet one(uint32_t code_point) { return {{code_point, code_point}}; }
    uint32_t read_plain() {
        const uint32_t code_point = decode_utf8(pattern_.substr(at_));
        at_ += utf8_length(pattern_.substr(at_));
        return code_point;
    }

    CharSet read_class() {
        const bool negated = take("^");
        CharSet set;
        while (!take("]")) {
            if (at_end()) refuse("a \"[\" without \"]\"");
            CharSet first = read_class_atom();
            if (peek() == '-' && at_ + 1 < pattern_.size() && peek(1) != ']') {
                at_++;
                const CharSet last = read_class_atom();
                if (!is_one(first) || !is_one(last) || last[0].first < first[0].first)
                    refuse("a range of characters without order");
                first[0].last = last[0].last;
            }
            set.insert(set.end(), first.begin(), first.end());
        }
        return negated ? complement(set) : normalize(std::move(set));
    }
    static bool is_one(const CharSet& set) { return set.size() == 1 && set[0].first == set[0].last; }
    CharSet read_class_atom() {
        if (at_end()) refuse("a \"[\" without \"]\"");
        return peek() == '\\' ? read_escape(true) : one(read_plain());
    }

    CharSet read_escape(bool in_class) {
        const char c = peek(1);
        at_ += 2;
        switch (c) {
            case 'd':
                return kDigit;
            case 'D':
                return complement(kDigit);
            case 'w':
                return kWord;
            case 'W':
                return complement(kWord);
            case 's':
                return kSpace;
            case 'S':
                return complement(kSpace);
            case 'n':
                return one('\n');
            case 'r':
                return one('\r');
            case 't':
                return one('\t');
            case 'f':
                return one('\f');
            case 'v':
                return one('\v');
            case '0':
                if (peek() >= '0' && peek() <= '9') break;
                return one(0);
            case 'x':
                return one(read_hexadecimal(2));
            case 'u':
                return one(read_unicode());
            case 'b':
                if (in_class) return one('\b');
                break;
            default:
                if (std::string_view("^$\\.*+?()[]{}|/-\"'#&,:;<=>@`~!% _").find(c) !=
                        std::string_view::npos &&
                    at_ <= pattern_.size())
                    return one(static_cast<unsigned char>(c));
        }
        refuse("an escape that agave cannot follow");
    }
    uint32_t read_hexadecimal(size_t n_digits) {
        const std::string_view digits = pattern_.substr(std::min(at_, pattern_.size()), n_digits);
        uint32_t value = 0;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
        if (n_digits == 0 || digits.size() != n_digits || error != std::errc() ||
            end != digits.data() + n_digits)
            refuse("an escape with too few hexadecimal digits");
        at_ += n_digits;
        return value;
    }
    uint32_t read_unicode() {
        uint32_t value = 0;
        if (take("{")) {
            const size_t end = pattern_.find('}', at_);
            if (end == pattern_.npos || end - at_ > 6) refuse("an escape with too few hexadecimal digits");
            value = read_hexadecimal(end - at_);
            at_++;
        } else {
            value = read_hexadecimal(4);
            if (value >= 0xD800 && value <= 0xDBFF && take("\\u")) {
                const uint32_t low = read_hexadecimal(4);
                if (low < 0xDC00 || low > 0xDFFF) refuse("half of a surrogate pair");
                value = 0x10000 + ((value - 0xD800) << 10) + (low - 0xDC00);
            }
        }
        if (value > kMaxCodePoint || (value >= 0xD800 && value <= 0xDFFF))
            refuse("an escape of what is no character");
        return value;
    }

    Rules& rules_;
    std::string_view pattern_;
    size_t at_ = 0;
};

}  // namespace

Expr read_regex(Rules& rules, std::string_view pattern) {
    return RegexReader(rules, pattern).read();
}

}  // namespace agave::grammar
