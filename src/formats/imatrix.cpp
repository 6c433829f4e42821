#include "formats/imatrix.h"

#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "formats/gguf.h"
#include "formats/gguf_writer.h"

namespace agave {

namespace {

constexpr std::string_view kSums = ".in_sum2", kCounts = ".counts";
constexpr int32_t kMaxNameBytes = 256;

/// Throws for numbers that are no mean squares.
void check_values(const std::string& path, const ImportanceEntry& entry) {
    for (const float value : entry.values)
        if (!std::isfinite(value) || value < 0)
            fail(ErrorKind::bad_file,
                 "'%s': the importance of '%s' holds %g; expected finite numbers from 0 on", path.c_str(),
                 printable(entry.name).c_str(), static_cast<double>(value));
}

/// Mean squares of one matrix from sums and counts; experts that no token reached count all columns the same.
ImportanceEntry entry_from_tensors(const ModelFile& file, const Tensor& sums) {
    const std::string name = sums.name.substr(0, sums.name.size() - kSums.size());
    const Tensor* counts = file.find(name + std::string(kCounts));
    if (!counts)
        fail(ErrorKind::bad_file, "'%s': '%s' has sums but no counts", file.path().c_str(),
             printable(name).c_str());
    const int64_t n_matrices = sums.n_rows();
    if (sums.format != Format::f32 || counts->format != Format::f32 || counts->n_elements() != n_matrices)
        fail(ErrorKind::bad_file,
             "'%s': the sums of '%s' and their counts do not belong together: %" PRId64 " and %" PRId64
             " matrices of F32 were expected to be equal",
             file.path().c_str(), printable(name).c_str(), n_matrices, counts->n_elements());
    ImportanceEntry entry{name, decode_tensor(sums)};
    const std::vector<float> n = decode_tensor(*counts);
    for (size_t m = 0; m < n.size(); ++m) {
        if (!std::isfinite(n[m]) || n[m] < 0)
            fail(ErrorKind::bad_file, "'%s': a count of '%s' is %g; expected a number from 0 on",
                 file.path().c_str(), printable(name).c_str(), static_cast<double>(n[m]));
        const size_t columns = entry.values.size() / n.size();
        for (size_t i = m * columns; i < (m + 1) * columns; ++i)
            entry.values[i] = n[m] > 0 ? entry.values[i] / n[m] : 1.0f;
    }
    return entry;
}

ImportanceMatrix from_gguf(std::span<const std::byte> bytes, const std::string& path) {
    const ModelFile file = ModelFile::from_bytes(bytes, path);
    std::vector<ImportanceEntry> entries;
    for (const Tensor& tensor : file.tensors())
        if (std::string_view(tensor.name).ends_with(kSums))
            entries.push_back(entry_from_tensors(file, tensor));
    if (entries.empty())
        fail(ErrorKind::bad_file, "'%s' is no importance matrix: it has no tensor that ends in '%s'",
             path.c_str(), kSums.data());
    return {path, std::move(entries)};
}

/// The older form: counted entries of name, calls and sums, all numbers of 32 bits.
class DatReader {
  public:
    DatReader(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

    size_t remaining() const { return bytes_.size() - position_; }

    int32_t integer(const char* what, int32_t low, int64_t high) {
        int32_t value;
        take(&value, sizeof value, what);
        if (value < low || value > high)
            fail(ErrorKind::bad_file,
                 "'%s' is no importance matrix or is damaged: %s is %d; expected %d to %" PRId64,
                 path_.c_str(), what, value, low, high);
        return value;
    }
    void take(void* out, size_t n, const char* what) {
        if (n > remaining())
            fail(ErrorKind::bad_file, "'%s' is truncated: it ends at byte %zu within %s", path_.c_str(),
                 bytes_.size(), what);
        std::memcpy(out, bytes_.data() + position_, n);
        position_ += n;
    }

  private:
    std::span<const std::byte> bytes_;
    const std::string& path_;
    size_t position_ = 0;
};

ImportanceMatrix from_dat(std::span<const std::byte> bytes, const std::string& path) {
    DatReader reader(bytes, path);
    // An entry takes 13 bytes at the least.
    const auto most = static_cast<int64_t>(bytes.size() / 13);
    const int32_t n_entries = reader.integer("the number of entries", 1, most);
    std::vector<ImportanceEntry> entries(static_cast<size_t>(n_entries));
    for (ImportanceEntry& entry : entries) {
        entry.name.resize(static_cast<size_t>(reader.integer("the length of a name", 1, kMaxNameBytes)));
        reader.take(entry.name.data(), entry.name.size(), "a name");
        const int32_t calls = reader.integer("a number of calls", 0, INT32_MAX);
        const int32_t n_values = reader.integer("a number of columns", 1,
                                                static_cast<int64_t>(reader.remaining() / sizeof(float)));
        entry.values.resize(static_cast<size_t>(n_values));
        reader.take(entry.values.data(), entry.values.size() * sizeof(float), "the numbers of an entry");
        if (calls > 0)
            for (float& value : entry.values) value /= static_cast<float>(calls);
    }
    return {path, std::move(entries)};
}

}  // namespace

ImportanceMatrix::ImportanceMatrix(std::string path, std::vector<ImportanceEntry> entries)
    : path_(std::move(path)), entries_(std::move(entries)) {
    std::sort(entries_.begin(), entries_.end(),
              [](const ImportanceEntry& a, const ImportanceEntry& b) { return a.name < b.name; });
    for (size_t i = 0; i < entries_.size(); ++i) {
        check_values(path_, entries_[i]);
        if (i > 0 && entries_[i].name == entries_[i - 1].name)
            fail(ErrorKind::bad_file, "'%s': '%s' comes twice", path_.c_str(),
                 printable(entries_[i].name).c_str());
    }
}

ImportanceMatrix ImportanceMatrix::open(const std::string& path) {
    const MappedFile file(path);
    return from_bytes(file.bytes(), path);
}

ImportanceMatrix ImportanceMatrix::from_bytes(std::span<const std::byte> bytes, const std::string& path) {
    const bool gguf = bytes.size() >= 4 && std::memcmp(bytes.data(), "GGUF", 4) == 0;
    return gguf ? from_gguf(bytes, path) : from_dat(bytes, path);
}

std::span<const float> ImportanceMatrix::find(const Tensor& tensor) const {
    const auto at = std::lower_bound(
        entries_.begin(), entries_.end(), tensor.name,
        [](const ImportanceEntry& entry, const std::string& name) { return entry.name < name; });
    if (at == entries_.end() || at->name != tensor.name) return {};
    const auto columns = static_cast<uint64_t>(tensor.shape[0]);
    const uint64_t matrices = static_cast<uint64_t>(tensor.shape[2]);
    if (at->values.size() != columns && at->values.size() / columns != matrices)
        fail(ErrorKind::bad_file,
             "'%s' tells of %zu columns of '%s', which has %" PRIu64 "%s: it is of another model",
             path_.c_str(), at->values.size(), printable(tensor.name).c_str(), columns,
             matrices > 1 ? strprintf(" in each of %" PRIu64 " matrices", matrices).c_str() : "");
    return at->values;
}

void write_imatrix(const std::string& path, std::vector<ImportanceSums> sums, const std::string& dataset,
                   int64_t n_chunks, int64_t chunk_tokens, bool replace) {
    std::sort(sums.begin(), sums.end(),
              [](const ImportanceSums& a, const ImportanceSums& b) { return a.name < b.name; });
    const std::vector<MetadataEntry> metadata = {
        {"general.type", std::string_view("imatrix")},
        {"imatrix.datasets", MetadataArray(std::vector<std::string_view>{dataset})},
        {"imatrix.chunk_count", static_cast<uint64_t>(n_chunks)},
        {"imatrix.chunk_size", static_cast<uint64_t>(chunk_tokens)},
    };
    std::vector<Tensor> tensors;
    for (const ImportanceSums& entry : sums) {
        const auto n_matrices = static_cast<int64_t>(entry.counts.size());
        tensors.push_back(
            {entry.name + std::string(kSums), Format::f32, 2, {entry.n_columns, n_matrices, 1, 1}});
        tensors.push_back({entry.name + std::string(kCounts), Format::f32, 2, {1, n_matrices, 1, 1}});
    }
    GgufFileWriter writer(path, metadata, tensors, replace);
    for (const ImportanceSums& entry : sums) {
        const std::vector<float> squares(entry.squares.begin(), entry.squares.end());
        const std::vector<float> counts(entry.counts.begin(), entry.counts.end());
        writer.write(std::as_bytes(std::span(squares)));
        writer.write(std::as_bytes(std::span(counts)));
    }
    writer.finish();
}

}  // namespace agave
