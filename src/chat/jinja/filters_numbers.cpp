#include <cmath>
#include <cstdio>

#include "chat/jinja/filters.h"
#include "chat/jinja/text.h"

/// Filters of numbers.
namespace agave::chat::jinja {

namespace {

Value filter_abs(const Call& call) {
    const Value& v = call.self;
    if (v.is(Type::floating)) return Value::floating(std::fabs(v.to_floating()));
    if (v.is_integral() && v.to_integer() >= 0) return Value::integer(v.to_integer());
    return negate(v, Operator::subtract);
}

Value filter_filesizeformat(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    if (!v.is_number()) fail_value("filesizeformat needs a number, not '%s'", type_name(v));
    const bool binary_units = flag(a[0]);
    const double base = binary_units ? 1024 : 1000, bytes = v.to_double();
    char out[64];
    if (bytes == 1) return Value::string("1 Byte");
    if (bytes < base) {
        std::snprintf(out, sizeof out, "%.0f Bytes", std::trunc(bytes));
        return Value::string(out);
    }
    constexpr char letters[] = "kMGTPEZY";
    double scaled = bytes / base;
    int i = 0;
    for (; i < 7 && scaled >= base; i++) scaled /= base;
    const char letter = binary_units && i == 0 ? 'K' : letters[i];
    std::snprintf(out, sizeof out, "%.1f %c%s", scaled, letter, binary_units ? "iB" : "B");
    return Value::string(out);
}

/// Python's float(text), or false.
bool parse_float(std::string_view content, double& number) {
    content = text::strip(content, nullptr, true, true);
    std::string digits;
    for (size_t i = 0; i < content.size(); i++) {
        const auto digit = [&](size_t at) {
            return at < content.size() && content[at] >= '0' && content[at] <= '9';
        };
        if (content[i] == '_' && i > 0 && digit(i - 1) && digit(i + 1)) continue;
        digits += content[i];
    }
    const char* begin = digits.c_str();
    if (*begin == '+' && begin[1] != '-' && begin[1] != '+') begin++;
    const char* end = digits.data() + digits.size();
    const std::string word = text::lower(begin);
    if (word.find("nan(") != std::string::npos || begin == end) return false;
    const text::Parsed parsed = text::parse_float(begin, number);
    if (parsed != text::Parsed::overflow) return parsed == text::Parsed::whole;
    const bool tiny = word.find("e-") != std::string::npos;
    number = tiny ? 0.0 : *begin == '-' ? -HUGE_VAL : HUGE_VAL;
    return true;
}

/// Python's int(text, base), or false. Throws when it does not fit.
bool parse_integer(std::string_view content, int64_t base, int64_t& number) {
    content = text::strip(content, nullptr, true, true);
    std::string digits;
    const bool negative = content.starts_with('-');
    if (negative || content.starts_with('+')) content.remove_prefix(1);
    const char letter = content.size() > 2 && content[0] == '0' ? static_cast<char>(content[1] | 32) : '\0';
    const int64_t prefix = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 0;
    if (prefix && (base == prefix || base == 0)) {
        content.remove_prefix(2);
        base = prefix;
        if (content.starts_with('_')) content.remove_prefix(1);
    } else if (base == 0) {
        base = 10;
    }
    if (base < 2 || base > 36) return false;
    if (negative) digits += '-';
    for (size_t i = 0; i < content.size(); i++) {
        if (content[i] == '_' && i > 0 && i + 1 < content.size() && content[i - 1] != '_') continue;
        if (content[i] == '-' || content[i] == '+') return false;
        digits += content[i];
    }
    const text::Parsed parsed = text::parse_integer(digits, static_cast<int>(base), number, true);
    if (parsed == text::Parsed::overflow) fail_value("integer overflow: a number does not fit into 64 bits");
    return parsed == text::Parsed::whole;
}

Value truncate(double number) {
    if (std::fabs(number) >= 9.2e18) fail_value("integer overflow: a number does not fit into 64 bits");
    return Value::integer(static_cast<int64_t>(number));
}

Value filter_int(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    const Value otherwise = a[0].is(Type::missing) ? Value::integer(0) : a[0];
    if (v.is_undefined()) fail_undefined(v);
    if (v.is_integral()) return Value::integer(v.to_integer());
    double number = NAN;
    if (v.is(Type::string)) {
        int64_t whole = 0;
        if (parse_integer(v.text(), integer_or(a[1], 10, "the base of int"), whole))
            return Value::integer(whole);
        if (!parse_float(v.text(), number)) return otherwise;
        if (std::isinf(number)) return otherwise;
    } else if (v.is(Type::floating)) {
        number = v.to_floating();
        if (std::isinf(number)) fail_value("infinity cannot become an integer");
    }
    return std::isnan(number) ? otherwise : truncate(number);
}

Value filter_float(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    double number = 0;
    if (v.is_undefined()) fail_undefined(v);
    if (v.is_number()) return Value::floating(v.to_double());
    if (v.is(Type::string) && parse_float(v.text(), number)) return Value::floating(number);
    return a[0].is(Type::missing) ? Value::floating(0) : a[0];
}

double power_of_ten(int64_t exponent) {
    return std::pow(10.0, static_cast<double>(exponent));
}

Value filter_round(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    const int64_t precision = integer_or(a[0], 0, "the precision of round");
    const std::string method = a[1].is(Type::missing) ? "common" : to_text(a[1]);
    const bool common = method == "common";
    if (!common && method != "ceil" && method != "floor") fail_value("round is 'common', 'ceil' or 'floor'");
    if (v.is_undefined()) fail_undefined(v);
    if (!v.is_number()) fail_value("round needs a number, not '%s'", type_name(v));
    if (precision < -300 || precision > 300) fail_value("the precision of round is out of range");
    const double number = v.to_double();
    if (!common) {
        const double scaled = number * power_of_ten(precision);
        return Value::floating((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) /
                               power_of_ten(precision));
    }
    if (v.is_integral() && precision >= 0) return Value::integer(v.to_integer());
    double rounded;
    if (precision < 0) {
        const double unit = power_of_ten(-precision);
        rounded = std::nearbyint(number / unit) * unit;
    } else {
        // Correctly rounded decimal digits, read back: what Python's round() does.
        char digits[700];
        const int n_digits =
            std::snprintf(digits, sizeof digits, "%.*f", static_cast<int>(precision), number);
        if (text::parse_float({digits, static_cast<size_t>(n_digits)}, rounded) != text::Parsed::whole)
            rounded = number;
    }
    return v.is_integral() ? truncate(rounded) : Value::floating(rounded);
}

constexpr Builtin rows[] = {
    {"abs", filter_abs},
    {"filesizeformat binary?", filter_filesizeformat},
    {"float default?", filter_float},
    {"int default? base?", filter_int},
    {"round precision? method?", filter_round},
};

}  // namespace

constinit const BuiltinTable number_filters = {rows, std::size(rows)};

}  // namespace agave::chat::jinja
