#include <charconv>
#include <cinttypes>
#include <optional>

#include "base/error.h"
#include "formats/gguf.h"

namespace agave {

namespace {

constexpr int64_t kMaxParts = 99999;

/// The name of one part of a split model: PREFIX-00002-of-00003.gguf, numbered from 1.
struct PartName {
    std::string prefix;
    int64_t number;
    int64_t count;
};

std::string part_path(const std::string& prefix, int64_t number, int64_t count) {
    return strprintf("%s-%05" PRId64 "-of-%05" PRId64 ".gguf", prefix.c_str(), number, count);
}

std::optional<PartName> parse_part_name(const std::string& path) {
    constexpr size_t kSuffix = sizeof("-00001-of-00003.gguf") - 1;
    if (path.size() < kSuffix) return std::nullopt;
    const char* suffix = path.data() + path.size() - kSuffix;
    PartName name{path.substr(0, path.size() - kSuffix), 0, 0};
    std::from_chars(suffix + 1, suffix + 6, name.number);
    std::from_chars(suffix + 10, suffix + 15, name.count);
    if (name.number < 1 || part_path(name.prefix, name.number, name.count) != path) return std::nullopt;
    return name;
}

int64_t split_count(const Metadata& metadata) {
    return metadata.integer_or("split.count", 1, 1, kMaxParts);
}

/// Checks what part `number` (from 1) says of itself against the model that it should belong to.
void check_part(const Metadata& part, int64_t number, int64_t count) {
    const int64_t own_count = split_count(part);
    if (own_count != count)
        fail(ErrorKind::bad_file,
             "'%s' belongs to a different model: its split.count is %" PRId64 "; expected %" PRId64,
             part.path().c_str(), own_count, count);
    const int64_t own_number = part.integer("split.no", 0, count - 1) + 1;
    if (own_number != number)
        fail(ErrorKind::bad_file,
             "'%s' is part %" PRId64 " of its model by its split.no, but part %" PRId64 " by its name",
             part.path().c_str(), own_number, number);
}

/// A later part repeats nothing of the first one's metadata; where it does, it must say the same.
void check_same_model(const Metadata& first, const Metadata& part, int64_t n_tensors) {
    if (part.integer("split.tensors.count", 0, INT64_MAX) != n_tensors)
        fail(ErrorKind::bad_file,
             "'%s' and '%s' belong to different models: their split.tensors.count differ",
             first.path().c_str(), part.path().c_str());
    for (const MetadataEntry& entry : part.entries()) {
        if (entry.key == "split.no" || entry.key == "general.alignment") continue;
        const MetadataValue* value = first.find(entry.key);
        if (!entry.key.starts_with("split.") && (!value || *value != entry.value))
            fail(ErrorKind::bad_file,
                 "'%s' and '%s' belong to different models: their metadata key '%s' differs",
                 first.path().c_str(), part.path().c_str(), printable(entry.key).c_str());
    }
}

MappedFile map_part(const std::string& path, int64_t number, int64_t count) {
    try {
        return MappedFile(path);
    } catch (const Error& error) {
        fail(error.kind(), "part %" PRId64 " of %" PRId64 " of the model is missing: %s", number, count,
             error.what());
    }
}

}  // namespace

ModelFile open_gguf(const std::string& path) {
    MappedFile opened(path);
    GgufPart opened_part = parse_gguf(opened.bytes(), path);
    const int64_t count = split_count(opened_part.metadata);
    std::vector<MappedFile> files;
    if (count == 1) {
        const uint64_t n_bytes = opened.bytes().size();
        files.push_back(std::move(opened));
        return {path, std::move(files), std::move(opened_part.metadata), std::move(opened_part.tensors),
                n_bytes};
    }

    const std::optional<PartName> name = parse_part_name(path);
    if (!name || name->count != count)
        fail(ErrorKind::bad_file,
             "'%s' is one of %" PRId64 " parts of a model, but its name does not end in '-0000N-of-%05" PRId64
             ".gguf', by which the other parts are found",
             path.c_str(), count, count);

    GgufPart model;
    uint64_t n_bytes = 0;
    int64_t n_tensors = 0;
    for (int64_t number = 1; number <= count; number++) {
        const std::string own_path = part_path(name->prefix, number, count);
        files.push_back(number == name->number ? std::move(opened) : map_part(own_path, number, count));
        GgufPart part =
            number == name->number ? std::move(opened_part) : parse_gguf(files.back().bytes(), own_path);
        check_part(part.metadata, number, count);
        n_bytes += files.back().bytes().size();
        if (number == 1) {
            n_tensors = part.metadata.integer("split.tensors.count", 0, INT64_MAX);
            model = std::move(part);
            continue;
        }
        check_same_model(model.metadata, part.metadata, n_tensors);
        for (Tensor& tensor : part.tensors) model.tensors.push_back(std::move(tensor));
    }
    if (static_cast<int64_t>(model.tensors.size()) != n_tensors)
        fail(ErrorKind::bad_file,
             "'%s': the %" PRId64 " parts hold %zu tensors, but split.tensors.count is %" PRId64,
             model.metadata.path().c_str(), count, model.tensors.size(), n_tensors);
    std::string first_path = model.metadata.path();
    return {std::move(first_path), std::move(files), std::move(model.metadata), std::move(model.tensors),
            n_bytes};
}

}  // namespace agave
