#pragma once

#include <cstdint>
#include <vector>

#include "backends/cpu/kernels.h"
#include "graph/graph.h"

namespace agave::cpu {

/// How a step's work is divided. Steps of the same division by rows hand rows on from one to the next in the
/// same slot, so no barrier is needed between them.
enum class Division : uint8_t {
    token_rows,   ///< each slot is a range of the batch's rows
    output_rows,  ///< each slot is a range of the output rows
    columns,      ///< pieces are output columns, and read all rows
    mixed         ///< any piece or slot may read and write anything
};

/// How the threads share out a step.
enum class Sharing : uint8_t {
    slots,  ///< in as many equal parts as there are threads; any thread takes any of them
    pieces  ///< in pieces that StepContext::next_item numbers
};

/// One thing that the threads do together: an operation of the graph or a part of it, or (operation ==
/// nullptr) the quantisation of a value's rows for the matrices that read it.
struct Step {
    const Operation* operation = nullptr;
    Value quantized;                              ///< without operation: the value
    Activation activation = Activation::float32;  ///< without operation: its target; Linear: what it reads
    Division division = Division::mixed;
    bool barrier_before = false;
    int part = 0;  ///< of an operation that takes several steps
    Sharing sharing = Sharing::pieces;
    bool counts = true;  ///< a profile counts the operation here
};

/// Steps of a mixture of experts: see step_experts.cpp.
constexpr int kExpertParts = 7;

/// Orders a graph's operations as steps: each value is quantised once for every activation format that its
/// readers take, and barriers stand only where a thread could otherwise see another's unfinished work.
std::vector<Step> make_steps(const Graph& graph, const MemoryPlan& plan, Activation (*activation_for)(Format),
                             bool exact);

}  // namespace agave::cpu
