#include <string_view>

#include "chat/jinja/ast.h"
#include "chat/jinja/builtins.h"

/// Which variable a name means. Jinja's compiler decides this before anything runs: a name that a scope
/// assigns to is a variable of that scope throughout, even where it is read before; other names belong to the
/// nearest scope around that knows them, and else come from the context. (jinja2, idtracking.py and
/// compiler.py.)
namespace agave::chat::jinja {

namespace {

constexpr size_t max_variables = 4096;

struct Frame {
    Frame* parent;
    uint32_t index;
};

class Resolver {
  public:
    Resolver(Program& program, uint32_t& position) : program_(program), error_position_(position) {}

    void run() {
        Frame root = make_frame(nullptr);
        analyze(program_.root, root, false);
        resolve(program_.root, root, false);
    }

  private:
    struct Found {
        bool known;
        uint32_t variable;
    };

    Frame make_frame(Frame* parent) {
        program_.frames.emplace_back();
        return {parent, static_cast<uint32_t>(program_.frames.size() - 1)};
    }

    const Node& node(uint32_t index) const { return program_.nodes[index]; }

    Found find(const Frame* frame, uint32_t name) const {
        for (uint32_t depth = 0; frame; frame = frame->parent, depth++) {
            const std::vector<Slot>& slots = program_.frames[frame->index];
            for (uint32_t i = 0; i < slots.size(); i++)
                if (slots[i].name == name) return {true, variable(depth, i)};
        }
        return {false, 0};
    }

    void declare(Frame& frame, uint32_t name, Load load, uint32_t outer = 0) {
        std::vector<Slot>& slots = program_.frames[frame.index];
        for (Slot& slot : slots) {
            if (slot.name != name) continue;
            if (load == Load::parameter) slot.load = load;
            return;
        }
        if (slots.size() >= max_variables) fail_value("the template has too many variables");
        slots.push_back({name, load, outer});
    }

    void load(Frame& frame, uint32_t name) {
        if (!find(&frame, name).known) declare(frame, name, Load::resolve);
    }

    /// `in_branch`: under an if, where the assignment may not happen and the name keeps its value from
    /// outside.
    void store(Frame& frame, uint32_t name, bool in_branch) {
        const Found outer = find(frame.parent, name);
        if (outer.known)
            declare(frame, name, Load::alias, outer.variable + variable(1, 0));
        else
            declare(frame, name, in_branch ? Load::resolve : Load::unset);
    }

    /// Declares the names of a target as parameters of the frame.
    void declare_target(uint32_t index, Frame& frame) {
        const Node& target = node(index);
        if (target.kind == NodeKind::name) declare(frame, target.a, Load::parameter);
        for (uint32_t i = 0; i < target.count; i++) declare_target(program_.child(target, i), frame);
    }

    void analyze_children(const Node& parent, uint32_t first, Frame& frame, bool in_branch) {
        for (uint32_t i = first; i < parent.count; i++) analyze(program_.child(parent, i), frame, in_branch);
    }

    /// Finds what the frame reads and assigns itself, without the scopes inside of it.
    void analyze(uint32_t index, Frame& frame, bool in_branch) {
        const Node n = node(index);
        switch (n.kind) {
            case NodeKind::name:
                if (n.op)
                    store(frame, n.a, in_branch);
                else
                    load(frame, n.a);
                break;
            case NodeKind::attribute_target:
                load(frame, n.c);
                break;
            case NodeKind::if_:
                for (uint32_t i = 0; i < n.count; i++)
                    analyze(program_.child(n, i), frame, in_branch || i > 0);
                break;
            case NodeKind::macro:
                store(frame, n.a, in_branch);
                break;
            case NodeKind::for_:
                analyze(program_.child(n, 1), frame, in_branch);
                break;
            case NodeKind::call_block:
                analyze(program_.child(n, n.count - 1), frame, in_branch);
                break;
            case NodeKind::filter_block:
            case NodeKind::set_block:
                analyze(program_.child(n, 0), frame, in_branch);
                break;
            case NodeKind::with:
                for (uint32_t i = 2; i < n.count; i += 2) analyze(program_.child(n, i), frame, in_branch);
                break;
            case NodeKind::generation:
                break;
            case NodeKind::set:
                analyze(program_.child(n, 1), frame, in_branch);
                analyze(program_.child(n, 0), frame, in_branch);
                break;
            default:
                analyze_children(n, 0, frame, in_branch);
        }
    }

    /// Does the tree read the name before it assigns to it? Sets `assigned` once it does.
    bool reads(uint32_t index, uint32_t name, bool& assigned) const {
        const Node& n = node(index);
        if (assigned) return false;
        if (n.kind == NodeKind::name && n.a == name) {
            assigned = n.op != 0;
            return !assigned;
        }
        for (uint32_t i = 0; i < n.count; i++)
            if (reads(program_.child(n, i), name, assigned)) return true;
        return false;
    }
    bool reads(uint32_t index, uint32_t name) const {
        bool assigned = false;
        return reads(index, name, assigned);
    }

    void resolve_children(const Node& parent, uint32_t first, Frame& frame, bool soft) {
        for (uint32_t i = first; i < parent.count; i++) resolve(program_.child(parent, i), frame, soft);
    }

    uint32_t variable_of(Frame& frame, uint32_t name) {
        load(frame, name);
        return find(&frame, name).variable;
    }

