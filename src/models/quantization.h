#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/model_file.h"

namespace agave {

/// A quantisation that people know by name: one format for most matrices and more bits for those that the
/// answers depend on most. The names, the numbers in `general.file_type` and the choice for each tensor are
/// llama.cpp's, so that a file of a name is what users of either expect.
struct Mix {
    const char* name;     ///< "Q4_K_M"
    int32_t file_type;    ///< general.file_type
    Format format;        ///< of most matrices
    const char* summary;  ///< for help
};
std::span<const Mix> mixes();
/// By name, whatever its case; nullptr: there is none.
const Mix* find_mix(std::string_view name);
/// A format by name, whatever its case; nullptr: there is none.
const FormatInfo* find_format(std::string_view name);

/// A rule of the user: tensors whose name matches `pattern` (`*` any text, `?` one character; anywhere in the
/// name when it has neither) take `format`.
struct TensorRule {
    std::string pattern;
    Format format;
};
bool matches(std::string_view pattern, std::string_view name);

struct MixOptions {
    bool pure = false;                       ///< every matrix in the mix's own format
    bool has_importance = false;             ///< some choices of the mixes depend on it
    std::vector<TensorRule> rules;           ///< the first that matches decides
    std::optional<Format> output_format;     ///< of output.weight
    std::optional<Format> embedding_format;  ///< of token_embd.weight
};

/// The format that each tensor of the model takes, in the model's order. Vectors, norms, routers and the
/// small matrices of convolutions keep theirs. Throws Error(usage) for a rule that matches no matrix, or
/// whose format does not divide a tensor's rows.
std::vector<Format> choose_formats(const ModelFile& model, const Mix& mix, const MixOptions& options);

/// Whether the tensor is a matrix that mixes encode.
bool is_quantizable(const Tensor& tensor);

/// What a format becomes where its blocks do not divide rows of `row_elements`: the next that has about as
/// many bits and smaller blocks, at last F16.
Format fitting_format(Format format, int64_t row_elements);

}  // namespace agave
