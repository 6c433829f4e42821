#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/cpu_features.h"
#include "kv/layout.h"
#include "quant/format.h"

namespace agave::cpu {

/// Rows of a weight matrix that one matmul step takes together: a lane of the vector registers is a weight
/// row.
constexpr int kPanelRows = 16;

/// What the rows of activations are turned into before a matrix multiplication; the weight format decides.
enum class Activation : uint8_t {
    float32,       ///< as they are: float weights, and any format when exactness is asked for
    bfloat16,      ///< rounded: BF16 weights on CPUs that multiply pairs of bfloat16
    int8_block32,  ///< int8 with a float32 scale (and the sum) for each 32: formats with blocks of 32
    int8_block256  ///< int8 with a float32 scale for each 256 (sums for each 16 or 32): the K formats
};

/// A weight matrix [n_rows, k] in the file's own blocks.
struct WeightMatrix {
    const std::byte* data;
    Format format;
    int64_t k;         ///< row length in weights
    size_t row_bytes;  ///< bytes from one row to the next
};

/// out[r * out_stride + n] (+)= dot(weights row n, activation row r) for r in [0, n_rows), n in [row_begin,
/// row_end).
struct MatmulTask {
    WeightMatrix weights;
    int64_t row_begin;  ///< a multiple of kPanelRows
    int64_t row_end;    ///< a multiple of kPanelRows, or the number of rows of the matrix
    Activation activation;
    const std::byte* activations;  ///< n_rows rows of activation_row_bytes(activation, k), 64-byte aligned
    int n_rows;
    float* out;
    int64_t out_stride;  ///< in floats
    bool accumulate;     ///< add to what `out` holds (the residual stream) instead of replacing it
    std::byte* scratch;  ///< this thread's, matmul_scratch_bytes(k), 64-byte aligned
};

/// Attention of all heads for `n_rows` consecutive positions of one sequence, after their K and V were
/// stored.
struct AttentionTask {
    KvView kv;
    KvShape shape;
    KvFormat format;
    int n_heads;
    float scale;
    float softcap;           ///< 0: none; otherwise scores become softcap * tanh(score / softcap)
    int window;              ///< 0: all earlier positions; otherwise only positions > query position - window
    const float* sinks;      ///< nullptr, or [n_heads] logits that join the softmax denominator (GPT-OSS)
    int64_t first_position;  ///< of row 0
    int n_rows;
    const float* q;  ///< [n_rows, n_heads * head_dim], rows q_stride floats apart
    int64_t q_stride;
    float* out;  ///< [n_rows, n_heads * value_head_dim], rows out_stride floats apart
    int64_t out_stride;
};

/// Causal depthwise convolution of the columns [begin, end) of `n_rows` consecutive positions of one
/// sequence; the state moves on by n_rows positions. out may be x.
struct ConvolveTask {
    const float* weight;  ///< [n_columns, kernel]
    const float* bias;    ///< [n_columns], or nullptr
    int kernel;
    bool silu;
    int64_t n_columns;
    int64_t begin, end;
    float* state;  ///< [kernel - 1, n_columns], oldest first
    int n_rows;
    const float* x;
    int64_t x_stride;
    float* out;
    int64_t out_stride;
};

/// Floats from one row of the state to the next: x's columns in whole vectors.
constexpr int64_t scan_lanes(int64_t head_dim) {
    return (head_dim + 15) / 16 * 16;
}

/// Mamba-2's scan of some heads of one group over up to kScanChunk rows, which follow each other in one
/// sequence and do not reach over a multiple of kScanChunk. The state moves on by n_rows positions.
struct ScanTask {
    int n_heads;
    int head_dim;
    int state_size;
    int n_rows;
    const float* x;  ///< [n_rows, n_heads * head_dim], rows `stride` floats apart
    const float* b;  ///< [n_rows, state_size], rows `stride` floats apart
    const float* c;  ///< the same
    int64_t stride;
    const float* dt;  ///< [n_heads, kScanChunk] step sizes
    const float* a;   ///< [n_heads] the log of the decay for a step of 1, below 0
    const float* d;   ///< [n_heads] what y takes of x itself
    float* state;     ///< [n_heads, state_size, scan_lanes(head_dim)]
    float* out;       ///< [n_rows, n_heads * head_dim], rows out_stride floats apart
    int64_t out_stride;
    float* scratch;  ///< scan_scratch_floats(head_dim, state_size)
};

/// The gated delta rule of one head for `n_rows` consecutive positions of one sequence; the state moves on by
/// n_rows positions.
struct DeltaNetTask {
    float* state;  ///< [key_dim rounded up to 4, value_dim rounded up to 16], zeros beyond the dimensions
    int key_dim, value_dim;
    int64_t first_position;  ///< of row 0
    int n_rows;
    const float *q, *k, *v;  ///< rows of key_dim, key_dim and value_dim floats, `stride` floats apart
    int64_t stride;
    const float *g, *beta;  ///< [n_rows] the logarithm of the decay, <= 0, and the rate of learning
    float query_scale;      ///< multiplies q after q and k were divided by sqrt(|x|^2 + epsilon)
    float epsilon;
    float* out;  ///< rows of value_dim floats
    int64_t out_stride;
};

/// Loops that limits.cpp times: nothing but the operation that a limit counts, on `sums` independent sums of
/// 16 lanes in each step. The results only keep the loops alive.
struct PeakLoops {
    int sums;
    float (*int8)(int64_t steps);                 ///< 64 multiply-adds for each sum and step
    float (*bf16)(int64_t steps);                 ///< 32; nullptr: the level has none
    float (*f32)(int64_t steps);                  ///< 16
    float (*read)(const std::byte* p, size_t n);  ///< n is a multiple of 512
};

/// The kernels of one instruction-set level. Every function's result for a row depends on that row alone: not
/// on n_rows, on the split among threads or on the prefill chunk (see DESIGN.md, batch invariance).
struct Kernels {
    CpuLevel level;

