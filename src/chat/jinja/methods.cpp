#include "chat/jinja/ast.h"
#include "chat/jinja/function.h"
#include "chat/jinja/interpreter.h"
#include "chat/jinja/operators.h"
#include "chat/jinja/text.h"

/// The methods of Python's list, tuple and dict, and of cyclers; those of str are in string_methods.cpp.
namespace agave::chat::jinja {

extern const BuiltinTable string_methods;

namespace {

using std::string_view;

int64_t count_or(const Value& value, int64_t otherwise) {
    return value.is(Type::missing) ? otherwise : as_integer(value, "a count");
}

Value list_count(const Call& call) {
    int64_t count = 0;
    for (const Value& item : call.self.items()) count += equal(item, call.places[0]) ? 1 : 0;
    return Value::integer(count);
}

Value list_index(const Call& call) {
    const Value& self = call.self;
    const Value* a = call.places;
    const Value part = slice(self, a[1], a[2], Value::missing());
    const int64_t size = length(self), start = count_or(a[1], 0);
    const int64_t offset = start < 0 ? std::max<int64_t>(start + size, 0) : start;
    for (size_t i = 0; i < part.items().size(); i++)
        if (equal(part.items()[i], a[0])) return Value::integer(static_cast<int64_t>(i) + offset);
    fail_value("the value is not in the list");
}

Value copy(const Call& call) {
    return call.self;
}

Value dict_get(const Call& call) {
    const Value* a = call.places;
    const Value* value = call.self.dict_object().find(a[0]);
    return value ? *value : a[1].is(Type::missing) ? Value::none() : a[1];
}
Value dict_view(const Call& call) {
    const DictObject& dict = call.self.dict_object();
    const auto kind = static_cast<ListKind>(call.variant);
    return kind == ListKind::items  ? items_of(dict, kind)
           : kind == ListKind::keys ? keys_of(dict, kind)
                                    : values_of(dict);
}

Value cycler_next(const Call& call) {
    const Value& self = call.self;
    auto& cycler = *static_cast<FunctionObject*>(self.object());
    Value item = cycler.self.items()[cycler.position];
    cycler.position = (cycler.position + 1) % cycler.self.items().size();
    return item;
}
Value cycler_reset(const Call& call) {
    static_cast<FunctionObject*>(call.self.object())->position = 0;
    return Value::none();
}

constexpr Builtin list_methods[] = {
    {"count 0", list_count}, {"index 0 1? 2?", list_index}, {"copy", copy},  // the last that tuples lack
};

constexpr Builtin dict_methods[] = {
    {"get 0 1?", dict_get},
    {"items", dict_view, static_cast<uint8_t>(ListKind::items)},
    {"keys", dict_view, static_cast<uint8_t>(ListKind::keys)},
    {"values", dict_view, static_cast<uint8_t>(ListKind::values)},
    {"copy", copy},
    {"fromkeys", nullptr},
};

constexpr Builtin cycler_methods[] = {{"next", cycler_next}, {"reset", cycler_reset}};

constexpr string_view unsafe_of_list[] = {"append", "clear", "pop",    "reverse",
                                          "insert", "sort",  "extend", "remove"};
constexpr string_view unsafe_of_dict[] = {"clear", "pop", "popitem", "setdefault", "update"};

/// A method's number is its table (from 1) and, from 1, its place there.
BuiltinTable table_at(size_t index) {
    switch (index) {
        case 1:
            return string_methods;
        case 2:
            return {list_methods, std::size(list_methods)};
        case 3:
            return {dict_methods, std::size(dict_methods)};
        default:
            return {cycler_methods, std::size(cycler_methods)};
    }
}

template <size_t n>
bool one_of(const string_view (&names)[n], string_view name) {
    for (string_view candidate : names)
        if (candidate == name) return true;
    return false;
}

}  // namespace

uint32_t find_method(const Value& object, string_view name) {
    size_t table = 0;
    size_t hidden = 0;
    if (object.is(Type::string)) {
        table = 1;
    } else if (object.is(Type::list)) {
        const ListKind kind = object.list_object().kind;
        if (kind > ListKind::range) return 0;
        if (kind == ListKind::list && one_of(unsafe_of_list, name)) return unsafe_method;
        hidden = kind == ListKind::list ? 0 : 1;
        table = 2;
    } else if (object.is(Type::dict)) {
        if (one_of(unsafe_of_dict, name)) return unsafe_method;
        table = 3;
    } else if (object.is(Type::function)) {
        if (static_cast<FunctionObject*>(object.object())->kind != FunctionKind::cycler) return 0;
        table = 4;
    } else {
        return 0;
    }
    BuiltinTable methods = table_at(table);
    methods.size -= hidden;
    const uint32_t found = find_builtin(methods, name);
    return found ? static_cast<uint32_t>(table << 8 | found) : 0;
}

Value call_method(Interpreter& interpreter, uint32_t method, const Value& self, const Arguments& arguments) {
    return call_builtin(table_at(method >> 8).rows[(method & 0xFF) - 1], interpreter, self, arguments);
}

}  // namespace agave::chat::jinja