    /// Writes the variables into the nodes. `soft`: under an if, where an unknown filter or test is an error
    /// only if it is reached.
    void resolve(uint32_t index, Frame& frame, bool soft) {
        const Node n = node(index);
        switch (n.kind) {
            case NodeKind::name:
                program_.nodes[index].b = variable_of(frame, n.a);
                break;
            case NodeKind::attribute_target:
                program_.nodes[index].b = variable_of(frame, n.c);
                break;
            case NodeKind::filter:
            case NodeKind::test:
                resolve_builtin(index, soft);
                resolve_children(n, 0, frame, soft);
                break;
            case NodeKind::if_:
            case NodeKind::conditional:
                resolve_children(n, 0, frame, true);
                break;
            case NodeKind::for_:
                resolve_for(index, frame, soft);
                break;
            case NodeKind::macro:
                program_.nodes[index].op = resolve_macro(index, n.count, frame);
                program_.nodes[index].d = variable_of(frame, n.a);
                break;
            case NodeKind::call_block:
                program_.nodes[index].op = resolve_macro(index, n.count - 1, frame);
                resolve(program_.child(n, n.count - 1), frame, soft);
                break;
            case NodeKind::set_block:
                resolve(program_.child(n, 0), frame, soft);
                resolve_inner(index, 1, frame);
                break;
            case NodeKind::filter_block:
                resolve_inner(index, 0, frame);
                break;
            case NodeKind::generation:
                resolve_inner(index, 0, frame);
                break;
            case NodeKind::with:
                resolve_with(index, frame, soft);
                break;
            default:
                resolve_children(n, 0, frame, soft);
        }
    }

    void resolve_builtin(uint32_t index, bool soft) {
        Node& n = program_.nodes[index];
        const std::string name(program_.constants[n.a].text());
        n.b = n.kind == NodeKind::filter ? find_filter(name) : find_test(name);
        if (n.b || soft) return;
        error_position_ = n.position;
        fail_value("no %s named '%.60s'", n.kind == NodeKind::filter ? "filter" : "test", name.c_str());
    }

    /// A scope of its own around the children from `first` on.
    void resolve_inner(uint32_t index, uint32_t first, Frame& frame) {
        const Node n = node(index);
        Frame inner = make_frame(&frame);
        program_.nodes[index].b = inner.index;
        for (uint32_t i = first; i < n.count; i++) {
            const uint32_t child = program_.child(n, i);
            const bool filter_of_set = n.kind == NodeKind::set_block && i == 1;
            if (!filter_of_set) analyze(child, inner, false);
        }
        resolve_children(n, first, inner, false);
    }

    void resolve_for(uint32_t index, Frame& frame, bool soft) {
        const Node n = node(index);
        const uint32_t target = program_.child(n, 0), filter = program_.child(n, 2),
                       body = program_.child(n, 3), otherwise = program_.child(n, 4);
        resolve(program_.child(n, 1), frame, soft);
        Frame body_frame = make_frame(&frame), filter_frame = make_frame(&frame),
              else_frame = make_frame(&frame);
        program_.nodes[index].b = body_frame.index;
        // The targets come first in both frames, so that one set of variables serves them.
        declare_target(target, body_frame);
        if (reads(body, name_loop)) {
            program_.nodes[index].op = 1;
            program_.nodes[index].c = static_cast<uint32_t>(program_.frames[body_frame.index].size());
            declare(body_frame, name_loop, Load::parameter);
        }
        analyze(body, body_frame, false);
        resolve(target, body_frame, false);
        resolve(body, body_frame, false);
        declare_target(target, filter_frame);
        analyze(filter, filter_frame, false);
        resolve(filter, filter_frame, false);
        analyze(otherwise, else_frame, false);
        resolve(otherwise, else_frame, false);
    }

    /// The inside of a macro or call block, whose last child is `end` - 1. Returns its MacroUse.
    uint8_t resolve_macro(uint32_t index, uint32_t end, Frame& frame) {
        const Node n = node(index);
        const uint32_t body = program_.child(n, 0);
        Frame inner = make_frame(&frame);
        program_.nodes[index].b = inner.index;
        bool named[3] = {false, false, false};
        for (uint32_t i = 1; i <= n.c; i++) {
            const uint32_t name = node(program_.child(n, i)).a;
            declare(inner, name, Load::parameter);
            if (name <= name_varargs) named[name] = true;
            if (name == name_caller && i + (end - n.c - 1) <= n.c && reads(body, name_caller)) {
                error_position_ = n.position;
                fail_value("the parameter 'caller' needs a default");
            }
        }
        uint8_t uses = 0;
        for (uint32_t name = name_caller; name <= name_varargs; name++) {
            if (named[name] || !reads(body, name)) continue;
            uses = static_cast<uint8_t>(uses | 1u << name);
            declare(inner, name, Load::parameter);
        }
        for (uint32_t i = n.c + 1; i < end; i++) analyze(program_.child(n, i), inner, false);
        analyze(body, inner, false);
        for (uint32_t i = 0; i < end; i++) resolve(program_.child(n, i), inner, false);
        return uses;
    }

    void resolve_with(uint32_t index, Frame& frame, bool soft) {
        const Node n = node(index);
        const uint32_t body = program_.child(n, 0);
        Frame inner = make_frame(&frame);
        program_.nodes[index].b = inner.index;
        for (uint32_t i = 1; i < n.count; i += 2) declare_target(program_.child(n, i), inner);
        analyze(body, inner, false);
        for (uint32_t i = 1; i < n.count; i += 2) {
            resolve(program_.child(n, i), inner, false);
            resolve(program_.child(n, i + 1), frame, soft);
        }
        resolve(body, inner, false);
    }

    Program& program_;
    uint32_t& error_position_;
};

}  // namespace

void resolve_names(Program& program, uint32_t& position) {
    Resolver(program, position).run();
}

}  // namespace agave::chat::jinja
