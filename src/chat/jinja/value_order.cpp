#include <cmath>

#include "chat/jinja/value.h"

/// Python's == < and hash() of values.
namespace agave::chat::jinja {

namespace {

uint64_t hash_text(std::string_view text) {
    uint64_t h = 14695981039346656037u;
    for (char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return h ? h : 1;
}

uint64_t hash_integer(int64_t value) {
    uint64_t h = static_cast<uint64_t>(value) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 32;
}

bool equal_lists(const ListObject& a, const ListObject& b) {
    const auto family = [](const ListObject& list) {
        return list.kind == ListKind::group ? ListKind::tuple : list.kind;
    };
    if (&a == &b) return true;
    if (family(a) != family(b) || a.kind == ListKind::generator || a.kind == ListKind::values) return false;
    if (a.items.size() != b.items.size()) return false;
    for (size_t i = 0; i < a.items.size(); i++)
        if (!equal(a.items[i], b.items[i])) return false;
    return true;
}

bool equal_dicts(const DictObject& a, const DictObject& b) {
    if (a.entries.size() != b.entries.size()) return false;
    for (const DictObject::Entry& entry : a.entries) {
        const Value* other = b.find(entry.key);
        if (!other || !equal(entry.value, *other)) return false;
    }
    return true;
}

}  // namespace

bool equal(const Value& a, const Value& b) {
    if (a.is(Type::string) && b.is(Type::string)) return a.object() == b.object() || a.text() == b.text();
    if (a.is_number() && b.is_number()) {
        if (a.is_integral() && b.is_integral()) return a.to_integer() == b.to_integer();
        return a.to_double() == b.to_double();
    }
    if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
    if (a.type() != b.type()) return false;
    const Nesting guard;
    spend(1);
    if (a.is(Type::list)) return equal_lists(a.list_object(), b.list_object());
    if (a.is(Type::dict)) return equal_dicts(a.dict_object(), b.dict_object());
    if (a.is(Type::none)) return true;
    return a.object() == b.object();
}

int compare(const Value& a, const Value& b, const char* operation) {
    const auto order = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2; };
    if (a.is(Type::string) && b.is(Type::string)) return order(a.text().compare(b.text()), 0);
    if (a.is_number() && b.is_number()) {
        if (a.is_integral() && b.is_integral()) return order(a.to_integer(), b.to_integer());
        return order(a.to_double(), b.to_double());
    }
    if (a.is_undefined()) fail_undefined(a);
    if (b.is_undefined()) fail_undefined(b);
    const auto row = [](const Value& v) {
        return v.is(Type::list) && v.list_object().kind <= ListKind::group;
    };
    const auto plain = [](const Value& v) { return v.list_object().kind == ListKind::list; };
    if (row(a) && row(b) && plain(a) == plain(b)) {
        const Nesting guard;
        const std::vector<Value>&x = a.items(), &y = b.items();
        for (size_t i = 0; i < x.size() && i < y.size(); i++) {
            spend(1);
            if (!equal(x[i], y[i])) return compare(x[i], y[i], operation);
        }
        return order(x.size(), y.size());
    }
    fail_value("'%s' is not supported between '%s' and '%s'", operation, type_name(a), type_name(b));
}

bool is_hashable(const Value& value) {
    if (value.is(Type::dict)) return false;
    if (!value.is(Type::list)) return true;
    const ListKind kind = value.list_object().kind;
    if (kind == ListKind::tuple || kind == ListKind::group) {
        const Nesting guard;
        for (const Value& item : value.items())
            if (!is_hashable(item)) return false;
        return true;
    }
    return kind == ListKind::range || kind == ListKind::generator;
}

uint64_t hash(const Value& value) {
    switch (value.type()) {
        case Type::string: {
            StringObject& string = value.string_object();
            if (!string.hash) string.hash = hash_text(string.view());
            return string.hash;
        }
        case Type::boolean:
        case Type::integer:
            return hash_integer(value.to_integer());
        case Type::floating: {
            const double number = value.to_floating();
            if (number == std::floor(number) && std::fabs(number) < 9e18)
                return hash_integer(static_cast<int64_t>(number));
            return hash_text({reinterpret_cast<const char*>(&number), sizeof number});
        }
        case Type::none:
        case Type::undefined:
        case Type::missing:
            return 1 + static_cast<uint64_t>(value.type());
        case Type::list: {
            const ListKind kind = value.list_object().kind;
            if (kind == ListKind::generator) return hash_integer(reinterpret_cast<intptr_t>(value.object()));
            if (kind != ListKind::tuple && kind != ListKind::group && kind != ListKind::range) break;
            const Nesting guard;
            spend(1);
            uint64_t h = 3;
            for (const Value& item : value.items()) h = h * 1099511628211u + hash(item);
            return h;
        }
        case Type::dict:
            break;
        default:
            return hash_integer(static_cast<int64_t>(reinterpret_cast<intptr_t>(value.object())));
    }
    fail_value("unhashable type: '%s'", type_name(value));
}

}  // namespace agave::chat::jinja
