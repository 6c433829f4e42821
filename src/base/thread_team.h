#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace agave {

/// A persistent team of threads; the caller of run() is thread 0. Waiting threads spin for a short while,
/// then sleep, so a step costs well under a microsecond a barrier and an idle team costs nothing.
class ThreadTeam {
  public:
    /// Starts n_threads - 1 threads (n_threads >= 1).
    explicit ThreadTeam(int n_threads);
    ~ThreadTeam();
    ThreadTeam(const ThreadTeam&) = delete;
    ThreadTeam& operator=(const ThreadTeam&) = delete;

    int n_threads() const { return n_threads_; }

    /// Calls task(thread) on every thread of the team and returns when all have returned. The task must not
    /// throw.
    template <typename Task>
    void run(Task&& task) {
        using T = std::remove_reference_t<Task>;
        run_erased([](void* context, int thread) { (*static_cast<T*>(context))(thread); }, &task);
    }

    /// Inside run(): waits until every thread of the team has come here.
    void barrier();

  private:
    using Function = void (*)(void*, int);
    void run_erased(Function function, void* context);
    void work(int thread);

    const int n_threads_;
    const int spins_;  ///< looks at a changing word before a thread goes to sleep
    std::vector<std::thread> threads_;
    Function function_ = nullptr;
    void* context_ = nullptr;
    alignas(64) std::atomic<uint32_t> generation_{0};  ///< counts run() calls; the team waits for it to move
    alignas(64) std::atomic<uint32_t> arrived_{0};
    alignas(64) std::atomic<uint32_t> phase_{0};  ///< counts completed barriers
    std::atomic<bool> stop_{false};
};

/// The half-open range of `n` items that `thread` of `n_threads` works on, in multiples of `grain`; the
/// ranges of all threads partition [0, n) in order.
struct Range {
    int64_t begin;
    int64_t end;
};
constexpr Range thread_range(int64_t n, int64_t grain, int thread, int n_threads) {
    const int64_t units = (n + grain - 1) / grain;
    const int64_t begin = units * thread / n_threads * grain;
    const int64_t end = units * (thread + 1) / n_threads * grain;
    return {begin < n ? begin : n, end < n ? end : n};
}

}  // namespace agave
