#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/utf8.h"
#include "sampling/grammar/finish.h"
#include "sampling/grammar/grammar.h"

namespace agave {

namespace {

using grammar::CharRange;
using grammar::CharSet;
using grammar::Expr;
using grammar::kUnbounded;
using grammar::Rule;
using grammar::Rules;

constexpr int kMaxDepth = 100;
constexpr uint32_t kMaxRepetitions = 10000;
constexpr size_t kMaxText = size_t{4} << 20;

/// llama.cpp's GBNF, as its grammars/README.md describes it.
class GbnfReader {
  public:
    explicit GbnfReader(std::string_view text) : text_(text) {}

    std::shared_ptr<const Grammar> read() {
        if (text_.size() > kMaxText)
            fail(ErrorKind::usage, "the grammar has %zu bytes, more than %zu", text_.size(), kMaxText);
        const size_t valid = valid_utf8_prefix(text_);
        if (valid != text_.size()) {
            at_ = valid;
            refuse("a byte that is no UTF-8");
        }
        skip_space(true);
        while (at_ < text_.size()) read_rule();
        const auto root =
            std::find_if(names_.begin(), names_.end(), [](const Name& n) { return n.name == "root"; });
        if (root == names_.end() || rules_.rules()[root->rule].right_side == Rules::kUndefined)
            fail(ErrorKind::usage, "the grammar has no rule \"root\"");
        return grammar::finish(rules_, root->rule);
    }

  private:
    struct Name {
        std::string name;
        Rule rule;
        bool operator<(const Name& other) const { return name < other.name; }
    };

    [[noreturn]] void refuse(const char* what) {
        const std::string_view before = text_.substr(0, at_);
        const size_t line = 1 + static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
        const size_t line_begin = before.rfind('\n') + 1;
        fail(ErrorKind::usage, "the grammar has %s in line %zu, column %zu", what, line,
             at_ - line_begin + 1);
    }

