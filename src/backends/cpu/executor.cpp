#include "backends/cpu/executor.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "backends/cpu/schedule.h"
#include "base/error.h"
#include "base/system.h"

namespace agave::cpu {

namespace {

constexpr size_t align64(size_t bytes) {
    return (bytes + 63) / 64 * 64;
}
const float* floats(const Tensor* tensor) {
    return tensor ? reinterpret_cast<const float*>(tensor->data) : nullptr;
}

WeightMatrix matrix(const Tensor& tensor) {
    return {tensor.data, tensor.format, tensor.row_elements(), tensor.row_bytes()};
}

/// A value's rows in an arena.
struct Matrix {
    float* data;
    int64_t stride;  ///< floats
    float* row(int64_t r) const { return data + r * stride; }
};

class CpuExecutor final : public Executor {
  public:
    CpuExecutor(const Graph& graph, ThreadTeam& team, const ExecutorOptions& options);
    void run(const Batch& batch, const KvCache& cache, float* logits) override;
    void set_profiling(bool on) override;
    std::vector<OperationProfile> profile() const override;
    size_t scratch_bytes() const override { return memory_.size() + partials_.size() * sizeof(float); }

  private:
    /// What one run() shares among the threads.
    struct Run {
        const Batch& batch;
        const KvCache& cache;
        float* logits;
        int n_rows;
        int n_outputs;
    };

    int64_t rows_of(const Run& run, Value value) const {
        return graph_.values[static_cast<size_t>(value.id)].rows == Rows::tokens ? run.n_rows : run.n_outputs;
    }
    Matrix at(const Run& run, Value value) const;
    const std::byte* activations(const Run& run, Value value, Activation activation) const;
    AttentionTask attention_task(const Run& run, const op::Attention& node, const BatchSlice& slice) const;

    void work(const Run& run, int thread);
    void rope_angles(const Run& run, int thread);
    void quantize(const Run& run, const Step& step, int thread);
    void execute(const Run& run, const op::Embed& node, const Step& step, int thread);
    void execute(const Run& run, const op::RmsNorm& node, const Step& step, int thread);
    void execute(const Run& run, const op::Linear& node, const Step& step, int thread);
    void execute(const Run& run, const op::Gate& node, const Step& step, int thread);
    void execute(const Run& run, const op::GatedLinear& node, const Step& step, int thread);
    void execute(const Run& run, const op::Rope& node, const Step& step, int thread);
    void execute(const Run& run, const op::Attention& node, const Step& step, int thread);
    void execute(const Run& run, const op::Add& node, const Step& step, int thread);
    void execute(const Run& run, const op::SelectOutputs& node, const Step& step, int thread);
    void execute(const Run& run, const op::Softcap& node, const Step& step, int thread);
    void note_time(const Run& run, size_t step, double seconds);
    Range my_rows(const Run& run, Value value, int thread) const {
        return thread_range(rows_of(run, value), 1, thread, team_.n_threads());
    }
    template <typename Work>
    void for_each_piece(const Step& step, int64_t n_columns, int64_t piece, Work&& work);
    void matmul(const Run& run, const Tensor& weight, Value x, Activation activation, Range columns,
                float* out, int64_t out_stride, bool accumulate, int thread) const;

    const Graph& graph_;
    ThreadTeam& team_;
    const Kernels& kernels_;
    const ExecutorOptions options_;
    const MemoryPlan plan_;
    const std::vector<Step> steps_;
    std::vector<std::atomic<int64_t>>
        next_item_;  ///< by step: the next piece of work that no thread has taken

    PageMemory memory_;
    float* token_arena_ = nullptr;
    float* output_arena_ = nullptr;
    std::byte* quantized_[4] = {};         ///< by Activation
    std::vector<float*> cosines_, sines_;  ///< by RoPE table: [max_rows, n_pairs]
    std::vector<std::byte*> scratch_;      ///< by thread
    std::vector<float*> gate_scratch_;     ///< by thread
    std::vector<float> partials_;          ///< of attention

