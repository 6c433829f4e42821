#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "formats/huggingface.h"
#include "quant/scaled.h"

namespace agave {

/// What config.json says of the weights that their tensors do not: a method's reader fills it in.
struct ScaledConfig {
    JsonValue json;           ///< quantization_config, or MLX's `quantization`
    std::string_view method;  ///< quant_method; "MLX" for MLX's
    /// Sizes of blocks that share a scale, rows by columns; 0 stands for all of them.
    struct Block {
        int64_t rows, columns;
    };
    std::vector<Block> blocks = {};
    std::vector<int> bits = {};  ///< widths that occur
    uint32_t zero_offset = 0;    ///< see ScaledMatrix
};

/// Takes the tensors of a folder apart into those that stay and those that belong to a matrix with scales.
struct ScaledJoiner {
    HuggingFaceFolder& folder;
    ScaledConfig config;
    std::vector<bool> used = std::vector<bool>(folder.tensors.size());
    std::vector<SafeTensor> joined = {};

    /// The tensor of this name, which stays none of its own; nullptr where there is none.
    const SafeTensor* take(const std::string& base, const char* suffix);
    /// The same where it must be there.
    const SafeTensor& need(const std::string& base, const char* suffix);
    [[noreturn]] void fail_shape(const SafeTensor& tensor, const char* expected) const;
    void expect(const SafeTensor& tensor, SafeType type, int64_t n_elements, const char* expected) const;
    /// The number of a tensor of one float32.
    double scalar(const SafeTensor& tensor) const;
    /// A matrix of this format whose rows are those of `weights`, whatever its dimensions.
    ScaledMatrix matrix(const SafeTensor& weights, const ScaledFormat& format, int64_t n_columns) const;
    /// The scales (or zero points) of such a matrix: one for the whole, for a row, or for a block of the
    /// configuration or one that divides the matrix evenly. `bytes` is what U8 and I8 mean: u8 stands for
    /// nothing.
    NumberGrid grid(const SafeTensor& scales, const SafeTensor& weights, const ScaledMatrix& matrix,
                    NumberType bytes) const;
    /// Puts the matrix, under this name, in the place of its parts; add_like keeps the dimensions of
    /// `weights` outside the last.
    void add(const SafeTensor& weights, std::string name, const ScaledMatrix& matrix);
    void add_like(const SafeTensor& weights, std::string name, const ScaledMatrix& matrix);
};

/// One way in which tensors belong together: `join` gets each tensor of this type whose name ends so, and the
/// name without it, and takes it with its scales or leaves it.
struct ScaledScheme {
    std::string_view suffix;
    SafeType type;
    void (*join)(ScaledJoiner& joiner, const SafeTensor& weights, const std::string& base);
};

/// A quant_method: what reads its configuration (throwing for what agave does not know), and its schemes.
struct ScaledMethod {
    std::string_view name;
    void (*read)(const HuggingFaceFolder& folder, ScaledConfig& config);
    std::span<const ScaledScheme> schemes;
};
extern const std::span<const ScaledMethod> kScaledMethods;

}  // namespace agave
