#pragma once

#include <memory>

#include "backends/backend.h"
#include "base/cpu_features.h"
#include "base/thread_team.h"

namespace agave::cpu {

struct ExecutorOptions {
    int max_rows = 512;    ///< rows in one step
    int max_outputs = 64;  ///< rows whose logits one step gives
    bool exact = false;    ///< keep activations in float32 for every weight format
    CpuLevel level = CpuLevel::portable;
};

/// The best level that this build holds and this CPU runs.
CpuLevel best_level();

/// Makes a graph ready for the CPU. The graph, its tensors and the team must outlive the executor. Throws
/// Error(unsupported) for a level that this build or this CPU lacks.
std::unique_ptr<Executor> make_executor(const Graph& graph, ThreadTeam& team, const ExecutorOptions& options);

}  // namespace agave::cpu
