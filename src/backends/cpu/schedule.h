#pragma once

#include <cstdint>
#include <vector>

#include "backends/cpu/kernels.h"
#include "graph/graph.h"

namespace agave::cpu {

/// How a step's work is divided among the threads. Steps of the same division by rows hand rows on from one
/// to the next on the same thread, so no barrier is needed between them.
enum class Division : uint8_t {
    token_rows,   ///< each thread takes a range of the batch's rows
    output_rows,  ///< each thread takes a range of the output rows
    columns,      ///< each thread takes output columns, and reads all rows
    mixed         ///< any thread may read and write anything
};

/// One thing that the threads do together: an operation of the graph, or (operation == nullptr) the
/// quantisation of a value's rows for the matrices that read it.
struct Step {
    const Operation* operation = nullptr;
    Value quantized;                              ///< without operation: the value
    Activation activation = Activation::float32;  ///< without operation: its target; Linear: what it reads
    Division division = Division::mixed;
    bool barrier_before = false;
};

/// Orders a graph's operations as steps: each value is quantised once for every activation format that its
/// readers take, and barriers stand only where a thread could otherwise see another's unfinished work.
std::vector<Step> make_steps(const Graph& graph, const MemoryPlan& plan, Activation (*activation_for)(Format),
                             bool exact);

}  // namespace agave::cpu
