#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "backends/cpu/step_context.h"

namespace agave::cpu {

namespace {

/// The best of n candidates, of equal ones the first.
int64_t index_of_best(const float* candidates, int64_t n) {
    int64_t best = 0;
    for (int64_t i = 1; i < n; i++)
        if (candidates[i] > candidates[best]) best = i;
    return best;
}

constexpr float kExcluded = -std::numeric_limits<float>::infinity();

/// Takes all but the n_groups_used best groups out of the choice (DeepSeek-V3, section 2.1.2); the score of a
/// group is the sum of its two best.
void exclude_groups(const op::Experts& node, int64_t n_experts, float* candidates) {
    const int64_t size = n_experts / node.n_groups;
    const auto score = [&](int64_t group) {
        float best = kExcluded, second = kExcluded;
        for (const float* c = candidates + group * size; c < candidates + (group + 1) * size; c++) {
            second = std::max(second, std::min(best, *c));
            best = std::max(best, *c);
        }
        return best + second;
    };
    for (int32_t left = node.n_groups - node.n_groups_used; left > 0; left--) {
        // The worst that is still in, of equal ones the last; a group that is out scores -infinity.
        int64_t worst = -1;
        float worst_score = 0;
        for (int64_t group = 0; group < node.n_groups; group++) {
            const float group_score = score(group);
            if (group_score == kExcluded || (worst >= 0 && !(group_score <= worst_score))) continue;
            worst = group, worst_score = group_score;
        }
        if (worst < 0) return;
        std::fill(candidates + worst * size, candidates + (worst + 1) * size, kExcluded);
    }
}

/// The n_used experts of one row, best first (of equal scores the lower index), and their weights. `scores`
/// is scratch for 2 * n_experts.
void route(const op::Experts& node, const float* logits, int64_t n_experts, float* scores, int32_t* chosen,
           float* weights) {
    float highest = logits[0];
    for (int64_t e = 1; e < n_experts; e++) highest = std::max(highest, logits[e]);
    double total = 0;
    for (int64_t e = 0; e < n_experts; e++) {
        if (node.scoring == Scoring::sigmoid)
            scores[e] = 1.0f / (1.0f + std::exp(-logits[e]));
        else
            scores[e] = std::exp(logits[e] - highest);
        total += scores[e];
    }
    if (node.scoring == Scoring::softmax)
        for (int64_t e = 0; e < n_experts; e++) scores[e] = static_cast<float>(scores[e] / total);

    const float* bias = floats(node.choice_bias);
    float* candidates = scores + n_experts;
    for (int64_t e = 0; e < n_experts; e++) candidates[e] = scores[e] + (bias ? bias[e] : 0.0f);
    if (node.n_groups_used < node.n_groups) exclude_groups(node, n_experts, candidates);
    double chosen_total = 0;
    for (int32_t i = 0; i < node.n_used; i++) {
        const int64_t best = index_of_best(candidates, n_experts);
        candidates[best] = kExcluded;
        chosen[i] = static_cast<int32_t>(best);
        weights[i] = scores[best];
        chosen_total += scores[best];
    }
    const bool divide = node.renormalize || node.scoring == Scoring::softmax_chosen;
    const double factor = node.scale / (divide ? chosen_total + 1e-20 : 1.0);
    const float* scale = floats(node.expert_scale);
    for (int32_t i = 0; i < node.n_used; i++)
        weights[i] = static_cast<float>(weights[i] * factor) * (scale ? scale[chosen[i]] : 1.0f);
}

/// Lists the slots expert by expert, in the order of rows within an expert.
void sort_slots(const ExpertsWorkspace& w, int64_t n_slots, int64_t n_experts) {
    std::fill(w.begin, w.begin + n_experts + 1, 0);
    for (int64_t slot = 0; slot < n_slots; slot++) w.begin[w.chosen[slot] + 1]++;
    for (int64_t e = 0; e < n_experts; e++) w.begin[e + 1] += w.begin[e];
    // Filling moves each begin to the next expert's; moving them back one place restores them.
    for (int64_t slot = 0; slot < n_slots; slot++)
        w.order[w.begin[w.chosen[slot]]++] = static_cast<int32_t>(slot);
    for (int64_t e = n_experts; e > 0; e--) w.begin[e] = w.begin[e - 1];
    w.begin[0] = 0;
}

/// One mixture in one run: its sizes, and the passes that the threads make over it.
struct Mixture {
    const StepContext& context;
    const op::Experts& node;
    const Run& run = context.run;
    const ExpertsWorkspace& w = run.workspace.experts;
    const int64_t n_experts = run.graph.width(node.router);
    const int64_t n_rows = run.rows_of(node.x);
    const int64_t n_slots = n_rows * node.n_used;
    const int64_t k = node.up->row_elements(), ff = node.down->row_elements(), n_out = node.down->shape[1];
    const int64_t hidden_stride = row_stride(ff), out_stride = row_stride(n_out);
    const Activation gate_activation = run.activation_for(node.first().format);
    const Activation up_activation = run.activation_for(node.up->format);
    const Activation down_activation = run.activation_for(node.down->format);
    const GateKernel gate_kernel = cpu::gate_kernel(run.kernels, node.kind);

