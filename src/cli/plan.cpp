#include <algorithm>

#include "backends/cpu/limits.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "base/system.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/output.h"
#include "engine/format_speed.h"
#include "engine/step_cost.h"

namespace agave::cli {

namespace {

constexpr int64_t kPrefillTokens = 512;
constexpr int64_t kMaxTokens = int64_t{1} << 31;  // in one cache
/// A format with a smaller share of the weights is taken to be read at the speed of plain memory.
constexpr double kLeastShare = 0.03;

/// What a model's memory goes to.
struct MemoryPlan {
    int64_t context;                       ///< tokens of each sequence
    uint64_t weights, scratch, kv, state;  ///< bytes in all
    double kv_of_token;                    ///< bytes, of the layers that keep every position
    uint64_t total() const { return weights + scratch + kv + state; }
};

struct SpeedPlan {
    int64_t n_tokens, depth;
    double bytes;              ///< that a token reads (decode)
    double expected, at_most;  ///< tokens per second
};

struct MeasuredFormat {
    Format format;
    FormatSpeed speed;
};

/// Everything that the plan is made from.
class Planner {
  public:
    Planner(const ModelFile& file, const Options& options)
        : file_(file),
          options_(options),
          engine_(file, planned_options(options)),
          limits_(cpu::measure_limits(engine_.team(), engine_.cpu_level())) {}

    Engine& engine() { return engine_; }
    const cpu::MachineLimits& limits() const { return limits_; }

    MemoryPlan memory(int64_t context) {
        const Graph& graph = engine_.model().graph;
        const int n = static_cast<int>(options_.sequences);
        const KvCache cache(graph.kv_layers, engine_.cache().format(), context * n, n, engine_.max_rows(),
                            graph.state_layers);
        MemoryPlan plan{context, 0, engine_.executor().scratch_bytes(), 0, cache.state_bytes(), 0};
        for (const Tensor& tensor : file_.tensors()) plan.weights += tensor.n_bytes;
        plan.state *= static_cast<uint64_t>(n);
        plan.kv = cache.reserved_bytes() - plan.state;
        plan.kv_of_token = static_cast<double>(cache.full_page_bytes()) / kPageTokens;
        return plan;
    }

    /// The longest context, up to the model's own, with which everything fits into `available` bytes; 0:
    /// none.
    int64_t longest_context(uint64_t available) {
        int64_t fits = 0, beyond = engine_.model().context_length + 1;
        while (beyond - fits > 1) {
            const int64_t middle = fits + (beyond - fits) / 2;
            (fits_in(middle, available) ? fits : beyond) = middle;
        }
        return fits;
    }

    void measure_formats() {
        const StepCost cost = step_cost(engine_.model().graph, engine_.cache().format(), 0, 1);
        for (const MatrixCost& matrix : cost.matrices) {
            if (matrix.bytes < kLeastShare * cost.bytes()) continue;
            const Tensor& tensor = typical_tensor(matrix.format);
            measured_.push_back(
                {matrix.format, measure_format_speed(matrix.format, tensor.shape[0], tensor.shape[1],
                                                     engine_.team(), options_.exact, engine_.cpu_level())});
        }
    }

    /// Of a step of `n_tokens` at `depth`: how long the matrices take at the speeds measured, and what else
    /// is read and computed at the machine's limits.
    SpeedPlan speed(int64_t n_tokens, int64_t depth) const {
        const StepCost cost = step_cost(engine_.model().graph, engine_.cache().format(), depth, n_tokens);
        const double read = read_limit(), cache_read = cost.cache_bytes / read;
        double seconds = std::max(cache_read, cost.cache_operations / limits_.f32_flops_per_second);
        double at_best =
            std::max(cache_read, cost.cache_operations /
                                     std::max(limits_.f32_flops_per_second, limits_.bf16_flops_per_second));
        for (const MatrixCost& matrix : cost.matrices) {
            const FormatSpeed speed = speed_of(matrix.format);
            seconds += n_tokens == 1 ? matrix.bytes / speed.decode_bytes_per_second
                                     : matrix.operations / speed.prefill_operations_per_second;
            at_best += std::max(matrix.bytes / read, matrix.operations / best_operations(matrix.format));
        }
        const auto n = static_cast<double>(n_tokens);
        return {n_tokens, depth, cost.bytes(), n / seconds, n / at_best};
    }

