#include "chat/jinja/filters.h"

namespace agave::chat::jinja {

namespace {

Value filter_attr(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    as_string(a[0], "the name of an attribute");
    if (v.is_undefined()) fail_undefined(v);
    const Value found = own_attribute(v, a[0]);
    return found.is(Type::missing) ? Value::undefined(a[0], UndefinedReason::attribute) : found;
}

Value filter_default(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    if (!v.is_undefined() && !(flag(a[1]) && !is_true(v))) return v;
    return a[0].is(Type::missing) ? Value::string("") : a[0];
}

constexpr Builtin other_filters[] = {
    {"attr name", filter_attr},
    {"d default_value? boolean?", filter_default},
    {"default default_value? boolean?", filter_default},
};

const BuiltinTable* const tables[] = {&text_filters, &sequence_filters, &number_filters};
constexpr size_t n_tables = std::size(tables);

BuiltinTable table_at(size_t index) {
    return index < n_tables ? *tables[index] : BuiltinTable{other_filters, std::size(other_filters)};
}

}  // namespace

/// A filter's number is its table and, from 1, its place there.
uint32_t find_filter(std::string_view name) {
    for (uint32_t table = 0; table <= n_tables; table++)
        if (const uint32_t found = find_builtin(table_at(table), name)) return table << 8 | found;
    return 0;
}

Value call_filter(Interpreter& interpreter, uint32_t filter, const Value& input, const Arguments& arguments) {
    return call_builtin(table_at(filter >> 8).rows[(filter & 0xFF) - 1], interpreter, input, arguments);
}

}  // namespace agave::chat::jinja
