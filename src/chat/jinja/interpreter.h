#pragma once

#include <optional>
#include <string>
#include <vector>

#include "chat/jinja/ast.h"
#include "chat/jinja/builtins.h"
#include "chat/jinja/function.h"
#include "chat/jinja/jinja.h"

namespace agave::chat::jinja {

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

inline Scope* scope_at(uint32_t variable, Scope* scope) {
    for (uint32_t depth = variable >> 16; depth > 0; depth--) scope = scope->parent;
    return scope;
}

inline Value& slot_at(uint32_t variable, Scope* scope) {
    return scope_at(variable, scope)->slots[variable & 0xFFFF];
}

/// One render: walks the nodes. Throws Failure; `position` then tells where.
class Interpreter {
  public:
    Interpreter(const Program& program, const Value& context, uint64_t max_output_bytes,
                std::optional<int64_t> now_seconds)
        : now(now_seconds), program_(program), context_(context), output_left_(max_output_bytes) {}
    Interpreter(const Interpreter&) = delete;
    Interpreter& operator=(const Interpreter&) = delete;

    std::string run();

    Value call(const Value& callee, const Arguments& arguments);

    const std::optional<int64_t> now;
    uint32_t position = 0;  ///< of the node that is being evaluated

  private:
    enum class Flow : uint8_t { next, break_, continue_ };

    Value evaluate(uint32_t index, Scope* scope);
    Value evaluate_unary(const Node& node, Scope* scope);
    Value evaluate_compare(const Node& node, Scope* scope);
    Value evaluate_concat(const Node& node, Scope* scope);
    Value evaluate_attribute(const Node& node, Scope* scope);
    Value evaluate_call(const Node& node, Scope* scope, const Value* caller);
    Value evaluate_display(const Node& node, Scope* scope);
    Value evaluate_filter(const Node& node, Scope* scope);
    Value evaluate_test(const Node& node, Scope* scope);
    void evaluate_arguments(const Node& node, Scope* scope, Arguments& arguments);
    Value read(uint32_t variable, uint32_t name, Scope* scope);

    Flow execute(uint32_t index, Scope* scope);
    Flow execute_body(const Node& node, Scope* scope);
    Flow execute_if(const Node& node, Scope* scope);
    Flow execute_for(const Node& node, Scope* scope);
    Flow capture(uint32_t body, Scope* scope, Value& text);
    Flow execute_set_block(const Node& node, Scope* scope);
    Flow execute_filter_block(const Node& node, Scope* scope);
    Flow execute_with(const Node& node, Scope* scope);
    void execute_call_block(const Node& node, Scope* scope);
    void assign(uint32_t target, Scope* scope, Value value);
    void write(std::string_view text);

    /// A scope of a frame, its variables loaded, for as long as this lives.
    class Entered;
    Scope* enter(uint32_t frame, Scope* outer);
    void load_variables(uint32_t frame, Scope* scope);
    Value make_macro(uint32_t index, Scope* scope);
    Value call_macro(const FunctionObject& macro, const Arguments& arguments);

    Value next_item(LoopObject& loop);
    Value peek(LoopObject& loop);
    int64_t count_items(LoopObject& loop);
    Value loop_attribute(LoopObject& loop, const Value& name);
    Value call_loop(LoopObject& loop, std::string_view method, const Arguments& arguments);

    const Program& program_;
    const Value& context_;
    uint64_t output_left_;
    std::string* out_ = nullptr;
    const Value* block_text_ = nullptr;  ///< input of the filter of a block
    std::vector<Scope*> spare_;          ///< scopes that are done with
};

}  // namespace agave::chat::jinja