    bool profiling_ = false;
    struct StepTime {
        int64_t calls = 0;
        double seconds = 0, bytes = 0, operations = 0;
    };
    std::vector<StepTime> times_;
};

constexpr int kPiecesPerThread = 4;
/// Columns of a gated product that are computed at a time, so that the gate's half stays in cache.
constexpr int64_t kGateColumns = 64;

CpuExecutor::CpuExecutor(const Graph& graph, ThreadTeam& team, const ExecutorOptions& options)
    : graph_(graph),
      team_(team),
      kernels_(kernels(options.level)),
      options_(options),
      plan_(plan_memory(graph)),
      steps_(make_steps(graph, plan_, kernels_.activation_for, options.exact)),
      next_item_(steps_.size()),
      times_(steps_.size()) {
    const size_t max_rows = static_cast<size_t>(options.max_rows),
                 max_outputs = static_cast<size_t>(options.max_outputs);
    size_t quantized_bytes[4] = {};
    size_t thread_scratch = 64;
    for (const Step& step : steps_) {
        if (!step.operation) {
            const ValueInfo& info = graph.values[static_cast<size_t>(step.quantized.id)];
            size_t& bytes = quantized_bytes[static_cast<size_t>(step.activation)];
            bytes = std::max(bytes, activation_row_bytes(step.activation, info.width) *
                                        (info.rows == Rows::tokens ? max_rows : max_outputs));
        } else if (const auto* attention = std::get_if<op::Attention>(step.operation)) {
            const KvShape& shape = graph.kv_layers[static_cast<size_t>(attention->kv_layer)].shape;
            thread_scratch = std::max(thread_scratch, attention_scratch_bytes(shape, attention->n_heads));
        } else {
            for (Value x : inputs_of(*step.operation))
                thread_scratch = std::max(thread_scratch, matmul_scratch_bytes(graph.width(x)));
        }
    }
    // Float activations are read where they lie, so the arena's rows must be as far apart as the kernels
    // expect.
    for (const ValueInfo& info : graph.values)
        if (activation_row_bytes(Activation::float32, info.width) !=
            static_cast<size_t>(row_stride(info.width)) * sizeof(float))
            fail(ErrorKind::runtime, "the rows of the arena and of the kernels differ");
    const size_t gate_bytes = max_rows * kGateColumns * sizeof(float);

    // One reservation, carved from front to back: first the sizes, then the pointers.
    std::byte* base = nullptr;
    size_t used = 0;
    const auto carve = [&](size_t bytes) {
        std::byte* place = base + used;
        used += align64(bytes);
        return place;
    };
    const auto lay_out = [&] {
        used = 0;
        token_arena_ = reinterpret_cast<float*>(
            carve(static_cast<size_t>(plan_.token_columns) * max_rows * sizeof(float)));
        output_arena_ = reinterpret_cast<float*>(
            carve(static_cast<size_t>(plan_.output_columns) * max_outputs * sizeof(float)));
        for (size_t i = 0; i < 4; i++) quantized_[i] = carve(quantized_bytes[i]);
        cosines_.clear();
        sines_.clear();
        for (const RopeTable& table : graph.rope_tables) {
            cosines_.push_back(
                reinterpret_cast<float*>(carve(table.inverse_frequencies.size() * max_rows * sizeof(float))));
            sines_.push_back(
                reinterpret_cast<float*>(carve(table.inverse_frequencies.size() * max_rows * sizeof(float))));
        }
        scratch_.clear();
        gate_scratch_.clear();
        for (int thread = 0; thread < team.n_threads(); thread++) {
            scratch_.push_back(carve(thread_scratch));
            gate_scratch_.push_back(reinterpret_cast<float*>(carve(gate_bytes)));
        }
    };
    lay_out();
    memory_ = PageMemory(used);
    base = memory_.data();
    lay_out();
}

Matrix CpuExecutor::at(const Run& run, Value value) const {
    const size_t id = static_cast<size_t>(value.id);
    const ValueInfo& info = graph_.values[id];
    if (value == graph_.logits) return {run.logits, info.width};
    if (info.rows == Rows::tokens)
        return {token_arena_ + plan_.token_offsets[id] * options_.max_rows, row_stride(info.width)};
    return {output_arena_ + plan_.output_offsets[id] * options_.max_outputs, row_stride(info.width)};
}

const std::byte* CpuExecutor::activations(const Run& run, Value value, Activation activation) const {
    if (activation == Activation::float32) return reinterpret_cast<const std::byte*>(at(run, value).data);
    return quantized_[static_cast<size_t>(activation)];
}

void CpuExecutor::run(const Batch& batch, const KvCache& cache, float* logits) {
    const Run run{batch, cache, logits, static_cast<int>(batch.tokens.size()),
                  static_cast<int>(batch.output_rows.size())};
    for (std::atomic<int64_t>& next : next_item_) next.store(0, std::memory_order_relaxed);
    size_t partials = 0;
    for (const Operation& operation : graph_.operations) {
        const auto* node = std::get_if<op::Attention>(&operation);
        if (!node) continue;
        size_t needed = 0;
        for (const BatchSlice& slice : batch.slices)
            needed += attention_partial_floats(attention_task(run, *node, slice));
        partials = std::max(partials, needed);
    }
    if (partials > partials_.size()) partials_.resize(partials);
    team_.run([&](int thread) { work(run, thread); });
}

void CpuExecutor::work(const Run& run, int thread) {
    rope_angles(run, thread);
    double before = profiling_ && thread == 0 ? monotonic_seconds() : 0;
    for (size_t i = 0; i < steps_.size(); i++) {
        const Step& step = steps_[i];
        if (step.barrier_before) team_.barrier();
        if (step.operation)
            std::visit([&](const auto& node) { execute(run, node, step, thread); }, *step.operation);
        else
            quantize(run, step, thread);
        if (profiling_ && thread == 0) {
            const double now = monotonic_seconds();
            note_time(run, i, now - before);
            before = now;
        }
    }
}

/// The angles of every row, by the rows' own threads: Rope is divided by rows as well.
void CpuExecutor::rope_angles(const Run& run, int thread) {
    const Range rows = thread_range(run.n_rows, 1, thread, team_.n_threads());
    for (const BatchSlice& slice : run.batch.slices)
        for (int64_t row = std::max<int64_t>(rows.begin, slice.row_begin);
             row < std::min<int64_t>(rows.end, slice.row_begin + slice.n_rows); row++) {
            const float position = static_cast<float>(slice.first_position + row - slice.row_begin);
            for (size_t t = 0; t < graph_.rope_tables.size(); t++) {
                const std::vector<float>& frequencies = graph_.rope_tables[t].inverse_frequencies;
                const int64_t n_pairs = static_cast<int64_t>(frequencies.size());
                for (int64_t i = 0; i < n_pairs; i++) {
                    const float angle = position * frequencies[static_cast<size_t>(i)];
                    cosines_[t][row * n_pairs + i] = std::cos(angle);
                    sines_[t][row * n_pairs + i] = std::sin(angle);
                }
            }
        }
}

void CpuExecutor::quantize(const Run& run, const Step& step, int thread) {
    const Matrix x = at(run, step.quantized);
    const int64_t k = graph_.width(step.quantized);
    const size_t row_bytes = activation_row_bytes(step.activation, k);
    std::byte* out = quantized_[static_cast<size_t>(step.activation)];
    const Range rows = my_rows(run, step.quantized, thread);
    for (int64_t r = rows.begin; r < rows.end; r++)
        kernels_.quantize_row(step.activation, x.row(r), k, out + static_cast<size_t>(r) * row_bytes);
}

void CpuExecutor::execute(const Run& run, const op::Embed& node, const Step&, int thread) {
    const Matrix out = at(run, node.out);
    const Tensor& table = *node.table;
    const FormatInfo& format = format_info(table.format);
    const Range rows = my_rows(run, node.out, thread);
    for (int64_t r = rows.begin; r < rows.end; r++) {
        const size_t token = static_cast<size_t>(run.batch.tokens[static_cast<size_t>(r)]);
        format.decode(table.data + token * table.row_bytes(), out.row(r), table.row_elements());
        if (node.scale != 1.0f)
            for (int64_t i = 0; i < table.row_elements(); i++) out.row(r)[i] *= node.scale;
    }
}

void CpuExecutor::execute(const Run& run, const op::RmsNorm& node, const Step&, int thread) {
    const Matrix x = at(run, node.x), out = at(run, node.out);
    const int64_t width = graph_.width(node.x);
    const Range rows = my_rows(run, node.out, thread);
    for (int64_t r = rows.begin; r < rows.end; r++)
        for (int64_t begin = 0; begin < width; begin += node.group)
            kernels_.rms_norm(x.row(r) + begin, floats(node.weight), node.epsilon, node.group,
                              out.row(r) + begin);
}

void CpuExecutor::matmul(const Run& run, const Tensor& weight, Value x, Activation activation, Range columns,
                         float* out, int64_t out_stride, bool accumulate, int thread) const {
    if (columns.begin >= columns.end) return;
    kernels_.matmul({matrix(weight), columns.begin, columns.end, activation, activations(run, x, activation),
                     static_cast<int>(rows_of(run, x)), out, out_stride, accumulate,
                     scratch_[static_cast<size_t>(thread)]});
}

/// Hands out a matrix's output columns piece by piece to whichever thread is free, so that a thread that was
/// held up does not hold up the others. `work` gets a range of columns, a multiple of kPanelRows but for the
/// last.
template <typename Work>
void CpuExecutor::for_each_piece(const Step& step, int64_t n_columns, int64_t piece, Work&& work) {
    std::atomic<int64_t>& next = next_item_[static_cast<size_t>(&step - steps_.data())];
    for (int64_t begin; (begin = next.fetch_add(1, std::memory_order_relaxed) * piece) < n_columns;)
        work(Range{begin, std::min(begin + piece, n_columns)});
}

/// Small enough for several pieces a thread, large enough that taking one costs nothing beside it.
static int64_t piece_columns(int64_t n_columns, int n_threads) {
    const int64_t even = n_columns / (int64_t{n_threads} * kPiecesPerThread) / kPanelRows * kPanelRows;
    return std::clamp<int64_t>(even, kPanelRows * 2, kPanelRows * 256);
}

void CpuExecutor::execute(const Run& run, const op::Linear& node, const Step& step, int thread) {
    const Matrix out = at(run, node.out);
    const int64_t n_columns = node.weight->n_rows();
    for_each_piece(step, n_columns, piece_columns(n_columns, team_.n_threads()), [&](Range columns) {
        matmul(run, *node.weight, node.x, step.activation, columns, out.data, out.stride, node.accumulate,
               thread);
        if (!node.bias) return;
        for (int64_t r = 0; r < rows_of(run, node.out); r++)
            kernels_.add(floats(node.bias) + columns.begin, columns.end - columns.begin,
                         out.row(r) + columns.begin);
    });
}

void CpuExecutor::execute(const Run& run, const op::Gate& node, const Step&, int thread) {
    const Matrix gate = at(run, node.gate), up = at(run, node.up), out = at(run, node.out);
    const auto kernel = node.kind == GateKind::silu ? kernels_.silu_gate : kernels_.gelu_gate;
    const Range rows = my_rows(run, node.out, thread);
    for (int64_t r = rows.begin; r < rows.end; r++)
        kernel(gate.row(r), up.row(r), graph_.width(node.out), out.row(r));
}

void CpuExecutor::execute(const Run& run, const op::GatedLinear& node, const Step& step, int thread) {
    const Matrix out = at(run, node.out);
    const int64_t n_rows = rows_of(run, node.out);
    const Activation up_activation =
        options_.exact ? Activation::float32 : kernels_.activation_for(node.up->format);
    const auto kernel = node.kind == GateKind::silu ? kernels_.silu_gate : kernels_.gelu_gate;
    // The scratch holds kGateColumns columns of max_rows rows: more columns when there are fewer rows.
    const int64_t n_columns = node.gate->n_rows();
    const int64_t most = options_.max_rows / std::max<int64_t>(1, n_rows) * kGateColumns;
    const int64_t piece = std::min(most, piece_columns(n_columns, team_.n_threads()));
    float* gate = gate_scratch_[static_cast<size_t>(thread)];
    for_each_piece(step, n_columns, piece, [&](Range columns) {
        const int64_t width = columns.end - columns.begin;
        matmul(run, *node.gate, node.x, step.activation, columns, gate - columns.begin, width, false, thread);
        matmul(run, *node.up, node.x, up_activation, columns, out.data, out.stride, false, thread);
        for (int64_t r = 0; r < n_rows; r++)
            kernel(gate + r * width, out.row(r) + columns.begin, width, out.row(r) + columns.begin);
    });
}

void CpuExecutor::execute(const Run& run, const op::Rope& node, const Step&, int thread) {
    const Matrix x = at(run, node.x), out = at(run, node.out);
    const size_t table = static_cast<size_t>(node.table);
    const int n_pairs = static_cast<int>(graph_.rope_tables[table].inverse_frequencies.size());
    const Range rows = my_rows(run, node.out, thread);
    for (int64_t r = rows.begin; r < rows.end; r++) {
        if (out.data != x.data)
            std::memcpy(out.row(r), x.row(r), static_cast<size_t>(graph_.width(node.x)) * sizeof(float));
        kernels_.rope(out.row(r), node.n_heads, node.head_dim, n_pairs, node.halves,
                      cosines_[table] + r * n_pairs, sines_[table] + r * n_pairs);
    }
}

AttentionTask CpuExecutor::attention_task(const Run& run, const op::Attention& node,
                                          const BatchSlice& slice) const {
    const Matrix q = at(run, node.q), out = at(run, node.out);
    const KvLayer& layer = graph_.kv_layers[static_cast<size_t>(node.kv_layer)];
    return {.kv = run.cache.view(*slice.sequence, node.kv_layer),
            .shape = layer.shape,
            .format = run.cache.format(),
            .n_heads = node.n_heads,
            .scale = node.scale,
            .softcap = node.softcap,
            .window = layer.window,
            .sinks = floats(node.sinks),
            .first_position = slice.first_position,
            .n_rows = slice.n_rows,
            .q = q.row(slice.row_begin),
            .q_stride = q.stride,
            .out = out.row(slice.row_begin),
            .out_stride = out.stride};
}

void CpuExecutor::execute(const Run& run, const op::Attention& node, const Step& step, int thread) {
    const KvLayer& layer = graph_.kv_layers[static_cast<size_t>(node.kv_layer)];
    const Matrix k = at(run, node.k), v = at(run, node.v);
    const Range rows = thread_range(run.n_rows, 1, thread, team_.n_threads());
    for (const BatchSlice& slice : run.batch.slices) {
        const KvView view = run.cache.view(*slice.sequence, node.kv_layer);
        const int64_t end = std::min<int64_t>(rows.end, slice.row_begin + slice.n_rows);
        for (int64_t row = std::max<int64_t>(rows.begin, slice.row_begin); row < end; row++)
            kernels_.store_kv(view, layer.shape, run.cache.format(),
                              slice.first_position + row - slice.row_begin, k.row(row), v.row(row));
    }
    team_.barrier();

    std::atomic<int64_t>& next = next_item_[static_cast<size_t>(&step - steps_.data())];
    int64_t item = next.fetch_add(1, std::memory_order_relaxed);
    int64_t first_item = 0;
    float* partials = partials_.data();
    int64_t n_merges = 0;
    for (const BatchSlice& slice : run.batch.slices) {
        const AttentionTask task = attention_task(run, node, slice);
        const int64_t end_item = first_item + attention_items(task);
        for (; item < end_item; item = next.fetch_add(1, std::memory_order_relaxed))
            kernels_.attention_item(task, item - first_item, partials, scratch_[static_cast<size_t>(thread)]);
        first_item = end_item;
        partials += attention_partial_floats(task);
        n_merges += attention_merges(task);
    }
    if (n_merges == 0) return;

    team_.barrier();
    const Range mine = thread_range(n_merges, 1, thread, team_.n_threads());
    int64_t first_merge = 0;
    partials = partials_.data();
    for (const BatchSlice& slice : run.batch.slices) {
        const AttentionTask task = attention_task(run, node, slice);
        const int64_t merges = attention_merges(task);
        const int64_t begin = std::max(mine.begin, first_merge),
                      end = std::min(mine.end, first_merge + merges);
        if (begin < end)
            kernels_.attention_merge(task, static_cast<int>(begin - first_merge),
                                     static_cast<int>(end - first_merge), partials);
        first_merge += merges;
        partials += attention_partial_floats(task);
    }
}

void CpuExecutor::execute(const Run& run, const op::Add& node, const Step&, int thread) {
    const Matrix x = at(run, node.x), out = at(run, node.out);
    const Range rows = my_rows(run, node.out, thread);
    for (int64_t r = rows.begin; r < rows.end; r++) kernels_.add(x.row(r), graph_.width(node.x), out.row(r));
}

void CpuExecutor::execute(const Run& run, const op::SelectOutputs& node, const Step&, int thread) {
    const Matrix x = at(run, node.x), out = at(run, node.out);
    const Range rows = thread_range(run.n_outputs, 1, thread, team_.n_threads());
    for (int64_t r = rows.begin; r < rows.end; r++)
        std::memcpy(out.row(r), x.row(run.batch.output_rows[static_cast<size_t>(r)]),
                    static_cast<size_t>(graph_.width(node.x)) * sizeof(float));
}

void CpuExecutor::execute(const Run& run, const op::Softcap& node, const Step&, int thread) {
    const Matrix x = at(run, node.x), out = at(run, node.out);
    const int64_t width = graph_.width(node.x);
    const Range rows = my_rows(run, node.out, thread);
    for (int64_t r = rows.begin; r < rows.end; r++) {
        if (out.data != x.data) std::memcpy(out.row(r), x.row(r), static_cast<size_t>(width) * sizeof(float));
        kernels_.softcap(out.row(r), width, node.cap);
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
    const auto keys_at = [&](int64_t position) {
        return static_cast<double>(layer.window ? std::min<int64_t>(position + 1, layer.window)
                                                : position + 1);
    };
    bytes += keys_at(slice.first_position + slice.n_rows - 1) * layer.shape.kv_heads * dims *
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
            2.0 * static_cast<double>(weight->n_elements()) * static_cast<double>(rows_of(run, x));
    };
    if (const auto* linear = std::get_if<op::Linear>(&operation)) count_matrix(linear->weight, linear->x);
    if (const auto* gated = std::get_if<op::GatedLinear>(&operation)) {
        count_matrix(gated->gate, gated->x);
        count_matrix(gated->up, gated->x);
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

std::unique_ptr<Executor> make_executor(const Graph& graph, ThreadTeam& team,
                                        const ExecutorOptions& options) {
    return std::make_unique<CpuExecutor>(graph, team, options);
}

}  // namespace agave::cpu
