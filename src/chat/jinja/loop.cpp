// The items of a for, and what `loop` tells about them.
#include "chat/jinja/interpreter.h"
#include "chat/jinja/operators.h"

namespace agave::chat::jinja {

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

}  // namespace agave::chat::jinja
