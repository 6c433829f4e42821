#include "chat/jinja/operators.h"

#include <algorithm>
#include <cmath>

#include "chat/jinja/builtins.h"
#include "chat/jinja/function.h"
#include "chat/jinja/text.h"

namespace agave::chat::jinja {

namespace {

constexpr const char* symbols[] = {"+", "-", "*", "/", "//", "%", "**"};

[[noreturn]] void fail_operands(Operator op, const Value& a, const Value& b) {
    if (a.is_undefined()) fail_undefined(a);
    if (b.is_undefined()) fail_undefined(b);
    fail_value("'%s' does not work on '%s' and '%s'", symbols[static_cast<int>(op)], type_name(a),
               type_name(b));
}

[[noreturn]] void fail_overflow() {
    fail_value("integer overflow: a result does not fit into 64 bits");
}

int64_t floor_divide(int64_t a, int64_t b) {
    const int64_t quotient = a / b;
    return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

int64_t power(int64_t base, int64_t exponent) {
    int64_t result = 1;
    while (exponent > 0) {
        if (exponent & 1 && __builtin_mul_overflow(result, base, &result)) fail_overflow();
        exponent >>= 1;
        if (exponent > 0 && __builtin_mul_overflow(base, base, &base)) fail_overflow();
    }
    return result;
}

Value integer_arithmetic(Operator op, int64_t a, int64_t b) {
    int64_t result = 0;
    bool overflow = false;
    switch (op) {
        case Operator::add:
            overflow = __builtin_add_overflow(a, b, &result);
            break;
        case Operator::subtract:
            overflow = __builtin_sub_overflow(a, b, &result);
            break;
        case Operator::multiply:
            overflow = __builtin_mul_overflow(a, b, &result);
            break;
        case Operator::floor_divide:
        case Operator::modulo: {
            if (b == 0) fail_value("integer division or modulo by zero");
            if (b == -1) {
                overflow = __builtin_sub_overflow(int64_t{0}, a, &result);
                if (op == Operator::modulo) return Value::integer(0);
                break;
            }
            const int64_t quotient = floor_divide(a, b);
            result = op == Operator::floor_divide ? quotient : a - quotient * b;
            break;
        }
        default:
            result = power(a, b);
    }
    if (overflow) fail_overflow();
    return Value::integer(result);
}

Value float_arithmetic(Operator op, double a, double b) {
    if (b == 0 && (op == Operator::divide || op == Operator::floor_divide || op == Operator::modulo))
        fail_value("division by zero");
    switch (op) {
        case Operator::add:
            return Value::floating(a + b);
        case Operator::subtract:
            return Value::floating(a - b);
        case Operator::multiply:
            return Value::floating(a * b);
        case Operator::divide:
            return Value::floating(a / b);
        case Operator::floor_divide:
        case Operator::modulo: {
            double modulus = std::fmod(a, b);
            double quotient = (a - modulus) / b;
            if (modulus != 0 && (b < 0) != (modulus < 0)) {
                modulus += b;
                quotient -= 1;
            } else if (modulus == 0) {
                modulus = std::copysign(0.0, b);
            }
            if (op == Operator::modulo) return Value::floating(modulus);
            double whole = std::floor(quotient);
            if (quotient - whole > 0.5) whole += 1;
            return Value::floating(quotient != 0 ? whole : std::copysign(0.0, a / b));
        }
        default:
            break;
    }
    if (a == 0 && b < 0) fail_value("0 cannot be raised to a negative power");
    if (a < 0 && b != std::floor(b) && !std::isinf(b)) fail_value("complex numbers are not supported");
    const double result = std::pow(a, b);
    if (std::isinf(result) && !std::isinf(a) && !std::isinf(b)) fail_value("a number is too large");
    return Value::floating(result);
}

/// A string or list, `count` times.
Value repeat(const Value& value, const Value& count) {
    const auto n = static_cast<uint64_t>(count.to_integer() > 0 ? count.to_integer() : 0);
    if (value.is(Type::string)) {
        const std::string_view text = value.text();
        if (n && text.size() > (uint64_t{1} << 32) / n)
            throw Failure{Failure::limit, "a string gets too long"};
        const size_t bytes = static_cast<size_t>(n) * text.size();
        check_size(bytes);
        std::string out;
        out.reserve(bytes);
        for (uint64_t i = 0; i < n && !text.empty(); i++) out += text;
        return Value::string(std::move(out), value.is_markup());
    }
    const std::vector<Value>& items = value.items();
    if (n && items.size() > (uint64_t{1} << 24) / n) throw Failure{Failure::limit, "a list gets too long"};
    spend(n * items.size());
    Value out = Value::new_list(value.list_object().kind);
    for (uint64_t i = 0; i < n && !items.empty(); i++) append(out, items.data(), items.size());
    return out;
}

bool is_row(const Value& value) {
    return value.is(Type::list) && value.list_object().kind <= ListKind::group;
}
bool is_tuple(const Value& value) {
    return is_row(value) && value.list_object().kind != ListKind::list;
}

}  // namespace

Value escape(const Value& value) {
    if (value.is_markup()) return value;
    return Value::string(text::html_escape(to_text(value)), true);
}

Value concatenate(const Value& a, const Value& b) {
    const bool escapes = a.is_markup() != b.is_markup();
    return escapes ? append_text(escape(a), escape(b).text()) : append_text(a, b.text());
}

Value binary(Operator op, const Value& a, const Value& b) {
    if (a.is_number() && b.is_number()) {
        const bool whole = a.is_integral() && b.is_integral();
        const bool fraction = op == Operator::divide || (op == Operator::power && b.to_double() < 0);
        if (whole && !fraction) return integer_arithmetic(op, a.to_integer(), b.to_integer());
        return float_arithmetic(op, a.to_double(), b.to_double());
    }
    if (op == Operator::modulo && a.is(Type::string)) return format_percent(a, b);
    if (op == Operator::add) {
        if (a.is(Type::string) && b.is(Type::string)) return concatenate(a, b);
        if (is_row(a) && is_row(b) && is_tuple(a) == is_tuple(b)) {
            Value items = Value::new_list(is_tuple(a) ? ListKind::tuple : ListKind::list);
            append(items, a.items().data(), a.items().size());
            append(items, b.items().data(), b.items().size());
            return items;
        }
    }
    if (op == Operator::multiply) {
        if ((a.is(Type::string) || is_row(a)) && b.is_integral()) return repeat(a, b);
        if ((b.is(Type::string) || is_row(b)) && a.is_integral()) return repeat(b, a);
    }
    fail_operands(op, a, b);
}

Value negate(const Value& value, Operator op) {
    if (value.is_undefined()) fail_undefined(value);
    if (!value.is_number())
        fail_value("bad operand type for unary %s: '%s'", symbols[static_cast<int>(op)], type_name(value));
    if (value.is(Type::floating))
        return Value::floating(op == Operator::subtract ? -value.to_floating() : value.to_floating());
    if (op == Operator::add) return Value::integer(value.to_integer());
    return integer_arithmetic(Operator::subtract, 0, value.to_integer());
}

bool compare_values(Operator op, const Value& a, const Value& b) {
    switch (op) {
        case Operator::equal:
            return equal(a, b);
        case Operator::not_equal:
            return !equal(a, b);
        case Operator::in:
            return contains(b, a);
        case Operator::not_in:
            return !contains(b, a);
        case Operator::less:
            return compare(a, b, "<") == -1;
        case Operator::less_equal:
            return compare(a, b, "<=") <= 0;
        case Operator::greater:
            return compare(a, b, ">") == 1;
        default: {
            const int order = compare(a, b, ">=");
            return order == 0 || order == 1;
        }
    }
}

bool contains(const Value& container, const Value& item) {
    if (container.is(Type::string)) {
        if (item.is_undefined()) fail_undefined(item);
        if (!item.is(Type::string)) fail_value("'in <string>' requires a string, not '%s'", type_name(item));
        spend(container.text().size() / 64);
        return container.text().find(item.text()) != std::string_view::npos;
    }
    if (container.is(Type::dict)) return container.dict_object().find(item) != nullptr;
    const Value items = iterate(container);
    spend(items.items().size());
    for (const Value& candidate : items.items())
        if (equal(candidate, item)) return true;
    return false;
}

Value keys_of(const DictObject& dict, ListKind kind) {
    Value keys = Value::new_list(kind);
    for (const DictObject::Entry& entry : dict.entries) push(keys, entry.key);
    return keys;
}

Value values_of(const DictObject& dict) {
    Value values = Value::new_list(ListKind::values);
    for (const DictObject::Entry& entry : dict.entries) push(values, entry.value);
    return values;
}

Value items_of(const DictObject& dict, ListKind kind) {
    Value items = Value::new_list(kind);
    for (const DictObject::Entry& entry : dict.entries)
        push(items, Value::list({entry.key, entry.value}, ListKind::tuple));
    return items;
}

Value characters_of(const Value& string) {
    const std::string_view content = string.text();
    spend(content.size());
    Value characters = Value::new_list(ListKind::list);
    for (size_t position = 0; position < content.size();) {
        const size_t begin = position;
        text::next_code_point(content, position);
        push(characters, Value::string(content.substr(begin, position - begin)));
    }
    return characters;
}

bool is_iterable(const Value& value) {
    return value.is_undefined() || value.is(Type::string) || value.is(Type::list) || value.is(Type::dict) ||
           value.is(Type::loop);
}

Value iterate(const Value& value) {
    switch (value.type()) {
        case Type::undefined:
        case Type::missing:
            return Value::list({});
        case Type::string:
            return characters_of(value);
        case Type::dict:
            return keys_of(value.dict_object(), ListKind::list);
        case Type::list: {
            ListObject& list = value.list_object();
            if (list.kind != ListKind::generator) return value;
            const size_t begin = list.position;
            list.position = list.items.size();
            if (begin == 0) return value;
            return Value::list_of(list.items.data() + begin, list.items.size() - begin);
        }
        default:
            fail_value("'%s' object is not iterable", type_name(value));
    }
}

namespace {

/// The item for an int key, or missing.
Value item_at(const Value& object, int64_t index) {
    const int64_t size = length(object);
    if (index < 0) index += size;
    if (index < 0 || index >= size) return Value::missing();
    if (object.is(Type::list)) return object.items()[static_cast<size_t>(index)];
    return substring(object, static_cast<size_t>(index), static_cast<size_t>(index) + 1);
}

/// object[key] as Python has it, or missing where Python raises TypeError or LookupError.
Value item(const Value& object, const Value& key) {
    if (object.is(Type::dict)) {
        const bool hashable = is_hashable(key);
        const Value* found = hashable ? object.dict_object().find(key) : nullptr;
        return found ? *found : Value::missing();
    }
    const bool indexed =
        object.is(Type::string) || (object.is(Type::list) && object.list_object().kind <= ListKind::range);
    if (indexed && key.is_integral()) return item_at(object, key.to_integer());
    return Value::missing();
}

}  // namespace

Value own_attribute(const Value& object, const Value& name) {
    const std::string_view text = name.text();
    if (object.is(Type::space)) {
        const Value* found = object.dict_object().find(name);
        return found ? *found : Value::missing();
    }
    if (object.is_list(ListKind::group) && (text == "grouper" || text == "list"))
        return object.items()[text == "list" ? 1 : 0];
    const uint32_t method = find_method(object, text);
    if (method == unsafe_method) return Value::undefined(name, UndefinedReason::unsafe);
    if (method) return Value::of(new FunctionObject(FunctionKind::method, method, object));
    return Value::missing();
}

Value subscript(const Value& object, const Value& key) {
    if (object.is_undefined()) fail_undefined(object);
    Value found = item(object, key);
    if (!found.is(Type::missing)) return found;
    if (!key.is(Type::string))
        return Value::undefined(Value::string(to_text(key)), UndefinedReason::attribute);
    found = own_attribute(object, key);
    return found.is(Type::missing) ? Value::undefined(key, UndefinedReason::attribute) : found;
}

Value attribute(const Value& object, const Value& name) {
    if (object.is_undefined()) fail_undefined(object);
    Value found = own_attribute(object, name);
    if (!found.is(Type::missing)) return found;
    found = item(object, name);
    return found.is(Type::missing) ? Value::undefined(name, UndefinedReason::attribute) : found;
}

Value substring(const Value& string, size_t begin, size_t end) {
    const std::string_view content = string.text();
    size_t first = begin, last = end;
    if (n_characters(string) != content.size()) {
        spend(content.size() / 64);
        first = text::byte_offset(content, begin);
        last = first + text::byte_offset(content.substr(first), end - begin);
    }
    return Value::string(content.substr(first, last - first), string.is_markup());
}

Value slice(const Value& object, const Value& start, const Value& stop, const Value& step) {
    if (object.is_undefined()) fail_undefined(object);
    const bool sliceable =
        object.is(Type::string) || (object.is(Type::list) && object.list_object().kind <= ListKind::range);
    if (!sliceable) fail_value("'%s' object cannot be sliced", type_name(object));
    const auto given = [](const Value& part) { return !part.is(Type::missing) && !part.is(Type::none); };
    const int64_t size = length(object);
    const int64_t stride = given(step) ? as_integer(step, "a slice index") : 1;
    if (stride == 0) fail_value("slice step cannot be zero");
    const int64_t lowest = stride > 0 ? 0 : -1, highest = stride > 0 ? size : size - 1;
    const auto clamp = [&](const Value& part, int64_t otherwise) {
        if (!given(part)) return otherwise;
        int64_t index = as_integer(part, "a slice index");
        if (index < 0) index = index < -size ? -1 : index + size;
        return index < lowest ? lowest : index > highest ? highest : index;
    };
    const int64_t begin = clamp(start, stride > 0 ? lowest : highest);
    const int64_t end = clamp(stop, stride > 0 ? highest : lowest);
    if (object.is(Type::string) && stride == 1)
        return substring(object, static_cast<size_t>(begin), static_cast<size_t>(begin < end ? end : begin));
    const ListKind kind = object.is(Type::string) ? ListKind::list : object.list_object().kind;
    Value picked = Value::new_list(kind == ListKind::group ? ListKind::tuple : kind);
    const Value row = object.is(Type::string) ? characters_of(object) : object;
    for (int64_t i = begin; stride > 0 ? i < end : i > end;) {
        push(picked, row.items()[static_cast<size_t>(i)]);
        if (__builtin_add_overflow(i, stride, &i)) break;
    }
    if (!object.is(Type::string)) return picked;
    std::string out;
    for (const Value& character : picked.items()) out += character.text();
    return Value::string(std::move(out), object.is_markup());
}

std::vector<uint32_t> sorted_order(const std::vector<Value>& keys, bool reverse) {
    std::vector<uint32_t> order(keys.size()), merged(keys.size());
    for (size_t i = 0; i < order.size(); i++) order[i] = static_cast<uint32_t>(i);
    const auto before = [&](uint32_t a, uint32_t b) {
        spend(1);
        return compare(keys[reverse ? b : a], keys[reverse ? a : b], "<") == -1;
    };
    for (size_t width = 1; width < order.size(); width *= 2) {
        for (size_t begin = 0; begin < order.size(); begin += 2 * width) {
            const size_t middle = std::min(begin + width, order.size()),
                         end = std::min(middle + width, order.size());
            size_t left = begin, right = middle;
            for (size_t i = begin; i < end; i++) {
                const bool take_right = left == middle || (right < end && before(order[right], order[left]));
                merged[i] = order[take_right ? right++ : left++];
            }
        }
        order.swap(merged);
    }
    return order;
}

int64_t as_integer(const Value& value, const char* what) {
    if (value.is_integral()) return value.to_integer();
    fail_value("%s must be an integer, not '%s'", what, type_name(value));
}

std::string_view as_string(const Value& value, const char* what) {
    if (value.is(Type::string)) return value.text();
    if (value.is_undefined()) fail_undefined(value);
    fail_value("%s must be a string, not '%s'", what, type_name(value));
}

}  // namespace agave::chat::jinja
