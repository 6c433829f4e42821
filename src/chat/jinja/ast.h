#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "chat/jinja/value.h"

/// A parsed template: nodes in one array that name their children by index. Node 0 stands for "absent".
namespace agave::chat::jinja {

enum class NodeKind : uint8_t {
    absent,
    // Expressions; a is an index into the constants where there is no other word.
    constant,          ///< a: the value
    name,              ///< a: the name; b: its variable (depth << 16 | slot), op 1: it is assigned to
    attribute_target,  ///< ns.x as a target; a: attribute, b: the variable of ns, c: the name of ns
    tuple,
    list,
    dict,    ///< children: key, value, key, value ...
    unary,   ///< op: Operator::subtract, add or not_
    binary,  ///< op
    and_,
    or_,
    compare,  ///< children: first, operand ...
    operand,  ///< op; child: right-hand side
    concat,
    conditional,  ///< children: test, then, else or 0
    attribute,    ///< child: object; a: name
    subscript,    ///< children: object, key
    slice,        ///< children: object, start or 0, stop or 0, step or 0
    call,         ///< children: callee, arguments
    filter,   ///< children: input (0: the text of the block), arguments; a: name; b: index + 1, 0 = unknown
    test,     ///< as filter
    keyword,  ///< an argument name=value; a: name
    spread_list,  ///< an argument *value
    spread_dict,  ///< an argument **value
    // Statements
    text,  ///< a: offset in the source, b: length
    output,
    body,
    if_,   ///< children: test, body, test, body ... and, if odd, the else body
    for_,  ///< children: target, iterable, filter or 0, body, else body or 0; b: first of its three frames
    set,   ///< children: target, value
    set_block,  ///< children: target, filter or 0, body; b: frame
    macro,      ///< children: body, parameters ..., defaults ...; a: name; b: frame; c: number of parameters;
                ///< d: the macro's variable; op: MacroUse
    call_block,    ///< children: as macro, then the call
    filter_block,  ///< children: filter, body; b: frame
    with,          ///< children: body, target, value, target, value ...; b: frame
    generation,    ///< child: body; b: frame
    break_,
    continue_
};

enum class Operator : uint8_t {
    add,
    subtract,
    multiply,
    divide,
    floor_divide,
    modulo,
    power,
    not_,
    equal,
    not_equal,
    less,
    less_equal,
    greater,
    greater_equal,
    in,
    not_in
};

/// What a macro uses beyond its parameters (Node::op); each is a slot after the parameters, in this order.
enum MacroUse : uint8_t { uses_caller = 1, uses_kwargs = 2, uses_varargs = 4 };

struct Node {
    NodeKind kind = NodeKind::absent;
    uint8_t op = 0;
    uint16_t height = 0;    ///< of the tree below, bounded by the parser
    uint32_t position = 0;  ///< byte offset in the source
    uint32_t first = 0;     ///< children[first, first + count)
    uint32_t count = 0;
    uint32_t a = 0, b = 0, c = 0, d = 0;
};

/// How a variable gets its value when its scope is entered, as Jinja's compiler decides it.
enum class Load : uint8_t { parameter, resolve, alias, unset };

struct Slot {
    uint32_t name;
    Load load;
    uint32_t outer = 0;  ///< of an alias: the variable, seen from the scope itself
};

struct Program {
    Heap heap;  ///< of the constants
    std::string source;
    std::vector<Node> nodes;
    std::vector<uint32_t> children;
    std::vector<Value> constants;
    std::vector<std::vector<Slot>> frames;
    uint32_t root = 0;

    uint32_t child(const Node& node, uint32_t index) const { return children[node.first + index]; }
};

/// The variable `slot` of the scope `depth` levels out.
constexpr uint32_t variable(uint32_t depth, uint32_t slot) {
    return depth << 16 | slot;
}

/// Constants with these indices are the names that mean something to macros and loops.
enum SpecialName : uint32_t { name_caller, name_kwargs, name_varargs, name_loop, n_special_names };

/// Builds the nodes of program.source. Throws Failure after storing where in `position`.
void parse_source(Program& program, uint32_t& position);

/// Decides for every name which variable it is, and checks names of filters and tests.
void resolve_names(Program& program, uint32_t& position);

}  // namespace agave::chat::jinja
