#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/graph.h"
#include "kv/cache.h"

namespace agave {

/// The rows [row_begin, row_begin + n_rows) of a batch: consecutive positions of one sequence, beginning at
/// first_position. The pages for them are reserved already.
struct BatchSlice {
    const KvSequence* sequence;
    int row_begin;
    int n_rows;
    int64_t first_position;
};

/// One step's rows, from any number of sequences, some in prefill, some decoding.
struct Batch {
    std::span<const int32_t> tokens;       ///< [n_rows] ids, each below the vocabulary's size
    std::span<const BatchSlice> slices;    ///< cover all rows, in order
    std::span<const int32_t> output_rows;  ///< ascending: the rows whose logits are wanted
};

/// What `--profile` prints of one kind of operation.
struct OperationProfile {
    std::string name;  ///< the operation, and the weight format where it reads one
    int64_t calls = 0;
    double seconds = 0;       ///< wall time, with waiting for the other threads
    double weight_bytes = 0;  ///< weights, K/V and recurrent state read
    double operations = 0;    ///< multiplications and additions of matrix products, attention and recurrences
};

/// A graph made ready on one device. Not thread-safe: one step at a time.
class Executor {
  public:
    virtual ~Executor() = default;
    /// Runs one step and writes logits [output_rows, n_vocab] of float32. At most max_rows and max_outputs
    /// rows.
    virtual void run(const Batch& batch, const KvCache& cache, float* logits) = 0;

    /// Starts and stops measuring, and returns what was measured since the start.
    virtual void set_profiling(bool on) = 0;
    virtual std::vector<OperationProfile> profile() const = 0;

    /// Bytes of memory that the executor holds beside the weights and the cache.
    virtual size_t scratch_bytes() const = 0;
};

}  // namespace agave
