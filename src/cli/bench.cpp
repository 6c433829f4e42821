#include <algorithm>

#include "backends/cpu/limits.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "base/system.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/output.h"

namespace agave::cli {

namespace {

/// Repeated runs of one thing.
struct Measurement {
    int64_t n_tokens, depth;
    int64_t n_sequences;
    std::vector<double> seconds;  ///< of each run, ascending
    double bytes = 0;             ///< of weights and K/V that one run reads
    double operations = 0;        ///< multiplications and additions of one run

    double median_seconds() const {
        const size_t n = seconds.size();
        return n % 2 ? seconds[n / 2] : (seconds[n / 2 - 1] + seconds[n / 2]) / 2;
    }
    double rate(double run_seconds) const {
        return static_cast<double>(n_tokens * n_sequences) / run_seconds;
    }
};

/// The unit of the machine that bounds a prefill of this model.
struct ComputeLimit {
    const char* name;
    double operations_per_second;
};

ComputeLimit compute_limit(const ModelFile& file, bool exact, const cpu::MachineLimits& limits) {
    uint64_t quantized = 0, bfloat16 = 0, other = 0;
    for (const Tensor& tensor : file.tensors()) {
        const bool is_quantized = format_info(tensor.format).block_elements > 1;
        (is_quantized ? quantized : tensor.format == Format::bf16 ? bfloat16 : other) += tensor.n_bytes;
    }
    if (!exact && quantized >= bfloat16 + other) return {"int8", limits.int8_ops_per_second};
    if (!exact && bfloat16 >= other && limits.bf16_flops_per_second > 0)
        return {"bf16", limits.bf16_flops_per_second};
    return {"f32", limits.f32_flops_per_second};
}

/// Sequences that hold `depth` tokens each, and the runs that start from there.
class Bench {
  public:
    Bench(Engine& engine, int64_t repetitions) : engine_(engine), repetitions_(repetitions) {}
    ~Bench() { use_sequences(0); }
    Bench(const Bench&) = delete;
    Bench& operator=(const Bench&) = delete;

    Measurement prefill(int64_t n_tokens, int64_t depth) {
        use_sequences(1);
        const std::vector<int32_t> tokens = make_tokens(depth, n_tokens);
        return measure(n_tokens, depth, [&] { engine_.prefill(sequences_[0], tokens); });
    }
    Measurement decode(int64_t n_tokens, int64_t depth, int64_t n_sequences) {
        use_sequences(static_cast<size_t>(n_sequences));
        const std::vector<int32_t> tokens = make_tokens(depth, n_tokens + n_sequences);
        return measure(n_tokens, depth, [&] {
            std::vector<StepSlice> slices(sequences_.size());
            for (size_t i = 0; i < static_cast<size_t>(n_tokens); i++) {
                for (size_t s = 0; s < sequences_.size(); s++)
                    slices[s] = {&sequences_[s], std::span(tokens).subspan(i + s, 1), 1};
                engine_.step(slices);
            }
        });
    }

  private:
    void use_sequences(size_t n) {
        for (; sequences_.size() > n; sequences_.pop_back()) engine_.release(sequences_.back());
        while (sequences_.size() < n) sequences_.push_back(engine_.new_sequence());
    }

    /// Ids that go through the vocabulary, so that no cache line of the embedding is hot.
    std::vector<int32_t> make_tokens(int64_t first, int64_t n) const {
        std::vector<int32_t> tokens(static_cast<size_t>(n));
        for (int64_t i = 0; i < n; i++)
            tokens[static_cast<size_t>(i)] =
                static_cast<int32_t>((1000 + 7 * (first + i)) % engine_.n_vocab());
        return tokens;
    }

    /// Leaves exactly `depth` tokens in each sequence.
    void rewind(int64_t depth) {
        for (Sequence& sequence : sequences_) {
            if (sequence.n_tokens() < depth || !engine_.truncate(sequence, depth)) engine_.release(sequence);
            const int64_t held = sequence.n_tokens();
            if (held < depth) engine_.prefill(sequence, make_tokens(held, depth - held));
        }
    }

    template <typename Run>
    Measurement measure(int64_t n_tokens, int64_t depth, const Run& run) {
        Measurement result{n_tokens, depth, static_cast<int64_t>(sequences_.size()), {}};
        for (int64_t i = 0; i <= repetitions_; i++) {
            rewind(depth);
            const double begin = monotonic_seconds();
            run();
            if (i > 0) result.seconds.push_back(monotonic_seconds() - begin);
        }
        std::sort(result.seconds.begin(), result.seconds.end());
        // Counted in a run of its own, since counting takes time.
        rewind(depth);
        engine_.executor().set_profiling(true);
        run();
        engine_.executor().set_profiling(false);
        for (const OperationProfile& row : engine_.executor().profile()) {
            result.bytes += row.weight_bytes;
            result.operations += row.operations;
        }
        return result;
    }

