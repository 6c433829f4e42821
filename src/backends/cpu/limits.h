#pragma once

#include "backends/cpu/kernels.h"
#include "base/thread_team.h"

namespace agave::cpu {

/// What this machine can do at most with all threads of a team, measured in about half a second.
struct MachineLimits {
    double read_bytes_per_second;  ///< from memory, far beyond the caches
    double int8_ops_per_second;    ///< a multiply-add counts as two
    double bf16_flops_per_second;  ///< 0: the level has no bfloat16 products
    double f32_flops_per_second;
};

/// The best of a few short runs of each loop, at the CPU level in use.
MachineLimits measure_limits(ThreadTeam& team, CpuLevel level);

}  // namespace agave::cpu
