#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/mapped_file.h"
#include "quant/format.h"
#include "quant/scaled.h"

namespace agave {

/// A named matrix or vector of a model file; its bytes stay where the file put them.
struct Tensor {
    std::string name;
    Format format = Format::f32;
    int n_dims = 1;
    /// Innermost first, as GGUF writes it: shape[0] is the row length.
    std::array<int64_t, 4> shape{1, 1, 1, 1};
    const std::byte* data = nullptr;
    size_t n_bytes = 0;
    /// shape[2] matrices that lie apart, each a tensor of its own (experts, as Hugging Face stores them);
    /// nullptr: everything lies at `data`.
    const Tensor* parts = nullptr;
    /// A matrix whose scales lie apart: row i is row scaled_row + i * scaled_step of it. `format` is then
    /// what it decodes to, F32, and `data` nullptr; nullptr: an ordinary tensor.
    const ScaledMatrix* scaled = nullptr;
    int64_t scaled_row = 0;
    int64_t scaled_step = 1;

    /// The weight format as people call it.
    const char* format_name() const {
        const ScaledMatrix* matrix = parts ? parts->scaled : scaled;
        return matrix ? matrix->format->name : format_info(format).name;
    }
    int64_t row_elements() const { return shape[0]; }
    int64_t n_rows() const { return shape[1] * shape[2] * shape[3]; }
    int64_t n_elements() const { return shape[0] * n_rows(); }
    size_t row_bytes() const {
        const FormatInfo& info = format_info(format);
        return static_cast<size_t>(shape[0]) / info.block_elements * info.block_bytes;
    }
};

/// A homogeneous array of a model file's metadata. Numbers keep their width class; strings view the mapped
/// file.
using MetadataArray = std::variant<std::vector<int64_t>, std::vector<uint64_t>, std::vector<double>,
                                   std::vector<bool>, std::vector<std::string_view>>;
/// One value: signed, unsigned, floating, boolean, text (viewing the mapped file), or an array of one of
/// them.
using MetadataValue = std::variant<int64_t, uint64_t, double, bool, std::string_view, MetadataArray>;

/// The width that a file gives a value, or the elements of an array: GGUF's value types, and `automatic`
/// where a loader has no opinion.
enum class ValueType : uint8_t {
    uint8 = 0,
    int8 = 1,
    uint16 = 2,
    int16 = 3,
    uint32 = 4,
    int32 = 5,
    float32 = 6,
    boolean = 7,
    text = 8,
    uint64 = 10,
    int64 = 11,
    float64 = 12,
    automatic = 255
};

struct MetadataEntry {
    std::string key;
    MetadataValue value;
    ValueType type = ValueType::automatic;  ///< of an array: of its elements
};

/// Key-value pairs in the file's order. The getters throw Error(bad_file) that names the file, the key, what
/// was found and what was expected.
class Metadata {
  public:
    Metadata() = default;
    /// Throws Error(bad_file) when a key comes twice. `path` names the file in messages.
    Metadata(std::string path, std::vector<MetadataEntry> entries);

    const std::vector<MetadataEntry>& entries() const { return entries_; }
    const std::string& path() const { return path_; }
    const MetadataValue* find(std::string_view key) const;

    /// An integer of any width in [minimum, maximum]; the first form requires the key.
    int64_t integer(std::string_view key, int64_t minimum, int64_t maximum) const;
    int64_t integer_or(std::string_view key, int64_t fallback, int64_t minimum, int64_t maximum) const;
    /// A finite number; an integer counts as one.
    double number(std::string_view key) const;
    double number_or(std::string_view key, double fallback) const;
    bool boolean_or(std::string_view key, bool fallback) const;
    std::string_view text(std::string_view key) const;
    std::string_view text_or(std::string_view key, std::string_view fallback) const;
    /// nullptr when the key is absent; throws when it holds something other than an array of text.
    const std::vector<std::string_view>* texts(std::string_view key) const;
    /// Numbers of any width converted; nullopt when the key is absent, throws when it does not hold an array
    /// of numbers, of integers (that fit int64_t) or of booleans. numbers() refuses NaN and infinity.
    std::optional<std::vector<double>> numbers(std::string_view key) const;
    std::optional<std::vector<int64_t>> integers(std::string_view key) const;
    std::optional<std::vector<bool>> booleans(std::string_view key) const;

  private:
    std::string path_;
    std::vector<MetadataEntry> entries_;
    std::vector<uint32_t> by_key_;  ///< indices into entries_, sorted by key
};

/// Where a model's matrices differ between the containers that share GGUF's names for them; see
/// docs/formats.md.
enum class Layout : uint8_t {
    gguf,        ///< as llama.cpp's converter arranges them
    huggingface  ///< as transformers stores them
};

/// A model on disk: metadata and tensors, over one or several mapped files.
class ModelFile {
  public:
    /// Opens a GGUF file; any part of a split one finds the others beside it. After it returns, every tensor
    /// lies inside its file, overlaps no other and agrees with its format. Throws Error(usage) when a file
    /// cannot be opened, Error(bad_file) when it is damaged or disagrees with itself, and Error(unsupported)
    /// when it is of a version, byte order or weight format that this build does not run.
    static ModelFile open(const std::string& path);

    /// The same for one GGUF file in memory, which must outlive the result; `path` names it in messages.
    static ModelFile from_bytes(std::span<const std::byte> bytes, const std::string& path);

    /// Takes what a loader has read and checked; `n_bytes` is the size of all parts. Throws Error(bad_file)
    /// when two tensors have one name. `kept` is what metadata and tensors view beside the parts.
    ModelFile(std::string path, std::vector<MappedFile> parts, Metadata metadata, std::vector<Tensor> tensors,
              uint64_t n_bytes, Layout layout = Layout::gguf,
              std::vector<std::shared_ptr<const void>> kept = {});

    /// The first part, whichever part was opened.
    const std::string& path() const { return path_; }
    const Metadata& metadata() const { return metadata_; }
    /// In the file's order, part after part.
    const std::vector<Tensor>& tensors() const { return tensors_; }
    /// The mapped parts in order (none for from_bytes).
    const std::vector<MappedFile>& parts() const { return parts_; }
    /// Size of all parts on disk in bytes.
    uint64_t n_bytes() const { return n_bytes_; }
    Layout layout() const { return layout_; }

    /// The tensor of this name, or nullptr.
    const Tensor* find(std::string_view name) const;
    /// The tensor of this name; throws Error(bad_file) that names it and the file when there is none.
    const Tensor& tensor(std::string_view name) const;

    /// Asks the kernel to read the file ahead.
    void will_need() const;

  private:
    std::string path_;
    std::vector<MappedFile> parts_;
    Metadata metadata_;
    std::vector<Tensor> tensors_;
    std::vector<uint32_t> by_name_;  ///< indices into tensors_, sorted by name
    uint64_t n_bytes_ = 0;
    Layout layout_ = Layout::gguf;
    std::vector<std::shared_ptr<const void>> kept_;
};

/// Decodes the rows [first_row, first_row + n_rows) to float32: n_rows * shape[0] weights.
void decode_rows(const Tensor& tensor, int64_t first_row, int64_t n_rows, float* out);

/// All weights of a tensor as float32, in the file's order: n_elements() of them.
std::vector<float> decode_tensor(const Tensor& tensor);

}  // namespace agave
