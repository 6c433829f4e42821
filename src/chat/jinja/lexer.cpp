#include "chat/jinja/lexer.h"

#include "chat/jinja/text.h"
#include "chat/jinja/value.h"

namespace agave::chat::jinja {

namespace {

bool is_decimal(char c) {
    return c >= '0' && c <= '9';
}

class Lexer {
  public:
    Lexer(std::string_view source, uint32_t& position) : source_(source), error_position_(position) {}

    std::vector<Token> run() {
        while (at_ < source_.size()) read_data();
        add(TokenKind::end, at_, 0);
        return std::move(tokens_);
    }

  private:
    enum class Tag { variable, block, comment, raw };

    [[noreturn]] void fail_at(size_t position, const char* message) {
        error_position_ = static_cast<uint32_t>(position);
        fail_value("%s", message);
    }

    void add(TokenKind kind, size_t begin, size_t length) {
        tokens_.push_back({kind, static_cast<uint32_t>(begin), source_.substr(begin, length)});
    }

    bool starts_with(size_t position, std::string_view text) const {
        return source_.substr(position).starts_with(text);
    }

    size_t skip_space(size_t position) const {
        while (position < source_.size()) {
            size_t after = position;
            if (!text::is_space(text::next_code_point(source_, after))) break;
            position = after;
        }
        return position;
    }

    /// Text up to the next tag, then the tag.
    void read_data() {
        const size_t begin = at_;
        size_t open = source_.find('{', begin);
        while (open != std::string_view::npos) {
            const char next = open + 1 < source_.size() ? source_[open + 1] : '\0';
            if (next == '{' || next == '%' || next == '#') break;
            open = source_.find('{', open + 1);
        }
        if (open == std::string_view::npos) {
            add(TokenKind::data, begin, source_.size() - begin);
            at_ = source_.size();
            return;
        }
        Tag tag = source_[open + 1] == '{'   ? Tag::variable
                  : source_[open + 1] == '%' ? Tag::block
                                             : Tag::comment;
        at_ = open + 2;
        const char sign = at_ < source_.size() ? source_[at_] : '\0';
        const bool has_sign = sign == '-' || sign == '+';
        if (has_sign) at_++;
        const bool line_starting = line_starting_;
        if (tag == Tag::block && read_raw_begin()) tag = Tag::raw;
        add_data(begin, open, sign, tag != Tag::variable, line_starting);
        switch (tag) {
            case Tag::variable:
            case Tag::block:
                add(tag == Tag::block ? TokenKind::block_begin : TokenKind::variable_begin, open, 2);
                read_code(tag == Tag::block);
                break;
            case Tag::comment:
                read_comment(open);
                break;
            case Tag::raw:
                read_raw(open);
        }
    }

    /// Adds the text before a tag, less the white space that the tag takes.
    void add_data(size_t begin, size_t end, char sign, bool strips_line, bool line_starting) {
        std::string_view data = source_.substr(begin, end - begin);
        if (sign == '-') {
            data = text::strip(data, nullptr, false, true);
        } else if (sign != '+' && strips_line) {
            const size_t line = data.rfind('\n') + 1;
            if ((line > 0 || line_starting) && skip_space(begin + line) >= end) data = data.substr(0, line);
        }
        if (!data.empty()) add(TokenKind::data, begin, data.size());
    }

    /// Moves past the end of a tag of two characters at `position`, and what its sign or trimming takes
    /// along.
    void end_tag(size_t position, char sign, bool trims) {
        at_ = position + 2;
        if (sign == '-')
            at_ = skip_space(at_);
        else if (sign != '+' && trims && at_ < source_.size() && source_[at_] == '\n')
            at_++;
        line_starting_ = source_[at_ - 1] == '\n';
    }

    void read_comment(size_t open) {
        const size_t close = source_.find("#}", at_);
        // An unclosed comment or raw block at the very end is not noticed by Jinja either.
        if (close == std::string_view::npos && at_ == source_.size()) return;
        if (close == std::string_view::npos) fail_at(open, "a comment is never closed");
        end_tag(close, close > at_ ? source_[close - 1] : '\0', true);
    }

    /// At the inside of a block: is it {% raw %}? Then moves past it.
    bool read_raw_begin() {
        size_t position = skip_space(at_);
        if (!starts_with(position, "raw")) return false;
        position = skip_space(position + 3);
        const char sign = starts_with(position, "-%}") ? '-' : '\0';
        if (sign) position++;
        if (!starts_with(position, "%}")) return false;
        end_tag(position, sign, false);
        return true;
    }

    void read_raw(size_t open) {
        const size_t begin = at_;
        for (size_t tag = source_.find("{%", begin); tag != std::string_view::npos;
             tag = source_.find("{%", tag + 1)) {
            size_t position = tag + 2;
            const char sign = position < source_.size() ? source_[position] : '\0';
            if (sign == '-' || sign == '+') position++;
            position = skip_space(position);
            if (!starts_with(position, "endraw")) continue;
            position = skip_space(position + 6);
            const char end_sign = position < source_.size() ? source_[position] : '\0';
            if (end_sign == '-' || end_sign == '+') position++;
            if (!starts_with(position, "%}")) continue;
            add_data(begin, tag, sign, true, line_starting_);
            end_tag(position, end_sign, true);
            return;
        }
        if (begin < source_.size()) fail_at(open, "a raw block is never closed");
    }

