#include "base/thread_team.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

namespace agave {
namespace {

TEST(ThreadTeam, EveryThreadRunsOnceAndBarriersHold) {
    for (int n_threads : {1, 2, 3, 8}) {
        ThreadTeam team(n_threads);
        std::vector<int64_t> written(static_cast<size_t>(n_threads), 0);
        for (int round = 1; round <= 50; round++) {
            std::atomic<int> wrong{0};
            team.run([&](int thread) {
                for (int step = 0; step < 10; step++) {
                    written[static_cast<size_t>(thread)] = round * 100 + step;
                    team.barrier();
                    for (int64_t value : written) wrong += value != round * 100 + step;
                    team.barrier();
                }
            });
            ASSERT_EQ(wrong, 0);
        }
    }
}

TEST(ThreadTeam, ManyShortRunsAllEnd) {
    for (int n_threads : {2, 3}) {
        ThreadTeam team(n_threads);
        std::atomic<int64_t> calls{0};
        constexpr int kRuns = 100000;
        for (int run = 0; run < kRuns; run++) {
            team.run([&](int) { calls.fetch_add(1, std::memory_order_relaxed); });
            // A pause now and then, so that the others have gone to sleep.
            if (run % 1000 == 0) std::this_thread::sleep_for(std::chrono::microseconds(300));
        }
        EXPECT_EQ(calls, kRuns * n_threads);
    }
}

TEST(ThreadTeam, APhaseBeginsOnceAllPiecesOfTheOneBeforeAreDone) {
    constexpr int kPhases = 40, kPieces = 7;
    for (int n_threads : {1, 2, 3, 8}) {
        ThreadTeam team(n_threads);
        std::vector<std::atomic<int>> taken(kPhases), done(kPhases);
        for (int round = 0; round < 200; round++) {
            for (int i = 0; i < kPhases; i++)
                taken[static_cast<size_t>(i)] = done[static_cast<size_t>(i)] = 0;
            std::atomic<int> wrong{0};
            const int n_phases = round % 2 ? kPhases : 1 + round % kPhases;
            team.run_phases(n_phases, [&](int phase, int thread) {
                const size_t i = static_cast<size_t>(phase);
                wrong += thread < 0 || thread >= n_threads || phase >= n_phases;
                while (taken[i].fetch_add(1) < kPieces) {
                    wrong += i > 0 && done[i - 1] != kPieces;
                    // Some pieces take long, and some threads come late to the next phase.
                    if ((round + phase + taken[i]) % 61 == 0) std::this_thread::yield();
                    done[i]++;
                }
            });
            for (int i = 0; i < n_phases; i++) ASSERT_EQ(done[static_cast<size_t>(i)], kPieces);
            ASSERT_EQ(wrong, 0);
            // Between runs of phases, every thread can still be called.
            std::atomic<int> came{0};
            if (round % 10 == 0) {
                team.run([&](int) {
                    came++;
                    team.barrier();
                    wrong += came != n_threads;
                });
                ASSERT_EQ(came, n_threads);
                ASSERT_EQ(wrong, 0);
            }
        }
    }
}

TEST(ThreadRange, RangesPartitionInOrder) {
    for (int64_t n : {0, 1, 15, 16, 17, 100, 1000})
        for (int64_t grain : {1, 16})
            for (int n_threads : {1, 2, 3, 7}) {
                int64_t next = 0;
                for (int thread = 0; thread < n_threads; thread++) {
                    const Range range = thread_range(n, grain, thread, n_threads);
                    EXPECT_EQ(range.begin, next);
                    EXPECT_TRUE(range.begin % grain == 0 || range.begin == n);
                    EXPECT_LE(range.begin, range.end);
                    next = range.end;
                }
                EXPECT_EQ(next, n);
            }
}

}  // namespace
}  // namespace agave
