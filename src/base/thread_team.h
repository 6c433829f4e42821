#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>
#include <type_traits>
#include <vector>

namespace agave {

/// A persistent team of threads; the caller of run() and run_phases() is thread 0. Waiting threads spin for a
/// short while, then sleep, so handing on from one phase to the next costs well under a microsecond and an
/// idle team costs nothing.
class ThreadTeam {
  public:
    /// Starts n_threads - 1 threads (1 <= n_threads <= 1024).
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
        run_erased([](void* context, int, int thread) { (*static_cast<T*>(context))(thread); }, &task, 1,
                   true);
    }

    /// For phase 0, 1, ... n_phases - 1, one after the other, calls task(phase, thread) on the threads that
    /// come in time, at least one of them. The task takes the phase's work piece by piece from what the
    /// threads share, and returns when no piece is left; the phase ends once every thread that began it has
    /// returned. So a thread that the system keeps from running between two pieces holds up nobody, and what
    /// is left of a phase is done by the others. The task must not throw.
    template <typename Task>
    void run_phases(int n_phases, Task&& task) {
        using T = std::remove_reference_t<Task>;
        run_erased([](void* context, int phase, int thread) { (*static_cast<T*>(context))(phase, thread); },
                   &task, n_phases, false);
    }

    /// Inside run(): waits until every thread of the team has come here.
    void barrier();

    /// Inside run_phases(): whether other threads are still at this phase.
    bool others_at_work() const { return (word_.load(std::memory_order_relaxed) & kCount) > 1; }

  private:
    using Function = void (*)(void* context, int phase, int thread);
    void run_erased(Function function, void* context, int n_phases, bool everyone);
    void work(int thread);
    void take_part(uint32_t& known, int thread);
    bool leave();
    void publish(uint32_t word);

    // word_: how many threads are at the phase (where kEveryone: or have yet to come), whether all of them
    // must, whether one may begin it, and the number of the phase.
    static constexpr uint32_t kCount = 0x7FF, kEveryone = 0x800, kOpen = 0x1000, kNext = 0x2000;

    const int n_threads_;
    const int spins_;  ///< looks at a changing word before a thread goes to sleep
    std::vector<std::thread> threads_;
    // Written while no thread is at a phase and none may begin one.
    Function function_ = nullptr;
    void* context_ = nullptr;
    int phase_ = 0;
    int n_phases_ = 0;
    alignas(64) std::atomic<uint32_t> word_{0};
    alignas(64) std::atomic<uint32_t> arrived_{0};
    alignas(64) std::atomic<uint32_t> barriers_{0};  ///< counts completed barriers
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