    /// The activation that the fast matmul of a weight format takes at this level.
    Activation (*activation_for)(Format format);
    /// Quantises one row of k floats.
    void (*quantize_row)(Activation activation, const float* x, int64_t k, std::byte* out);
    void (*matmul)(const MatmulTask& task);

    /// out = x / sqrt(mean(x^2) + eps) * weight, over n floats; weight may be nullptr (all ones); out may be
    /// x.
    void (*rms_norm)(const float* x, const float* weight, float eps, int64_t n, float* out);
    /// Rotates the first 2 * n_pairs dimensions of each of n_heads heads in place by the angles of one
    /// position. Pairs are (i, i + n_pairs) when `halves`, else (2i, 2i + 1).
    void (*rope)(float* x, int n_heads, int head_dim, int n_pairs, bool halves, const float* cosines,
                 const float* sines);
    /// out[i] = silu(gate[i]) * up[i].
    void (*silu_gate)(const float* gate, const float* up, int64_t n, float* out);
    /// out[i] = gelu(gate[i]) * up[i], the tanh form in float32.
    void (*gelu_gate)(const float* gate, const float* up, int64_t n, float* out);
    /// out[i] = g * sigmoid(1.702 g) * (u + 1), where g is gate[i] but at most 7 and u is up[i] within [-7,
    /// 7].
    void (*clamped_gate)(const float* gate, const float* up, int64_t n, float* out);
    /// x[i] = max(x[i], 0)^2.
    void (*squared_relu)(float* x, int64_t n);
    /// out[i] = sigmoid(gate[i]) * up[i].
    void (*sigmoid_gate)(const float* gate, const float* up, int64_t n, float* out);
    /// x[i] = cap * tanh(x[i] / cap).
    void (*softcap)(float* x, int64_t n, float cap);
    /// out[i] += x[i].
    void (*add)(const float* x, int64_t n, float* out);
    /// x[i] *= factor.
    void (*scale)(float* x, int64_t n, float factor);
    /// out[i] += scale * x[i].
    void (*add_scaled)(const float* x, float scale, int64_t n, float* out);

    /// Stores one token's K [kv_heads * head_dim] and V [kv_heads * value_head_dim] at `position`. Of a
    /// latent cache, k is only the columns of K behind v.
    void (*store_kv)(const KvView& kv, const KvShape& shape, KvFormat format, int64_t position,
                     const float* k, const float* v);
    /// The work items of an attention task are numbered [0, attention_items(task)), the costly ones first;
    /// any thread, any order. An item writes into task.out, or into `partials`
    /// (attention_partial_floats(task) floats in all) where the keys of a row are split among items...
    void (*attention_item)(const AttentionTask& task, int64_t item, float* partials, std::byte* scratch);
    /// ...and then, after a barrier, the merges [begin, end) of attention_merges(task) join the splits in the
    /// order of positions into task.out.
    void (*attention_merge)(const AttentionTask& task, int begin, int end, float* partials);

    void (*convolve)(const ConvolveTask& task);
    /// Single rows by the recurrence, several rows of one chunk of positions by the chunked form; scratch is
    /// delta_net_scratch_bytes(key_dim).
    void (*delta_net)(const DeltaNetTask& task, std::byte* scratch);

    void (*selective_scan)(const ScanTask& task);

    PeakLoops peak;
};

/// Bytes of one row of k activations, a multiple of 64.
size_t activation_row_bytes(Activation activation, int64_t k);
/// Scratch that a thread needs for matmul, and for attention (64-byte aligned, any task of
/// this shape).
size_t matmul_scratch_bytes(int64_t k);
size_t attention_scratch_bytes(const KvShape& shape, int n_heads);
/// Floats of scratch for selective_scan.
constexpr int64_t scan_scratch_floats(int64_t head_dim, int64_t state_size) {
    return kScanChunk * (state_size + 2 * kScanChunk + 4 + scan_lanes(head_dim));
}
/// The same for delta_net.
size_t delta_net_scratch_bytes(int key_dim);
/// What attention_item and attention_merge above number; the sizes depend on the task's shape, positions and
/// rows only. Without splits there are no merges (0) and no partials (0).
int64_t attention_items(const AttentionTask& task);
size_t attention_partial_floats(const AttentionTask& task);
int attention_merges(const AttentionTask& task);

/// The kernels of a level that this build holds and this CPU runs; throws Error(unsupported) otherwise.
const Kernels& kernels(CpuLevel level);
/// The levels that this build holds and this CPU runs, lowest first.
std::vector<CpuLevel> available_levels();

}  // namespace agave::cpu
