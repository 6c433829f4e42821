#include "kv/prefix_tree.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace agave {
namespace {

constexpr KvLayer kFull{{1, 4, 4}, 0}, kSliding{{1, 4, 4}, 100}, kShortSliding{{1, 4, 4}, 20};

struct Shape {
    std::vector<KvLayer> layers;
    std::vector<StateLayer> states;
};

/// Random texts over a tree against a plain model of it. Each stored position is marked by its text, so a
/// page or a state that reached the wrong sequence would show; and the number of pages is always that of
/// those who hold them.
class PrefixTreeModel : public testing::TestWithParam<int> {
  protected:
    static Shape shape(int number) {
        switch (number) {
            case 0:
                return {{kFull}, {}};
            case 1:
                return {{kFull, kSliding, kShortSliding}, {}};
            case 2:
                return {{kFull}, {{3}}};
            case 3:
                return {{}, {{3}}};
            default:
                return {{kFull, kSliding}, {{3}}};
        }
    }
    const Shape shape_ = shape(GetParam());
    KvCache cache_{shape_.layers, KvFormat::f32, 3000, 4, 256, shape_.states, 3};
    std::mt19937 random_{5};

    size_t below(size_t n) { return random_() % n; }

    /// A number for the first n tokens.
    static float mark(std::span<const int32_t> tokens, int64_t n) {
        uint32_t hash = 17;
        for (int64_t i = 0; i < n; i++)
            hash = hash * 31 + static_cast<uint32_t>(tokens[static_cast<size_t>(i)]);
        return static_cast<float>(hash % 1000003);
    }
    float* page_start(const KvSequence& sequence, int layer, int64_t page) {
        return reinterpret_cast<float*>(cache_.view(sequence, layer).page(page));
    }

    /// "Computes" up to n tokens: what a position stores depends on all tokens to it.
    bool extend(KvSequence& sequence, PrefixTree& tree, std::span<const int32_t> tokens, int64_t n) {
        while (!cache_.reserve(sequence, n - sequence.n_tokens))
            if (!tree.make_room(sequence, n - sequence.n_tokens)) return false;
        for (int64_t position = sequence.n_tokens; position < n; position++)
            for (size_t layer = 0; layer < shape_.layers.size(); layer++)
                page_start(sequence, static_cast<int>(layer),
                           position / kPageTokens)[position % kPageTokens] = mark(tokens, position + 1);
        if (!shape_.states.empty()) cache_.state(sequence, 0)[0] = mark(tokens, n);
        cache_.commit(sequence, n - sequence.n_tokens);
        return true;
    }

