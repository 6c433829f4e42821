#pragma once

#include <cstdint>
#include <vector>

#include "graph/graph.h"
#include "kv/layout.h"

namespace agave {

/// Bytes of a step's matrices in one weight format, read once, and the multiplications and additions by them.
struct MatrixCost {
    Format format;
    double bytes = 0, operations = 0;
};

/// What one step of a graph reads and computes, counted from the graph alone, as `--profile` counts it when
/// the step runs.
struct StepCost {
    std::vector<MatrixCost> matrices;
    double cache_bytes = 0;       ///< of K/V and recurrent state
    double cache_operations = 0;  ///< of attention and recurrences

    double bytes() const;
    double operations() const;
};

/// The cost of a step that appends `n_rows` tokens at position `first_position` of one sequence, the logits
/// of the last one wanted. Of experts, each token is taken to choose its own at random.
StepCost step_cost(const Graph& graph, KvFormat format, int64_t first_position, int64_t n_rows);

}  // namespace agave
