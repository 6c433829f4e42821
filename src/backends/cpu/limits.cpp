#include "backends/cpu/limits.h"

#include <cstring>

#include "base/system.h"

namespace agave::cpu {
namespace {

constexpr int kRuns = 5;
constexpr int64_t kSteps = 1'000'000;
constexpr size_t kReadBytes = size_t{256} << 20;

volatile float sink;

/// The least time of kRuns in which every thread of the team runs work(thread).
template <typename Work>
double best_seconds(ThreadTeam& team, Work work) {
    double best = 1e30;
    for (int run = 0; run < kRuns; ++run) {
        const double start = monotonic_seconds();
        team.run(work);
        const double seconds = monotonic_seconds() - start;
        if (seconds < best) best = seconds;
    }
    return best;
}

double operations_per_second(ThreadTeam& team, float (*loop)(int64_t), double operations_per_step) {
    if (!loop) return 0.0;
    const double seconds = best_seconds(team, [&](int) { sink = loop(kSteps); });
    return static_cast<double>(kSteps) * operations_per_step * team.n_threads() / seconds;
}

}  // namespace

MachineLimits measure_limits(ThreadTeam& team, CpuLevel level) {
    const PeakLoops& loops = kernels(level).peak;
    const double sums = loops.sums;
    MachineLimits limits{};
    limits.int8_ops_per_second = operations_per_second(team, loops.int8, sums * 64 * 2);
    limits.bf16_flops_per_second = operations_per_second(team, loops.bf16, sums * 32 * 2);
    limits.f32_flops_per_second = operations_per_second(team, loops.f32, sums * 16 * 2);

    const PageMemory memory(kReadBytes);
    const auto range = [&](int thread) { return thread_range(kReadBytes, 4096, thread, team.n_threads()); };
    team.run([&](int thread) {
        const Range r = range(thread);
        std::memset(memory.data() + r.begin, thread + 1, static_cast<size_t>(r.end - r.begin));
    });
    const double seconds = best_seconds(team, [&](int thread) {
        const Range r = range(thread);
        if (r.end > r.begin) sink = loops.read(memory.data() + r.begin, static_cast<size_t>(r.end - r.begin));
    });
    limits.read_bytes_per_second = static_cast<double>(kReadBytes) / seconds;
    return limits;
}

}  // namespace agave::cpu
