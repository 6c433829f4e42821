#include <algorithm>
#include <ctime>

#include "chat/jinja/interpreter.h"
#include "chat/jinja/operators.h"

namespace agave::chat::jinja {

void bind_arguments(std::string_view signature, const Arguments& arguments, Value* places,
                    std::string_view name) {
    const auto label = [&] { return static_cast<int>(name.size()); };
    size_t n = 0, n_keywords_used = 0;
    while (!signature.empty()) {
        size_t end = signature.find(' ');
        if (end == std::string_view::npos) end = signature.size();
        std::string_view parameter = signature.substr(0, end);
        signature.remove_prefix(end < signature.size() ? end + 1 : end);
        const bool optional = parameter.ends_with('?');
        if (optional) parameter.remove_suffix(1);
        places[n] = n < arguments.positional.size() ? arguments.positional[n] : Value::missing();
        for (const auto& [key, value] : arguments.keyword) {
            if (key.text() != parameter) continue;
            if (n < arguments.positional.size())
                fail_value("%.*s() got the argument '%s' twice", label(), name.data(),
                           std::string(key.text()).c_str());
            places[n] = value;
            n_keywords_used++;
        }
        if (places[n].is(Type::missing) && !optional)
            fail_value("%.*s() needs the argument '%.*s'", label(), name.data(),
                       static_cast<int>(parameter.size()), parameter.data());
        n++;
    }
    if (arguments.positional.size() > n)
        fail_value("%.*s() takes at most %zu arguments", label(), name.data(), n);
    if (n_keywords_used < arguments.keyword.size())
        fail_value("%.*s() does not take one of the named arguments", label(), name.data());
}

uint32_t find_builtin(const BuiltinTable& table, std::string_view name) {
    for (uint32_t i = 0; i < table.size; i++) {
        const std::string_view declaration = table.rows[i].declaration;
        if (declaration.starts_with(name) &&
            (declaration.size() == name.size() || declaration[name.size()] == ' '))
            return i + 1;
    }
    return 0;
}

Value call_builtin(const Builtin& builtin, Interpreter& interpreter, const Value& self,
                   const Arguments& arguments) {
    const std::string_view declaration = builtin.declaration;
    const std::string_view name = declaration.substr(0, declaration.find(' '));
    if (!builtin.function)
        fail_value("%.*s() is not supported in chat templates", static_cast<int>(name.size()), name.data());
    Value places[max_parameters];
    const std::string_view signature = declaration.substr(std::min(name.size() + 1, declaration.size()));
    if (signature != "*") bind_arguments(signature, arguments, places, name);
    return builtin.function({interpreter, self, places, arguments, builtin.variant});
}

namespace {

Value make_range(const Call& call) {
    const Value* a = call.places;
    constexpr int64_t max_range = 100'000;  // as Jinja's sandbox has it
    const bool only_stop = a[1].is(Type::missing);
    const int64_t start = only_stop ? 0 : as_integer(a[0], "range()");
    const int64_t stop = as_integer(a[only_stop ? 0 : 1], "range()");
    const int64_t step = a[2].is(Type::missing) ? 1 : as_integer(a[2], "range()");
    if (step == 0) fail_value("the step of range() must not be zero");
    Value items = Value::new_list(ListKind::range);
    for (int64_t i = start; step > 0 ? i < stop : i > stop;) {
        if (items.items().size() >= max_range)
            fail_value("range() is limited to %d numbers", static_cast<int>(max_range));
        push(items, Value::integer(i));
        if (__builtin_add_overflow(i, step, &i)) break;
    }
    return items;
}

/// dict(mapping or pairs, name=value ...)
void fill_dict(DictObject& dict, const Arguments& arguments) {
    if (arguments.positional.size() > 1) fail_value("dict() takes at most one positional argument");
    if (!arguments.positional.empty()) {
        const Value& from = arguments.positional[0];
        const bool mapping = from.is(Type::dict);
        const Value pairs = mapping ? items_of(from.dict_object(), ListKind::list) : iterate(from);
        for (const Value& pair : pairs.items()) {
            const Value parts = iterate(pair);
            if (parts.items().size() != 2) fail_value("dict() needs pairs of a key and a value");
            dict.set(parts.items()[0], parts.items()[1]);
        }
    }
    for (const auto& [key, value] : arguments.keyword) dict.set(key, value);
}

Value make_dict(const Call& call) {
    Value dict = Value::dict();
    fill_dict(dict.dict_object(), call.arguments);
    return dict;
}

Value make_namespace(const Call& call) {
    Value space = Value::of(new DictObject(Type::space));
    fill_dict(space.dict_object(), call.arguments);
    return space;
}

Value make_cycler(const Call& call) {
    const Arguments& arguments = call.arguments;
    if (arguments.positional.empty() || !arguments.keyword.empty()) fail_value("cycler() needs items");
    return Value::of(new FunctionObject(
        FunctionKind::cycler, 0, Value::list_of(arguments.positional.data(), arguments.positional.size())));
}

Value make_joiner(const Call& call) {
    const Value* a = call.places;
    return Value::of(
        new FunctionObject(FunctionKind::joiner, 0, a[0].is(Type::missing) ? Value::string(", ") : a[0]));
}

Value raise_exception(const Call& call) {
    throw Failure{Failure::raised, to_text(call.places[0])};
}

Value strftime_now(const Call& call) {
    Interpreter& interpreter = call.interpreter;
    const std::string format(as_string(call.places[0], "the format of strftime_now()"));
    const std::time_t now = interpreter.now ? static_cast<std::time_t>(*interpreter.now) : std::time(nullptr);
    std::tm fields{};
    if (interpreter.now)
        gmtime_r(&now, &fields);
    else
        localtime_r(&now, &fields);
    if (format.size() > 1000) fail_value("the format of strftime_now() is too long");
    // The space makes an empty result differ from one that does not fit.
    std::string text(64 * format.size() + 64, '\0');
    const size_t length = std::strftime(text.data(), text.size(), (format + ' ').c_str(), &fields);
    if (length == 0) fail_value("the result of strftime_now() is too long");
    text.resize(length - 1);
    return Value::string(std::move(text));
}

constexpr Builtin globals[] = {
    {"range 0 1? 2?", make_range},         {"dict *", make_dict},
    {"namespace *", make_namespace},       {"cycler *", make_cycler},
    {"joiner sep?", make_joiner},          {"raise_exception message", raise_exception},
    {"strftime_now format", strftime_now},
};

}  // namespace

uint32_t find_global(std::string_view name) {
    return find_builtin({globals, std::size(globals)}, name);
}

Value call_global(Interpreter& interpreter, uint32_t global, const Arguments& arguments) {
    return call_builtin(globals[global - 1], interpreter, Value(), arguments);
}

}  // namespace agave::chat::jinja
