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

/// The memory in which a graph runs: one reservation, carved into the buffers below, each on a cache line.
struct Workspace {
    /// Sizes everything for `max_rows` rows, `max_outputs` of which give logits, and `n_threads` threads.
    Workspace(const Graph& graph, const MemoryPlan& plan, const std::vector<Step>& steps, int max_rows,
              int max_outputs, int n_threads);

    PageMemory memory;
    float* token_arena = nullptr;   ///< values of token rows, at MemoryPlan's offset times max_rows
    float* output_arena = nullptr;  ///< values of output rows
    std::byte* quantized[4] = {};   ///< by Activation: the rows that matrix products read
    std::vector<float*> cosines;    ///< by RoPE table: [max_rows, n_pairs]
    std::vector<float*> sines;
    std::vector<std::byte*> scratch;        ///< by thread, for matmul and attention
    std::vector<float*> gate_scratch;       ///< by thread: [max_rows, kGateColumns]
    std::vector<float> attention_partials;  ///< grown before a run that needs more
};

}  // namespace agave::cpu
