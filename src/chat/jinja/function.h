#pragma once

#include <vector>

#include "chat/jinja/value.h"

/// The objects behind callable values, loops and variables. Only the interpreter makes and reads them.
namespace agave::chat::jinja {

/// The variables of one execution of a template, macro or loop body, by slot (see scope.cpp). Inner scopes
/// and macros refer to it.
struct Scope : Object {
    Scope() : Object(Type::none) {}
    Scope* parent = nullptr;
    std::vector<Value> slots;
    bool kept = false;  ///< for a macro or a loop's filter, which may outlive the execution
};

enum class FunctionKind : uint8_t {
    global,  ///< id: of a builtin function
    method,  ///< id: of a method; self: its object
    macro,   ///< id: the node of the macro or call block; scope: where it was defined
    cycler,  ///< self: the list; position
    joiner   ///< self: the separator; position: 1 once used
};

struct FunctionObject : Object {
    FunctionObject(FunctionKind function_kind, uint32_t function_id, const Value& function_self,
                   Scope* defined_in = nullptr)
        : Object(Type::function),
          kind(function_kind),
          id(function_id),
          self(function_self),
          scope(defined_in) {}
    FunctionKind kind;
    uint32_t id;
    Value self;
    Scope* scope;
    size_t position = 0;
};

/// A running for: what remains to iterate, and what `loop` tells.
struct LoopObject : Object {
    explicit LoopObject(const Value& iterated) : Object(Type::loop), iterable(iterated) {}
    Value iterable;       ///< always a list
    size_t position = 0;  ///< in iterable (a generator uses its own)
    uint32_t filter = 0;  ///< the node after `if`, or 0
    uint32_t target = 0;  ///< the node of the loop variables, for the filter
    Scope* filter_scope = nullptr;
    int64_t index0 = -1;
    int64_t length = -1;
    Value before = Value::missing(), current = Value::missing(), after = Value::missing();
    Value last_changed = Value::missing();
};

}  // namespace agave::chat::jinja
