#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "backends/backend.h"
#include "base/cpu_features.h"
#include "base/thread_team.h"
#include "kv/cache.h"
#include "models/model.h"

namespace agave {

struct EngineOptions {
    int n_threads = 0;  ///< 0: as many as the processors that this process may use
    KvFormat kv_format = KvFormat::f16;
    int64_t context_size =
        0;  ///< tokens of K/V over all sequences; 0: the model's own, as far as memory allows
    int max_sequences = 1;
    int max_snapshots = 0;      ///< copies of recurrent state and windows that may be held; -1: as many as...
    size_t snapshot_bytes = 0;  ///< ...these bytes hold, or, where this is 0, an eighth of the free memory
    int prefill_chunk = 512;    ///< rows in one step at the most
    int max_outputs = 64;       ///< rows whose logits one step gives at the most
    bool exact = false;         ///< float32 activations for every weight format, instead of int8
    std::optional<CpuLevel> cpu_level;  ///< absent: the best that this CPU runs
};

/// The conversation of one client: its pages, and how many tokens they hold. Made by Engine::new_sequence()
/// and to be given back to Engine::release().
struct Sequence {
    KvSequence kv;
    int64_t n_tokens() const { return kv.n_tokens; }
};

/// Tokens that one step appends to a sequence, and how many of the last ones want their logits.
struct StepSlice {
    Sequence* sequence;
    std::span<const int32_t> tokens;
    int n_outputs;
};

/// A model on a device with its K/V cache: what the apps call. One step at a time, from one thread at a time.
class Engine {
  public:
    /// The file must outlive the engine. Throws Error for models that this build cannot run (see
    /// build_model), a context that memory cannot hold, and options out of range.
    Engine(const ModelFile& file, const EngineOptions& options);

    const Model& model() const { return model_; }
    int64_t n_vocab() const { return model_.n_vocab; }
    int64_t context_size() const { return context_size_; }
    int n_threads() const { return team_.n_threads(); }
    CpuLevel cpu_level() const { return cpu_level_; }
    int max_rows() const { return options_.prefill_chunk; }
    int max_outputs() const { return options_.max_outputs; }
    int max_sequences() const { return options_.max_sequences; }
    const KvCache& cache() const { return cache_; }
    KvCache& cache() { return cache_; }
    Executor& executor() { return *executor_; }
    ThreadTeam& team() { return team_; }

    /// Takes the pages and the slot of state that n_tokens more will need, as step() does by itself; false,
    /// and nothing is taken, when there are not enough.
    bool reserve(Sequence& sequence, int64_t n_tokens) { return cache_.reserve(sequence.kv, n_tokens); }
    Sequence new_sequence() const { return {cache_.new_sequence()}; }
    void release(Sequence& sequence) { cache_.release(sequence.kv); }
    /// Forgets the positions from n_tokens on; false when a sliding window has passed what would be needed,
    /// and for models with recurrent layers unless n_tokens is 0: those come back to a snapshot.
    bool truncate(Sequence& sequence, int64_t n_tokens) { return cache_.truncate(sequence.kv, n_tokens); }
    /// Remembers the sequence's present position, to be given back to release(); nullopt when max_snapshots
    /// are held already.
    std::optional<KvSnapshot> snapshot(const Sequence& sequence) { return cache_.snapshot(sequence.kv); }
    /// Brings the sequence that the snapshot was taken of back to it; false when a sliding window has passed
    /// what would be needed, or the sequence has become shorter.
    bool restore(Sequence& sequence, const KvSnapshot& snapshot) {
        return cache_.restore(sequence.kv, snapshot);
    }
    void release(KvSnapshot& snapshot) { cache_.release(snapshot); }

    /// One step over a ragged batch: at most max_rows() tokens and max_outputs() outputs in all, no sequence
    /// twice. Returns the logits [outputs, n_vocab], valid until the next step. Throws Error(usage) for a
    /// token outside the vocabulary and when the context is full (both numbers are said); nothing is stored
    /// then. Where a model has recurrent layers, the results are the same bits for all ways to cut a sequence
    /// into slices at multiples of model().graph.scan_chunk, and differ in the last bits for others.
    std::span<const float> step(std::span<const StepSlice> slices);

    /// Appends tokens in steps of at most max_rows(), cut at multiples of the scan chunk, and returns the
    /// last token's logits [n_vocab]. Stops early and returns an empty span once *cancel is set; what was
    /// appended by then stays.
    std::span<const float> prefill(Sequence& sequence, std::span<const int32_t> tokens,
                                   const std::atomic<bool>* cancel = nullptr);

    /// Appends tokens and calls visit(index of the token, its logits [n_vocab]) for each of the last
    /// `n_outputs`.
    void prefill_with_logits(Sequence& sequence, std::span<const int32_t> tokens, int64_t n_outputs,
                             const std::function<void(int64_t, std::span<const float>)>& visit);

  private:
    /// Throws Error(usage) when n_tokens more do not fit.
    void check_room(const Sequence& sequence, int64_t n_tokens) const;
    /// How many of the `n_left` tokens that follow position `begin` the next step takes, `most` at the most.
    int64_t step_length(int64_t begin, int64_t n_left, int64_t most) const;

    Model model_;
    EngineOptions options_;
    ThreadTeam team_;
    CpuLevel cpu_level_;
    int64_t context_size_;
    KvCache cache_;
    std::unique_ptr<Executor> executor_;
    PageMemory logits_;  ///< [max_outputs, n_vocab]
    std::vector<int32_t> tokens_, output_rows_;
    std::vector<BatchSlice> batch_slices_;
};

}  // namespace agave
