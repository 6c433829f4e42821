#include "base/thread_team.h"

#include "base/system.h"

namespace agave {

namespace {

void pause_cpu() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    asm volatile("isb" ::: "memory");
#endif
}

/// Some tens of microseconds: longer than the threads of a team normally differ in a step.
constexpr int kSpins = 4000;
/// With more threads than processors, spinning takes the time of the one that is waited for.
constexpr int kCrowdedSpins = 20;

/// Returns once `word` differs from `seen`: spins for a while, then sleeps in the kernel.
void wait_for_change(const std::atomic<uint32_t>& word, uint32_t seen, int spins) {
    for (int spin = 0; spin < spins; spin++) {
        if (word.load(std::memory_order_acquire) != seen) return;
        pause_cpu();
    }
    while (word.load(std::memory_order_acquire) == seen) word.wait(seen, std::memory_order_acquire);
}

}  // namespace

ThreadTeam::ThreadTeam(int n_threads)
    : n_threads_(n_threads < 1 ? 1 : n_threads),
      spins_(n_threads <= available_processors() ? kSpins : kCrowdedSpins) {
    threads_.reserve(static_cast<size_t>(n_threads_ - 1));
    for (int thread = 1; thread < n_threads_; thread++)
        threads_.emplace_back([this, thread] { work(thread); });
}

ThreadTeam::~ThreadTeam() {
    stop_.store(true, std::memory_order_relaxed);
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::run_erased(Function function, void* context) {
    if (n_threads_ == 1) return function(context, 0);
    function_ = function;
    context_ = context;
    generation_.fetch_add(1, std::memory_order_release);
    generation_.notify_all();
    function(context, 0);
    barrier();
}

void ThreadTeam::work(int thread) {
    for (uint32_t seen = 0;;) {
        wait_for_change(generation_, seen, spins_);
        seen++;
        if (stop_.load(std::memory_order_relaxed)) return;
        function_(context_, thread);
        barrier();
    }
}

void ThreadTeam::barrier() {
    if (n_threads_ == 1) return;
    const uint32_t phase = phase_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(n_threads_)) {
        arrived_.store(0, std::memory_order_relaxed);
        phase_.fetch_add(1, std::memory_order_release);
        phase_.notify_all();
    } else {
        wait_for_change(phase_, phase, spins_);
    }
}

}  // namespace agave
