#pragma once

#include "backends/cpu/executor.h"
#include "base/thread_team.h"
#include "quant/format.h"

namespace agave {

/// How fast this machine multiplies by matrices of one weight format, measured with the kernels that models
/// run.
struct FormatSpeed {
    double decode_bytes_per_second;        ///< of weights from memory, one row at a time
    double prefill_operations_per_second;  ///< with many rows at once
};

/// Measures matrices of `columns` x `rows` (made for it, some 200 MB) in a fraction of a second. Throws
/// Error(runtime) when there is no memory for them.
FormatSpeed measure_format_speed(Format format, int64_t columns, int64_t rows, ThreadTeam& team, bool exact,
                                 CpuLevel level);

}  // namespace agave
