#include "kv/cache.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>

namespace agave {
namespace {

const KvLayer kFull{{2, 16, 16}, 0};
const KvLayer kSliding{{2, 16, 16}, 100};

TEST(KvCache, PagesOfSequencesAreDistinct) {
    KvCache cache(std::vector<KvLayer>{kFull, kFull}, KvFormat::f16, 1000, 2, 512);
    KvSequence a = cache.new_sequence(), b = cache.new_sequence();
    ASSERT_TRUE(cache.reserve(a, 300));
    ASSERT_TRUE(cache.reserve(b, 300));
    std::set<std::byte*> places;
    for (const KvSequence* sequence : {&a, &b})
        for (int layer : {0, 1})
            for (int64_t page = 0; page < 5; page++) places.insert(cache.view(*sequence, layer).page(page));
    EXPECT_EQ(places.size(), 20u);
    std::byte* previous = nullptr;
    for (std::byte* place : places) {
        if (previous) {
            EXPECT_GE(place - previous, static_cast<int64_t>(page_bytes(kFull.shape, KvFormat::f16)));
        }
        previous = place;
    }
    std::memset(previous, 1, page_bytes(kFull.shape, KvFormat::f16));
}

TEST(KvCache, RefusesWhatDoesNotFitAndTakesBackWhatWasReleased) {
    KvCache cache(std::vector<KvLayer>{kFull}, KvFormat::f16, 640, 1, 512);
    KvSequence a = cache.new_sequence(), b = cache.new_sequence();
    ASSERT_TRUE(cache.reserve(a, 640));
    cache.commit(a, 640);
    EXPECT_FALSE(cache.reserve(b, 129));
    EXPECT_TRUE(b.page_ids[0].empty());
    cache.release(a);
    EXPECT_EQ(cache.used_bytes(), 0u);
    EXPECT_TRUE(cache.reserve(b, 640));
}

TEST(KvCache, WindowGivesPagesBack) {
    KvCache cache(std::vector<KvLayer>{kFull, kSliding}, KvFormat::f32, 100000, 1, 64);
    KvSequence sequence = cache.new_sequence();
    for (int i = 0; i < 1000; i++) {
        ASSERT_TRUE(cache.reserve(sequence, 50)) << i;
        cache.commit(sequence, 50);
        // The next query sees positions from n_tokens - 99 on: their pages must still be there.
        const int64_t needed = std::max<int64_t>(0, sequence.n_tokens - 99) / kPageTokens;
        EXPECT_EQ(sequence.first_page[1], needed);
        EXPECT_GE(sequence.page_ids[1][static_cast<size_t>(needed)], 0);
        if (needed > 0) {
            EXPECT_EQ(sequence.page_ids[1][static_cast<size_t>(needed - 1)], -1);
        }
    }
    EXPECT_EQ(cache.used_bytes(), kv_bytes(std::vector<KvLayer>{kFull, kSliding}, KvFormat::f32, 50000));
    EXPECT_EQ(sequence.first_page[0], 0);
}

/// What `agave inspect` prints is what the cache hands out, and a latent is not stored a second time as V.
TEST(KvCache, BytesAreThoseThatAreHeld) {
    const KvLayer latent{{1, 576, 512, true}, 0}, odd{{1, 40, 24, true}, 0};
    EXPECT_EQ(page_bytes(latent.shape, KvFormat::f16), 64u * 576u * 2u);
    EXPECT_EQ(page_bytes(odd.shape, KvFormat::f32), 64u * 48u * 4u);
    const std::vector<std::vector<KvLayer>> models = {{kFull}, {latent, latent}, {kFull, kSliding, odd}};
    for (const std::vector<KvLayer>& layers : models)
        for (const KvFormat format : {KvFormat::f16, KvFormat::f32})
            for (const int64_t n : {1, 64, 65, 32768}) {
                KvCache cache(layers, format, n, 1, 512);
                KvSequence sequence = cache.new_sequence();
                while (sequence.n_tokens < n) {
                    const int64_t step = std::min<int64_t>(512, n - sequence.n_tokens);
                    ASSERT_TRUE(cache.reserve(sequence, step));
                    cache.commit(sequence, step);
                }
                EXPECT_EQ(cache.used_bytes(), kv_bytes(layers, format, n)) << n << " tokens";
            }
}

TEST(KvCache, TruncateKeepsWhatTheWindowNeeds) {
    KvCache cache(std::vector<KvLayer>{kSliding}, KvFormat::f16, 100000, 1, 1024);
    KvSequence sequence = cache.new_sequence();
    ASSERT_TRUE(cache.reserve(sequence, 1000));
    cache.commit(sequence, 1000);
    EXPECT_FALSE(cache.truncate(sequence, 500));
    EXPECT_EQ(sequence.n_tokens, 1000);
    EXPECT_FALSE(cache.truncate(sequence, 1001));
    EXPECT_TRUE(cache.truncate(sequence, 996));
    EXPECT_EQ(sequence.n_tokens, 996);
    ASSERT_TRUE(cache.reserve(sequence, 200));
    EXPECT_TRUE(cache.truncate(sequence, 996));
    EXPECT_EQ(sequence.page_ids[0].size(), 16u);
}

constexpr StateLayer kStates[] = {{100}, {1000}};

TEST(KvCache, StateSlotsBeginWithZerosAndComeBack) {
    KvCache cache(std::vector<KvLayer>{kFull}, KvFormat::f16, 640, 2, 512, kStates);
    EXPECT_EQ(cache.state_bytes(), (112u + 1008u) * sizeof(float));
    EXPECT_EQ(state_bytes(kStates), cache.state_bytes());
    EXPECT_EQ(cache.used_bytes(), 0u);
    KvSequence a = cache.new_sequence(), b = cache.new_sequence(), c = cache.new_sequence();
    ASSERT_TRUE(cache.reserve(a, 64));
    ASSERT_TRUE(cache.reserve(b, 64));
    EXPECT_FALSE(cache.reserve(c, 64));
    EXPECT_TRUE(c.page_ids[0].empty());
    EXPECT_EQ(cache.used_bytes(),
              2 * (kv_bytes(std::vector<KvLayer>{kFull}, KvFormat::f16, 64) + state_bytes(kStates)));
    EXPECT_GE(cache.state(a, 1) - cache.state(a, 0), 100);
    std::fill_n(cache.state(a, 1), 1000, 3.0f);
    cache.release(a);
    ASSERT_TRUE(cache.reserve(c, 64));
    EXPECT_EQ(std::count(cache.state(c, 1), cache.state(c, 1) + 1000, 0.0f), 1000);
}

TEST(KvCache, StateComesBackToASnapshotAlone) {
    KvCache cache(std::vector<KvLayer>{kFull}, KvFormat::f16, 640, 1, 512, kStates, 1);
    KvSequence a = cache.new_sequence();
    ASSERT_TRUE(cache.reserve(a, 70));
    cache.commit(a, 70);
    std::fill_n(cache.state(a, 0), 100, 1.0f);
    std::optional<KvSnapshot> snapshot = cache.snapshot(a);
    ASSERT_TRUE(snapshot);
    EXPECT_FALSE(cache.snapshot(a));

    ASSERT_TRUE(cache.reserve(a, 80));
    cache.commit(a, 80);
    std::fill_n(cache.state(a, 0), 100, 2.0f);
    EXPECT_FALSE(cache.truncate(a, 70));
    EXPECT_TRUE(cache.truncate(a, 150));
    EXPECT_TRUE(cache.restore(a, *snapshot));
    EXPECT_EQ(a.n_tokens, 70);
    EXPECT_EQ(cache.state(a, 0)[99], 1.0f);

    EXPECT_TRUE(cache.truncate(a, 0));
    EXPECT_EQ(a.n_tokens, 0);
    EXPECT_FALSE(cache.restore(a, *snapshot));
    cache.release(*snapshot);
    EXPECT_EQ(cache.used_bytes(), 0u);
}

}  // namespace
}  // namespace agave