    Range my_slots() const { return context.my_share(n_slots); }

    void choose() const {
        const Matrix router = run.at(node.router);
        const Range rows = context.my_rows(node.x);
        for (int64_t r = rows.begin; r < rows.end; r++)
            route(node, router.row(r), n_experts, w.scores[static_cast<size_t>(context.thread)],
                  w.chosen + r * node.n_used, w.weights + r * node.n_used);
    }

    void gather(Activation activation, std::byte* to) const {
        const size_t bytes = activation_row_bytes(activation, k);
        const std::byte* from = run.activations(node.x, activation);
        const Range mine = my_slots();
        for (int64_t i = mine.begin; i < mine.end; i++)
            std::memcpy(to + static_cast<size_t>(i) * bytes,
                        from + static_cast<size_t>(w.order[i] / node.n_used) * bytes, bytes);
    }

    /// One expert's matrix, from `first_row` on, times `n` rows of `activations`: `columns` of it into out.
    /// The pointer to the bias is the whole tensor's.
    void multiply(const Tensor& weight, int64_t first_row, int64_t expert, Activation activation,
                  const std::byte* activations, int64_t n, Range columns, float* out, int64_t stride,
                  const Tensor* bias) const {
        const int64_t row = expert * weight.shape[1] + first_row;
        multiply_rows(context, weight.parts ? weight.parts[expert] : weight, weight.parts ? first_row : row,
                      {.weights = {},
                       .row_begin = columns.begin,
                       .row_end = columns.end,
                       .activation = activation,
                       .activations = activations,
                       .n_rows = static_cast<int>(n),
                       .out = out,
                       .out_stride = stride,
                       .accumulate = false,
                       .scratch = context.scratch()});
        if (!bias) return;
        const float* addend = floats(bias) + row + columns.begin;
        for (int64_t r = 0; r < n; r++)
            run.kernels.add(addend, columns.end - columns.begin, out + r * stride + columns.begin);
    }

    /// Hands out (expert, range of columns) for every expert that has rows. `work` gets the expert, its first
    /// place in `order`, its number of rows, and the columns.
    template <typename Work>
    void for_each_item(std::atomic<int64_t>& next, int64_t n_columns, int64_t piece, Work&& work) const {
        const int64_t pieces = (n_columns + piece - 1) / piece;
        int64_t item = next.fetch_add(1, std::memory_order_relaxed), first = 0;
        for (int64_t e = 0; e < n_experts; e++) {
            const int64_t begin = w.begin[e], n = w.begin[e + 1] - begin;
            if (n == 0) continue;
            for (; item < first + pieces; item = next.fetch_add(1, std::memory_order_relaxed)) {
                const int64_t column = (item - first) * piece;
                work(e, begin, n, Range{column, std::min(column + piece, n_columns)});
            }
            first += pieces;
        }
    }

    /// hidden = squared_relu(up), where there is no gate.
    void up_alone() const {
        for_each_item(
            context.next_item, ff, piece_columns(ff, run.team.n_threads()),
            [&](int64_t expert, int64_t begin, int64_t n, Range columns) {
                float* hidden = w.hidden + begin * hidden_stride;
                multiply(*node.up, node.up_begin, expert, up_activation,
                         w.gate_input + static_cast<size_t>(begin) * activation_row_bytes(up_activation, k),
                         n, columns, hidden, hidden_stride, node.up_bias);
                for (int64_t r = 0; r < n; r++)
                    run.kernels.squared_relu(hidden + r * hidden_stride + columns.begin,
                                             columns.end - columns.begin);
            });
    }

