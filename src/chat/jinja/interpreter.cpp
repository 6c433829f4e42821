#include "chat/jinja/interpreter.h"

#include "base/error.h"
#include "chat/jinja/lexer.h"
#include "chat/jinja/operators.h"

namespace agave::chat::jinja {

/// Keeps the scope, and those around it, from being used again: something that may outlive them refers to it.
static void keep(Scope* scope) {
    for (; scope && !scope->kept; scope = scope->parent) scope->kept = true;
}

class Interpreter::Entered {
  public:
    Entered(Interpreter& interpreter, uint32_t frame, Scope* outer)
        : interpreter_(interpreter), scope_(interpreter.enter(frame, outer)) {}
    ~Entered() {
        if (!scope_->kept) interpreter_.spare_.push_back(scope_);
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
        keep(scope);
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
    keep(scope);
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
