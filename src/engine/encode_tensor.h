#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <span>

#include "base/thread_team.h"
#include "formats/model_file.h"

namespace agave {

/// How the rows of the tensor that is read become those of the one that is written.
struct RowOrder {
    /// 0: as they are. Otherwise rows come in heads of so many, whose first half and second half interleave:
    /// row 2 i + j of a head is row j * head_dim / 2 + i (llama's q and k in GGUF against Hugging Face).
    int64_t interleaved_head_dim = 0;

    int64_t source(int64_t row) const {
        if (interleaved_head_dim == 0) return row;
        const int64_t head = row / interleaved_head_dim, within = row % interleaved_head_dim;
        return head * interleaved_head_dim + within % 2 * (interleaved_head_dim / 2) + within / 2;
    }
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
/// them. Stops with Error(runtime) once *cancel is set. Throws Error(bad_file) that names the tensor for NaN
/// and infinity, and Error(usage) for numbers that the format cannot hold.
EncodingError encode_tensor(ThreadTeam& team, const TensorEncoding& encoding, const std::atomic<bool>* cancel,
                            const std::function<void(std::span<const std::byte>)>& written);

/// The bytes of a tensor whose format stays, in the order of the rows that are written; pieces as above.
void copy_tensor(const Tensor& tensor, RowOrder order,
                 const std::function<void(std::span<const std::byte>)>& written);

}  // namespace agave
