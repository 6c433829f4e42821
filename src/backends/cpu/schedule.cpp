#include "backends/cpu/schedule.h"

namespace agave::cpu {

namespace {

/// A piece of memory that steps share: columns of the token arena, of the output arena, or a buffer of
/// quantised rows.
struct Resource {
    enum class Kind : uint8_t { token_arena, output_arena, quantized } kind;
    int64_t begin, end;

    bool operator==(const Resource&) const = default;
    bool overlaps(const Resource& other) const {
        return kind == other.kind && begin < other.end && other.begin < end;
    }
};

struct Access {
    Resource resource;
    Division division;
    bool writes;
};

Division row_division(const Graph& graph, Value value) {
    return graph.values[static_cast<size_t>(value.id)].rows == Rows::tokens ? Division::token_rows
                                                                            : Division::output_rows;
}

struct Scheduler {
    const Graph& graph;
    const MemoryPlan& plan;
    std::vector<Step> steps;
    std::vector<Access> since_barrier;
    /// What each buffer of quantised rows holds, by activation.
    Value held[4];

    Resource resource(Value value) const {
        const size_t id = static_cast<size_t>(value.id);
        const bool tokens = graph.values[id].rows == Rows::tokens;
        const int64_t begin = tokens ? plan.token_offsets[id] : plan.output_offsets[id];
        return {tokens ? Resource::Kind::token_arena : Resource::Kind::output_arena, begin,
                begin + row_stride(graph.values[id].width)};
    }
    static Resource quantized(Activation activation) {
        const int64_t index = static_cast<int64_t>(activation);
        return {Resource::Kind::quantized, index, index + 1};
    }

    /// Whether a thread could meet another's unfinished work. Not so where both steps are divided by the same
    /// rows and see them in the same places; storage reused with rows of another length has them in others.
    static bool conflict(const Access& access, const Access& earlier) {
        if (!(access.writes || earlier.writes) || !access.resource.overlaps(earlier.resource)) return false;
        const bool by_rows =
            access.division == Division::token_rows || access.division == Division::output_rows;
        return !(by_rows && access.division == earlier.division && access.resource == earlier.resource);
    }

    void add(Step step, const std::vector<Access>& accesses) {
        for (const Access& access : accesses)
            for (const Access& earlier : since_barrier) step.barrier_before |= conflict(access, earlier);
        if (step.barrier_before) since_barrier.clear();
        since_barrier.insert(since_barrier.end(), accesses.begin(), accesses.end());
        steps.push_back(step);
    }

    /// The access through which a matrix product reads x, after quantising x where that is still to be done.
    Access read_activations(Value x, Activation activation) {
        if (activation == Activation::float32) return {resource(x), Division::columns, false};
        Value& holds = held[static_cast<size_t>(activation)];
        if (!(holds == x)) {
            const Division rows = row_division(graph, x);
            add({nullptr, x, activation, rows, false, 0, Sharing::slots},
                {{resource(x), rows, false}, {quantized(activation), rows, true}});
            holds = x;
        }
        return {quantized(activation), Division::columns, false};
    }

    /// A quantised copy is stale once its value is written again.
    void forget(Value value) {
        for (Value& holds : held)
            if (holds.id >= 0 && resource(holds).overlaps(resource(value))) holds = {};
    }
};

/// Three steps: K and V of each row are stored by rows, so right behind what made them; then the items; then
/// their merges.
void add_attention(Scheduler& scheduler, const Operation& operation, const op::Attention& node) {
    Step step;
    step.operation = &operation;
    step.sharing = Sharing::slots;
    step.counts = false;
    if (node.k.id >= 0) {
        step.division = row_division(scheduler.graph, node.k);
        scheduler.add(step, {{scheduler.resource(node.k), step.division, false},
                             {scheduler.resource(node.v), step.division, false}});
    }
    const Value out = output_of(operation);
    scheduler.forget(out);
    const std::vector<Access> accesses = {{scheduler.resource(node.q), Division::mixed, false},
                                          {scheduler.resource(out), Division::mixed, true}};
    step.division = Division::mixed;
    for (int part : {1, 2}) {
        step.part = part;
        step.sharing = part == 1 ? Sharing::pieces : Sharing::slots;
        step.counts = part == 1;
        step.barrier_before = true;
        scheduler.add(step, accesses);
    }
}

/// Seven steps (see step_experts.cpp), of which the first comes when `accesses` allow it.
void add_experts(Scheduler& scheduler, Step step, const std::vector<Access>& accesses) {
    for (int part = 0; part < kExpertParts; part++) {
        step.part = part;
        step.sharing = part == 3 || part == 5 ? Sharing::pieces : Sharing::slots;
        step.counts = part == 1;  // once the choices are known
        step.barrier_before = part > 0;
        scheduler.add(step, accesses);
    }
}

}  // namespace

std::vector<Step> make_steps(const Graph& graph, const MemoryPlan& plan, Activation (*activation_for)(Format),
                             bool exact) {
    Scheduler scheduler{graph, plan, {}, {}, {}};
    for (const Operation& operation : graph.operations) {
        const Value out = output_of(operation);
        Step step{&operation, {}, Activation::float32, row_division(graph, out), false};
        std::vector<Access> accesses;
        const Tensor* matrix = nullptr;
        Value x;
        if (const auto* linear = std::get_if<op::Linear>(&operation)) matrix = linear->weight, x = linear->x;
        if (const auto* gated = std::get_if<op::GatedLinear>(&operation)) matrix = gated->gate, x = gated->x;
        if (matrix) {
            step.division = Division::columns;
            step.activation = exact ? Activation::float32 : activation_for(matrix->format);
            accesses.push_back(scheduler.read_activations(x, step.activation));
        } else if (const auto* experts = std::get_if<op::Experts>(&operation)) {
            step.division = Division::mixed;
            step.activation = exact ? Activation::float32 : activation_for(experts->first().format);
            accesses.push_back(scheduler.read_activations(experts->x, step.activation));
            const Activation other = exact ? Activation::float32 : activation_for(experts->up->format);
            if (other != step.activation) accesses.push_back(scheduler.read_activations(experts->x, other));
        } else if (std::holds_alternative<op::HeadLinear>(operation)) {
            step.division = Division::columns;
        } else if (const auto* attention = std::get_if<op::Attention>(&operation)) {
            add_attention(scheduler, operation, *attention);
            continue;
        } else if (std::holds_alternative<op::Convolve>(operation) ||
                   std::holds_alternative<op::SelectiveScan>(operation) ||
                   std::holds_alternative<op::DeltaNet>(operation)) {
            step.division = Division::mixed;
        }
        if (const auto* gated = std::get_if<op::GatedLinear>(&operation); gated && !exact) {
            const Activation other = activation_for(gated->up->format);
            if (other != step.activation) accesses.push_back(scheduler.read_activations(x, other));
        }
        if (!matrix)
            for (Value value : inputs_of(operation))
                accesses.push_back({scheduler.resource(value), step.division, false});
        accesses.push_back({scheduler.resource(out), step.division, true});
        scheduler.forget(out);
        const bool by_rows = step.division == Division::token_rows || step.division == Division::output_rows;
        if (by_rows) step.sharing = Sharing::slots;
        if (std::holds_alternative<op::Experts>(operation)) {
            add_experts(scheduler, step, accesses);
            continue;
        }
        scheduler.add(step, accesses);
    }
    return std::move(scheduler.steps);
}

}  // namespace agave::cpu