    char peek(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
    bool take(std::string_view symbol) {
        if (!text_.substr(at_).starts_with(symbol)) return false;
        at_ += symbol.size();
        return true;
    }

    /// Blanks and comments; also over the ends of lines where `lines`.
    void skip_space(bool lines) {
        for (; at_ < text_.size(); at_++) {
            const char c = peek();
            if (c == '#')
                while (at_ + 1 < text_.size() && peek(1) != '\n' && peek(1) != '\r') at_++;
            else if (c != ' ' && c != '\t' && !(lines && (c == '\n' || c == '\r')))
                return;
        }
    }

    static bool is_word(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
               c == '_';
    }
    std::string_view read_name() {
        const size_t begin = at_;
        while (is_word(peek())) at_++;
        if (at_ == begin) refuse("no name of a rule");
        return text_.substr(begin, at_ - begin);
    }
    Rule rule_named(std::string_view name) {
        const auto less = [](const Name& n, std::string_view wanted) { return n.name < wanted; };
        const auto place = std::lower_bound(names_.begin(), names_.end(), name, less);
        if (place != names_.end() && place->name == name) return place->rule;
        const Rule rule = rules_.declare(std::string(name));
        names_.insert(place, {std::string(name), rule});
        return rule;
    }

    void read_rule() {
        const Rule rule = rule_named(read_name());
        skip_space(false);
        if (!take("::=")) refuse("no \"::=\" behind the name of a rule");
        if (rules_.rules()[rule].right_side != Rules::kUndefined) refuse("a second definition of a rule");
        skip_space(true);
        rules_.define(rule, read_alternatives(0));
        skip_space(false);
        if (at_ < text_.size() && peek() != '\n' && peek() != '\r') refuse("something that is no symbol");
        skip_space(true);
    }

    /// Within parentheses (depth > 0), lines may end anywhere.
    Expr read_alternatives(int depth) {
        if (depth > kMaxDepth) refuse("parentheses nested more than 100 deep");
        std::vector<Expr> alternatives;
        do {
            skip_space(true);
            alternatives.push_back(read_sequence(depth));
        } while (take("|"));
        return rules_.choice(alternatives);
    }

    Expr read_sequence(int depth) {
        std::vector<Expr> parts;
        for (;;) {
            skip_space(depth > 0);
            const char c = peek();
            if (c == '"') {
                parts.push_back(read_literal());
            } else if (c == '[') {
                parts.push_back(read_class());
            } else if (c == '(') {
                at_++;
                parts.push_back(read_alternatives(depth + 1));
                skip_space(true);
                if (!take(")")) refuse("no \")\" where a group must end");
            } else if (c == '.') {
                at_++;
                parts.push_back(rules_.chars({{0, grammar::kMaxCodePoint}}));
            } else if (is_word(c)) {
                parts.push_back(rules_.call(rule_named(read_name())));
            } else if (c == '*' || c == '+' || c == '?' || c == '{') {
                if (parts.empty()) refuse("nothing to repeat");
                parts.back() = read_repetition(parts.back());
            } else if (c == '<' || c == '!') {
                refuse("a token in angle brackets, which agave does not know");
            } else {
                break;
            }
        }
        return parts.empty() ? rules_.empty() : rules_.sequence(parts);
    }

    Expr read_literal() {
        std::string bytes;
        at_++;
        while (!take("\"")) {
            if (at_ >= text_.size()) refuse("a string without end");
            char utf8[4];
            bytes.append(utf8, write_utf8(read_character(), utf8));
        }
        return rules_.literal(bytes);
    }
    /// A character, or an escape for one.
    uint32_t read_character() {
        const char c = peek();
        if (c != '\\') {
            const uint32_t code_point = grammar::decode_utf8(text_.substr(at_));
            at_ += utf8_length(text_.substr(at_));
            return code_point;
        }
        const char kind = peek(1);
        constexpr std::string_view themselves = "\\\"[]";
        constexpr std::pair<char, char> controls[] = {{'n', '\n'}, {'r', '\r'}, {'t', '\t'}};
        constexpr std::pair<char, size_t> hexadecimals[] = {{'x', 2}, {'u', 4}, {'U', 8}};
        for (const auto& [name, n_digits] : hexadecimals)
            if (kind == name) return read_hexadecimal(n_digits);
        at_ += 2;
        for (const auto& [name, control] : controls)
            if (kind == name) return static_cast<uint32_t>(control);
        if (kind != '\0' && themselves.find(kind) != themselves.npos) return static_cast<uint32_t>(kind);
        at_ -= 2;
        refuse("an escape that is none of \\n \\r \\t \\\\ \\\" \\[ \\] \\xXX \\uXXXX \\UXXXXXXXX");
    }
    uint32_t read_hexadecimal(size_t n_digits) {
        const std::string_view digits = text_.substr(at_ + 2, n_digits);
        uint32_t code_point = 0;
        const auto [end, error] =
            std::from_chars(digits.data(), digits.data() + digits.size(), code_point, 16);
        if (digits.size() != n_digits || error != std::errc() || end != digits.data() + digits.size())
            refuse("an escape with too few hexadecimal digits");
        if (code_point > grammar::kMaxCodePoint || (code_point >= 0xD800 && code_point <= 0xDFFF))
            refuse("an escape of what is no character");
        at_ += 2 + n_digits;
        return code_point;
    }

    Expr read_class() {
        at_++;
        const bool negated = take("^");
        CharSet set;
        while (!take("]")) {
            if (at_ >= text_.size()) refuse("a set of characters without end");
            CharRange range{};
            range.first = range.last = read_character();
            if (peek() == '-' && peek(1) != ']' && at_ + 1 < text_.size()) {
                at_++;
                range.last = read_character();
                if (range.last < range.first)
                    refuse("a range of characters whose end is before its beginning");
            }
            set.push_back(range);
        }
        return rules_.chars(negated ? grammar::complement(set) : set);
    }

    Expr read_repetition(Expr what) {
        if (take("*")) return rules_.repeat(what, 0, kUnbounded);
        if (take("+")) return rules_.repeat(what, 1, kUnbounded);
        if (take("?")) return rules_.optional(what);
        at_++;
        skip_space(false);
        const bool no_least = peek() == ',';
        uint32_t least = no_least ? 0 : read_count();
        uint32_t most = least;
        skip_space(false);
        if (take(",")) {
            skip_space(false);
            most = peek() == '}' ? kUnbounded : read_count();
            skip_space(false);
        }
        if (!take("}")) refuse("no \"}\" where a repetition must end");
        if (most < least) refuse("a repetition that is less often than it is at least");
        return rules_.repeat(what, least, most);
    }
    uint32_t read_count() {
        uint32_t n = 0;
        if (peek() < '0' || peek() > '9') refuse("no number where a repetition needs one");
        for (; peek() >= '0' && peek() <= '9'; at_++) {
            n = n * 10 + static_cast<uint32_t>(peek() - '0');
            if (n > kMaxRepetitions) refuse("more than 10000 repetitions");
        }
        return n;
    }

    std::string_view text_;
    size_t at_ = 0;
    Rules rules_;
    std::vector<Name> names_;  ///< sorted
};

}  // namespace

std::shared_ptr<const Grammar> Grammar::from_gbnf(std::string_view text) {
    return GbnfReader(text).read();
}

}  // namespace agave
