#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace agave {

struct ScaledMatrix;

/// The element types of SafeTensors, as its header spells them.
enum class SafeType : uint8_t {
    f64,
    f32,
    f16,
    bf16,
    f8_e4m3,
    f8_e5m2,
    f8_e8m0,
    f4,
    i64,
    i32,
    i16,
    i8,
    u64,
    u32,
    u16,
    u8,
    boolean,
    c64,
    f6_e2m3,
    f6_e3m2,
    f8_e4m3fnuz,
    f8_e5m2fnuz
};

/// "BF16", as the header spells it.
const char* safe_type_name(SafeType type);

/// A tensor as a SafeTensors file describes it.
struct SafeTensor {
    static constexpr int kMaxDims = 8;

    std::string name;
    SafeType type = SafeType::f32;
    int n_dims = 0;
    std::array<int64_t, kMaxDims> shape{};  ///< outermost first, as PyTorch writes it
    const std::byte* data = nullptr;        ///< in the parsed bytes; not necessarily aligned
    size_t n_bytes = 0;
    uint32_t file = 0;  ///< which of several files holds it
    /// Set by join_scaled_tensors(): the matrix that this tensor's weights, scales and zero points are.
    /// `shape` is then the matrix's, and data is nullptr.
    const ScaledMatrix* scaled = nullptr;

    int64_t n_elements() const;
};

/// What the loader takes at most; the first is the reference implementation's own limit.
inline constexpr uint64_t kMaxSafeHeaderBytes = 100'000'000;
inline constexpr size_t kMaxSafeTensors = 1 << 20;
inline constexpr size_t kMaxSafeNameBytes = 512;

/// Parses one SafeTensors file in memory (https://github.com/huggingface/safetensors, "Format") without
/// touching its weights. Offsets must cover the data without gaps or overlaps and agree with type and shape,
/// as the reference implementation demands. Throws Error(bad_file) or Error(unsupported) with a sentence that
/// names `path` and the tensor; the tensors, in the order of their data, view `bytes`.
std::vector<SafeTensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& path);

}  // namespace agave
