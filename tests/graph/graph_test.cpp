#include "graph/graph.h"

#include <gtest/gtest.h>

#include <memory>

#include "base/error.h"

namespace agave {
namespace {

/// Tensors without data: the graph only looks at names and shapes.
struct Weights {
    std::vector<std::unique_ptr<Tensor>> all;
    const Tensor& matrix(int64_t k, int64_t n) {
        all.push_back(
            std::make_unique<Tensor>(Tensor{"m" + std::to_string(all.size()), Format::f32, 2, {k, n, 1, 1}}));
        return *all.back();
    }
    const Tensor& vector(int64_t n) {
        all.push_back(
            std::make_unique<Tensor>(Tensor{"v" + std::to_string(all.size()), Format::f32, 1, {n, 1, 1, 1}}));
        return *all.back();
    }
};

Graph block(Weights& w) {
    Graph g;
    Value h = g.embed(w.matrix(64, 100));
    Value x = g.rms_norm(h, w.vector(64), 1e-5f);
    Value q = g.linear(x, w.matrix(64, 32)), k = g.linear(x, w.matrix(64, 16)),
          v = g.linear(x, w.matrix(64, 16));
    Value attended = g.attention(q, k, v, {.n_heads = 4, .kv_heads = 2, .scale = 1});
    h = g.add(h, g.linear(attended, w.matrix(32, 64)));
    x = g.rms_norm(h, w.vector(64), 1e-5f);
    x = g.gate(GateKind::silu, g.linear(x, w.matrix(64, 128)), g.linear(x, w.matrix(64, 128)));
    h = g.add(h, g.linear(x, w.matrix(128, 64)));
    g.set_logits(g.linear(g.select_outputs(h), w.matrix(64, 100)));
    return g;
}

template <typename Node>
int count(const Graph& g) {
    int n = 0;
    for (const Operation& operation : g.operations) n += std::holds_alternative<Node>(operation);
    return n;
}

TEST(Graph, ShapesThatDisagreeNameTheTensor) {
    Weights w;
    Graph g;
    Value x = g.embed(w.matrix(64, 100));
    const Tensor& wrong = w.matrix(65, 10);
    try {
        g.linear(x, wrong);
        FAIL();
    } catch (const Error& error) {
        EXPECT_STREQ(error.what(), "tensor 'm1' has rows of 65 weights, expected 64");
    }
    EXPECT_THROW(g.rms_norm(x, w.vector(63), 1e-5f), Error);
    EXPECT_THROW(g.head_norm(x, w.vector(48), 1e-5f), Error);
    EXPECT_THROW(g.linear(x, w.matrix(64, 8), &w.vector(9)), Error);
    EXPECT_THROW(g.attention(x, x, x, {.n_heads = 4, .kv_heads = 2, .scale = 1}), Error);
    EXPECT_THROW(g.latent_attention(x, x, x, {.n_heads = 1, .scale = 1}), Error);
    EXPECT_THROW(g.head_linear(x, w.matrix(16, 8), 4), Error);
    EXPECT_THROW(g.rope(x, RopeTable{{1, 1}}, 4, false, 13), Error);
}

TEST(Graph, FuseFindsGatesAndResiduals) {
    Weights w;
    Graph g = block(w);
    EXPECT_EQ(count<op::Linear>(g), 8);
    fuse(g);
    EXPECT_EQ(count<op::GatedLinear>(g), 1);
    EXPECT_EQ(count<op::Gate>(g), 0);
    EXPECT_EQ(count<op::Add>(g), 0);
    EXPECT_EQ(count<op::Linear>(g), 6);
    int accumulating = 0;
    for (const Operation& operation : g.operations)
        if (const auto* linear = std::get_if<op::Linear>(&operation)) accumulating += linear->accumulate;
    EXPECT_EQ(accumulating, 2);
}

TEST(Graph, FuseLetsALinearActivate) {
    Weights w;
    Graph g;
    Value h = g.embed(w.matrix(64, 100));
    Value x = g.rms_norm(h, w.vector(64), 1e-5f);
    x = g.activate(Nonlinearity::squared_relu, g.linear(x, w.matrix(64, 96), &w.vector(96)));
    h = g.add(h, g.linear(x, w.matrix(96, 64)));
    // What is added after its activation is no residual of the matrix product.
    h = g.add(h, g.activate(Nonlinearity::squared_relu, g.linear(h, w.matrix(64, 64))));
    g.set_logits(h);
    fuse(g);
    EXPECT_EQ(count<op::Activate>(g), 0);
    EXPECT_EQ(count<op::Add>(g), 1);
    std::vector<const op::Linear*> linears;
    for (const Operation& operation : g.operations)
        if (const auto* linear = std::get_if<op::Linear>(&operation)) linears.push_back(linear);
    ASSERT_EQ(linears.size(), 3u);
    EXPECT_EQ(linears[0]->nonlinearity, Nonlinearity::squared_relu);
    EXPECT_NE(linears[0]->bias, nullptr);
    EXPECT_EQ(linears[1]->nonlinearity, Nonlinearity::none);
    EXPECT_TRUE(linears[1]->accumulate);
    EXPECT_EQ(linears[2]->nonlinearity, Nonlinearity::squared_relu);
    EXPECT_FALSE(linears[2]->accumulate);
}

TEST(Graph, GroupNormTakesAWeightForEachColumn) {
    Weights w;
    Graph g;
    const Value x = g.embed(w.matrix(64, 100));
    EXPECT_THROW(g.group_norm(x, w.vector(32), 2, 1e-5f), Error);
    EXPECT_THROW(g.group_norm(x, w.vector(64), 3, 1e-5f), Error);
    EXPECT_THROW(g.group_norm(x, w.vector(64), 0, 1e-5f), Error);
    g.group_norm(x, w.vector(64), 4, 1e-5f);
    EXPECT_EQ(std::get<op::RmsNorm>(g.operations.back()).group, 16);
}

TEST(Graph, FuseLeavesAValueThatIsReadTwice) {
    Weights w;
    Graph g;
    Value h = g.embed(w.matrix(64, 100));
    Value y = g.linear(h, w.matrix(64, 64));
    Value z = g.gate(GateKind::silu, y, g.linear(h, w.matrix(64, 64)));
    h = g.add(h, y);
    g.set_logits(g.add(h, z));
    fuse(g);
    EXPECT_EQ(count<op::GatedLinear>(g), 0);
    EXPECT_EQ(count<op::Add>(g), 2);
}

/// Values that are alive at the same time must not share columns.
TEST(Graph, PlanKeepsLivingValuesApart) {
    Weights w;
    for (bool fused : {false, true}) {
        Graph g = block(w);
        if (fused) fuse(g);
        const MemoryPlan plan = plan_memory(g);
        for (size_t i = 0; i < g.operations.size(); i++) {
            const Value out = output_of(g.operations[i]);
            // What is read at i or later and was written before i must survive the writing of out.
            for (size_t v = 0; v < g.values.size(); v++) {
                if (static_cast<int32_t>(v) == out.id ||
                    g.values[v].rows != g.values[static_cast<size_t>(out.id)].rows)
                    continue;
                bool written = false, read_later = false, read_now = false;
                for (size_t j = 0; j < i; j++)
                    written |= output_of(g.operations[j]).id == static_cast<int32_t>(v);
                for (size_t j = i; j < g.operations.size(); j++)
                    for (Value x : inputs_of(g.operations[j]))
                        if (x.id == static_cast<int32_t>(v)) (j == i ? read_now : read_later) = true;
                if (!written || !(read_later || read_now)) continue;
                const auto& offsets =
                    g.values[v].rows == Rows::tokens ? plan.token_offsets : plan.output_offsets;
                const int64_t a = offsets[v], a_end = a + g.values[v].width;
                const int64_t b = offsets[static_cast<size_t>(out.id)], b_end = b + g.width(out);
                const bool in_place =
                    !read_later && a == b && std::holds_alternative<op::RmsNorm>(g.operations[i]);
                EXPECT_TRUE(in_place || a_end <= b || b_end <= a) << "operation " << i << ", value " << v;
            }
        }
        EXPECT_GT(plan.token_columns, 0);
        EXPECT_LE(plan.token_columns, 2 * row_stride(64) + 3 * row_stride(128));
    }
}

}  // namespace
}  // namespace agave
