#include "backends/cpu/executor.h"

#include <algorithm>
#include <atomic>

#include "backends/cpu/step_context.h"
#include "base/error.h"
#include "base/system.h"

namespace agave::cpu {

namespace {

/// Steps between two barriers, which the threads do at the same time.
struct Phase {
    size_t begin, end;
    bool slots = false;                       ///< whether any of them is shared out in slots
    const std::byte* next_weights = nullptr;  ///< what a matrix product of a later phase will read first...
    size_t next_bytes = 0;                    ///< ...as far as it is worth asking for
};

/// The weights that a step starts with; nullptr for most.
const Tensor* first_weights(const Step& step) {
    if (!step.operation) return nullptr;
    if (const auto* linear = std::get_if<op::Linear>(step.operation)) return linear->weight;
    if (const auto* gated = std::get_if<op::GatedLinear>(step.operation)) return gated->gate;
    return nullptr;
}

std::vector<Phase> make_phases(const std::vector<Step>& steps) {
    constexpr size_t kMostBytes = 128 * 1024;
    std::vector<Phase> phases;
    for (size_t i = 0; i < steps.size(); i++) {
        if (i == 0 || steps[i].barrier_before) phases.push_back({i, i});
        phases.back().end = i + 1;
        phases.back().slots |= steps[i].sharing == Sharing::slots;
    }
    // Backwards: a phase without weights of its own hands on those of the next one.
    const Tensor* next = nullptr;
    for (size_t p = phases.size(); p-- > 0;) {
        if (next) {
            phases[p].next_weights = next->data;
            phases[p].next_bytes = std::min(kMostBytes, static_cast<size_t>(next->n_bytes)) / 1024 * 1024;
        }
        for (size_t i = phases[p].end; i-- > phases[p].begin;)
            if (const Tensor* weights = first_weights(steps[i])) next = weights;
    }
    return phases;
}

class CpuExecutor final : public Executor {
  public:
    CpuExecutor(const Graph& graph, ThreadTeam& team, const ExecutorOptions& options)
        : graph_(graph),
          team_(team),
          kernels_(kernels(options.level)),
          options_(options),
          plan_(plan_memory(graph)),
          steps_(make_steps(graph, plan_, kernels_.activation_for, options.exact)),
          phases_(make_phases(steps_)),
          next_item_(steps_.size()),
          next_slot_(phases_.size()),
          workspace_(graph, plan_, steps_, options.max_rows, options.max_outputs, team.n_threads(),
                     kernels_.activation_for, options.exact),
          times_(steps_.size()) {
        // Float activations are read where they lie, so the arena's rows must be as far apart as kernels
        // expect.
        for (const ValueInfo& info : graph.values)
            if (activation_row_bytes(Activation::float32, info.width) !=
                static_cast<size_t>(row_stride(info.width)) * sizeof(float))
                fail(ErrorKind::runtime, "the rows of the arena and of the kernels differ");
    }
    void run(const Batch& batch, const KvCache& cache, float* logits) override;
    void set_observer(InputObserver* observer) override { observer_ = observer; }
    void set_profiling(bool on) override;
    std::vector<OperationProfile> profile() const override;
    size_t scratch_bytes() const override {
        return workspace_.memory.size() + workspace_.attention_partials.size() * sizeof(float);
    }

  private:
    struct StepTime {
        int64_t calls = 0;
        double seconds = 0, bytes = 0, operations = 0;
        int64_t experts_hit = 0;  ///< in the last run
    };

    void run_observed(const Run& run);
    void work(const Run& run, const Phase& phase, int thread);
    void work_on(const Run& run, size_t step, int thread, int slot);
    void ask_for_next_weights(const Phase& phase) const;
    void count(const Run& run, size_t step);

