#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "formats/model_file.h"

namespace agave {

/// One GGUF file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
struct GgufPart {
    Metadata metadata;
    std::vector<Tensor> tensors;  ///< their data views the parsed bytes
};

/// What the loader takes at most; real files stay far below.
inline constexpr uint64_t kMaxGgufKeys = 1 << 16;
inline constexpr uint64_t kMaxGgufTensors = 1 << 20;
inline constexpr uint64_t kMaxGgufKeyBytes = 65535;  ///< the specification's limit
inline constexpr uint64_t kMaxGgufNameBytes = 64;    ///< the specification's limit for tensor names
inline constexpr uint64_t kMaxGgufTextBytes = INT32_MAX;
inline constexpr uint64_t kMaxGgufArrayElements = 1 << 26;  ///< of all arrays of a file together
inline constexpr uint64_t kMinGgufAlignment = 8;            ///< the specification: a multiple of 8
inline constexpr uint64_t kMaxGgufAlignment = 1 << 20;

/// Parses one GGUF file in memory without touching its weights. Every count, length, type id, dimension and
/// offset is checked against the bytes that are there before it is used or memory is taken for it. Throws
/// Error(bad_file) or Error(unsupported) with a sentence that names `path`; strings and tensors view `bytes`.
GgufPart parse_gguf(std::span<const std::byte> bytes, const std::string& path);

/// Maps and parses a GGUF file and, when it is one of a split model (`NAME-00001-of-00003.gguf`), the other
/// parts beside it. The metadata is the first part's.
ModelFile open_gguf(const std::string& path);

/// ggml's name of a tensor type, e.g. "IQ2_XXS" for 16, or nullptr when the id was never given out.
const char* ggml_type_name(uint32_t id);
/// Whether ggml has removed this type again (Q4_2, Q4_3 and the repacked formats of 2024).
bool ggml_type_removed(uint32_t id);

}  // namespace agave
