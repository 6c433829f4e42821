#include "formats/model_file.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "formats/gguf.h"

namespace agave {

ModelFile ModelFile::open(const std::string& path) {
    return open_gguf(path);
}

ModelFile ModelFile::from_bytes(std::span<const std::byte> bytes, const std::string& path) {
    GgufPart part = parse_gguf(bytes, path);
    return {path, {}, std::move(part.metadata), std::move(part.tensors), bytes.size()};
}

ModelFile::ModelFile(std::string path, std::vector<MappedFile> parts, Metadata metadata,
                     std::vector<Tensor> tensors, uint64_t n_bytes, Layout layout,
                     std::vector<std::shared_ptr<const void>> kept)
    : path_(std::move(path)),
      parts_(std::move(parts)),
      metadata_(std::move(metadata)),
      tensors_(std::move(tensors)),
      by_name_(tensors_.size()),
      n_bytes_(n_bytes),
      layout_(layout),
      kept_(std::move(kept)) {
    std::iota(by_name_.begin(), by_name_.end(), 0u);
    std::sort(by_name_.begin(), by_name_.end(),
              [this](uint32_t a, uint32_t b) { return tensors_[a].name < tensors_[b].name; });
    for (size_t i = 1; i < by_name_.size(); i++)
        if (tensors_[by_name_[i - 1]].name == tensors_[by_name_[i]].name)
            fail(ErrorKind::bad_file, "'%s': the tensor '%s' comes twice", path_.c_str(),
                 printable(tensors_[by_name_[i]].name).c_str());
}

const Tensor* ModelFile::find(std::string_view name) const {
    const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                     [this](uint32_t i, std::string_view n) { return tensors_[i].name < n; });
    if (at == by_name_.end() || tensors_[*at].name != name) return nullptr;
    return &tensors_[*at];
}

const Tensor& ModelFile::tensor(std::string_view name) const {
    const Tensor* found = find(name);
    if (!found) fail(ErrorKind::bad_file, "'%s' has no tensor '%s'", path_.c_str(), printable(name).c_str());
    return *found;
}

void ModelFile::will_need() const {
    for (const MappedFile& part : parts_) part.will_need();
}

void decode_rows(const Tensor& tensor, int64_t first_row, int64_t n_rows, float* out) {
    if (tensor.scaled) {
        for (int64_t i = 0; i < n_rows; i++)
            tensor.scaled->format->decode_row(*tensor.scaled,
                                              tensor.scaled_row + (first_row + i) * tensor.scaled_step,
                                              out + i * tensor.row_elements());
        return;
    }
    if (!tensor.parts) {
        format_info(tensor.format)
            .decode(tensor.data + static_cast<size_t>(first_row) * tensor.row_bytes(), out,
                    n_rows * tensor.row_elements());
        return;
    }
    while (n_rows > 0) {
        const int64_t row = first_row % tensor.shape[1];
        const int64_t n = std::min(n_rows, tensor.shape[1] - row);
        decode_rows(tensor.parts[first_row / tensor.shape[1]], row, n, out);
        first_row += n;
        n_rows -= n;
        out += n * tensor.row_elements();
    }
}

std::vector<float> decode_tensor(const Tensor& tensor) {
    std::vector<float> weights(static_cast<size_t>(tensor.n_elements()));
    decode_rows(tensor, 0, tensor.n_rows(), weights.data());
    return weights;
}

}  // namespace agave