  private:
    bool fits_in(int64_t context, uint64_t available) {
        try {
            return memory(context).total() <= available;
        } catch (const Error&) {  // not even addresses can be had
            return false;
        }
    }

    static EngineOptions planned_options(const Options& options) {
        EngineOptions result =
            engine_options(options, options.kv_type, 0, static_cast<int>(options.sequences));
        result.max_sequences = static_cast<int>(options.sequences);
        return result;
    }

    /// Of the tensors of a format, the one in the middle by bytes.
    const Tensor& typical_tensor(Format format) const {
        std::vector<const Tensor*> tensors;
        double half = 0;
        for (const Tensor& tensor : file_.tensors())
            if (tensor.format == format && tensor.n_dims > 1) {
                tensors.push_back(&tensor);
                half += static_cast<double>(tensor.n_bytes) / 2;
            }
        std::sort(tensors.begin(), tensors.end(),
                  [](const Tensor* a, const Tensor* b) { return a->shape[1] < b->shape[1]; });
        size_t i = 0;
        while (i + 1 < tensors.size() && (half -= static_cast<double>(tensors[i]->n_bytes)) > 0) i++;
        return *tensors[i];
    }

    FormatSpeed speed_of(Format format) const {
        for (const MeasuredFormat& row : measured_)
            if (row.format == format) return row.speed;
        return {limits_.read_bytes_per_second, best_operations(format)};
    }

    /// A moment's disturbance makes a measurement too low, never too high.
    double read_limit() const {
        double best = limits_.read_bytes_per_second;
        for (const MeasuredFormat& row : measured_) best = std::max(best, row.speed.decode_bytes_per_second);
        return best;
    }

    double best_operations(Format format) const {
        const bool integer = format_info(format).block_elements > 1 && !options_.exact;
        if (integer) return limits_.int8_ops_per_second;
        return format == Format::bf16 && !options_.exact && limits_.bf16_flops_per_second > 0
                   ? limits_.bf16_flops_per_second
                   : limits_.f32_flops_per_second;
    }

