#pragma once

#include <string_view>
#include <utility>
#include <vector>

#include "chat/jinja/value.h"

/// The functions, filters, tests and methods that templates can call.
namespace agave::chat::jinja {

class Interpreter;

/// The arguments of a call: values by position and by name.
struct Arguments {
    std::vector<Value> positional;
    std::vector<std::pair<Value, Value>> keyword;
};

constexpr size_t max_parameters = 6;

/// What a builtin is called with.
struct Call {
    Interpreter& interpreter;
    const Value& self;           ///< the object of a method, the input of a filter
    const Value* places;         ///< the arguments, at the places of the signature
    const Arguments& arguments;  ///< the same as they came
    uint8_t variant;             ///< Builtin::variant
};

/// A builtin: its name and signature (see bind_arguments), or * for arguments as they came, and its function,
/// which is null for one that Python has and chat templates do not need.
struct Builtin {
    const char* declaration;
    Value (*function)(const Call& call);
    uint8_t variant = 0;  ///< where one function stands for several
};

struct BuiltinTable {
    const Builtin* rows;
    size_t size;
};

/// Index + 1 of a builtin by its name, or 0.
uint32_t find_builtin(const BuiltinTable& table, std::string_view name);
Value call_builtin(const Builtin& builtin, Interpreter& interpreter, const Value& self,
                   const Arguments& arguments);

/// Puts the arguments into the places of a signature like "width first? blank?" (`?`: may be left out, then
/// its place stays missing; a name of digits cannot be given by name). `name` is for messages.
void bind_arguments(std::string_view signature, const Arguments& arguments, Value* places,
                    std::string_view name);

/// The number of a filter, test, method or global, 0 for an unknown one.
uint32_t find_filter(std::string_view name);
uint32_t find_test(std::string_view name);
uint32_t find_global(std::string_view name);
/// For a method that would change its object: the sandbox forbids it.
constexpr uint32_t unsafe_method = 0xFFFF;
uint32_t find_method(const Value& object, std::string_view name);

/// str.splitlines and str.split for filters too.
Value split_lines(const Value& text, bool keep_ends);

Value call_filter(Interpreter& interpreter, uint32_t filter, const Value& input, const Arguments& arguments);
bool call_test(Interpreter& interpreter, uint32_t test, const Value& input, const Arguments& arguments);
Value call_method(Interpreter& interpreter, uint32_t method, const Value& self, const Arguments& arguments);
Value call_global(Interpreter& interpreter, uint32_t global, const Arguments& arguments);

}  // namespace agave::chat::jinja
