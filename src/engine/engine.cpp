#include "engine/engine.h"

#include <algorithm>
#include <utility>

#include "backends/cpu/executor.h"
#include "base/error.h"
#include "base/system.h"

namespace agave {

namespace {

constexpr int64_t kMaxContext = int64_t{1} << 31;
constexpr int kMaxThreads = 1024;

int choose_threads(int asked) {
    if (asked < 0 || asked > kMaxThreads)
        fail(ErrorKind::usage, "%d threads are out of range: 1 to %d, or 0 to use every processor", asked,
             kMaxThreads);
    return asked == 0 ? available_processors() : asked;
}

/// What a sequence needs to go on from a position, beside the pages that it keeps for ever.
size_t snapshot_bytes(const Model& model, KvFormat format) {
    size_t bytes = state_bytes(model.graph.state_layers);
    for (const KvLayer& layer : model.graph.kv_layers)
        if (layer.window != 0)
            bytes += page_bytes(layer.shape, format) * static_cast<size_t>(layer.window / kPageTokens + 1);
    return bytes;
}

/// The number of snapshots asked for, or as many as their memory holds; two in any case.
int choose_snapshots(const Model& model, const EngineOptions& options) {
    constexpr size_t kMost = 1024;
    const size_t one = snapshot_bytes(model, options.kv_format);
    if (options.max_snapshots >= 0 || one == 0) return std::max(options.max_snapshots, 0);
    const size_t bytes = options.snapshot_bytes ? options.snapshot_bytes : available_memory_bytes() / 8;
    return static_cast<int>(std::clamp<size_t>(bytes / one, 2, kMost));
}

/// The context asked for, or the model's own; the latter halved until its K/V fit into memory that is free.
int64_t choose_context(const Model& model, const EngineOptions& options) {
    const double available = static_cast<double>(available_memory_bytes());
    const double states =
        static_cast<double>(state_bytes(model.graph.state_layers)) * options.max_sequences +
        static_cast<double>(snapshot_bytes(model, options.kv_format)) * choose_snapshots(model, options);
    const auto bytes = [&](int64_t n_tokens) {
        return static_cast<double>(kv_bytes(model.graph.kv_layers, options.kv_format, n_tokens)) + states;
    };
    if (options.context_size < 0 || options.context_size > kMaxContext)
        fail(ErrorKind::usage,
             "a context of %lld tokens is out of range: 1 to %lld, or 0 for the model's own",
             static_cast<long long>(options.context_size), static_cast<long long>(kMaxContext));
    if (options.context_size > 0) {
        if (bytes(options.context_size) > available)
            fail(ErrorKind::usage,
                 "a context of %lld tokens needs %.1f GB for K/V, but %.1f GB of memory are available",
                 static_cast<long long>(options.context_size), bytes(options.context_size) / 1e9,
                 available / 1e9);
        return options.context_size;
    }
    int64_t context = model.context_length;
    while (context > 512 && bytes(context) > 0.8 * available) context /= 2;
    return context;
}

}  // namespace

Engine::Engine(const ModelFile& file, const EngineOptions& options)
    : model_(build_model(file)),
      options_(options),
      team_(choose_threads(options.n_threads)),
      cpu_level_(options.cpu_level.value_or(cpu::best_level())),
      context_size_(choose_context(model_, options)),
      cache_(model_.graph.kv_layers, options.kv_format, context_size_, options.max_sequences,
             options.prefill_chunk, model_.graph.state_layers, choose_snapshots(model_, options)),
      executor_(cpu::make_executor(model_.graph, team_,
                                   {.max_rows = options.prefill_chunk,
                                    .max_outputs = options.max_outputs,
                                    .exact = options.exact,
                                    .level = cpu_level_})),
      logits_(static_cast<size_t>(std::max(options.max_outputs, 1)) * static_cast<size_t>(model_.n_vocab) *
              sizeof(float)) {
    tokens_.reserve(static_cast<size_t>(options.prefill_chunk));
    output_rows_.reserve(static_cast<size_t>(options.max_outputs));
    batch_slices_.reserve(static_cast<size_t>(options.max_sequences));
}

void Engine::check_room(const Sequence& sequence, int64_t n_tokens) const {
    if (sequence.n_tokens() + n_tokens > context_size_)
        fail(ErrorKind::usage, "the context is full: it holds %lld tokens, and %lld are needed",
             static_cast<long long>(context_size_), static_cast<long long>(sequence.n_tokens() + n_tokens));
}

std::span<const float> Engine::step(std::span<const StepSlice> slices) {
    tokens_.clear();
    output_rows_.clear();
    batch_slices_.clear();
    for (const StepSlice& slice : slices) {
        const int row_begin = static_cast<int>(tokens_.size()),
                  n_rows = static_cast<int>(slice.tokens.size());
        for (int32_t token : slice.tokens)
            if (token < 0 || token >= model_.n_vocab)
                fail(ErrorKind::usage, "token id %d is outside the vocabulary of %lld", token,
                     static_cast<long long>(model_.n_vocab));
        check_room(*slice.sequence, n_rows);
        tokens_.insert(tokens_.end(), slice.tokens.begin(), slice.tokens.end());
        for (int i = n_rows - slice.n_outputs; i < n_rows; i++) output_rows_.push_back(row_begin + i);
        batch_slices_.push_back({&slice.sequence->kv, row_begin, n_rows, slice.sequence->n_tokens()});
    }
    size_t reserved = 0;
    while (reserved < slices.size() && cache_.reserve(slices[reserved].sequence->kv,
                                                      static_cast<int64_t>(slices[reserved].tokens.size())))
        reserved++;
    if (reserved < slices.size()) {
        for (size_t i = 0; i < reserved; i++)
            cache_.truncate(slices[i].sequence->kv, slices[i].sequence->n_tokens());
        if (!cache_.has_room_for_state(slices[reserved].sequence->kv))
            fail(ErrorKind::usage, "all %d slots of recurrent state are held by other sequences",
                 cache_.n_state_slots());
        fail(ErrorKind::usage, "the K/V cache is full: it holds %lld tokens over all sequences",
             static_cast<long long>(context_size_));
    }
    float* logits = reinterpret_cast<float*>(logits_.data());
    executor_->run({tokens_, batch_slices_, output_rows_}, cache_, logits);
    for (const StepSlice& slice : slices)
        cache_.commit(slice.sequence->kv, static_cast<int64_t>(slice.tokens.size()));
    return {logits, output_rows_.size() * static_cast<size_t>(model_.n_vocab)};
}

int64_t Engine::step_length(int64_t begin, int64_t n_left, int64_t most) const {
    if (n_left <= most) return n_left;
    const int64_t end = (begin + most) / model_.graph.scan_chunk * model_.graph.scan_chunk;
    return end > begin ? end - begin : most;
}

std::span<const float> Engine::prefill(Sequence& sequence, std::span<const int32_t> tokens,
                                       const std::atomic<bool>* cancel) {
    check_room(sequence, static_cast<int64_t>(tokens.size()));
    std::span<const float> logits;
    while (!tokens.empty()) {
        if (cancel && cancel->load(std::memory_order_relaxed)) return {};
        const size_t n = static_cast<size_t>(
            step_length(sequence.n_tokens(), static_cast<int64_t>(tokens.size()), max_rows()));
        const StepSlice slice{&sequence, tokens.first(n), n == tokens.size() ? 1 : 0};
        logits = step({&slice, 1});
        tokens = tokens.subspan(n);
    }
    return logits;
}

void Engine::prefill_with_logits(Sequence& sequence, std::span<const int32_t> tokens, int64_t n_outputs,
                                 const std::function<void(int64_t, std::span<const float>)>& visit) {
    const int64_t n_tokens = static_cast<int64_t>(tokens.size());
    check_room(sequence, n_tokens);
    const int64_t first_output = n_tokens - std::min(n_outputs, n_tokens);
    for (int64_t begin = 0; begin < n_tokens;) {
        // Beyond the first output every row gives one; a step that ends before it may be longer.
        const int64_t before = std::max<int64_t>(0, first_output - begin);
        const int64_t most = std::min<int64_t>(max_rows(), before + max_outputs());
        const int64_t n = step_length(sequence.n_tokens(), n_tokens - begin, most);
        const int64_t outputs = std::max<int64_t>(0, n - before);
        const StepSlice slice{&sequence, tokens.subspan(static_cast<size_t>(begin), static_cast<size_t>(n)),
                              static_cast<int>(outputs)};
        const std::span<const float> logits = step({&slice, 1});
        for (int64_t i = 0; i < outputs; i++)
            visit(begin + n - outputs + i,
                  logits.subspan(static_cast<size_t>(i * n_vocab()), static_cast<size_t>(n_vocab())));
        begin += n;
    }
}

}  // namespace agave