    void gate_and_up() const {
        // The gate's half of a piece lies in scratch for max_rows rows of kGateColumns columns.
        const int64_t piece = std::min(kGateColumns, piece_columns(ff, 1));
        float* gate = run.workspace.gate_scratch[static_cast<size_t>(context.thread)];
        const std::byte* up_input = up_activation == gate_activation ? w.gate_input : w.up_input;
        for_each_item(context.next_item, ff, piece,
                      [&](int64_t expert, int64_t begin, int64_t n, Range columns) {
                          const int64_t width = columns.end - columns.begin;
                          const size_t first = static_cast<size_t>(begin);
                          float* hidden = w.hidden + begin * hidden_stride;
                          multiply(*node.gate, 0, expert, gate_activation,
                                   w.gate_input + first * activation_row_bytes(gate_activation, k), n,
                                   columns, gate - columns.begin, width, node.gate_bias);
                          multiply(*node.up, node.up_begin, expert, up_activation,
                                   up_input + first * activation_row_bytes(up_activation, k), n, columns,
                                   hidden, hidden_stride, node.up_bias);
                          for (int64_t r = 0; r < n; r++) {
                              float* up = hidden + r * hidden_stride + columns.begin;
                              gate_kernel(gate + r * width, up, width, up);
                          }
                      });
    }

    void quantize_hidden() const {
        if (down_activation == Activation::float32) return;
        const size_t bytes = activation_row_bytes(down_activation, ff);
        const Range mine = my_slots();
        for (int64_t i = mine.begin; i < mine.end; i++)
            run.kernels.quantize_row(down_activation, w.hidden + i * hidden_stride, ff,
                                     w.down_input + static_cast<size_t>(i) * bytes);
    }

    void down() const {
        const bool floating = down_activation == Activation::float32;
        const std::byte* input = floating ? reinterpret_cast<const std::byte*>(w.hidden) : w.down_input;
        const size_t bytes = activation_row_bytes(down_activation, ff);
        for_each_item(context.next_item, n_out, piece_columns(n_out, run.team.n_threads()),
                      [&](int64_t expert, int64_t begin, int64_t n, Range columns) {
                          multiply(*node.down, 0, expert, down_activation,
                                   input + static_cast<size_t>(begin) * bytes, n, columns,
                                   w.out + begin * out_stride, out_stride, node.down_bias);
                      });
    }

    /// Adds each row's slots in the order of its choices, whatever else is in the batch.
    void combine() const {
        const Matrix out = run.at(node.out);
        const Range rows = context.my_rows(node.out);
        for (int64_t r = rows.begin; r < rows.end; r++)
            std::memset(out.row(r), 0, static_cast<size_t>(n_out) * sizeof(float));
        for (int32_t choice = 0; choice < node.n_used; choice++)
            for (int64_t r = rows.begin; r < rows.end; r++) {
                const int64_t slot = r * node.n_used + choice;
                const int32_t* first = w.order + w.begin[w.chosen[slot]];
                const int32_t* last = w.order + w.begin[w.chosen[slot] + 1];
                const int64_t place = std::lower_bound(first, last, static_cast<int32_t>(slot)) - w.order;
                run.kernels.add_scaled(w.out + place * out_stride, w.weights[slot], n_out, out.row(r));
            }
    }
};

}  // namespace

int64_t experts_hit(const Run& run, const op::Experts& node) {
    const int32_t* begin = run.workspace.experts.begin;
    int64_t hit = 0;
    for (int64_t e = 0; e < run.graph.width(node.router); e++) hit += begin[e + 1] > begin[e];
    return hit;
}

void execute(const StepContext& context, const op::Experts& node) {
    const Mixture mixture{context, node};
    switch (context.step.part) {
        case 0:
            return mixture.choose();
        case 1:
            if (context.slot == 0) sort_slots(mixture.w, mixture.n_slots, mixture.n_experts);
            return;
        case 2:
            mixture.gather(mixture.gate_activation, mixture.w.gate_input);
            if (mixture.up_activation != mixture.gate_activation)
                mixture.gather(mixture.up_activation, mixture.w.up_input);
            return;
        case 3:
            return node.gate ? mixture.gate_and_up() : mixture.up_alone();
        case 4:
            return mixture.quantize_hidden();
        case 5:
            return mixture.down();
        default:
            return mixture.combine();
    }
}

}  // namespace agave::cpu
