#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>

#include "base/thread_team.h"
#include "formats/model_file.h"

namespace agave {

/// How the rows (or columns) of the tensor that is read become those of the one that is written; by default
/// they stay as they are.
struct RowOrder {
    /// Not 0: rows come in heads of so many, whose first half and second half interleave: row 2 i + j of a
    /// head is row j * head_dim / 2 + i (llama's q and k in GGUF against Hugging Face).
    int64_t interleaved_head_dim = 0;
    /// Not 0: from row `first` on, rows come in heads of so many, and head j * n_tiles + i is head
    /// i * heads_in_group + j (Qwen3.5's value heads); of columns instead of rows where `columns` is set.
    int64_t first = 0;
    int64_t tiled_head = 0;
    int64_t n_tiles = 1;
    int64_t heads_in_group = 1;
    bool columns = false;

    bool rows_move() const { return interleaved_head_dim != 0 || (tiled_head != 0 && !columns); }
    bool columns_move() const { return tiled_head != 0 && columns; }

    int64_t source(int64_t index) const {
        if (interleaved_head_dim != 0) {
            const int64_t head = index / interleaved_head_dim, within = index % interleaved_head_dim;
            return head * interleaved_head_dim + within % 2 * (interleaved_head_dim / 2) + within / 2;
        }
        if (tiled_head == 0 || index < first) return index;
        const int64_t head = (index - first) / tiled_head, within = (index - first) % tiled_head;
        return first + (head % n_tiles * heads_in_group + head / n_tiles) * tiled_head + within;
    }
    int64_t source_row(int64_t row) const { return rows_move() ? source(row) : row; }
};

/// Sums over the weights of a tensor, in the order of its rows.
struct EncodingError {
    double squared_error = 0;  ///< of decoded - weight
    double squared_weights = 0;

    /// Root of the mean square of the error over that of the weights; 0 for a tensor of zeros.
    double relative_rms() const;
};

struct TensorEncoding {
    const Tensor& tensor;
    Format format;
    RowOrder order{};
    /// One number for each column, or for each column of each matrix shape[2]; empty: none.
    std::span<const float> importance{};
};

/// Decodes a tensor, encodes it and hands over the bytes in order, some megabytes at a time; `written` gets
/// them. Importance is not used where columns move. Stops with Error(runtime) once *cancel is set. Throws
/// Error(bad_file) that names the tensor for NaN and infinity, and Error(usage) for numbers that the format
/// cannot hold.
EncodingError encode_tensor(ThreadTeam& team, const TensorEncoding& encoding, const std::atomic<bool>* cancel,
                            const std::function<void(std::span<const std::byte>)>& written);

/// The bytes of a tensor whose format stays, in the order of the rows that are written; pieces as above.
void copy_tensor(const Tensor& tensor, RowOrder order,
                 const std::function<void(std::span<const std::byte>)>& written);

}  // namespace agave
