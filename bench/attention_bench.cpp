#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/kernels.h"
#include "base/cpu_features.h"
#include "base/thread_team.h"

// Attention by itself: decode (one row at the end of a context; GB/s of K and V) and prefill (all rows of a
// prompt; GFLOP/s of the two products over the keys that each row sees).
//
//     attention_bench [--benchmark_filter=decode.*threads:2]

namespace agave::cpu {
namespace {

struct Heads {
    int n_heads, kv_heads, head_dim;
};

/// One layer's attention with K/V pages in order, in memory that is larger than the caches where the context
/// is long: `copies` sequences taken in turn, as the layers of a model would.
class Layer {
  public:
    Layer(const Heads& heads, int64_t context, int n_rows, int copies)
        : heads_(heads),
          context_(context),
          n_rows_(n_rows),
          copies_(copies),
          kernels_(kernels(best_cpu_level())) {
        const auto n_pages = static_cast<size_t>((context + kPageTokens - 1) / kPageTokens);
        const KvShape shape = kv_shape();
        part_bytes_ = page_bytes(shape, KvFormat::f16);
        pool_.reset(static_cast<std::byte*>(std::aligned_alloc(
            size_t{2} << 20,
            round_up(n_pages * part_bytes_ * static_cast<size_t>(copies), size_t{2} << 20))));
        // As the cache of K and V does: long contexts would otherwise spend their time on page table walks.
        ::madvise(pool_.get(), n_pages * part_bytes_ * static_cast<size_t>(copies), MADV_HUGEPAGE);
        for (size_t page = 0; page < n_pages; ++page) page_ids_.push_back(static_cast<int32_t>(page));
        std::mt19937 random(1);
        std::normal_distribution<float> normal;
        std::vector<float> k(static_cast<size_t>(heads.kv_heads * heads.head_dim)), v(k.size());
        for (int copy = 0; copy < copies; ++copy) {
            for (int64_t p = 0; p < context; ++p) {
                if (p < kPageTokens)
                    for (size_t i = 0; i < k.size(); ++i) k[i] = normal(random), v[i] = normal(random);
                kernels_.store_kv(view(copy), shape, KvFormat::f16, p, k.data(), v.data());
            }
        }
        q_.resize(static_cast<size_t>(n_rows) * static_cast<size_t>(heads.n_heads * heads.head_dim));
        for (float& x : q_) x = normal(random);
        out_.resize(q_.size());
        partials_.resize(attention_partial_floats(task(0)));
    }

    void run(ThreadTeam& team, int copy) {
        const AttentionTask attention = task(copy);
        const int64_t items = attention_items(attention);
        const int64_t merges = attention_merges(attention);
        std::atomic<int64_t> next{0};
        team.run([&](int thread) {
            std::byte* scratch = scratch_of(thread);
            for (int64_t item = next++; item < items; item = next++)
                kernels_.attention_item(attention, item, partials_.data(), scratch);
            if (merges == 0) return;
            team.barrier();
            const Range range = thread_range(merges, 1, thread, team.n_threads());
            kernels_.attention_merge(attention, static_cast<int>(range.begin), static_cast<int>(range.end),
                                     partials_.data());
        });
    }

    double kv_bytes() const {
        return static_cast<double>(context_) * 2 * heads_.kv_heads * heads_.head_dim * 2;
    }
    double flops() const {
        const double first = static_cast<double>(context_ - n_rows_ + 1),
                     last = static_cast<double>(context_);
        return 4.0 * heads_.n_heads * heads_.head_dim * n_rows_ * (first + last) / 2;
    }

  private:
    static size_t round_up(size_t n, size_t multiple) { return (n + multiple - 1) / multiple * multiple; }
    KvShape kv_shape() const { return {heads_.kv_heads, heads_.head_dim, heads_.head_dim}; }
    KvView view(int copy) const {
        return {pool_.get() + static_cast<size_t>(copy) * page_ids_.size() * part_bytes_, part_bytes_,
                page_ids_.data()};
    }
    AttentionTask task(int copy) {
        AttentionTask task{};
        task.kv = view(copy);
        task.shape = kv_shape();
        task.format = KvFormat::f16;
        task.n_heads = heads_.n_heads;
        task.scale = 0.1f;
        task.first_position = context_ - n_rows_;
        task.n_rows = n_rows_;
        task.q = q_.data();
        task.out = out_.data();
        task.q_stride = task.out_stride = int64_t{heads_.n_heads} * heads_.head_dim;
        return task;
    }
    std::byte* scratch_of(int thread) {
        thread_local std::unique_ptr<std::byte, decltype(&std::free)> memory(nullptr, &std::free);
        thread_local size_t bytes = 0;
        const size_t needed = round_up(attention_scratch_bytes(kv_shape(), heads_.n_heads), 64);
        if (bytes < needed) memory.reset(static_cast<std::byte*>(std::aligned_alloc(64, bytes = needed)));
        static_cast<void>(thread);
        return memory.get();
    }

    struct Free {
        void operator()(std::byte* p) const { std::free(p); }
    };
    Heads heads_;
    int64_t context_;
    int n_rows_;
    int copies_;
    const Kernels& kernels_;
    size_t part_bytes_;
    std::unique_ptr<std::byte, Free> pool_;
    std::vector<int32_t> page_ids_;
    std::vector<float> q_, out_, partials_;
};

void measure(benchmark::State& state, const Heads& heads, int64_t context, int n_rows, int copies,
             int n_threads) {
    Layer layer(heads, context, n_rows, copies);
    ThreadTeam team(n_threads);
    int copy = 0;
    for ([[maybe_unused]] auto _ : state) {
        layer.run(team, copy);
        copy = (copy + 1) % copies;
    }
    const auto rate = [&](double amount) {
        return benchmark::Counter(amount * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
    };
    state.counters["GB/s"] = rate(layer.kv_bytes());
    state.counters["GFLOP/s"] = rate(layer.flops());
}

void register_all() {
    const auto add = [](const char* kind, const Heads& heads, int64_t context, int n_rows, int copies) {
        for (const int threads : {1, 2}) {
            const std::string name = std::string(kind) + "/heads:" + std::to_string(heads.n_heads) + "/" +
                                     std::to_string(heads.kv_heads) + "x" + std::to_string(heads.head_dim) +
                                     "/context:" + std::to_string(context) +
                                     "/threads:" + std::to_string(threads);
            benchmark::RegisterBenchmark(
                name.c_str(),
                [=](benchmark::State& state) { measure(state, heads, context, n_rows, copies, threads); })
                ->UseRealTime()
                ->Unit(benchmark::kMicrosecond);
        }
    };
    constexpr double kPoolBytes = 256e6;
    for (const Heads& heads : {Heads{4, 1, 256}, Heads{9, 3, 64}, Heads{32, 8, 128}}) {
        for (const int64_t context : {512, 4096, 16384, 32768}) {
            const double bytes = static_cast<double>(context) * 4 * heads.kv_heads * heads.head_dim;
            add("decode", heads, context, 1, bytes > kPoolBytes ? 1 : static_cast<int>(kPoolBytes / bytes));
        }
        for (const int64_t context : {512, 4096})
            add("prefill", heads, context, static_cast<int>(context), 1);
    }
}

}  // namespace
}  // namespace agave::cpu

int main(int argc, char** argv) {
    agave::cpu::register_all();
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    benchmark::RunSpecifiedBenchmarks();
    return 0;
}