    Engine& engine_;
    int64_t repetitions_;
    std::vector<Sequence> sequences_;
};

void write_json(JsonWriter& json, const Measurement& m, const char* limit, double share) {
    json.begin_object();
    json.member("tokens", m.n_tokens);
    json.member("depth", m.depth);
    json.member("sequences", m.n_sequences);
    json.member("tokens_per_second", m.rate(m.median_seconds()));
    json.member("tokens_per_second_lowest", m.rate(m.seconds.back()));
    json.member("tokens_per_second_highest", m.rate(m.seconds.front()));
    json.member("bytes_per_second", m.bytes / m.median_seconds());
    json.member("operations_per_second", m.operations / m.median_seconds());
    json.member("limit", limit);
    json.member("share_of_limit", share);
    json.end_object();
}

void print_text(const char* what, const Measurement& m, const char* limit, double share) {
    const double seconds = m.median_seconds();
    const std::string sequences =
        m.n_sequences == 1 ? "" : strprintf("%lld x ", static_cast<long long>(m.n_sequences));
    printf_out(
        "%-8s %6s tokens at depth %-6lld %9.1f tokens/s (%.1f to %.1f)  %7.2f GB/s %8.1f GOP/s  %3.0f%% of "
        "%s\n",
        what, (sequences + std::to_string(m.n_tokens)).c_str(), static_cast<long long>(m.depth),
        m.rate(seconds), m.rate(m.seconds.back()), m.rate(m.seconds.front()), m.bytes / seconds / 1e9,
        m.operations / seconds / 1e9, 100 * share, limit);
    flush_output();
}

int64_t longest(const std::vector<int64_t>& values) {
    return *std::max_element(values.begin(), values.end());
}

}  // namespace

int bench_command(const CommandLine& line) {
    const Options& options = line.options;
    const int64_t n_sequences = longest(options.bench_sequences);
    const int64_t context =
        longest(options.depths) + std::max(longest(options.prefill_lengths), longest(options.decode_lengths));
    if (context == longest(options.depths)) fail(ErrorKind::usage, "-p 0 and -n 0 leave nothing to measure");
    const ModelFile file = open_model(line.arguments[0]);
    EngineOptions for_engine =
        engine_options(options, options.kv_type, context * n_sequences, static_cast<int>(n_sequences));
    for_engine.max_sequences = static_cast<int>(n_sequences);
    for_engine.prefill_chunk = std::max(for_engine.prefill_chunk, for_engine.max_sequences);
    Engine engine(file, for_engine);
    const cpu::MachineLimits limits = cpu::measure_limits(engine.team(), engine.cpu_level());
    const ComputeLimit compute = compute_limit(file, options.exact, limits);
    if (!options.json) {
        printf_out("%s, %s, %d threads, %s kernels\n", printable(engine.model().name).c_str(),
                   bytes_text(static_cast<double>(file.n_bytes())).c_str(), engine.n_threads(),
                   cpu_level_name(engine.cpu_level()));
        printf_out("limits: read %.1f GB/s, int8 %.0f GOP/s, bf16 %.0f GFLOP/s, f32 %.0f GFLOP/s\n",
                   limits.read_bytes_per_second / 1e9, limits.int8_ops_per_second / 1e9,
                   limits.bf16_flops_per_second / 1e9, limits.f32_flops_per_second / 1e9);
        flush_output();
    }

    Bench bench(engine, options.repetitions);
    JsonWriter json;
    json.begin_object();
    json.member("model", engine.model().name);
    json.member("threads", static_cast<int64_t>(engine.n_threads()));
    json.member("cpu_level", cpu_level_name(engine.cpu_level()));
    const auto write = [&](const char* name, const Measurement& m, bool reads) {
        const double share = reads ? m.bytes / m.median_seconds() / limits.read_bytes_per_second
                                   : m.operations / m.median_seconds() / compute.operations_per_second;
        const char* limit = reads ? "read" : compute.name;
        write_json(json, m, limit, share);
        if (!options.json) print_text(name, m, limit, share);
    };
    json.key("prefill");
    json.begin_array();
    for (int64_t depth : options.depths)
        for (int64_t n : options.prefill_lengths)
            if (n > 0) write("prefill", bench.prefill(n, depth), false);
    json.end_array();
    json.key("decode");
    json.begin_array();
    for (int64_t depth : options.depths)
        for (int64_t n : options.decode_lengths)
            for (int64_t sequences : options.bench_sequences)
                if (n > 0) write("decode", bench.decode(n, depth, sequences), true);
    json.end_array();
    write_limits(json, limits);
    json.end_object();
    if (options.json) {
        print(json.text());
        print("\n");
    }
    return 0;
}

}  // namespace agave::cli
