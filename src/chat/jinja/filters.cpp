#include <cmath>
#include <cstdio>

#include "chat/jinja/interpreter.h"
#include "chat/jinja/json.h"
#include "chat/jinja/operators.h"
#include "chat/jinja/text.h"

/// Jinja's built-in filters (jinja2, filters.py), but for random, urlize, wordwrap, striptags, xmlattr and
/// pprint, and with Hugging Face's tojson.
namespace agave::chat::jinja {

namespace {

bool flag(const Value& value) {
    return is_true(value);
}
int64_t integer_or(const Value& value, int64_t otherwise, const char* what) {
    return value.is(Type::missing) ? otherwise : as_integer(value, what);
}
bool absent(const Value& value) {
    return value.is(Type::missing) || value.is(Type::none);
}

/// str(value), but a string (or Markup) as it is.
Value soft_string(const Value& value) {
    return value.is(Type::string) ? value : Value::string(to_text(value));
}
Value like(const Value& model, std::string text) {
    return Value::string(std::move(text), model.is_markup());
}
Value new_generator() {
    return Value::new_list(ListKind::generator);
}
Value empty_sequence() {
    return Value::undefined(Value::string("the sequence was empty"), UndefinedReason::hint);
}

/// Looks attributes up by a path like "address.city" or "items.0".
class AttributeGetter {
  public:
    explicit AttributeGetter(const Value& path, Value otherwise = Value::none())
        : otherwise_(std::move(otherwise)) {
        if (absent(path)) return;
        if (!path.is(Type::string)) {
            parts_.push_back(path);
            return;
        }
        std::string_view rest = path.text();
        while (true) {
            const size_t dot = rest.find('.');
            const std::string_view part = rest.substr(0, dot);
            int64_t number = 0;
            const bool numeric = text::parse_integer(part, 10, number) == text::Parsed::whole;
            parts_.push_back(numeric ? Value::integer(number) : Value::string(part));
            if (dot == std::string_view::npos) break;
            rest.remove_prefix(dot + 1);
        }
    }

    Value get(Value item) const {
        for (const Value& part : parts_) {
            item = subscript(item, part);
            if (item.is_undefined() && !otherwise_.is(Type::none)) item = otherwise_;
        }
        return item;
    }

