#include "chat/interpreter.h"

#include "base/error.h"
#include "chat/lexer.h"
#include "chat/operators.h"

namespace agave::chat::jinja {

namespace {

/// Takes one step and one level of depth for as long as it lives.
struct Level {
    Level() {
        spend(1);
        if (current_budget->depth_left == 0)
            throw Failure{Failure::limit, "the template nests its calls too deeply"};
        current_budget->depth_left--;
    }
    ~Level() { current_budget->depth_left++; }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;
};

Scope* scope_at(uint32_t variable, Scope* scope) {
    for (uint32_t depth = variable >> 16; depth > 0; depth--) scope = scope->parent;
    return scope;
}

Value& slot_at(uint32_t variable, Scope* scope) {
    return scope_at(variable, scope)->slots[variable & 0xFFFF];
}

}  // namespace

class Interpreter::Entered {
  public:
    Entered(Interpreter& interpreter, uint32_t frame, Scope* outer)
        : interpreter_(interpreter), scope_(interpreter.enter(frame, outer)) {}
    ~Entered() {
        if (!scope_->captured) interpreter_.spare_.push_back(scope_);
    }
    Entered(const Entered&) = delete;
    Entered& operator=(const Entered&) = delete;
    Scope* get() const { return scope_; }

  private:
    Interpreter& interpreter_;
    Scope* scope_;
};

std::string Interpreter::run() {
    std::string text;
    out_ = &text;
    const Entered root(*this, 0, nullptr);
    execute(program_.root, root.get());
    return text;
}

void Interpreter::write(std::string_view text) {
    if (text.size() > output_left_) throw Failure{Failure::limit, "the template writes too much text"};
    output_left_ -= text.size();
    spend(text.size() / 64);
    *out_ += text;
}

Scope* Interpreter::enter(uint32_t frame, Scope* outer) {
    Scope* scope;
    if (spare_.empty()) {
        reserve_bytes(sizeof(Scope));
        scope = new Scope;
        adopt(scope);
    } else {
        scope = spare_.back();
        spare_.pop_back();
        scope->slots.clear();
    }
    scope->parent = outer;
    if (program_.frames[frame].size() > scope->slots.capacity())
        reserve_bytes(program_.frames[frame].size() * sizeof(Value));
    load_variables(frame, scope);
    return scope;
}

void Interpreter::load_variables(uint32_t frame, Scope* scope) {
    const std::vector<Slot>& slots = program_.frames[frame];
    scope->slots.resize(slots.size(), Value::missing());
    for (size_t i = 0; i < slots.size(); i++) {
        const Slot& slot = slots[i];
        Value& value = scope->slots[i];
        if (slot.load == Load::unset) {
            value = Value::missing();
        } else if (slot.load == Load::alias) {
            value = slot_at(slot.outer, scope);
        } else if (slot.load == Load::resolve) {
            const Value& name = program_.constants[slot.name];
            const Value* found = context_.dict_object().find(name);
            if (found) {
                value = *found;
            } else {
                const uint32_t global = find_global(name.text());
                value = global ? Value::of(new FunctionObject(FunctionKind::global, global, Value()))
                               : Value::missing();
            }
        }
    }
}

Value Interpreter::read(uint32_t variable, uint32_t name, Scope* scope) {
    const Value& value = slot_at(variable, scope);
    if (!value.is(Type::missing)) return value;
    return Value::undefined(program_.constants[name], UndefinedReason::name);
}

// Expressions

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

// Statements

Interpreter::Flow Interpreter::execute(uint32_t index, Scope* scope) {
    const Level level;
    const Node& node = program_.nodes[index];
    switch (node.kind) {
        case NodeKind::output:
            for (uint32_t i = 0; i < node.count; i++) {
                const Node& part = program_.nodes[program_.child(node, i)];
                if (part.kind == NodeKind::text) {
                    write(std::string_view(program_.source).substr(part.a, part.b));
                    continue;
                }
                const Value value = evaluate(program_.child(node, i), scope);
                if (value.is(Type::string))
                    write(value.text());
                else
                    write(to_text(value));
            }
            return Flow::next;
        case NodeKind::body:
            return execute_body(node, scope);
        case NodeKind::if_:
            return execute_if(node, scope);
        case NodeKind::for_:
            return execute_for(node, scope);
        case NodeKind::set: {
            Value value = evaluate(program_.child(node, 1), scope);
            position = node.position;
            assign(program_.child(node, 0), scope, std::move(value));
            return Flow::next;
        }
        case NodeKind::set_block:
            return execute_set_block(node, scope);
        case NodeKind::macro:
            slot_at(node.d, scope) = make_macro(index, scope);
            return Flow::next;
        case NodeKind::call_block:
            execute_call_block(node, scope);
            return Flow::next;
        case NodeKind::filter_block:
            return execute_filter_block(node, scope);
        case NodeKind::with:
            return execute_with(node, scope);
        case NodeKind::generation: {
            const Entered inner(*this, node.b, scope);
            return execute(program_.child(node, 0), inner.get());
        }
        case NodeKind::break_:
            return Flow::break_;
        case NodeKind::continue_:
            return Flow::continue_;
        default:
            fail_value("this is not a statement");
    }
}

Interpreter::Flow Interpreter::execute_body(const Node& node, Scope* scope) {
    for (uint32_t i = 0; i < node.count; i++) {
        const Flow flow = execute(program_.child(node, i), scope);
        if (flow != Flow::next) return flow;
    }
    return Flow::next;
}

Interpreter::Flow Interpreter::execute_if(const Node& node, Scope* scope) {
    for (uint32_t i = 0; i + 1 < node.count; i += 2)
        if (is_true(evaluate(program_.child(node, i), scope)))
            return execute(program_.child(node, i + 1), scope);
    return node.count % 2 ? execute(program_.child(node, node.count - 1), scope) : Flow::next;
}

void Interpreter::assign(uint32_t target, Scope* scope, Value value) {
    const Node& node = program_.nodes[target];
    if (node.kind == NodeKind::name) {
        slot_at(node.b, scope) = std::move(value);
    } else if (node.kind == NodeKind::attribute_target) {
        const Value& space = slot_at(node.b, scope);
        if (!space.is(Type::space)) fail_value("only attributes of a namespace can be assigned to");
        space.dict_object().set(program_.constants[node.a], std::move(value));
    } else {
        const Value items = iterate(value);
        const size_t n = items.items().size();
        if (n != node.count) fail_value("%zu values cannot be unpacked into %u names", n, node.count);
        for (uint32_t i = 0; i < node.count; i++) assign(program_.child(node, i), scope, items.items()[i]);
    }
}

Interpreter::Flow Interpreter::execute_for(const Node& node, Scope* scope) {
    Value iterable = evaluate(program_.child(node, 1), scope);
    position = node.position;
    if (!iterable.is(Type::list)) iterable = iterate(iterable);
    const Value loop_value = Value::of(new LoopObject(std::move(iterable)));
    auto& loop = *static_cast<LoopObject*>(loop_value.object());
    loop.target = program_.child(node, 0);
    loop.filter = program_.child(node, 2);
    if (loop.filter) {
        loop.filter_scope = enter(node.b + 1, scope);
    }
    const Entered body(*this, node.b, scope);
    // As in Jinja, an iteration that break or continue ends does not keep the else from running.
    bool first = true, completed = false;
    while (true) {
        spend(1);
        Value item = next_item(loop);
        if (item.is(Type::missing)) break;
        if (!first) load_variables(node.b, body.get());
        first = false;
        assign(loop.target, body.get(), std::move(item));
        if (node.op) body.get()->slots[node.c] = loop_value;
        const Flow flow = execute(program_.child(node, 3), body.get());
        position = node.position;
        if (flow == Flow::break_) break;
        completed = completed || flow == Flow::next;
    }
    const uint32_t otherwise = program_.child(node, 4);
    if (completed || !otherwise) return Flow::next;
    const Entered inner(*this, node.b + 2, scope);
    return execute(otherwise, inner.get());
}

/// Runs a body and takes what it writes.
Interpreter::Flow Interpreter::capture(uint32_t body, Scope* scope, Value& text) {
    std::string captured;
    std::string* const outside = out_;
    out_ = &captured;
    const Flow flow = execute(body, scope);
    out_ = outside;
    output_left_ += captured.size();
    text = Value::string(std::move(captured));
    return flow;
}

Interpreter::Flow Interpreter::execute_set_block(const Node& node, Scope* scope) {
    const Entered inner(*this, node.b, scope);
    Value text;
    const Flow flow = capture(program_.child(node, 2), inner.get(), text);
    if (flow != Flow::next) return flow;
    if (const uint32_t filter = program_.child(node, 1)) {
        const Value* const outside = block_text_;
        const Value input = text;
        block_text_ = &input;
        text = evaluate(filter, inner.get());
        block_text_ = outside;
    }
    position = node.position;
    assign(program_.child(node, 0), scope, std::move(text));
    return Flow::next;
}

Interpreter::Flow Interpreter::execute_filter_block(const Node& node, Scope* scope) {
    const Entered inner(*this, node.b, scope);
    Value text;
    const Flow flow = capture(program_.child(node, 1), inner.get(), text);
    if (flow != Flow::next) return flow;
    const Value* const outside = block_text_;
    block_text_ = &text;
    const Value filtered = evaluate(program_.child(node, 0), inner.get());
    block_text_ = outside;
    write(to_text(filtered));
    return Flow::next;
}

Interpreter::Flow Interpreter::execute_with(const Node& node, Scope* scope) {
    const Entered inner(*this, node.b, scope);
    for (uint32_t i = 1; i < node.count; i += 2)
        assign(program_.child(node, i), inner.get(), evaluate(program_.child(node, i + 1), scope));
    return execute(program_.child(node, 0), inner.get());
}

Value Interpreter::make_macro(uint32_t index, Scope* scope) {
    for (Scope* outer = scope; outer && !outer->captured; outer = outer->parent) outer->captured = true;
    return Value::of(new FunctionObject(FunctionKind::macro, index, Value(), scope));
}

void Interpreter::execute_call_block(const Node& node, Scope* scope) {
    const auto index = static_cast<uint32_t>(&node - program_.nodes.data());
    const Value caller = make_macro(index, scope);
    const Node& call_node = program_.nodes[program_.child(node, node.count - 1)];
    write(to_text(evaluate_call(call_node, scope, &caller)));
}

Value Interpreter::call_macro(const FunctionObject& macro, const Arguments& arguments) {
    const Level level;
    const Node& node = program_.nodes[macro.id];
    const uint32_t n_parameters = node.c;
    const uint32_t n_defaults = node.count - 1 - n_parameters - (node.kind == NodeKind::call_block ? 1 : 0);
    const Entered reference(*this, node.b, macro.scope);
    Scope* const scope = reference.get();
    const std::string name(program_.constants[node.a].text());
    Value extra = Value::new_list(ListKind::tuple);
    for (size_t i = 0; i < arguments.positional.size(); i++) {
        if (i < n_parameters)
            scope->slots[i] = arguments.positional[i];
        else
            push(extra, arguments.positional[i]);
    }
    Value caller = Value::undefined(program_.constants[name_caller], UndefinedReason::name);
    Value keywords = Value::dict();
    for (const auto& [key, value] : arguments.keyword) {
        uint32_t i = static_cast<uint32_t>(arguments.positional.size());
        while (i < n_parameters &&
               !equal(program_.constants[program_.nodes[program_.child(node, 1 + i)].a], key))
            i++;
        if (i < n_parameters)
            scope->slots[i] = value;
        else if (node.op & uses_caller && key.text() == "caller")
            caller = value.is(Type::none) ? caller : value;
        else if (node.op & uses_kwargs)
            keywords.dict_object().set(key, value);
        else
            fail_value("the macro '%.60s' takes no argument named '%.60s'", name.c_str(),
                       std::string(key.text()).c_str());
    }
    if (!extra.items().empty() && !(node.op & uses_varargs))
        fail_value("the macro '%.60s' takes not more than %u arguments", name.c_str(), n_parameters);
    size_t slot = n_parameters;
    if (node.op & uses_caller) scope->slots[slot++] = caller;
    if (node.op & uses_kwargs) scope->slots[slot++] = keywords;
    if (node.op & uses_varargs) scope->slots[slot++] = extra;
    for (uint32_t i = 0; i < n_parameters; i++) {
        if (!scope->slots[i].is(Type::missing)) continue;
        if (i + n_defaults >= n_parameters)
            scope->slots[i] = evaluate(program_.child(node, 1 + i + n_defaults), scope);
        else
            scope->slots[i] = Value::undefined(
                program_.constants[program_.nodes[program_.child(node, 1 + i)].a], UndefinedReason::name);
    }
    Value text;
    capture(program_.child(node, 0), scope, text);
    return text;
}

// Loops

/// The next item that passes the loop's filter, or missing at the end.
Value Interpreter::next_item(LoopObject& loop) {
    Value item = peek(loop);
    loop.after = Value::missing();
    if (item.is(Type::missing)) return item;
    loop.index0++;
    loop.before = std::move(loop.current);
    loop.current = item;
    return item;
}

Value Interpreter::peek(LoopObject& loop) {
    if (!loop.after.is(Type::missing)) return loop.after;
    ListObject& list = loop.iterable.list_object();
    size_t& at = list.kind == ListKind::generator ? list.position : loop.position;
    while (at < list.items.size()) {
        Value item = list.items[at++];
        if (loop.filter) {
            spend(1);
            assign(loop.target, loop.filter_scope, item);
            if (!is_true(evaluate(loop.filter, loop.filter_scope))) continue;
        }
        loop.after = std::move(item);
        break;
    }
    return loop.after;
}

int64_t Interpreter::count_items(LoopObject& loop) {
    if (loop.length >= 0) return loop.length;
    const bool sized = !loop.filter && !loop.iterable.is_list(ListKind::generator);
    if (sized) return loop.length = length(loop.iterable);
    // What remains is evaluated now, as Jinja does.
    Value rest = Value::new_list();
    const bool peeked = !loop.after.is(Type::missing);
    const Value kept = loop.after;
    loop.after = Value::missing();
    while (true) {
        Value item = peek(loop);
        loop.after = Value::missing();
        if (item.is(Type::missing)) break;
        push(rest, item);
    }
    loop.after = kept;
    loop.filter = 0;
    loop.position = 0;
    loop.length = static_cast<int64_t>(rest.items().size()) + loop.index0 + 1 + (peeked ? 1 : 0);
    loop.iterable = rest;
    return loop.length;
}

Value Interpreter::loop_attribute(LoopObject& loop, const Value& name) {
    const std::string_view text = name.text();
    if (text == "index") return Value::integer(loop.index0 + 1);
    if (text == "index0") return Value::integer(loop.index0);
    if (text == "first") return Value::boolean(loop.index0 == 0);
    if (text == "last") return Value::boolean(peek(loop).is(Type::missing));
    if (text == "length") return Value::integer(count_items(loop));
    if (text == "revindex") return Value::integer(count_items(loop) - loop.index0);
    if (text == "revindex0") return Value::integer(count_items(loop) - loop.index0 - 1);
    if (text == "depth") return Value::integer(1);
    if (text == "depth0") return Value::integer(0);
    const bool previous = text == "previtem";
    if (previous || text == "nextitem") {
        Value item = previous ? loop.before : peek(loop);
        if (!item.is(Type::missing)) return item;
        return Value::undefined(
            Value::string(previous ? "there is no previous item" : "there is no next item"),
            UndefinedReason::hint);
    }
    return Value::undefined(name, UndefinedReason::attribute);
}

Value Interpreter::call_loop(LoopObject& loop, std::string_view method, const Arguments& arguments) {
    const std::vector<Value>& values = arguments.positional;
    if (!arguments.keyword.empty()) fail_value("loop.cycle and loop.changed take no named arguments");
    if (method == "cycle") {
        if (values.empty()) fail_value("loop.cycle has nothing to cycle through");
        return values[static_cast<size_t>(loop.index0) % values.size()];
    }
    Value now_value = Value::list_of(values.data(), values.size(), ListKind::tuple);
    const bool changed = loop.last_changed.is(Type::missing) || !equal(loop.last_changed, now_value);
    loop.last_changed = std::move(now_value);
    return Value::boolean(changed);
}

// Entry points

namespace {

/// "line 3, column 14" of a byte offset.
std::string describe_position(const std::string& source, uint32_t position) {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < position && i < source.size(); i++) {
        if (source[i] == '\n') {
            line++;
            column = 1;
        } else if ((source[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    return strprintf("line %zu, column %zu", line, column);
}

}  // namespace

std::string render(const Program& program, const Value& context, const Limits& limits,
                   std::optional<int64_t> now) {
    if (!context.is(Type::dict)) fail(ErrorKind::usage, "the variables of a chat template must be a dict");
    Budget budget{limits.max_steps, limits.max_value_bytes, limits.max_depth};
    Budget* const outside = current_budget;
    current_budget = &budget;
    struct Restore {
        Budget* budget;
        ~Restore() { current_budget = budget; }
    } restore{outside};
    Heap heap;
    const HeapUse use(heap);
    Interpreter interpreter(program, context, limits.max_output_bytes, now);
    try {
        return interpreter.run();
    } catch (const Failure& failure) {
        if (failure.kind == Failure::raised) throw Error(ErrorKind::usage, failure.message);
        const std::string where = describe_position(program.source, interpreter.position);
        fail(failure.kind == Failure::limit ? ErrorKind::bad_file : ErrorKind::usage, "chat template: %s: %s",
             where.c_str(), printable(failure.message, 400).c_str());
    }
}

Program parse(std::string source) {
    constexpr size_t max_source_bytes = 1 << 20;
    Program program;
    if (source.size() > max_source_bytes)
        fail(ErrorKind::bad_file, "chat template: %zu bytes are more than the limit of %zu", source.size(),
             max_source_bytes);
    program.source = normalize_source(source);
    const HeapUse use(program.heap);
    uint32_t position = 0;
    try {
        parse_source(program, position);
        resolve_names(program, position);
        for (const Value& constant : program.constants) fix(constant);
    } catch (const Failure& failure) {
        fail(ErrorKind::bad_file, "chat template: %s: %s",
             describe_position(program.source, position).c_str(), printable(failure.message, 400).c_str());
    }
    return program;
}

}  // namespace agave::chat::jinja
