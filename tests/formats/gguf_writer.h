#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace agave {

/// Composes GGUF files for tests, well-formed ones and - through the fields and the raw_* functions - broken
/// ones. Nothing is checked.
///
///     GgufWriter file;
///     file.text("general.architecture", "llama");
///     file.value<uint32_t>("llama.block_count", 2);
///     file.tensor("token_embd.weight", 0, {64, 32});
///     ModelFile model = ModelFile::from_bytes(bytes, "crafted.gguf");  // bytes = file.bytes()
class GgufWriter {
  public:
    uint32_t version = 3;
    std::optional<uint64_t> n_keys;     ///< written in place of the true count
    std::optional<uint64_t> n_tensors;  ///< written in place of the true count
    uint64_t alignment = 32;            ///< of the tensors' data; general.alignment is written separately

    /// Value types of the specification.
    template <typename T>
    static constexpr uint32_t type_of() {
        if constexpr (std::is_same_v<T, uint8_t>) return 0;
        if constexpr (std::is_same_v<T, int8_t>) return 1;
        if constexpr (std::is_same_v<T, uint16_t>) return 2;
        if constexpr (std::is_same_v<T, int16_t>) return 3;
        if constexpr (std::is_same_v<T, uint32_t>) return 4;
        if constexpr (std::is_same_v<T, int32_t>) return 5;
        if constexpr (std::is_same_v<T, float>) return 6;
        if constexpr (std::is_same_v<T, bool>) return 7;
        if constexpr (std::is_same_v<T, uint64_t>) return 10;
        if constexpr (std::is_same_v<T, int64_t>) return 11;
        if constexpr (std::is_same_v<T, double>) return 12;
    }
    static constexpr uint32_t kTextType = 8;
    static constexpr uint32_t kArrayType = 9;

    template <typename T>
    void value(std::string_view key, T v) {
        raw_key(key, type_of<T>());
        raw(v);
    }
    void text(std::string_view key, std::string_view v) {
        raw_key(key, kTextType);
        raw_text(v);
    }
    template <typename T>
    void array(std::string_view key, const std::vector<T>& values) {
        raw_array(key, type_of<T>(), values.size());
        for (const T v : values) raw(v);
    }
    void texts(std::string_view key, const std::vector<std::string>& values) {
        raw_array(key, kTextType, values.size());
        for (const std::string& v : values) raw_text(v);
    }

    /// A tensor of ggml type `type` whose `data` follows the one before, aligned; `dims` innermost first.
    /// With no data given it is filled with zeros, which are counted for the formats of a test's needs (F32,
    /// F16, BF16, Q4_0, Q8_0).
    void tensor(std::string_view name, uint32_t type, const std::vector<uint64_t>& dims,
                std::span<const std::byte> data = {}) {
        std::vector<std::byte> zeros;
        if (data.empty()) {
            uint64_t n = 1;
            for (const uint64_t d : dims) n *= d;
            const uint64_t bytes = type == 0   ? n * 4
                                   : type == 2 ? n / 32 * 18
                                   : type == 8 ? n / 32 * 34
                                               : n * 2;
            zeros.resize(static_cast<size_t>(bytes));
            data = zeros;
        }
        raw_tensor(name, dims, type, data_.size());
        data_.insert(data_.end(), data.begin(), data.end());
        pad(data_);
    }
    void float_tensor(std::string_view name, const std::vector<uint64_t>& dims,
                      const std::vector<float>& values) {
        tensor(name, 0, dims, std::as_bytes(std::span(values)));
    }

    /// The pieces, for files that break the rules.
    template <typename T>
    void raw(T v) {
        append(entries_, &v, sizeof v);
    }
    void raw_text(std::string_view v) {
        raw<uint64_t>(v.size());
        append(entries_, v.data(), v.size());
    }
    void raw_key(std::string_view key, uint32_t type) {
        raw_text(key);
        raw(type);
        n_keys_++;
    }
    void raw_array(std::string_view key, uint32_t element_type, uint64_t count) {
        raw_key(key, kArrayType);
        raw(element_type);
        raw(count);
    }
    void raw_tensor(std::string_view name, const std::vector<uint64_t>& dims, uint32_t type, uint64_t offset,
                    std::optional<uint32_t> n_dims = {}) {
        append_number<uint64_t>(tensors_, name.size());
        append(tensors_, name.data(), name.size());
        append_number<uint32_t>(tensors_, n_dims.value_or(static_cast<uint32_t>(dims.size())));
        for (const uint64_t d : dims) append_number(tensors_, d);
        append_number(tensors_, type);
        append_number(tensors_, offset);
        n_tensors_++;
    }
    void raw_data(size_t n_bytes) { data_.resize(data_.size() + n_bytes); }

    std::vector<std::byte> bytes() const {
        std::vector<std::byte> out;
        append(out, "GGUF", 4);
        append_number(out, version);
        append_number<uint64_t>(out, n_tensors.value_or(n_tensors_));
        append_number<uint64_t>(out, n_keys.value_or(n_keys_));
        out.insert(out.end(), entries_.begin(), entries_.end());
        out.insert(out.end(), tensors_.begin(), tensors_.end());
        if (!data_.empty()) {
            pad(out);
            out.insert(out.end(), data_.begin(), data_.end());
        }
        return out;
    }

  private:
    static void append(std::vector<std::byte>& out, const void* data, size_t n) {
        if (n == 0) return;
        const size_t at = out.size();
        out.resize(at + n);
        std::memcpy(out.data() + at, data, n);
    }
    template <typename T>
    static void append_number(std::vector<std::byte>& out, T v) {
        append(out, &v, sizeof v);
    }
    void pad(std::vector<std::byte>& out) const {
        if (alignment) out.resize((out.size() + alignment - 1) / alignment * alignment);
    }

    std::vector<std::byte> entries_;
    std::vector<std::byte> tensors_;
    std::vector<std::byte> data_;
    uint64_t n_keys_ = 0;
    uint64_t n_tensors_ = 0;
};

}  // namespace agave
