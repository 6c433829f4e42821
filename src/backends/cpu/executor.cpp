#include "backends/cpu/executor.h"

#include <algorithm>
#include <atomic>

#include "backends/cpu/step_context.h"
#include "base/error.h"
#include "base/system.h"

namespace agave::cpu {

namespace {

class CpuExecutor final : public Executor {
  public:
    CpuExecutor(const Graph& graph, ThreadTeam& team, const ExecutorOptions& options)
        : graph_(graph),
          team_(team),
          kernels_(kernels(options.level)),
          options_(options),
          plan_(plan_memory(graph)),
          steps_(make_steps(graph, plan_, kernels_.activation_for, options.exact)),
          next_item_(2 * steps_.size()),
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
    void set_profiling(bool on) override;
    std::vector<OperationProfile> profile() const override;
    size_t scratch_bytes() const override {
        return workspace_.memory.size() + workspace_.attention_partials.size() * sizeof(float);
    }

  private:
    struct StepTime {
        int64_t calls = 0;
        double seconds = 0, bytes = 0, operations = 0;
    };

    void work(const Run& run, int thread);
    void note_time(const Run& run, size_t step, double seconds);

    const Graph& graph_;
    ThreadTeam& team_;
    const Kernels& kernels_;
    const ExecutorOptions options_;
    const MemoryPlan plan_;
    const std::vector<Step> steps_;
    std::vector<std::atomic<int64_t>> next_item_;  ///< by step, two for each
    Workspace workspace_;
    bool profiling_ = false;
    std::vector<StepTime> times_;  ///< by step
};

void CpuExecutor::run(const Batch& batch, const KvCache& cache, float* logits) {
    const Run run{graph_, plan_,  kernels_,          workspace_,           team_,         batch,
                  cache,  logits, options_.max_rows, options_.max_outputs, options_.exact};
    for (std::atomic<int64_t>& next : next_item_) next.store(0, std::memory_order_relaxed);
    size_t partials = workspace_.attention_partials.size();
    for (const Operation& operation : graph_.operations)
        if (const auto* node = std::get_if<op::Attention>(&operation))
            partials = std::max(partials, attention_partials(run, *node));
    workspace_.attention_partials.resize(partials);
    team_.run([&](int thread) { work(run, thread); });
}

void CpuExecutor::work(const Run& run, int thread) {
    rope_angles(run, thread);
    const bool timed = profiling_ && thread == 0;
    double before = timed ? monotonic_seconds() : 0;
    for (size_t i = 0; i < steps_.size(); i++) {
        const Step& step = steps_[i];
        if (step.barrier_before) team_.barrier();
        const StepContext context{run, step, next_item_[2 * i], next_item_[2 * i + 1], thread};
        if (step.operation)
            std::visit([&](const auto& node) { execute(context, node); }, *step.operation);
        else
            quantize(context);
        if (!timed) continue;
        const double now = monotonic_seconds();
        note_time(run, i, now - before);
        before = now;
    }
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

void CpuExecutor::note_time(const Run& run, size_t index, double seconds) {
    StepTime& time = times_[index];
    time.calls++;
    time.seconds += seconds;
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
        const double n_hit = static_cast<double>(experts_hit(run, *experts));
        const double choices = static_cast<double>(run.rows_of(experts->x)) * experts->n_used;
        // Gate and up may be one tensor.
        const Tensor* gate = experts->gate == experts->up ? nullptr : experts->gate;
        for (const Tensor* weight : {gate, experts->up, experts->down}) {
            if (!weight) continue;
            time.bytes += static_cast<double>(weight->n_bytes) * n_hit / n_experts;
            time.operations += 2.0 * static_cast<double>(weight->n_elements()) / n_experts * choices;
        }
    }
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