    const Graph& graph_;
    ThreadTeam& team_;
    const Kernels& kernels_;
    const ExecutorOptions options_;
    const MemoryPlan plan_;
    const std::vector<Step> steps_;
    const std::vector<Phase> phases_;
    std::vector<std::atomic<int64_t>> next_item_;  ///< by step
    std::vector<std::atomic<int>> next_slot_;      ///< by phase
    Workspace workspace_;
    InputObserver* observer_ = nullptr;
    bool profiling_ = false;
    double before_ = 0;            ///< thread 0: when it last noted a time
    std::vector<StepTime> times_;  ///< by step
};

void CpuExecutor::run(const Batch& batch, const KvCache& cache, float* logits) {
    const Run run{graph_, plan_,  kernels_,          workspace_,           team_,         batch,
                  cache,  logits, options_.max_rows, options_.max_outputs, options_.exact};
    for (std::atomic<int64_t>& next : next_item_) next.store(0, std::memory_order_relaxed);
    for (std::atomic<int>& next : next_slot_) next.store(0, std::memory_order_relaxed);
    size_t partials = workspace_.attention_partials.size();
    for (const Operation& operation : graph_.operations)
        if (const auto* node = std::get_if<op::Attention>(&operation))
            partials = std::max(partials, attention_partials(run, *node));
    workspace_.attention_partials.resize(partials);
    before_ = monotonic_seconds();
    if (observer_)
        run_observed(run);
    else
        team_.run_phases(static_cast<int>(phases_.size()), [&](int phase, int thread) {
            work(run, phases_[static_cast<size_t>(phase)], thread);
        });
    if (profiling_)
        for (size_t i = 0; i < steps_.size(); i++)
            if (steps_[i].counts) count(run, i);
}

/// Phase by phase: when one is done, the inputs of its matrix products are still where they were, for
/// whatever writes there waits for a barrier.
void CpuExecutor::run_observed(const Run& run) {
    for (const Phase& phase : phases_) {
        team_.run_phases(1, [&](int, int thread) { work(run, phase, thread); });
        for (size_t i = phase.begin; i < phase.end; i++)
            if (steps_[i].operation) observe_inputs(run, steps_[i], *observer_);
    }
}

/// The slots that this thread gets hold of go through all steps of the phase that are shared out in slots;
/// the other steps do not depend on those (or a barrier would stand between them).
void CpuExecutor::work(const Run& run, const Phase& phase, int thread) {
    std::atomic<int>& next_slot = next_slot_[static_cast<size_t>(&phase - phases_.data())];
    if (phase.slots)
        for (int slot; (slot = next_slot.fetch_add(1, std::memory_order_relaxed)) < team_.n_threads();) {
            if (phase.begin == 0) rope_angles(run, slot);
            for (size_t i = phase.begin; i < phase.end; i++)
                if (steps_[i].sharing == Sharing::slots) work_on(run, i, thread, slot);
        }
    for (size_t i = phase.begin; i < phase.end; i++)
        if (steps_[i].sharing == Sharing::pieces) work_on(run, i, thread, -1);
    ask_for_next_weights(phase);
}

void CpuExecutor::work_on(const Run& run, size_t index, int thread, int slot) {
    const Step& step = steps_[index];
    const StepContext context{run, step, next_item_[index], thread, slot};
    if (step.operation)
        std::visit([&](const auto& node) { execute(context, node); }, *step.operation);
    else
        quantize(context);
    if (!profiling_) return;
    if (slot == 0 && step.counts && step.operation)
        if (const auto* experts = std::get_if<op::Experts>(step.operation))
            times_[index].experts_hit = experts_hit(run, *experts);
    if (thread != 0) return;
    // Waiting counts for the step that comes after it.
    const double now = monotonic_seconds();
    times_[index].seconds += now - before_;
    before_ = now;
}

/// The weights that come next on the way from memory while other threads finish the phase.
void CpuExecutor::ask_for_next_weights(const Phase& phase) const {
    constexpr size_t kAtOnce = 1024;
    for (size_t done = 0; done < phase.next_bytes && team_.others_at_work(); done += kAtOnce)
        for (size_t line = 0; line < kAtOnce; line += 64)
            __builtin_prefetch(phase.next_weights + done + line, 0, 2);
}

void CpuExecutor::set_profiling(bool on) {
    profiling_ = on;
    if (on) times_.assign(steps_.size(), {});
}

/// K and V bytes that attention reads, and its multiplications and additions.
static void count_attention(const BatchSlice& slice, const op::Attention& node, const KvLayer& layer,
                            KvFormat format, double& bytes, double& operations) {
    const double dims = layer.shape.head_dim + layer.shape.value_head_dim;
    const double stored_dims = layer.shape.latent ? layer.shape.head_dim : dims;
    const auto keys_at = [&](int64_t position) {
        return static_cast<double>(layer.window ? std::min<int64_t>(position + 1, layer.window)
                                                : position + 1);
    };
    bytes += keys_at(slice.first_position + slice.n_rows - 1) * layer.shape.kv_heads * stored_dims *
             static_cast<double>(kv_element_bytes(format));
    for (int r = 0; r < slice.n_rows; r++)
        operations += 2 * keys_at(slice.first_position + r) * node.n_heads * dims;
}

/// One more call of the step's operation, and what it has read and computed.
void CpuExecutor::count(const Run& run, size_t index) {
    StepTime& time = times_[index];
    time.calls++;
    if (!steps_[index].operation) return;
    const Operation& operation = *steps_[index].operation;
    const auto count_matrix = [&](const Tensor* weight, Value x) {
        time.bytes += static_cast<double>(weight->n_bytes);
        time.operations +=
            2.0 * static_cast<double>(weight->n_elements()) * static_cast<double>(run.rows_of(x));
    };
    if (const auto* linear = std::get_if<op::Linear>(&operation)) count_matrix(linear->weight, linear->x);
    if (const auto* heads = std::get_if<op::HeadLinear>(&operation)) count_matrix(heads->weight, heads->x);
    if (const auto* gated = std::get_if<op::GatedLinear>(&operation)) {
        count_matrix(gated->gate, gated->x);
        count_matrix(gated->up, gated->x);
    }
    if (const auto* experts = std::get_if<op::Experts>(&operation)) {
        // Each row multiplies by its own experts; the weights are read once for each expert that has rows.
        const double n_experts = static_cast<double>(run.graph.width(experts->router));
        const double n_hit = static_cast<double>(time.experts_hit);
        const double choices = static_cast<double>(run.rows_of(experts->x)) * experts->n_used;
        // Gate and up may be one tensor.
        const Tensor* gate = experts->gate == experts->up ? nullptr : experts->gate;
        for (const Tensor* weight : {gate, experts->up, experts->down}) {
            if (!weight) continue;
            time.bytes += static_cast<double>(weight->n_bytes) * n_hit / n_experts;
            time.operations += 2.0 * static_cast<double>(weight->n_elements()) / n_experts * choices;
        }
    }
    // The recurrence's own operations: the chunked form does some more to use the machine better.
    const auto count_state = [&](int32_t layer, Value out, double operations_of_entry) {
        const double entries = static_cast<double>(graph_.state_layers[static_cast<size_t>(layer)].n_floats);
        time.bytes += entries * sizeof(float) * static_cast<double>(run.batch.slices.size());
        time.operations += entries * operations_of_entry * static_cast<double>(run.rows_of(out));
    };
    if (const auto* delta_net = std::get_if<op::DeltaNet>(&operation))
        count_state(delta_net->state_layer, delta_net->out, 7);
    if (const auto* scan = std::get_if<op::SelectiveScan>(&operation))
        count_state(scan->state_layer, scan->out, 5);
    if (const auto* attention = std::get_if<op::Attention>(&operation))
        for (const BatchSlice& slice : run.batch.slices)
            count_attention(slice, *attention, graph_.kv_layers[static_cast<size_t>(attention->kv_layer)],
                            run.cache.format(), time.bytes, time.operations);
}

std::vector<OperationProfile> CpuExecutor::profile() const {
    std::vector<OperationProfile> rows;
    for (size_t i = 0; i < steps_.size(); i++) {
        std::string name = "quantize";
        if (steps_[i].operation) {
            name = operation_name(*steps_[i].operation);
            if (const auto* linear = std::get_if<op::Linear>(steps_[i].operation))
                name += std::string(" ") + format_info(linear->weight->format).name;
            if (const auto* heads = std::get_if<op::HeadLinear>(steps_[i].operation))
                name += std::string(" ") + format_info(heads->weight->format).name;
            if (const auto* experts = std::get_if<op::Experts>(steps_[i].operation))
                name += std::string(" ") + format_info(experts->first().format).name;
            if (const auto* gated = std::get_if<op::GatedLinear>(steps_[i].operation))
                name += std::string(" ") + format_info(gated->gate->format).name;
        }
        auto row =
            std::find_if(rows.begin(), rows.end(), [&](const OperationProfile& r) { return r.name == name; });
        if (row == rows.end()) row = rows.insert(rows.end(), OperationProfile{.name = name});
        row->calls += times_[i].calls;
        row->seconds += times_[i].seconds;
        row->weight_bytes += times_[i].bytes;
        row->operations += times_[i].operations;
    }
    return rows;
}

}  // namespace

CpuLevel best_level() {
    return available_levels().back();
}

std::unique_ptr<Executor> make_executor(const Graph& graph, ThreadTeam& team,
                                        const ExecutorOptions& options) {
    return std::make_unique<CpuExecutor>(graph, team, options);
}

}  // namespace agave::cpu
