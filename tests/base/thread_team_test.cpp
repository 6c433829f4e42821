#include "base/thread_team.h"

#include <gtest/gtest.h>

#include <numeric>

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