    /// The tokens inside {{ }} or {% %}.
    void read_code(bool block) {
        const std::string_view close = block ? "%}" : "}}";
        std::string brackets;
        while (at_ < source_.size()) {
            const char c = source_[at_];
            if (brackets.empty()) {
                const bool has_sign = c == '-' || (c == '+' && block);
                const size_t position = at_ + (has_sign ? 1 : 0);
                if (starts_with(position, close)) {
                    add(block ? TokenKind::block_end : TokenKind::variable_end, at_, 2);
                    end_tag(position, has_sign ? c : '\0', block);
                    return;
                }
            }
            const size_t after_space = skip_space(at_);
            if (after_space > at_)
                at_ = after_space;
            else if (is_decimal(c))
                read_number();
            else if (!read_name() && !((c == '\'' || c == '"') && read_string()))
                read_operator(brackets);
        }
    }

    /// Digits with single underscores between them; where they end.
    size_t skip_digits(size_t position) const {
        while (position < source_.size() &&
               (is_decimal(source_[position]) || (source_[position] == '_' && position + 1 < source_.size() &&
                                                  is_decimal(source_[position + 1]))))
            position++;
        return position;
    }

    bool decimal_at(size_t position) const {
        return position < source_.size() && is_decimal(source_[position]);
    }

    bool read_float() {
        if (at_ > 0 && source_[at_ - 1] == '.') return false;
        const size_t whole = skip_digits(at_);
        size_t end = whole;
        if (end < source_.size() && source_[end] == '.' && decimal_at(end + 1)) end = skip_digits(end + 1);
        if (end < source_.size() && (source_[end] | 32) == 'e') {
            size_t exponent = end + 1;
            if (exponent < source_.size() && (source_[exponent] == '+' || source_[exponent] == '-'))
                exponent++;
            if (decimal_at(exponent)) end = skip_digits(exponent);
        }
        if (end == whole) return false;
        add(TokenKind::floating, at_, end - at_);
        at_ = end;
        return true;
    }

    void read_number() {
        if (read_float()) return;
        size_t end = at_ + 1;
        const char letter = end < source_.size() ? static_cast<char>(source_[end] | 32) : '\0';
        const std::string_view digits = letter == 'x'   ? "0123456789abcdefABCDEF"
                                        : letter == 'o' ? "01234567"
                                        : letter == 'b' ? "01"
                                                        : "";
        const auto digit_at = [&](size_t position) {
            return position < source_.size() && digits.find(source_[position]) != std::string_view::npos;
        };
        const auto skip = [&](size_t position) {
            while (digit_at(position) ||
                   (position < source_.size() && source_[position] == '_' && digit_at(position + 1)))
                position++;
            return position;
        };
        if (source_[at_] == '0') {
            const size_t prefixed = digits.empty() ? 0 : skip(at_ + 2);
            if (prefixed > at_ + 2)
                end = prefixed;
            else
                while (end < source_.size() && source_[end] == '0') end++;
        } else {
            end = skip_digits(at_);
        }
        add(TokenKind::integer, at_, end - at_);
        at_ = end;
    }

    bool read_name() {
        size_t end = at_;
        while (end < source_.size()) {
            size_t after = end;
            const uint32_t c = text::next_code_point(source_, after);
            if (c != '_' && !text::is_alpha(c) && !(end > at_ && text::is_digit(c))) break;
            end = after;
        }
        if (end == at_) return false;
        add(TokenKind::name, at_, end - at_);
        at_ = end;
        return true;
    }

    bool read_string() {
        for (size_t end = at_ + 1; end < source_.size(); end++) {
            if (source_[end] == '\\') {
                end++;
            } else if (source_[end] == source_[at_]) {
                add(TokenKind::string, at_, end + 1 - at_);
                at_ = end + 1;
                return true;
            }
        }
        fail_at(at_, "a string is never closed");
    }

    void read_operator(std::string& brackets) {
        constexpr std::string_view pairs[] = {"//", "**", "==", "!=", ">=", "<="};
        constexpr std::string_view singles = "+-/*%~[](){}><=.:|,;";
        size_t length = singles.find(source_[at_]) == std::string_view::npos ? 0 : 1;
        for (std::string_view pair : pairs)
            if (starts_with(at_, pair)) length = 2;
        if (length == 0) fail_at(at_, "unexpected character");
        const char c = source_[at_];
        if (c == '(' || c == '[' || c == '{') brackets += c == '(' ? ')' : c == '[' ? ']' : '}';
        if (c == ')' || c == ']' || c == '}') {
            if (brackets.empty() || brackets.back() != c)
                fail_at(at_, "a bracket closes what was not opened");
            brackets.pop_back();
        }
        add(TokenKind::op, at_, length);
        at_ += length;
    }

    std::string_view source_;
    uint32_t& error_position_;
    size_t at_ = 0;
    bool line_starting_ = true;
    std::vector<Token> tokens_;
};

}  // namespace

std::string normalize_source(std::string_view source) {
    std::string out;
    out.reserve(source.size());
    for (size_t i = 0; i < source.size(); i++) {
        if (source[i] == '\r') {
            if (i + 1 < source.size() && source[i + 1] == '\n') continue;
            out += '\n';
        } else {
            out += source[i];
        }
    }
    if (out.ends_with('\n')) out.pop_back();
    return out;
}

std::vector<Token> tokenize(std::string_view source, uint32_t& position) {
    return Lexer(source, position).run();
}

}  // namespace agave::chat::jinja
