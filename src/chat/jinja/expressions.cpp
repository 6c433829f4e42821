#include "chat/jinja/interpreter.h"
#include "chat/jinja/operators.h"

namespace agave::chat::jinja {

Value Interpreter::read(uint32_t variable, uint32_t name, Scope* scope) {
    const Value& value = slot_at(variable, scope);
    if (!value.is(Type::missing)) return value;
    return Value::undefined(program_.constants[name], UndefinedReason::name);
}

Value Interpreter::evaluate(uint32_t index, Scope* scope) {
    const Level level;
    const Node& node = program_.nodes[index];
    switch (node.kind) {
        case NodeKind::constant:
            return program_.constants[node.a];
        case NodeKind::name:
            return read(node.b, node.a, scope);
        case NodeKind::tuple:
        case NodeKind::list:
        case NodeKind::dict:
            return evaluate_display(node, scope);
        case NodeKind::unary:
            return evaluate_unary(node, scope);
        case NodeKind::binary: {
            const Value left = evaluate(program_.child(node, 0), scope);
            const Value right = evaluate(program_.child(node, 1), scope);
            position = node.position;
            return binary(static_cast<Operator>(node.op), left, right);
        }
        case NodeKind::and_:
        case NodeKind::or_: {
            Value left = evaluate(program_.child(node, 0), scope);
            if (is_true(left) == (node.kind == NodeKind::or_)) return left;
            return evaluate(program_.child(node, 1), scope);
        }
        case NodeKind::compare:
            return evaluate_compare(node, scope);
        case NodeKind::concat:
            return evaluate_concat(node, scope);
        case NodeKind::conditional: {
            const bool chosen = is_true(evaluate(program_.child(node, 0), scope));
            const uint32_t branch = program_.child(node, chosen ? 1 : 2);
            if (branch) return evaluate(branch, scope);
            return Value::undefined(Value::string("an inline if was false and has no else"),
                                    UndefinedReason::hint);
        }
        case NodeKind::attribute:
            return evaluate_attribute(node, scope);
        case NodeKind::subscript: {
            const Value object = evaluate(program_.child(node, 0), scope);
            const Value key = evaluate(program_.child(node, 1), scope);
            position = node.position;
            if (object.is(Type::loop) && key.is(Type::string))
                return loop_attribute(*static_cast<LoopObject*>(object.object()), key);
            return subscript(object, key);
        }
        case NodeKind::slice: {
            Value parts[4];
            for (uint32_t i = 0; i < 4; i++) {
                const uint32_t part = program_.child(node, i);
                parts[i] = part ? evaluate(part, scope) : Value::missing();
            }
            position = node.position;
            return slice(parts[0], parts[1], parts[2], parts[3]);
        }
        case NodeKind::call:
            return evaluate_call(node, scope, nullptr);
        case NodeKind::filter:
            return evaluate_filter(node, scope);
        case NodeKind::test:
            return evaluate_test(node, scope);
        default:
            fail_value("this is not an expression");
    }
}

Value Interpreter::evaluate_display(const Node& node, Scope* scope) {
    if (node.kind != NodeKind::dict) {
        Value items = Value::new_list(node.kind == NodeKind::tuple ? ListKind::tuple : ListKind::list);
        for (uint32_t i = 0; i < node.count; i++) push(items, evaluate(program_.child(node, i), scope));
        return items;
    }
    Value dict = Value::dict();
    for (uint32_t i = 0; i < node.count; i += 2) {
        Value key = evaluate(program_.child(node, i), scope);
        Value value = evaluate(program_.child(node, i + 1), scope);
        position = node.position;
        dict.dict_object().set(std::move(key), std::move(value));
    }
    return dict;
}

Value Interpreter::evaluate_unary(const Node& node, Scope* scope) {
    const Value value = evaluate(program_.child(node, 0), scope);
    const auto op = static_cast<Operator>(node.op);
    if (op == Operator::not_) return Value::boolean(!is_true(value));
    position = node.position;
    return negate(value, op);
}

Value Interpreter::evaluate_compare(const Node& node, Scope* scope) {
    Value left = evaluate(program_.child(node, 0), scope);
    for (uint32_t i = 1; i < node.count; i++) {
        const Node& operand = program_.nodes[program_.child(node, i)];
        Value right = evaluate(program_.child(operand, 0), scope);
        position = operand.position;
        if (!compare_values(static_cast<Operator>(operand.op), left, right)) return Value::boolean(false);
        left = std::move(right);
    }
    return Value::boolean(true);
}

Value Interpreter::evaluate_concat(const Node& node, Scope* scope) {
    const Value first = evaluate(program_.child(node, 0), scope);
    std::string rest;
    const bool extends = first.is(Type::string) && !first.is_markup();
    if (!extends) append_text(rest, first);
    for (uint32_t i = 1; i < node.count; i++) {
        append_text(rest, evaluate(program_.child(node, i), scope));
        check_room(rest.size());
    }
    return extends ? append_text(first, rest) : Value::string(std::move(rest));
}

Value Interpreter::evaluate_attribute(const Node& node, Scope* scope) {
    const Value object = evaluate(program_.child(node, 0), scope);
    position = node.position;
    const Value& name = program_.constants[node.a];
    if (object.is(Type::loop)) return loop_attribute(*static_cast<LoopObject*>(object.object()), name);
    if (object.is(Type::function)) {
        const auto& function = *static_cast<FunctionObject*>(object.object());
        const std::string_view text = name.text();
        if (function.kind == FunctionKind::macro && text == "name")
            return program_.constants[program_.nodes[function.id].a];
        if (function.kind == FunctionKind::cycler && text == "current")
            return function.self.items()[function.position];
    }
    return attribute(object, name);
}

void Interpreter::evaluate_arguments(const Node& node, Scope* scope, Arguments& arguments) {
    const auto add_keyword = [&](Value name, Value value) {
        for (const auto& [other, unused] : arguments.keyword)
            if (equal(other, name))
                fail_value("the argument '%.60s' is given twice", std::string(name.text()).c_str());
        arguments.keyword.emplace_back(std::move(name), std::move(value));
    };
    for (uint32_t i = 1; i < node.count; i++) {
        const uint32_t index = program_.child(node, i);
        const Node& argument = program_.nodes[index];
        if (argument.kind == NodeKind::keyword) {
            add_keyword(program_.constants[argument.a], evaluate(program_.child(argument, 0), scope));
        } else if (argument.kind == NodeKind::spread_list) {
            const Value items = iterate(evaluate(program_.child(argument, 0), scope));
            for (const Value& item : items.items()) arguments.positional.push_back(item);
        } else if (argument.kind == NodeKind::spread_dict) {
            const Value dict = evaluate(program_.child(argument, 0), scope);
            position = argument.position;
            if (!dict.is(Type::dict))
                fail_value("the argument after ** must be a dict, not '%s'", type_name(dict));
            for (const DictObject::Entry& entry : dict.dict_object().entries) {
                as_string(entry.key, "the name of an argument");
                add_keyword(entry.key, entry.value);
            }
        } else {
            arguments.positional.push_back(evaluate(index, scope));
        }
    }
}

Value Interpreter::evaluate_call(const Node& node, Scope* scope, const Value* caller) {
    const uint32_t callee_index = program_.child(node, 0);
    const Node& callee_node = program_.nodes[callee_index];
    Arguments arguments;
    Value self, callee;
    uint32_t method = 0;
    if (callee_node.kind == NodeKind::attribute) {
        // A method is called on its object without making a value of the method first.
        self = evaluate(program_.child(callee_node, 0), scope);
        position = callee_node.position;
        const Value& name = program_.constants[callee_node.a];
        method = self.is(Type::loop) ? 0 : find_method(self, name.text());
        if (method == unsafe_method) fail_undefined(Value::undefined(name, UndefinedReason::unsafe));
        if (self.is(Type::loop) && (name.text() == "cycle" || name.text() == "changed")) {
            evaluate_arguments(node, scope, arguments);
            position = node.position;
            return call_loop(*static_cast<LoopObject*>(self.object()), name.text(), arguments);
        }
        if (!method)
            callee = self.is(Type::loop) ? loop_attribute(*static_cast<LoopObject*>(self.object()), name)
                                         : attribute(self, name);
    } else {
        callee = evaluate(callee_index, scope);
    }
    evaluate_arguments(node, scope, arguments);
    if (caller) arguments.keyword.emplace_back(program_.constants[name_caller], *caller);
    position = node.position;
    return method ? call_method(*this, method, self, arguments) : call(callee, arguments);
}

Value Interpreter::call(const Value& callee, const Arguments& arguments) {
    if (callee.is_undefined()) fail_undefined(callee);
    if (!callee.is(Type::function)) fail_value("'%s' object is not callable", type_name(callee));
    auto& function = *static_cast<FunctionObject*>(callee.object());
    switch (function.kind) {
        case FunctionKind::global:
            return call_global(*this, function.id, arguments);
        case FunctionKind::method:
            return call_method(*this, function.id, function.self, arguments);
        case FunctionKind::macro:
            return call_macro(function, arguments);
        case FunctionKind::joiner:
            bind_arguments("", arguments, nullptr, "joiner");
            return function.position++ ? function.self : Value::string("");
        case FunctionKind::cycler:
            break;
    }
    fail_value("a cycler is not callable");
}

Value Interpreter::evaluate_filter(const Node& node, Scope* scope) {
    const uint32_t input_index = program_.child(node, 0);
    const Value input = input_index ? evaluate(input_index, scope) : *block_text_;
    Arguments arguments;
    evaluate_arguments(node, scope, arguments);
    position = node.position;
    if (!node.b)
        fail_value("no filter named '%.60s'", std::string(program_.constants[node.a].text()).c_str());
    return call_filter(*this, node.b, input, arguments);
}

Value Interpreter::evaluate_test(const Node& node, Scope* scope) {
    const Value input = evaluate(program_.child(node, 0), scope);
    Arguments arguments;
    evaluate_arguments(node, scope, arguments);
    position = node.position;
    if (!node.b) fail_value("no test named '%.60s'", std::string(program_.constants[node.a].text()).c_str());
    return Value::boolean(call_test(*this, node.b, input, arguments));
}

}  // namespace agave::chat::jinja
