#include "engine/format_speed.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/system.h"
#include "graph/graph.h"
#include "kv/cache.h"

namespace agave {

namespace {

constexpr size_t kBytes = size_t{192} << 20;  // beyond the caches
constexpr int kRows = 256;                    // of a prefill
constexpr double kLeastSeconds = 0.3;

/// Tensors that lie one behind the other, filled with numbers that are neither zero nor subnormal.
class Matrices {
  public:
    Matrices(Format format, int64_t columns, int64_t rows) {
        Tensor tensor;
        tensor.format = format;
        tensor.n_dims = 2;
        tensor.shape = {columns, rows, 1, 1};
        tensor.n_bytes = tensor.row_bytes() * static_cast<size_t>(rows);
        const size_t n = std::clamp<size_t>(kBytes / tensor.n_bytes, 1, 64);
        memory_ = PageMemory(n * tensor.n_bytes);
        std::memset(memory_.data(), 0x11, memory_.size());
        for (size_t i = 0; i < n; i++) {
            tensor.data = memory_.data() + i * tensor.n_bytes;
            tensors_.push_back(tensor);
        }
        table_.resize(static_cast<size_t>(columns), 0.5f);
    }
    size_t n() const { return tensors_.size(); }
    size_t matrix_bytes() const { return tensors_[0].n_bytes; }
    double matrix_operations() const { return 2.0 * static_cast<double>(tensors_[0].n_elements()); }

    /// x times each of the first `n` matrices, for all rows; the last for one row more.
    Graph graph(size_t n) {
        embedding_.n_dims = 2;
        embedding_.shape = {static_cast<int64_t>(table_.size()), 1, 1, 1};
        embedding_.data = reinterpret_cast<const std::byte*>(table_.data());
        embedding_.n_bytes = table_.size() * sizeof(float);
        Graph graph;
        const Value x = graph.embed(embedding_);
        for (size_t i = 0; i < n; i++) graph.linear(x, tensors_[i]);
        graph.set_logits(graph.linear(graph.select_outputs(x), tensors_[0]));
        return graph;
    }

  private:
    PageMemory memory_;
    std::vector<Tensor> tensors_;
    std::vector<float> table_;
    Tensor embedding_;
};

/// Seconds of the median of some runs of `n_rows` rows.
double median_seconds(const Graph& graph, int n_rows, int64_t n_logits, ThreadTeam& team, bool exact,
                      CpuLevel level) {
    const std::unique_ptr<Executor> executor = cpu::make_executor(
        graph, team, {.max_rows = n_rows, .max_outputs = 1, .exact = exact, .level = level});
    KvCache cache({}, KvFormat::f16, 1, 1, 1);
    const KvSequence sequence = cache.new_sequence();
    const std::vector<int32_t> tokens(static_cast<size_t>(n_rows), 0);
    const int32_t last = n_rows - 1;
    const BatchSlice slice{&sequence, 0, n_rows, 0};
    std::vector<float> logits(static_cast<size_t>(n_logits));
    std::vector<double> seconds;
    const double start = monotonic_seconds();
    // The first run does not count.
    for (int run = 0; run < 4 || (run < 30 && monotonic_seconds() - start < kLeastSeconds); run++) {
        const double begin = monotonic_seconds();
        executor->run({tokens, {&slice, 1}, {&last, 1}}, cache, logits.data());
        if (run > 0) seconds.push_back(monotonic_seconds() - begin);
    }
    std::nth_element(seconds.begin(), seconds.begin() + static_cast<int64_t>(seconds.size() / 2),
                     seconds.end());
    return seconds[seconds.size() / 2];
}

}  // namespace

FormatSpeed measure_format_speed(Format format, int64_t columns, int64_t rows, ThreadTeam& team, bool exact,
                                 CpuLevel level) {
    Matrices matrices(format, columns, rows);
    const size_t n_prefill = std::min<size_t>(matrices.n(), 4);
    const double decode = median_seconds(matrices.graph(matrices.n()), 1, rows, team, exact, level);
    const double prefill = median_seconds(matrices.graph(n_prefill), kRows, rows, team, exact, level);
    const auto n = static_cast<double>(matrices.n()), bytes = static_cast<double>(matrices.matrix_bytes());
    return {(n + 1) * bytes / decode,
            (static_cast<double>(n_prefill) * kRows + 1) * matrices.matrix_operations() / prefill};
}

}  // namespace agave
