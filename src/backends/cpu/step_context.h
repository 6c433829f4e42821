#pragma once

#include <algorithm>
#include <atomic>

#include "backends/backend.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/schedule.h"
#include "backends/cpu/workspace.h"
#include "base/thread_team.h"

namespace agave::cpu {

/// A value's rows in an arena.
struct Matrix {
    float* data;
    int64_t stride;  ///< floats
    float* row(int64_t r) const { return data + r * stride; }
};

/// What the threads share while one batch runs.
struct Run {
    const Graph& graph;
    const MemoryPlan& plan;
    const Kernels& kernels;
    Workspace& workspace;
    ThreadTeam& team;
    const Batch& batch;
    const KvCache& cache;
    float* logits;
    int max_rows;  ///< what the arenas are laid out for
    int max_outputs;
    bool exact;

    int64_t n_rows() const { return static_cast<int64_t>(batch.tokens.size()); }
    int64_t n_outputs() const { return static_cast<int64_t>(batch.output_rows.size()); }
    int64_t rows_of(Value value) const {
        return graph.values[static_cast<size_t>(value.id)].rows == Rows::tokens ? n_rows() : n_outputs();
    }
    Matrix at(Value value) const;
    /// The rows of `value` as a matrix product reads them.
    const std::byte* activations(Value value, Activation activation) const;
    /// The activation that a matrix of this format reads.
    Activation activation_for(Format format) const {
        return exact ? Activation::float32 : kernels.activation_for(format);
    }
};

/// One thread's view of one step, and of one slot where it is shared out in slots.
struct StepContext {
    const Run& run;
    const Step& step;
    std::atomic<int64_t>& next_item;  ///< the step's next piece of work that no thread has taken, from 0
    int thread;                       ///< whose scratch to use
    int slot;                         ///< for Sharing::slots: which; otherwise -1

    /// The share of n things that this slot is.
    Range my_share(int64_t n) const { return thread_range(n, 1, slot, run.team.n_threads()); }
    Range my_rows(Value value) const { return my_share(run.rows_of(value)); }
    std::byte* scratch() const { return run.workspace.scratch[static_cast<size_t>(thread)]; }
};

/// The float32 entries of a norm's weight, a bias or the like; nullptr for nullptr.
inline const float* floats(const Tensor* tensor) {
    return tensor ? reinterpret_cast<const float*>(tensor->data) : nullptr;
}

/// Bytes of scratch for a scan: the step sizes of all heads of a group for one piece, and the kernel's own.
inline size_t scan_scratch_bytes(const op::SelectiveScan& node) {
    const int64_t steps = int64_t{node.n_heads / node.n_groups} * kScanChunk;
    return static_cast<size_t>(steps + scan_scratch_floats(node.head_dim, node.state_size)) * sizeof(float);
}

constexpr int kPiecesPerThread = 4;

/// Hands out a matrix's output columns piece by piece to whichever thread is free, so that a thread that was
/// held up does not hold up the others. `work` gets a range of columns, a multiple of kPanelRows but for the
/// last.
template <typename Work>
void for_each_piece(const StepContext& context, int64_t n_columns, int64_t piece, Work&& work) {
    for (int64_t begin;
         (begin = context.next_item.fetch_add(1, std::memory_order_relaxed) * piece) < n_columns;)
        work(Range{begin, std::min(begin + piece, n_columns)});
}

/// Small enough for several pieces a thread, large enough that taking one costs nothing beside it.
inline int64_t piece_columns(int64_t n_columns, int n_threads) {
    const int64_t even = n_columns / (int64_t{n_threads} * kPiecesPerThread) / kPanelRows * kPanelRows;
    return std::clamp<int64_t>(even, kPanelRows * 2, kPanelRows * 256);
}

/// The elementwise kernel of a gated MLP.
using GateKernel = void (*)(const float* gate, const float* up, int64_t n, float* out);
inline GateKernel gate_kernel(const Kernels& kernels, GateKind kind) {
    switch (kind) {
        case GateKind::silu:
            return kernels.silu_gate;
        case GateKind::gelu_tanh:
            return kernels.gelu_gate;
        case GateKind::clamped:
            return kernels.clamped_gate;
        case GateKind::sigmoid:
            return kernels.sigmoid_gate;
    }
    return nullptr;
}

/// The elementwise kernel of a nonlinearity, in place; nullptr for none.
using NonlinearityKernel = void (*)(float* x, int64_t n);
inline NonlinearityKernel nonlinearity_kernel(const Kernels& kernels, Nonlinearity kind) {
    switch (kind) {
        case Nonlinearity::none:
            return nullptr;
        case Nonlinearity::squared_relu:
            return kernels.squared_relu;
    }
    return nullptr;
}

/// Shows the observer what the step, whose phase has just ended, multiplied by its matrices.
void observe_inputs(const Run& run, const Step& step, InputObserver& observer);
/// task.weights are the rows of `weight` from `first_row` on, whatever kind of tensor it is; multiplies.
void multiply_rows(const StepContext& context, const Tensor& weight, int64_t first_row, MatmulTask task);

/// Every operation: the slot, or all pieces that this thread gets hold of.
void quantize(const StepContext& context);
void execute(const StepContext& context, const op::Embed& node);
void execute(const StepContext& context, const op::RmsNorm& node);
void execute(const StepContext& context, const op::Linear& node);
void execute(const StepContext& context, const op::Activate& node);
void execute(const StepContext& context, const op::HeadLinear& node);
void execute(const StepContext& context, const op::Gate& node);
void execute(const StepContext& context, const op::GatedLinear& node);
void execute(const StepContext& context, const op::Rope& node);
void execute(const StepContext& context, const op::Attention& node);
void execute(const StepContext& context, const op::Add& node);
void execute(const StepContext& context, const op::SelectOutputs& node);
void execute(const StepContext& context, const op::Softcap& node);
void execute(const StepContext& context, const op::Experts& node);
void execute(const StepContext& context, const op::Scale& node);
void execute(const StepContext& context, const op::Slice& node);
void execute(const StepContext& context, const op::Convolve& node);
void execute(const StepContext& context, const op::SelectiveScan& node);
void execute(const StepContext& context, const op::DeltaNet& node);
void execute(const StepContext& context, const op::RowGate& node);

/// The experts that have rows, once the choices are sorted.
int64_t experts_hit(const Run& run, const op::Experts& node);

/// The angles of every row of a slot, before the first step.
void rope_angles(const Run& run, int slot);

/// Floats of workspace.attention_partials that an attention of this run needs.
size_t attention_partials(const Run& run, const op::Attention& node);

}  // namespace agave::cpu
