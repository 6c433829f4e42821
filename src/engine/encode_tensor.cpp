#include "engine/encode_tensor.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/error.h"
#include "quant/encode.h"

namespace agave {

namespace {

/// Rows are handed out in pieces of about this many weights...
constexpr int64_t kGrainWeights = 1 << 14;
/// ...and written in chunks of about this many.
constexpr int64_t kChunkWeights = 1 << 21;

enum class Trouble : uint8_t { none, not_finite, too_large };

/// What became of one row.
struct RowResult {
    double squared_error = 0, squared_weights = 0;
    Trouble trouble = Trouble::none;
    float culprit = 0;
};

/// Appends a row in its own format, which for a matrix with scales is float32.
void append_row(const Tensor& tensor, int64_t row, std::vector<std::byte>& out) {
    if (tensor.parts) return append_row(tensor.parts[row / tensor.shape[1]], row % tensor.shape[1], out);
    const size_t row_bytes = tensor.row_bytes();
    if (tensor.scaled) {
        out.resize(out.size() + row_bytes);
        decode_rows(tensor, row, 1, reinterpret_cast<float*>(out.data() + out.size() - row_bytes));
        return;
    }
    const std::byte* data = tensor.data + static_cast<size_t>(row) * row_bytes;
    out.insert(out.end(), data, data + row_bytes);
}

/// Buffers of one thread.
struct RowBuffers {
    std::vector<float> weights, decoded;
};

RowResult encode_row(const TensorEncoding& encoding, int64_t row, RowBuffers& buffers, std::byte* out) {
    const Tensor& tensor = encoding.tensor;
    const int64_t n = tensor.shape[0];
    const FormatInfo& to = format_info(encoding.format);
    std::vector<float>& weights = buffers.weights;
    const RowOrder& order = encoding.order;
    if (order.columns_move()) {
        decode_rows(tensor, row, 1, buffers.decoded.data());
        for (int64_t i = 0; i < n; ++i)
            weights[static_cast<size_t>(i)] = buffers.decoded[static_cast<size_t>(order.source(i))];
    } else {
        decode_rows(tensor, order.source_row(row), 1, weights.data());
    }
    RowResult result;
    for (const float w : weights) {
        if (std::isfinite(w)) continue;
        result.trouble = Trouble::not_finite;
        result.culprit = w;
        return result;
    }
    std::span<const float> importance = encoding.importance;
    if (!importance.empty() && order.columns_move()) importance = {};
    if (!importance.empty()) {
        const auto columns = static_cast<size_t>(n);
        const auto matrix = static_cast<size_t>(row / tensor.shape[1]);
        importance = importance.subspan(importance.size() > columns ? matrix * columns : 0, columns);
    }
    encoder(encoding.format)(weights, importance, out);
    to.decode(out, buffers.decoded.data(), n);
    for (size_t i = 0; i < weights.size(); ++i) {
        if (!std::isfinite(buffers.decoded[i])) {
            result.trouble = Trouble::too_large;
            result.culprit = weights[i];
            return result;
        }
        const double w = static_cast<double>(weights[i]);
        const double off = static_cast<double>(buffers.decoded[i]) - w;
        result.squared_error += off * off;
        result.squared_weights += w * w;
    }
    return result;
}

void check(const TensorEncoding& encoding, int64_t row, const RowResult& result) {
    const std::string name = printable(encoding.tensor.name);
    if (result.trouble == Trouble::not_finite)
        fail(ErrorKind::bad_file, "the tensor '%s' holds %s in row %lld, which no format can encode",
             name.c_str(), std::isnan(result.culprit) ? "NaN" : "infinity",
             static_cast<long long>(encoding.order.source_row(row)));
    if (result.trouble == Trouble::too_large)
        fail(ErrorKind::usage, "the tensor '%s' holds %g, which %s cannot; BF16 and F32 can", name.c_str(),
             static_cast<double>(result.culprit), format_info(encoding.format).name);
}

}  // namespace

double EncodingError::relative_rms() const {
    return squared_weights > 0 ? std::sqrt(squared_error / squared_weights) : 0;
}

EncodingError encode_tensor(ThreadTeam& team, const TensorEncoding& encoding, const std::atomic<bool>* cancel,
                            const std::function<void(std::span<const std::byte>)>& written) {
    const Tensor& tensor = encoding.tensor;
    const FormatInfo& to = format_info(encoding.format);
    const int64_t columns = tensor.shape[0], n_rows = tensor.n_rows();
    const size_t row_bytes = static_cast<size_t>(columns) / to.block_elements * to.block_bytes;
    const int64_t grain = std::max<int64_t>(1, kGrainWeights / columns);
    const int64_t chunk_rows =
        std::max<int64_t>(static_cast<int64_t>(team.n_threads()), kChunkWeights / columns);

    std::vector<std::byte> out(static_cast<size_t>(std::min(chunk_rows, n_rows)) * row_bytes);
    std::vector<RowResult> results(static_cast<size_t>(std::min(chunk_rows, n_rows)));
    std::vector<RowBuffers> buffers(static_cast<size_t>(team.n_threads()));
    for (RowBuffers& buffer : buffers) {
        buffer.weights.resize(static_cast<size_t>(columns));
        buffer.decoded.resize(static_cast<size_t>(columns));
    }
    EncodingError total;
    for (int64_t begin = 0; begin < n_rows; begin += chunk_rows) {
        const int64_t n = std::min(chunk_rows, n_rows - begin);
        std::atomic<int64_t> next{0};
        team.run([&](int thread) {
            RowBuffers& own = buffers[static_cast<size_t>(thread)];
            for (;;) {
                const int64_t first = next.fetch_add(grain, std::memory_order_relaxed);
                if (first >= n || (cancel && cancel->load(std::memory_order_relaxed))) return;
                for (int64_t i = first; i < std::min(n, first + grain); ++i)
                    results[static_cast<size_t>(i)] =
                        encode_row(encoding, begin + i, own, out.data() + static_cast<size_t>(i) * row_bytes);
            }
        });
        if (cancel && cancel->load()) fail(ErrorKind::runtime, "stopped");
        for (int64_t i = 0; i < n; ++i) {
            const RowResult& result = results[static_cast<size_t>(i)];
            check(encoding, begin + i, result);
            total.squared_error += result.squared_error;
            total.squared_weights += result.squared_weights;
        }
        written(std::span(out).first(static_cast<size_t>(n) * row_bytes));
    }
    return total;
}

void copy_tensor(const Tensor& tensor, RowOrder order,
                 const std::function<void(std::span<const std::byte>)>& written) {
    if (tensor.data && !order.rows_move() && !order.columns_move()) {
        written({tensor.data, tensor.n_bytes});
        return;
    }
    const size_t row_bytes = tensor.row_bytes(), weight_bytes = format_info(tensor.format).block_bytes;
    std::vector<std::byte> out, row_copy;
    for (int64_t row = 0; row < tensor.n_rows(); ++row) {
        append_row(tensor, order.source_row(row), out);
        // Only matrices of a folder, whose blocks are single weights.
        if (order.columns_move()) {
            std::byte* to = out.data() + out.size() - row_bytes;
            row_copy.assign(to, to + row_bytes);
            for (int64_t i = 0; i < tensor.shape[0]; ++i)
                std::memcpy(to + static_cast<size_t>(i) * weight_bytes,
                            row_copy.data() + static_cast<size_t>(order.source(i)) * weight_bytes,
                            weight_bytes);
        }
        if (out.size() < size_t{1} << 22 && row + 1 < tensor.n_rows()) continue;
        written(out);
        out.clear();
    }
}

}  // namespace agave