    const ModelFile& file_;
    const Options& options_;
    Engine engine_;
    const cpu::MachineLimits limits_;
    std::vector<MeasuredFormat> measured_;
};

std::string size_text(double bytes) {
    return bytes_text(bytes);
}
std::string size_text(uint64_t bytes) {
    return bytes_text(static_cast<double>(bytes));
}

void print_memory(const MemoryPlan& memory, const Options& options, uint64_t available, int64_t longest,
                  int64_t own) {
    print("\nmemory\n");
    printf_out("  weights  %10s  read in place from the file\n", size_text(memory.weights).c_str());
    const std::string sequences =
        options.sequences == 1 ? "" : strprintf("%lld x ", static_cast<long long>(options.sequences));
    printf_out("  K/V      %10s  %s%lld tokens as %s, %s a token%s\n", size_text(memory.kv).c_str(),
               sequences.c_str(), static_cast<long long>(memory.context), options.kv_type.c_str(),
               size_text(memory.kv_of_token).c_str(),
               memory.kv_of_token * static_cast<double>(memory.context) <
                       0.9 * static_cast<double>(memory.kv) / static_cast<double>(options.sequences)
                   ? " and what sliding windows hold"
                   : "");
    if (memory.state > 0)
        printf_out("  state    %10s  of recurrent layers, whatever the length\n",
                   size_text(memory.state).c_str());
    printf_out("  scratch  %10s\n", size_text(memory.scratch).c_str());
    printf_out("  total    %10s  %s: %s are available\n", size_text(memory.total()).c_str(),
               memory.total() <= available ? "fits" : "does NOT fit", size_text(available).c_str());
    if (longest == 0)
        print("  no context fits: the weights alone would be read from the disk again for each token\n");
    else
        printf_out("  the longest context that fits is %lld tokens%s\n", static_cast<long long>(longest),
                   longest == own ? ", all that the model knows" : "");
}

void write_json(JsonWriter& json, const MemoryPlan& memory, const SpeedPlan* speeds, uint64_t available,
                int64_t longest, Planner& planner, const Options& options) {
    const Model& model = planner.engine().model();
    json.begin_object();
    json.member("model", model.name);
    json.member("architecture", model.architecture);
    json.member("device", "cpu");
    json.member("threads", static_cast<int64_t>(planner.engine().n_threads()));
    json.member("cpu_level", cpu_level_name(planner.engine().cpu_level()));
    json.member("context", memory.context);
    json.member("sequences", options.sequences);
    json.member("context_length", model.context_length);
    json.member("longest_context", longest);
    json.key("memory");
    json.begin_object();
    json.member("weight_bytes", memory.weights);
    json.member("kv_bytes", memory.kv);
    json.member("kv_bytes_per_token", memory.kv_of_token);
    json.member("state_bytes", memory.state);
    json.member("scratch_bytes", memory.scratch);
    json.member("total_bytes", memory.total());
    json.member("available_bytes", available);
    json.member("fits", memory.total() <= available);
    json.end_object();
    for (int decode = 0; decode < 2; decode++) {
        json.key(decode ? "decode" : "prefill");
        json.begin_array();
        for (int i = 0; i < 2; i++) {
            const SpeedPlan& speed = speeds[2 * decode + i];
            json.begin_object();
            json.member("tokens", speed.n_tokens);
            json.member("depth", speed.depth);
            json.member("tokens_per_second", speed.expected);
            json.member("tokens_per_second_at_most", speed.at_most);
            if (decode) json.member("bytes_per_token", speed.bytes);
            json.end_object();
        }
        json.end_array();
    }
    write_limits(json, planner.limits());
    json.end_object();
    print(json.text());
    print("\n");
}

void print_speeds(const SpeedPlan* speeds) {
    print("\nspeed                               expected     at most\n");
    for (int i = 0; i < 4; i++) {
        const SpeedPlan& speed = speeds[i];
        printf_out(
            "  %-8s %4lld tokens at depth %-7lld %8.1f  %10.1f  tokens/s%s\n",
            speed.n_tokens == 1 ? "decode" : "prefill", static_cast<long long>(speed.n_tokens),
            static_cast<long long>(speed.depth), speed.expected, speed.at_most,
            speed.n_tokens == 1 ? strprintf(", %s a token", size_text(speed.bytes).c_str()).c_str() : "");
    }
    print(
        "  expected: from the speed of matrices of these formats and shapes, measured just now;\n"
        "  at most: from the speed of memory and of the arithmetic units, which no program exceeds\n");
}

}  // namespace

int plan_command(const CommandLine& line) {
    const Options& options = line.options;
    const ModelFile file = open_model_file(model_path(line.arguments[0]));
    Planner planner(file, options);
    const Engine& engine = planner.engine();
    const uint64_t available = available_memory_bytes();
    const int64_t longest = planner.longest_context(available), own = engine.model().context_length;
    int64_t context = options.context_size;
    if (context == 0)
        context = options.sequences == 1 ? engine.context_size() : std::max<int64_t>(longest, 1);
    if (context > kMaxTokens / options.sequences)
        fail(ErrorKind::usage, "%lld sequences of %lld tokens are more than the %lld that one cache can hold",
             static_cast<long long>(options.sequences), static_cast<long long>(context),
             static_cast<long long>(kMaxTokens));
    const MemoryPlan memory = planner.memory(context);
    planner.measure_formats();
    const int64_t prefill = std::min(kPrefillTokens, context);
    const SpeedPlan speeds[] = {planner.speed(prefill, 0), planner.speed(prefill, context - prefill),
                                planner.speed(1, 0), planner.speed(1, context - 1)};
    if (options.json) {
        JsonWriter json;
        write_json(json, memory, speeds, available, longest, planner, options);
        return 0;
    }
    printf_out("%s (%s) on the CPU: %d threads, %s kernels\n", printable(engine.model().name, 200).c_str(),
               printable(engine.model().architecture).c_str(), engine.n_threads(),
               cpu_level_name(engine.cpu_level()));
    print_memory(memory, options, available, longest, own);
    print_speeds(speeds);
    return 0;
}

}  // namespace agave::cli