    void check(const KvSequence& sequence, std::span<const int32_t> tokens) {
        const int64_t n = sequence.n_tokens;
        for (size_t layer = 0; layer < shape_.layers.size(); layer++) {
            const int32_t window = shape_.layers[layer].window;
            for (int64_t p = window ? std::max<int64_t>(0, n - window + 1) : 0; p < n; p++)
                ASSERT_EQ(page_start(sequence, static_cast<int>(layer), p / kPageTokens)[p % kPageTokens],
                          mark(tokens, p + 1))
                    << "layer " << layer << ", position " << p << " of " << n;
        }
        if (!shape_.states.empty() && n > 0) {
            ASSERT_EQ(cache_.state(sequence, 0)[0], mark(tokens, n));
        }
    }
};

TEST_P(PrefixTreeModel, GivesBackWhatWasStored) {
    int64_t n_reused = 0;
    {
        PrefixTree tree(cache_);
        struct Client {
            KvSequence sequence;
            std::vector<int32_t> tokens;
        };
        std::vector<Client> clients(4);
        for (Client& client : clients) client.sequence = cache_.new_sequence();
        std::vector<std::vector<int32_t>> texts{{}};
        for (int round = 0; round < 4000; round++) {
            Client& client = clients[below(4)];
            if (client.tokens.empty()) {
                // A text that goes on where another one is somewhere.
                client.tokens = texts[below(texts.size())];
                client.tokens.resize(below(client.tokens.size() + 1));
                for (size_t n = 1 + below(200); n > 0; n--)
                    client.tokens.push_back(static_cast<int32_t>(below(3)));
                if (client.tokens.size() > 600) client.tokens.resize(600);
                const int64_t most = static_cast<int64_t>(client.tokens.size()) - 1;
                const PrefixTree::Found found = tree.find(client.tokens, most);
                ASSERT_LE(found.n_tokens, most);
                ASSERT_LE(found.n_tokens, found.n_known);
                ASSERT_EQ(found.n_tokens % kPageTokens, 0);
                ASSERT_TRUE(tree.begin(client.sequence, client.tokens, found.n_tokens));
                ASSERT_EQ(client.sequence.n_tokens, found.n_tokens);
                n_reused += found.n_tokens;
                check(client.sequence, client.tokens);
                texts.push_back(client.tokens);
                if (texts.size() > 12) texts.erase(texts.begin());
            } else if (client.sequence.n_tokens < static_cast<int64_t>(client.tokens.size())) {
                const int64_t n = client.sequence.n_tokens, size = static_cast<int64_t>(client.tokens.size());
                int64_t end = std::min<int64_t>(n + 1 + static_cast<int64_t>(below(200)), size);
                const bool marks = below(2) == 0 && end / kPageTokens > n / kPageTokens;
                const int64_t page_end = end / kPageTokens * kPageTokens;
                if (marks && !shape_.states.empty()) end = page_end;
                client.sequence.keep_position = marks ? page_end : INT64_MAX;
                if (!extend(client.sequence, tree, client.tokens, end)) {
                    cache_.release(client.sequence);
                    client.tokens.clear();
                    continue;
                }
                if (end / kPageTokens > n / kPageTokens)
                    tree.insert(client.sequence, client.tokens, page_end, marks);
                if (marks && below(4) == 0) tree.forget_resume(client.tokens, page_end);
                check(client.sequence, client.tokens);
            } else {
                cache_.release(client.sequence);
                client.tokens.clear();
            }
            if (round % 1000 == 999) tree.clear();
        }
        for (Client& client : clients) cache_.release(client.sequence);
        EXPECT_EQ(cache_.n_pages() - cache_.n_available_pages(), cache_.n_cached_pages());
    }
    EXPECT_GT(n_reused, 2000);
    EXPECT_EQ(cache_.used_bytes(), 0u);
    EXPECT_EQ(cache_.n_cached_pages(), 0);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PrefixTreeModel, testing::Values(0, 1, 2, 3, 4));

TEST(PrefixTree, KnowsWhereTextsPart) {
    KvCache cache(std::vector<KvLayer>{kFull, kSliding}, KvFormat::f32, 3000, 2, 256, {}, 4);
    PrefixTree tree(cache);
    std::vector<int32_t> text(300, 1), other(300, 1);
    other[200] = 2;
    KvSequence sequence = cache.new_sequence();
    ASSERT_TRUE(cache.reserve(sequence, 256));
    cache.commit(sequence, 256);
    EXPECT_TRUE(tree.insert(sequence, text, 256, true));
    EXPECT_FALSE(tree.insert(sequence, text, 256, true));
    EXPECT_EQ(tree.find(text, 299).n_tokens, 256);
    EXPECT_EQ(tree.find(text, 255).n_tokens, 0);
    EXPECT_EQ(tree.find(other, 299).n_tokens, 0);
    EXPECT_EQ(tree.find(other, 299).n_known, 192);
    EXPECT_EQ(tree.n_nodes(), 5);
    cache.release(sequence);
    EXPECT_EQ(tree.find(text, 299).n_idle, 4);
    EXPECT_EQ(cache.n_cached_pages(), 4);
    tree.forget_resume(text, 256);
    EXPECT_EQ(tree.find(text, 299).n_tokens, 0);
    tree.clear();
    EXPECT_EQ(cache.used_bytes(), 0u);
}

/// The least recently used leaf goes first, and never a page that a sequence holds.
TEST(PrefixTree, MakesRoomFromTheLeaves) {
    KvCache cache(std::vector<KvLayer>{kFull}, KvFormat::f32, 5 * kPageTokens, 1, 256);  // 6 pages
    PrefixTree tree(cache);
    const std::vector<int32_t> first(128, 1), second(128, 2);
    for (const std::vector<int32_t>& text : {first, second}) {
        KvSequence sequence = cache.new_sequence();
        ASSERT_TRUE(cache.reserve(sequence, 128));
        cache.commit(sequence, 128);
        tree.insert(sequence, text, 128, true);
        cache.release(sequence);
    }
    KvSequence reader = cache.new_sequence(), writer = cache.new_sequence();
    ASSERT_TRUE(tree.begin(reader, first, 64));
    ASSERT_TRUE(cache.reserve(writer, 128));
    for (int page = 3; page <= 5; page++) {
        EXPECT_FALSE(cache.reserve(writer, page * kPageTokens));
        EXPECT_TRUE(tree.make_room(writer, page * kPageTokens));
        EXPECT_TRUE(cache.reserve(writer, page * kPageTokens));
        EXPECT_EQ(tree.n_nodes(), 7 - page);
    }
    EXPECT_FALSE(cache.reserve(writer, 6 * kPageTokens));
    EXPECT_FALSE(tree.make_room(writer, 6 * kPageTokens));
    EXPECT_EQ(tree.find(first, 128).n_tokens, 64);
    EXPECT_EQ(tree.find(second, 128).n_known, 0);
    cache.release(reader);
    cache.release(writer);
}

}  // namespace
}  // namespace agave
