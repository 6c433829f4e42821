#pragma once

#include <cstdint>
#include <vector>

#include "backends/cpu/kernels.h"
#include "backends/cpu/schedule.h"
#include "base/system.h"
#include "graph/graph.h"

namespace agave::cpu {

/// Columns of a gated product that a thread computes at a time with the most rows, so that the gate's half
/// stays in cache.
constexpr int64_t kGateColumns = 64;

/// What a mixture of experts needs between its passes. A slot is one row at one of its experts: slot
/// row * n_used + i for the row's i-th choice. `order` lists the slots expert by expert.
struct ExpertsWorkspace {
    int32_t* chosen = nullptr;        ///< [slots] the expert
    float* weights = nullptr;         ///< [slots] its score
    int32_t* begin = nullptr;         ///< [n_experts + 1] where each expert's slots begin in `order`
    int32_t* order = nullptr;         ///< [slots]
    std::byte* gate_input = nullptr;  ///< [slots, activation row] the rows of x, in `order`
    std::byte* up_input = nullptr;    ///< the same where `up` takes another activation
    float* hidden = nullptr;          ///< [slots, ff] in `order`
    std::byte* down_input = nullptr;  ///< [slots, activation row] in `order`
    float* out = nullptr;             ///< [slots, out] in `order`
    std::vector<float*> scores;       ///< by thread: [2, n_experts] scores, and scores for the choice
};

/// The memory in which a graph runs: one reservation, carved into the buffers below, each on a cache line.
struct Workspace {
    /// Sizes everything for `max_rows` rows, `max_outputs` of which give logits, and `n_threads` threads.
    Workspace(const Graph& graph, const MemoryPlan& plan, const std::vector<Step>& steps, int max_rows,
              int max_outputs, int n_threads, Activation (*activation_for)(Format), bool exact);

    PageMemory memory;
    float* token_arena = nullptr;   ///< values of token rows, at MemoryPlan's offset times max_rows
    float* output_arena = nullptr;  ///< values of output rows
    std::byte* quantized[4] = {};   ///< by Activation: the rows that matrix products read
    std::vector<float*> cosines;    ///< by RoPE table: [max_rows, n_pairs]
    std::vector<float*> sines;
    std::vector<std::byte*> scratch;    ///< by thread, for matmul and attention
    std::vector<float*> gate_scratch;   ///< by thread: [max_rows, kGateColumns]
    std::vector<std::byte*> head_rows;  ///< by thread: [max_rows, activation row] of one head (HeadLinear)
    ExpertsWorkspace experts;
    std::vector<float> attention_partials;  ///< grown before a run that needs more
};

}  // namespace agave::cpu
