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

/// Sees what matrices are multiplied by. Called between operations, by one thread at a time.
class InputObserver {
  public:
    virtual ~InputObserver() = default;
    /// `n_rows` rows, `stride` floats apart, have been multiplied by matrix number `index` (of experts or
    /// heads; 0 otherwise) of `weight`, whose shape[0] columns they have.
    virtual void observe(const Tensor& weight, int64_t index, const float* rows, int64_t stride,
                         int64_t n_rows) = 0;
};

/// A graph made ready on one device. Not thread-safe: one step at a time.
class Executor {
  public:
    virtual ~Executor() = default;
    /// Runs one step and writes logits [output_rows, n_vocab] of float32. At most max_rows and max_outputs
    /// rows.
    virtual void run(const Batch& batch, const KvCache& cache, float* logits) = 0;

    /// From now on `observer` sees the inputs of all matrix products; nullptr: nobody does.
    virtual void set_observer(InputObserver* observer) = 0;

    /// Starts and stops measuring, and returns what was measured since the start.
    virtual void set_profiling(bool on) = 0;
    virtual std::vector<OperationProfile> profile() const = 0;

    /// Bytes of memory that the executor holds beside the weights and the cache.
    virtual size_t scratch_bytes() const = 0;
};

}  // namespace agave
