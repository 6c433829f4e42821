// Benchmarks of the matrix multiplication: format x level x threads, as a share of the limits that are
// measured in the same process. Choose with --benchmark_filter, e.g. 'decode/avx512-bf16/Q4_0'.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "backends/cpu/kernels.h"
#include "backends/cpu/limits.h"
#include "base/error.h"
#include "base/system.h"
#include "base/thread_team.h"
#include "matmul_case.h"

namespace agave::cpu {
namespace {

struct Team {
    explicit Team(int n_threads) : team(n_threads) {}
    ThreadTeam team;

    /// Measured at the first use of each level.
    const MachineLimits& limits(CpuLevel level) {
        for (const auto& [known, limits] : measured_)
            if (known == level) return limits;
        measured_.emplace_back(level, measure_limits(team, level));
        return measured_.back().second;
    }

  private:
    std::vector<std::pair<CpuLevel, MachineLimits>> measured_;
};

Team& team_of(int n_threads) {
    static std::vector<std::unique_ptr<Team>> teams;
    for (auto& t : teams)
        if (t->team.n_threads() == n_threads) return *t;
    teams.push_back(std::make_unique<Team>(n_threads));
    return *teams.back();
}

struct Shape {
    Format format;
    CpuLevel level;
    int64_t n_weights, k;
    int n_rows, n_threads;
};

/// Multiplies `shape` again and again, each thread its share of the weight rows, walking through copies of
/// the matrix that together exceed the last cache when it is a decode.
void run_matmul(benchmark::State& state, const Shape& shape) {
    const Kernels& table = kernels(shape.level);
    Team& team = team_of(shape.n_threads);
    const MatmulCase c(shape.format, shape.n_weights, shape.k, shape.n_rows);
    const Activation activation = table.activation_for(shape.format);
    const size_t activation_bytes = activation_row_bytes(activation, shape.k);
    const AlignedBytes rows(activation_bytes * static_cast<size_t>(shape.n_rows));
    for (int r = 0; r < shape.n_rows; ++r)
        table.quantize_row(activation, c.x.data() + r * shape.k, shape.k,
                           rows.data() + static_cast<size_t>(r) * activation_bytes);
    const size_t bytes = c.weights.size();
    constexpr size_t kBeyondCache = size_t{192} << 20;
    const size_t n_copies = shape.n_rows < 64 ? kBeyondCache / bytes + 1 : 1;
    const PageMemory copies(bytes * n_copies);
    for (size_t i = 0; i < n_copies; ++i) std::memcpy(copies.data() + i * bytes, c.weights.data(), bytes);
    std::vector<float> out(static_cast<size_t>(shape.n_rows * shape.n_weights));
    const size_t scratch_bytes = (matmul_scratch_bytes(shape.k) + 4095) / 4096 * 4096;
    const AlignedBytes scratch(scratch_bytes * static_cast<size_t>(shape.n_threads));

    size_t copy = 0;
    double best = 1e30;
    for (auto _ : state) {
        const double start = monotonic_seconds();
        team.team.run([&](int thread) {
            const Range range = thread_range(shape.n_weights, kPanelRows, thread, shape.n_threads);
            MatmulTask task{c.matrix(),  range.begin,
                            range.end,   activation,
                            rows.data(), shape.n_rows,
                            out.data(),  shape.n_weights,
                            false,       scratch.data() + static_cast<size_t>(thread) * scratch_bytes};
            task.weights.data = copies.data() + copy * bytes;
            table.matmul(task);
        });
        const double took = monotonic_seconds() - start;
        state.SetIterationTime(took);
        best = std::min(best, took);
        copy = (copy + 1) % n_copies;
    }
    // The counters are of the fastest pass, as the limits are: another process on the machine spoils a mean.
    const MachineLimits& limits = team.limits(shape.level);
    const double bytes_per_second = static_cast<double>(bytes) / best;
    const double operations = 2.0 * static_cast<double>(shape.n_weights * shape.k) * shape.n_rows / best;
    state.counters["GB/s"] = bytes_per_second * 1e-9;
    state.counters["Gop/s"] = operations * 1e-9;
    state.counters["of_bandwidth"] = bytes_per_second / limits.read_bytes_per_second;
    const double peak = activation == Activation::float32    ? limits.f32_flops_per_second
                        : activation == Activation::bfloat16 ? limits.bf16_flops_per_second
                                                             : limits.int8_ops_per_second;
    state.counters["of_peak"] = operations / peak;
}

void register_all() {
    const char* kinds[] = {"decode", "batch8", "prefill"};
    const int n_rows[] = {1, 8, 512};
    for (CpuLevel level : available_levels())
        for (const FormatInfo& info : formats())
            for (int kind = 0; kind < 3; ++kind)
                for (int64_t k : {640, 2048}) {
                    if (k % info.block_elements != 0) continue;
                    for (int n_threads : {1, 2}) {
                        const int64_t n_weights = 2048;
                        const Shape shape{info.format, level, n_weights, k, n_rows[kind], n_threads};
                        const std::string name =
                            strprintf("%s/%s/%s/k%d/threads%d", kinds[kind], cpu_level_name(level), info.name,
                                      static_cast<int>(k), n_threads);
                        benchmark::RegisterBenchmark(name.c_str(), run_matmul, shape)
                            ->UseManualTime()
                            ->MinTime(0.3)
                            ->Unit(benchmark::kMicrosecond);
                    }
                }
}

}  // namespace
}  // namespace agave::cpu

int main(int argc, char** argv) {
    agave::cpu::register_all();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
