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
    word_.fetch_add(kNext, std::memory_order_seq_cst);
    word_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::run_erased(Function function, void* context, int n_phases, bool everyone) {
    if (n_threads_ == 1) {
        for (int phase = 0; phase < n_phases; phase++) function(context, phase, 0);
        return;
    }
    if (n_phases == 0) return;
    function_ = function;
    context_ = context;
    phase_ = 0;
    n_phases_ = n_phases;
    uint32_t known = word_.load(std::memory_order_relaxed) & ~(kNext - 1);
    const uint32_t last = known + kNext * (static_cast<uint32_t>(n_phases) + 1);
    publish((known + kNext) | kOpen | (everyone ? kEveryone | static_cast<uint32_t>(n_threads_) : 0));
    for (uint32_t word; (word = word_.load(std::memory_order_acquire)) != last;) {
        take_part(known, 0);
        word = word_.load(std::memory_order_acquire);
        if (word != last && (word & ~(kNext - 1)) == known) wait_for_change(word_, word, spins_);
    }
}

void ThreadTeam::work(int thread) {
    for (uint32_t known = 0;;) {
        const uint32_t word = word_.load(std::memory_order_acquire);
        if (stop_.load(std::memory_order_relaxed)) return;
        if (!(word & kOpen) || (word & ~(kNext - 1)) == known)
            wait_for_change(word_, word, spins_);
        else
            take_part(known, thread);
    }
}

/// Takes part in the phase that is open now, unless it is the one that the thread knows, and in those after
/// it while it is the one that ends them.
void ThreadTeam::take_part(uint32_t& known, int thread) {
    uint32_t word = word_.load(std::memory_order_acquire);
    if (!(word & kOpen) || (word & ~(kNext - 1)) == known) return;
    // A phase for everyone counts its threads from the start, and does not end without this one.
    if (!(word & kEveryone) && !word_.compare_exchange_strong(word, word + 1, std::memory_order_acq_rel))
        return;
    do {
        known = word_.load(std::memory_order_relaxed) & ~(kNext - 1);
        function_(context_, phase_, thread);
    } while (leave());
}

/// True when this thread has ended the phase and begun the next one.
bool ThreadTeam::leave() {
    uint32_t word = word_.load(std::memory_order_acquire);
    bool last;
    uint32_t left;
    do {
        last = (word & kCount) == 1;
        left = last ? (word - 1) & ~(kOpen | kEveryone) : word - 1;
    } while (!word_.compare_exchange_weak(word, left, std::memory_order_acq_rel));
    if (!last) return false;
    const bool more = ++phase_ < n_phases_;
    publish(more ? (left + kNext) | kOpen | 1 : left + kNext);
    return more;
}

/// Sets the word and wakes those who sleep on it. The exchange is sequentially consistent because
/// notify_all() looks for sleepers before it wakes: were that look to pass the store, a thread that goes to
/// sleep between the two would never be woken.
void ThreadTeam::publish(uint32_t word) {
    word_.exchange(word, std::memory_order_seq_cst);
    word_.notify_all();
}

void ThreadTeam::barrier() {
    if (n_threads_ == 1) return;
    const uint32_t seen = barriers_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == static_cast<uint32_t>(n_threads_)) {
        arrived_.store(0, std::memory_order_relaxed);
        barriers_.fetch_add(1, std::memory_order_seq_cst);
        barriers_.notify_all();
    } else {
        wait_for_change(barriers_, seen, spins_);
    }
}

}  // namespace agave
