#include <cmath>
#include <cstdio>

#include "chat/jinja/operators.h"
#include "chat/jinja/text.h"

/// Python's two ways to format: text % values and text.format(values).
namespace agave::chat::jinja {

namespace {

constexpr int max_width = 100'000;

/// How one value is to be written; the fields of Python's format specification.
struct Specification {
    std::string fill = " ";
    char align = '\0';  ///< < > ^ =, or none given
    char sign = '-';
    bool alternate = false;
    char group = '\0';  ///< , or _
    int width = 0;
    int precision = -1;
    char type = '\0';
};

int read_number(std::string_view text, size_t& at) {
    int number = 0;
    while (at < text.size() && text[at] >= '0' && text[at] <= '9') {
        number = number * 10 + (text[at++] - '0');
        if (number > max_width) fail_value("a width or precision is too large");
    }
    return number;
}

void append_padded(std::string& out, std::string_view content, const Specification& s, char default_align) {
    const auto length = static_cast<int>(std::min<size_t>(text::count_code_points(content), max_width));
    const int missing = s.width > length ? s.width - length : 0;
    const char align = s.align ? s.align : default_align;
    const int left = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
    // With '=' the padding stands between the sign (and 0x) and the digits.
    size_t prefix = 0;
    if (align == '=') {
        prefix = content.starts_with('-') || content.starts_with('+') || content.starts_with(' ') ? 1 : 0;
        const std::string_view rest = content.substr(prefix);
        if (s.alternate && (rest.starts_with("0x") || rest.starts_with("0X") || rest.starts_with("0o") ||
                            rest.starts_with("0b")))
            prefix += 2;
    }
    out += content.substr(0, prefix);
    for (int i = 0; i < left; i++) out += s.fill;
    out += content.substr(prefix);
    for (int i = left; i < missing; i++) out += s.fill;
}

/// Puts separators between the digits before the point.
void group_digits(std::string& digits, char separator, size_t size) {
    size_t end = 0;
    while (end < digits.size() && digits[end] != '.' && digits[end] != 'e') end++;
    for (size_t at = end; at > size; at -= size) digits.insert(at - size, 1, separator);
}

std::string sign_of(bool negative, char sign) {
    if (negative) return "-";
    return sign == '-' ? std::string() : std::string(1, sign);
}

std::string format_integer(int64_t value, const Specification& s) {
    const int base = s.type == 'x' || s.type == 'X' ? 16 : s.type == 'o' ? 8 : s.type == 'b' ? 2 : 10;
    const uint64_t magnitude = value < 0 ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value);
    std::string digits;
    uint64_t rest = magnitude;
    do {
        const char* const letters = s.type == 'X' ? "0123456789ABCDEF" : "0123456789abcdef";
        digits.insert(0, 1, letters[rest % static_cast<uint64_t>(base)]);
        rest /= static_cast<uint64_t>(base);
    } while (rest > 0);
    while (s.precision > static_cast<int>(digits.size())) digits.insert(0, 1, '0');
    if (s.group) group_digits(digits, s.group, base == 10 ? 3 : 4);
    if (s.alternate && base != 10) digits.insert(0, std::string("0") + s.type);
    return sign_of(value < 0, s.sign) + digits;
}

/// %e, %f and %g as C has them; without a type, Python's repr (or %g with a precision, but always with a
/// point).
std::string format_float(double value, const Specification& s) {
    char buffer[512];
    std::string digits;
    const double magnitude = std::fabs(value);
    const char type = s.type == '%' ? 'f' : s.type;
    if (!type && s.precision < 0) {
        text::append_float(digits, magnitude);
    } else {
        if (s.precision > 100) fail_value("a precision is too large");
        const char format[] = {'%',
                               s.alternate ? '#' : '.',
                               s.alternate ? '.' : '*',
                               s.alternate ? '*'
                               : type      ? type
                                           : 'g',
                               s.alternate ? (type ? type : 'g') : '\0',
                               '\0'};
        const int precision = s.precision < 0 ? 6 : s.precision;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        const int n = std::snprintf(buffer, sizeof buffer, format, precision,
                                    s.type == '%' ? magnitude * 100 : magnitude);
#pragma GCC diagnostic pop
        digits.assign(buffer, static_cast<size_t>(n));
        const bool whole = digits.find_first_of(".einn") == std::string::npos;
        if (!type && whole) digits += ".0";
    }
    if (s.group) group_digits(digits, s.group, 3);
    if (s.type == '%') digits += '%';
    return sign_of(std::signbit(value) && !std::isnan(value), s.sign) + digits;
}

std::string cut(std::string_view content, int precision) {
    if (precision < 0) return std::string(content);
    return std::string(content.substr(0, text::byte_offset(content, static_cast<size_t>(precision))));
}

void append_character(std::string& out, const Value& value) {
    if (value.is(Type::string) && n_characters(value) == 1) {
        out += value.text();
        return;
    }
    const int64_t code = as_integer(value, "a character to format");
    if (code < 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        fail_value("a character is out of range");
    text::append_code_point(out, static_cast<uint32_t>(code));
}

// text % values

class PercentFormatter {
  public:
    PercentFormatter(const Value& text, const Value& arguments)
        : self_(text),
          text_(text.text()),
          arguments_(arguments),
          is_tuple_(arguments.is_list(ListKind::tuple)) {}

    Value run() {
        while (at_ < text_.size()) {
            const size_t percent = text_.find('%', at_);
            out_ += text_.substr(at_, percent == std::string_view::npos ? percent : percent - at_);
            if (percent == std::string_view::npos) break;
            at_ = percent + 1;
            format_one();
            check_room(out_.size());
        }
        const bool mapping = arguments_.is(Type::dict) || arguments_.is_list(ListKind::list) ||
                             arguments_.is_list(ListKind::range);
        const size_t n = is_tuple_ ? arguments_.items().size() : mapping ? 0 : 1;
        if (used_ < n && !named_) fail_value("not all arguments were used in formatting a string");
        return Value::string(std::move(out_), self_.is_markup());
    }

  private:
    Value next() {
        const size_t n = is_tuple_ ? arguments_.items().size() : 1;
        if (used_ >= n) fail_value("not enough arguments to format a string");
        const size_t i = used_++;
        return is_tuple_ ? arguments_.items()[i] : arguments_;
    }

    int star_or_number() {
        if (at_ < text_.size() && text_[at_] == '*') {
            at_++;
            const int64_t width = as_integer(next(), "a width");
            if (width < -max_width || width > max_width) fail_value("a width is too large");
            return static_cast<int>(width);
        }
        return read_number(text_, at_);
    }

    void format_one() {
        Specification s;
        Value value = Value::missing();
        if (at_ < text_.size() && text_[at_] == '(') {
            const size_t close = text_.find(')', at_);
            if (close == std::string_view::npos) fail_value("a name to format is not closed");
            if (!arguments_.is(Type::dict)) fail_value("formatting by name needs a dict");
            const Value* found = arguments_.dict_object().find(text_.substr(at_ + 1, close - at_ - 1));
            if (!found) fail_value("a name to format is missing in the dict");
            value = *found;
            named_ = true;
            at_ = close + 1;
        }
        for (; at_ < text_.size(); at_++) {
            const char c = text_[at_];
            if (c == '-')
                s.align = '<';
            else if (c == '+' || (c == ' ' && s.sign != '+'))
                s.sign = c;
            else if (c == '0' && s.align != '<')
                s.align = '=';
            else if (c == '#')
                s.alternate = true;
            else if (c != ' ' && c != '0')
                break;
        }
        s.width = star_or_number();
        if (s.width < 0) {
            s.align = '<';
            s.width = -s.width;
        }
        if (at_ < text_.size() && text_[at_] == '.') {
            at_++;
            s.precision = std::max(0, star_or_number());
        }
        while (at_ < text_.size() && (text_[at_] == 'h' || text_[at_] == 'l' || text_[at_] == 'L')) at_++;
        if (at_ >= text_.size()) fail_value("a format is incomplete");
        s.type = text_[at_++];
        if (s.type == '%') {
            out_ += '%';
            return;
        }
        convert(value.is(Type::missing) ? next() : value, s);
    }

    void convert(const Value& value, Specification s) {
        std::string content;
        if (s.align == '=') s.fill = "0";
        switch (s.type) {
            case 's':
            case 'r':
            case 'a':
                if (s.align == '=') {
                    s.align = '>';
                    s.fill = " ";
                }
                if (s.type == 's')
                    content = self_.is_markup() ? escape(value).text() : to_text(value);
                else
                    append_repr(content, value);
                content = cut(content, s.precision);
                break;
            case 'c':
                append_character(content, value);
                break;
            case 'd':
            case 'i':
            case 'u':
            case 'o':
            case 'x':
            case 'X': {
                if (value.is_undefined()) fail_undefined(value);
                const bool decimal = s.type == 'd' || s.type == 'i' || s.type == 'u';
                if (value.is(Type::floating) && decimal && std::fabs(value.to_floating()) < 9.2e18) {
                    content = format_integer(static_cast<int64_t>(value.to_floating()), s);
                } else {
                    content = format_integer(as_integer(value, "a number to format"), s);
                }
                break;
            }
            case 'e':
            case 'E':
            case 'f':
            case 'F':
            case 'g':
            case 'G':
                if (value.is_undefined()) fail_undefined(value);
                if (!value.is_number())
                    fail_value("a number to format must be real, not '%s'", type_name(value));
                content = format_float(value.to_double(), s);
                break;
            default:
                fail_value("unsupported format character");
        }
        append_padded(out_, content, s, '>');
    }

    const Value& self_;
    std::string_view text_;
    const Value& arguments_;
    const bool is_tuple_;
    bool named_ = false;
    size_t used_ = 0;
    size_t at_ = 0;
    std::string out_;
};

// text.format(values)

Specification parse_specification(std::string_view text) {
    Specification s;
    size_t at = 0;
    const auto is_align = [&](size_t i) {
        return i < text.size() && (text[i] == '<' || text[i] == '>' || text[i] == '=' || text[i] == '^');
    };
    const auto accept = [&](char c) {
        const bool found = at < text.size() && text[at] == c;
        at += found ? 1 : 0;
        return found;
    };
    if (text.empty()) return s;
    size_t after_fill = 0;
    text::next_code_point(text, after_fill);
    if (is_align(after_fill)) {
        s.fill = text.substr(0, after_fill);
        s.align = text[after_fill];
        at = after_fill + 1;
    } else if (is_align(0)) {
        s.align = text[at++];
    }
    for (char sign : {'+', '-', ' '})
        if (accept(sign)) s.sign = sign;
    s.alternate = accept('#');
    if (accept('0') && !s.align) {
        s.fill = "0";
        s.align = '=';
    }
    s.width = read_number(text, at);
    for (char group : {',', '_'})
        if (accept(group)) s.group = group;
    if (accept('.')) s.precision = read_number(text, at);
    if (at < text.size()) s.type = text[at++];
    if (at < text.size()) fail_value("invalid format specification");
    return s;
}

void append_formatted(std::string& out, const Value& value, std::string_view specification_text) {
    if (specification_text.empty()) return append_text(out, value);
    Specification s = parse_specification(specification_text);
    constexpr std::string_view float_types = "eEfFgG%", integer_types = "dxXobcn";
    const bool has_type = s.type != '\0';
    if (value.is(Type::string)) {
        if ((has_type && s.type != 's') || s.sign != '-' || s.group || s.alternate)
            fail_value("invalid format specification for a string");
        if (s.align == '=') s.align = '<';
        return append_padded(out, cut(value.text(), s.precision), s, '<');
    }
    if (value.is_undefined()) fail_undefined(value);
    if (!value.is_number()) fail_value("'%s' does not take a format specification", type_name(value));
    std::string content;
    const bool as_float = value.is(Type::floating) || float_types.find(s.type) != std::string_view::npos;
    if (has_type && as_float && float_types.find(s.type) == std::string_view::npos && s.type != 'n') {
        fail_value("invalid format specification for a float");
    } else if (as_float && (has_type || value.is(Type::floating))) {
        if (s.type == 'n') s.type = 'g';
        content = format_float(value.to_double(), s);
    } else if (has_type && integer_types.find(s.type) == std::string_view::npos) {
        fail_value("invalid format specification for an integer");
    } else if (s.precision >= 0) {
        fail_value("an integer takes no precision");
    } else if (s.type == 'c') {
        append_character(content, value);
    } else {
        content = format_integer(value.to_integer(), s);
    }
    append_padded(out, content, s, '>');
}

class BraceFormatter {
  public:
    BraceFormatter(const Value& self, const std::vector<Value>& positional,
                   const std::vector<std::pair<Value, Value>>& keyword)
        : self_(self), positional_(positional), keyword_(keyword) {}

    void run(std::string_view text, std::string& out, int depth) {
        if (depth > 2) fail_value("a format is nested too deeply");
        for (size_t at = 0; at < text.size();) {
            const char c = text[at++];
            const bool doubled = at < text.size() && text[at] == c;
            if (c != '{' && c != '}') {
                out += c;
            } else if (doubled) {
                out += c;
                at++;
            } else if (c == '}') {
                fail_value("a single '}' in a format");
            } else {
                const size_t end = closing_brace(text, at);
                field(text.substr(at, end - at), out, depth);
                at = end + 1;
                check_room(out.size());
            }
        }
    }

  private:
    static size_t closing_brace(std::string_view text, size_t at) {
        int open = 1;
        bool in_brackets = false;
        for (; at < text.size(); at++) {
            if (text[at] == '[' && open == 1) in_brackets = true;
            if (text[at] == ']') in_brackets = false;
            if (in_brackets) continue;
            if (text[at] == '{') open++;
            if (text[at] == '}' && --open == 0) return at;
        }
        fail_value("a '{' in a format is not closed");
    }

    void field(std::string_view text, std::string& out, int depth) {
        const size_t name_end = text.find_first_of("!:");
        std::string_view name = text.substr(0, name_end), rest;
        if (name_end != std::string_view::npos) rest = text.substr(name_end);
        Value value = look_up(name);
        if (rest.starts_with('!')) {
            if (rest.size() < 2 || (rest.size() > 2 && rest[2] != ':'))
                fail_value("bad conversion in a format");
            if (rest[1] != 's' && rest[1] != 'r' && rest[1] != 'a')
                fail_value("unknown conversion in a format");
            std::string converted;
            if (rest[1] == 's')
                append_text(converted, value);
            else
                append_repr(converted, value);
            value = Value::string(std::move(converted));
            rest = rest.substr(2);
        }
        std::string specification;
        if (rest.starts_with(':')) run(rest.substr(1), specification, depth + 1);
        std::string formatted;
        append_formatted(formatted, value, specification);
        out += self_.is_markup() && !value.is_markup() ? text::html_escape(formatted) : formatted;
    }

    Value look_up(std::string_view name) {
        const size_t first_end = std::min(name.find_first_of(".["), name.size());
        Value value = root(name.substr(0, first_end));
        name.remove_prefix(first_end);
        while (!name.empty()) {
            const bool is_attribute = name[0] == '.';
            if (!is_attribute && name[0] != '[') fail_value("bad name in a format");
            const size_t end =
                is_attribute ? std::min(name.find_first_of(".[", 1), name.size()) : name.find(']');
            if (end == std::string_view::npos || end < 2) fail_value("bad name in a format");
            const std::string_view part = name.substr(1, end - 1);
            int64_t index = 0;
            const bool numeric = text::parse_integer(part, 10, index) == text::Parsed::whole;
            const Value key = numeric && !is_attribute ? Value::integer(index) : Value::string(part);
            value = is_attribute ? attribute(value, key) : subscript(value, key);
            name.remove_prefix(is_attribute ? end : end + 1);
        }
        return value;
    }

    Value root(std::string_view name) {
        int64_t index = 0;
        const bool numeric = text::parse_integer(name, 10, index) == text::Parsed::whole;
        if (name.empty() || numeric) {
            if (numeric ? automatic_ > 0 : explicit_)
                fail_value("a format mixes numbered and unnumbered fields");
            if (numeric) explicit_ = true;
            if (!numeric) index = automatic_++;
            if (static_cast<uint64_t>(index) >= positional_.size())
                fail_value("not enough arguments for a format");
            return positional_[static_cast<size_t>(index)];
        }
        for (const auto& [key, value] : keyword_)
            if (key.text() == name) return value;
        fail_value("a name in a format has no argument");
    }

    const Value& self_;
    const std::vector<Value>& positional_;
    const std::vector<std::pair<Value, Value>>& keyword_;
    int64_t automatic_ = 0;
    bool explicit_ = false;
};

}  // namespace

Value format_percent(const Value& text, const Value& arguments) {
    return PercentFormatter(text, arguments).run();
}

Value format_braces(const Value& text, const std::vector<Value>& positional,
                    const std::vector<std::pair<Value, Value>>& keyword) {
    std::string out;
    BraceFormatter(text, positional, keyword).run(text.text(), out, 1);
    return Value::string(std::move(out), text.is_markup());
}

}  // namespace agave::chat::jinja