  private:
    std::vector<Value> parts_;
    Value otherwise_;
};

Value fold_case(Value value, bool case_sensitive) {
    if (case_sensitive || !value.is(Type::string)) return value;
    return Value::string(text::lower(value.text()));
}

Value filter_abs(const Call& call) {
    const Value& v = call.self;
    if (v.is(Type::floating)) return Value::floating(std::fabs(v.to_floating()));
    if (v.is_integral() && v.to_integer() >= 0) return Value::integer(v.to_integer());
    return negate(v, Operator::subtract);
}

Value filter_attr(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    as_string(a[0], "the name of an attribute");
    if (v.is_undefined()) fail_undefined(v);
    const Value found = own_attribute(v, a[0]);
    return found.is(Type::missing) ? Value::undefined(a[0], UndefinedReason::attribute) : found;
}

Value filter_batch(const Call& call) {
    const Value* a = call.places;
    const int64_t size = as_integer(a[0], "the size of a batch");
    const Value items = iterate(call.self);
    Value batches = new_generator(), batch = Value::new_list();
    const auto finish = [&] {
        push(batches, batch);
        batch = Value::new_list();
    };
    for (const Value& item : items.items()) {
        if (static_cast<int64_t>(batch.items().size()) == size) finish();
        push(batch, item);
    }
    if (batch.items().empty()) return batches;
    if (!absent(a[1]) && static_cast<int64_t>(batch.items().size()) < size) {
        check_size(static_cast<size_t>(size) * sizeof(Value));
        while (static_cast<int64_t>(batch.items().size()) < size) push(batch, a[1]);
    }
    finish();
    return batches;
}

Value filter_slice(const Call& call) {
    const Value* a = call.places;
    const int64_t n = as_integer(a[0], "the number of slices");
    const Value items = iterate(call.self);
    if (n == 0) fail_value("the number of slices must not be zero");
    Value slices = new_generator();
    if (n < 0) return slices;
    check_size(static_cast<size_t>(n) * sizeof(Value));
    const auto size = static_cast<int64_t>(items.items().size());
    int64_t begin = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t end = begin + size / n + (i < size % n ? 1 : 0);
        Value part = Value::new_list();
        append(part, items.items().data() + begin, static_cast<size_t>(end - begin));
        if (!absent(a[1]) && i >= size % n) push(part, a[1]);
        push(slices, part);
        begin = end;
    }
    return slices;
}

enum CaseVariant : uint8_t { case_upper, case_lower, case_capitalize };

Value filter_case(const Call& call) {
    constexpr std::string (*changes[])(std::string_view) = {text::upper, text::lower, text::capitalize};
    const Value s = soft_string(call.self);
    return like(s, changes[call.variant](s.text()));
}

Value filter_center(const Call& call) {
    const Value* a = call.places;
    const Value s = soft_string(call.self);
    return call_method(call.interpreter, find_method(s, "center"), s,
                       {{a[0].is(Type::missing) ? Value::integer(80) : a[0]}, {}});
}

Value filter_length(const Call& call) {
    return Value::integer(length(call.self));
}

Value filter_default(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    if (!v.is_undefined() && !(flag(a[1]) && !is_true(v))) return v;
    return a[0].is(Type::missing) ? Value::string("") : a[0];
}

Value filter_dictsort(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    const std::string by = a[1].is(Type::missing) ? "key" : to_text(a[1]);
    if (by != "key" && by != "value") fail_value("dictsort sorts by 'key' or by 'value'");
    if (v.is_undefined()) fail_undefined(v);
    if (!v.is(Type::dict)) fail_value("dictsort needs a dict, not '%s'", type_name(v));
    const Value items = items_of(v.dict_object(), ListKind::list);
    Value keys = Value::new_list(), sorted = Value::new_list();
    for (const Value& item : items.items())
        push(keys, fold_case(item.items()[by == "key" ? 0 : 1], flag(a[0])));
    for (uint32_t i : sorted_order(keys.items(), flag(a[2]))) push(sorted, items.items()[i]);
    return sorted;
}

Value filter_escape(const Call& call) {
    return escape(call.self);
}

Value filter_forceescape(const Call& call) {
    return Value::string(text::html_escape(to_text(call.self)), true);
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

Value filter_first(const Call& call) {
    const Value& v = call.self;
    if (v.is_list(ListKind::generator)) {
        ListObject& list = v.list_object();
        return list.position < list.items.size() ? list.items[list.position++] : empty_sequence();
    }
    if (v.is(Type::string)) return v.text().empty() ? empty_sequence() : substring(v, 0, 1);
    const Value items = iterate(v);
    return items.items().empty() ? empty_sequence() : items.items()[0];
}

Value filter_last(const Call& call) {
    const Value& v = call.self;
    if (v.is_list(ListKind::generator)) fail_value("a generator has no last item; make it a list first");
    const Value items = iterate(v);
    return items.items().empty() ? empty_sequence() : items.items().back();
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

Value filter_format(const Call& call) {
    const Value& v = call.self;
    const Arguments& arguments = call.arguments;
    if (!arguments.positional.empty() && !arguments.keyword.empty())
        fail_value("format takes arguments by position or by name, not both");
    if (arguments.keyword.empty())
        return format_percent(soft_string(v), Value::list_of(arguments.positional.data(),
                                                             arguments.positional.size(), ListKind::tuple));
    Value names = Value::dict();
    for (const auto& [key, value] : arguments.keyword) names.dict_object().set(key, value);
    return format_percent(soft_string(v), names);
}

Value filter_groupby(const Call& call) {
    const Value* a = call.places;
    const AttributeGetter getter(a[0], a[1].is(Type::missing) ? Value::none() : a[1]);
    const Value items = iterate(call.self);
    Value keys = Value::new_list(), groups = Value::new_list(), group = Value::new_list();
    for (const Value& item : items.items()) push(keys, fold_case(getter.get(item), flag(a[2])));
    const std::vector<uint32_t> order = sorted_order(keys.items(), false);
    for (size_t i = 0; i < order.size(); i++) {
        push(group, items.items()[order[i]]);
        if (i + 1 < order.size() && equal(keys.items()[order[i]], keys.items()[order[i + 1]])) continue;
        Value grouper = getter.get(group.items()[0]);
        push(groups, Value::list({grouper, group}, ListKind::group));
        group = Value::new_list();
    }
    return groups;
}

Value filter_indent(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    as_string(v, "the text to indent");
    std::string indent(a[0].is(Type::string) ? a[0].text() : std::string_view());
    if (!a[0].is(Type::string)) {
        const int64_t width = integer_or(a[0], 4, "the width of an indent");
        if (width > 0) check_size(static_cast<size_t>(width));
        indent.assign(width > 0 ? static_cast<size_t>(width) : 0, ' ');
    }
    const Value lines = split_lines(append_text(v, "\n"), false);
    check_size(v.text().size() + indent.size() * lines.items().size());
    std::string out;
    for (size_t i = 0; i < lines.items().size(); i++) {
        const std::string_view line = lines.items()[i].text();
        const bool indented = i == 0 ? flag(a[1]) : flag(a[2]) || !line.empty();
        if (i) out += '\n';
        if (indented) out += indent;
        out += line;
    }
    return like(v, std::move(out));
}

Value filter_items(const Call& call) {
    const Value& v = call.self;
    if (v.is_undefined()) return new_generator();
    if (!v.is(Type::dict)) fail_value("items needs a dict, not '%s'", type_name(v));
    return items_of(v.dict_object(), ListKind::generator);
}

Value filter_join(const Call& call) {
    const Value* a = call.places;
    const AttributeGetter getter(a[1]);
    const std::string separator = a[0].is(Type::missing) ? std::string() : to_text(a[0]);
    const Value items = iterate(call.self);
    std::string out;
    for (size_t i = 0; i < items.items().size(); i++) {
        const size_t before = out.size();
        if (i) out += separator;
        append_text(out, getter.get(items.items()[i]));
        spend(1 + (out.size() - before) / 64);
        check_room(out.size());
    }
    return Value::string(std::move(out));
}

Value filter_list(const Call& call) {
    const Value items = iterate(call.self);
    return items.is_list(ListKind::list) ? items : Value::list_of(items.items().data(), items.items().size());
}

const Value* keyword(const Arguments& arguments, std::string_view name) {
    for (const auto& [key, value] : arguments.keyword)
        if (key.text() == name) return &value;
    return nullptr;
}

/// The arguments after the first `n` positional ones.
Arguments rest_of(const Arguments& arguments, size_t n) {
    Arguments rest;
    for (size_t i = n; i < arguments.positional.size(); i++)
        rest.positional.push_back(arguments.positional[i]);
    rest.keyword = arguments.keyword;
    return rest;
}

Value filter_map(const Call& call) {
    const Value& v = call.self;
    const Arguments& arguments = call.arguments;
    Value mapped = new_generator();
    if (!is_true(v)) return mapped;
    const Value* path = arguments.positional.empty() ? keyword(arguments, "attribute") : nullptr;
    const Value* otherwise = keyword(arguments, "default");
    if (path) {
        if (arguments.keyword.size() > (otherwise ? 2u : 1u))
            fail_value("map(attribute=...) takes only a default");
        const AttributeGetter getter(*path, otherwise ? *otherwise : Value::none());
        const Value items = iterate(v);
        for (const Value& item : items.items()) push(mapped, getter.get(item));
        return mapped;
    }
    if (arguments.positional.empty()) fail_value("map needs the name of a filter");
    const std::string_view name = as_string(arguments.positional[0], "the name of a filter");
    const uint32_t filter = find_filter(name);
    if (!filter) fail_value("no filter named '%.*s'", static_cast<int>(name.size()), name.data());
    const Arguments rest = rest_of(arguments, 1);
    const Value items = iterate(v);
    for (const Value& item : items.items()) {
        spend(1);
        push(mapped, call_filter(call.interpreter, filter, item, rest));
    }
    return mapped;
}

enum SelectVariant : uint8_t { select_by_attribute = 1, select_not = 2 };

/// select, reject (by a test of the item) and selectattr, rejectattr (of an attribute).
Value filter_select(const Call& call) {
    const Value& v = call.self;
    const Arguments& arguments = call.arguments;
    const bool by_attribute = call.variant & select_by_attribute;
    const bool wanted = !(call.variant & select_not);
    Value chosen = new_generator();
    if (!is_true(v)) return chosen;
    if (by_attribute && arguments.positional.empty()) fail_value("the name of the attribute is missing");
    const AttributeGetter getter(by_attribute ? arguments.positional[0] : Value::none());
    const size_t offset = by_attribute ? 1 : 0;
    const bool with_test = arguments.positional.size() > offset;
    const std::string_view name =
        with_test ? as_string(arguments.positional[offset], "the name of a test") : std::string_view();
    const uint32_t test = find_test(name);
    if (with_test && !test) fail_value("no test named '%.*s'", static_cast<int>(name.size()), name.data());
    const Arguments rest = with_test ? rest_of(arguments, offset + 1) : Arguments();
    const Value items = iterate(v);
    for (const Value& item : items.items()) {
        spend(1);
        const Value tested = getter.get(item);
        if ((with_test ? call_test(call.interpreter, test, tested, rest) : is_true(tested)) == wanted)
            push(chosen, item);
    }
    return chosen;
}

enum ExtremeVariant : uint8_t { extreme_smallest, extreme_largest };

/// min and max.
Value filter_extreme(const Call& call) {
    const Value* a = call.places;
    const bool largest = call.variant == extreme_largest;
    const AttributeGetter getter(a[1]);
    const Value items = iterate(call.self);
    if (items.items().empty()) return empty_sequence();
    size_t best = 0;
    Value best_key;
    for (size_t i = 0; i < items.items().size(); i++) {
        spend(1);
        Value key = fold_case(getter.get(items.items()[i]), flag(a[0]));
        if (i > 0 && compare(key, best_key, largest ? ">" : "<") != (largest ? 1 : -1)) continue;
        best = i;
        best_key = std::move(key);
    }
    return items.items()[best];
}

Value filter_replace(const Call& call) {
    const Value* a = call.places;
    const Value s = Value::string(to_text(call.self));
    const Value count = absent(a[2]) ? Value::integer(-1) : a[2];
    return call_method(call.interpreter, find_method(s, "replace"), s,
                       {{Value::string(to_text(a[0])), Value::string(to_text(a[1])), count}, {}});
}

Value filter_reverse(const Call& call) {
    const Value& v = call.self;
    if (v.is(Type::string)) return slice(v, Value::missing(), Value::missing(), Value::integer(-1));
    const bool is_generator = v.is_list(ListKind::generator);
    const Value items = iterate(v);
    Value reversed = Value::new_list(is_generator ? ListKind::list : ListKind::generator);
    for (size_t i = items.items().size(); i-- > 0;) push(reversed, items.items()[i]);
    return reversed;
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

Value filter_safe(const Call& call) {
    const Value& v = call.self;
    return v.is_markup() ? v : Value::string(to_text(v), true);
}

Value filter_sort(const Call& call) {
    const Value* a = call.places;
    const Value items = iterate(call.self);
    Value keys = Value::new_list(), sorted = Value::new_list();
    for (const Value& item : items.items()) {
        Value key = Value::new_list();
        std::string_view rest;
        if (a[2].is(Type::string)) rest = a[2].text();
        while (true) {
            const size_t comma = rest.find(',');
            const AttributeGetter getter(rest.empty() ? a[2] : Value::string(rest.substr(0, comma)));
            push(key, fold_case(getter.get(item), flag(a[1])));
            if (comma == std::string_view::npos) break;
            rest.remove_prefix(comma + 1);
        }
        push(keys, key);
    }
    for (uint32_t i : sorted_order(keys.items(), flag(a[0]))) push(sorted, items.items()[i]);
    return sorted;
}

Value filter_string(const Call& call) {
    return soft_string(call.self);
}

Value filter_sum(const Call& call) {
    const Value* a = call.places;
    const AttributeGetter getter(a[0]);
    Value total = a[1].is(Type::missing) ? Value::integer(0) : a[1];
    if (total.is(Type::string)) fail_value("sum does not add strings");
    const Value items = iterate(call.self);
    for (const Value& item : items.items()) {
        spend(1);
        total = binary(Operator::add, total, getter.get(item));
    }
    return total;
}

Value filter_title(const Call& call) {
    const Value s = soft_string(call.self);
    std::string out, word;
    const auto finish = [&] {
        if (word.empty()) return;
        const size_t first = text::byte_offset(word, 1);
        out += text::upper(std::string_view(word).substr(0, first));
        out += text::lower(std::string_view(word).substr(first));
        word.clear();
    };
    for (size_t position = 0; position < s.text().size();) {
        const size_t begin = position;
        const uint32_t c = text::next_code_point(s.text(), position);
        const bool between = c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || text::is_space(c);
        if (between) finish();
        (between ? out : word).append(s.text().substr(begin, position - begin));
    }
    finish();
    return Value::string(std::move(out));
}

Value filter_tojson(const Call& call) {
    const Value* a = call.places;
    JsonStyle style;
    style.ensure_ascii = flag(a[0]);
    style.multi_line = !absent(a[1]);
    style.sort_keys = flag(a[3]);
    if (a[1].is(Type::string)) {
        style.indent = a[1].text();
    } else if (style.multi_line) {
        const int64_t width = as_integer(a[1], "the indent of tojson");
        if (width > 0) check_size(static_cast<size_t>(width));
        style.indent.assign(width > 0 ? static_cast<size_t>(width) : 0, ' ');
    }
    if (style.multi_line) style.item_separator = ",";
    if (!absent(a[2])) {
        const Value separators = iterate(a[2]);
        if (separators.items().size() != 2) fail_value("tojson needs two separators");
        style.item_separator = as_string(separators.items()[0], "a separator of tojson");
        style.key_separator = as_string(separators.items()[1], "a separator of tojson");
    }
    std::string out;
    append_json(out, call.self, style);
    return Value::string(std::move(out));
}

Value filter_trim(const Call& call) {
    const Value* a = call.places;
    const Value s = soft_string(call.self);
    std::string_view characters;
    if (!absent(a[0])) characters = as_string(a[0], "the characters to trim");
    return like(s, std::string(text::strip(s.text(), absent(a[0]) ? nullptr : &characters, true, true)));
}

Value filter_truncate(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    const int64_t limit = integer_or(a[0], 255, "the length of truncate");
    const int64_t leeway = absent(a[3]) ? 5 : as_integer(a[3], "the leeway of truncate");
    const Value end = a[2].is(Type::missing) ? Value::string("...") : a[2];
    as_string(end, "the end of truncate");
    const int64_t kept = limit - length(end);
    if (kept < 0 || leeway < 0) fail_value("truncate needs a length of at least its end");
    if (length(v) <= limit || length(v) - limit <= leeway) return v;
    as_string(v, "the text to truncate");
    Value cut = substring(v, 0, static_cast<size_t>(kept));
    if (!flag(a[1])) {
        const size_t space = cut.text().rfind(' ');
        if (space != std::string::npos) cut = Value::string(cut.text().substr(0, space), v.is_markup());
    }
    return concatenate(cut, end);
}

Value filter_unique(const Call& call) {
    const Value* a = call.places;
    const AttributeGetter getter(a[1]);
    const Value items = iterate(call.self);
    Value seen = Value::dict();
    Value unique = new_generator();
    for (const Value& item : items.items()) {
        spend(1);
        Value key = fold_case(getter.get(item), flag(a[0]));
        if (seen.dict_object().find(key)) continue;
        seen.dict_object().set(std::move(key), Value::none());
        push(unique, item);
    }
    return unique;
}

void append_quoted(std::string& out, const Value& value, bool for_query) {
    constexpr char hex[] = "0123456789ABCDEF";
    for (char c : to_text(value)) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'z') ||
                           c == '_' || c == '.' || c == '-' || c == '~' || (c == '/' && !for_query);
        if (plain && byte < 128) {
            out += c;
        } else if (c == ' ' && for_query) {
            out += '+';
        } else {
            out += '%';
            out += hex[byte >> 4];
            out += hex[byte & 15];
        }
    }
}

Value filter_urlencode(const Call& call) {
    const Value& v = call.self;
    std::string out;
    if (v.is(Type::string) || !is_iterable(v)) {
        append_quoted(out, v, false);
        return Value::string(std::move(out));
    }
    const Value pairs = v.is(Type::dict) ? items_of(v.dict_object(), ListKind::list) : iterate(v);
    for (const Value& pair : pairs.items()) {
        const Value parts = iterate(pair);
        if (parts.items().size() != 2) fail_value("urlencode needs pairs of a key and a value");
        if (!out.empty()) out += '&';
        append_quoted(out, parts.items()[0], true);
        out += '=';
        append_quoted(out, parts.items()[1], true);
    }
    return Value::string(std::move(out));
}

Value filter_wordcount(const Call& call) {
    const std::string content = to_text(call.self);
    int64_t count = 0;
    bool in_word = false;
    for (size_t position = 0; position < content.size();) {
        const uint32_t c = text::next_code_point(content, position);
        const bool word = c == '_' || text::is_alpha(c) || text::is_digit(c);
        if (word && !in_word) count++;
        in_word = word;
    }
    return Value::integer(count);
}

constexpr Builtin filters[] = {
    {"abs", filter_abs},
    {"attr name", filter_attr},
    {"batch linecount fill_with?", filter_batch},
    {"capitalize", filter_case, case_capitalize},
    {"center width?", filter_center},
    {"count", filter_length},
    {"d default_value? boolean?", filter_default},
    {"default default_value? boolean?", filter_default},
    {"dictsort case_sensitive? by? reverse?", filter_dictsort},
    {"e", filter_escape},
    {"escape", filter_escape},
    {"filesizeformat binary?", filter_filesizeformat},
    {"first", filter_first},
    {"float default?", filter_float},
    {"forceescape", filter_forceescape},
    {"format *", filter_format},
    {"groupby attribute default? case_sensitive?", filter_groupby},
    {"indent width? first? blank?", filter_indent},
    {"int default? base?", filter_int},
    {"items", filter_items},
    {"join d? attribute?", filter_join},
    {"last", filter_last},
    {"length", filter_length},
    {"list", filter_list},
    {"lower", filter_case, case_lower},
    {"map *", filter_map},
    {"max case_sensitive? attribute?", filter_extreme, extreme_largest},
    {"min case_sensitive? attribute?", filter_extreme, extreme_smallest},
    {"reject *", filter_select, select_not},
    {"rejectattr *", filter_select, select_by_attribute | select_not},
    {"replace old new count?", filter_replace},
    {"reverse", filter_reverse},
    {"round precision? method?", filter_round},
    {"safe", filter_safe},
    {"select *", filter_select},
    {"selectattr *", filter_select, select_by_attribute},
    {"slice slices fill_with?", filter_slice},
    {"sort reverse? case_sensitive? attribute?", filter_sort},
    {"string", filter_string},
    {"sum attribute? start?", filter_sum},
    {"title", filter_title},
    {"tojson ensure_ascii? indent? separators? sort_keys?", filter_tojson},
    {"trim chars?", filter_trim},
    {"truncate length? killwords? end? leeway?", filter_truncate},
    {"unique case_sensitive? attribute?", filter_unique},
    {"upper", filter_case, case_upper},
    {"urlencode", filter_urlencode},
    {"wordcount", filter_wordcount},
};

}  // namespace

uint32_t find_filter(std::string_view name) {
    return find_builtin(filters, std::size(filters), name);
}

Value call_filter(Interpreter& interpreter, uint32_t filter, const Value& input, const Arguments& arguments) {
    return call_builtin(filters[filter - 1], interpreter, input, arguments);
}

}  // namespace agave::chat::jinja
