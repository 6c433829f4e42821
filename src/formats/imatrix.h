#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "formats/model_file.h"

namespace agave {

/// How much each column of one matrix matters: the mean square of what the matrix was multiplied by, over the
/// tokens of a text.
struct ImportanceEntry {
    std::string name;           ///< of the matrix
    std::vector<float> values;  ///< finite, >= 0; for experts one after the other
};

/// An importance matrix, llama.cpp's `imatrix`.
class ImportanceMatrix {
  public:
    ImportanceMatrix() = default;
    /// Throws Error(bad_file) when a name comes twice. `path` names the file in messages.
    ImportanceMatrix(std::string path, std::vector<ImportanceEntry> entries);

    /// Reads either form: the GGUF one (tensors `NAME.in_sum2` and `NAME.counts`) or the older .dat. Throws
    /// Error(usage) when the file cannot be opened and Error(bad_file) when it is damaged, is no importance
    /// matrix, or holds numbers that are negative, NaN or infinite.
    static ImportanceMatrix open(const std::string& path);
    static ImportanceMatrix from_bytes(std::span<const std::byte> bytes, const std::string& path);

    const std::string& path() const { return path_; }
    /// Sorted by name.
    const std::vector<ImportanceEntry>& entries() const { return entries_; }

    /// The importance of the tensor's columns, one number for each column or for each of each matrix
    /// shape[2]; empty when the matrix says nothing of it. Throws Error(bad_file) when it tells of another
    /// size.
    std::span<const float> find(const Tensor& tensor) const;

  private:
    std::string path_;
    std::vector<ImportanceEntry> entries_;
};

/// What a calibration has summed for one matrix (or each of its experts).
struct ImportanceSums {
    std::string name;
    int64_t n_columns = 0;
    std::vector<double> squares;  ///< [n_matrices, n_columns]: sums of the squares of the inputs
    std::vector<int64_t> counts;  ///< [n_matrices]: rows summed
};

/// Writes the GGUF form, which llama.cpp and agave read. `dataset` names the text; `n_chunks` of
/// `chunk_tokens` tokens were seen. Throws as GgufFileWriter does.
void write_imatrix(const std::string& path, std::vector<ImportanceSums> sums, const std::string& dataset,
                   int64_t n_chunks, int64_t chunk_tokens, bool replace);

}  // namespace agave
