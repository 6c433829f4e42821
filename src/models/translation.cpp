#include "models/translation.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "formats/hf_tokenizer.h"

namespace agave {

namespace {

constexpr int64_t kMaxIndex = 1 << 16;

/// What stands before the names of the language model's tensors; the longer first.
constexpr std::string_view kPrefixes[] = {"model.language_model.", "language_model.model.", "language_model.",
                                          "model.", "backbone."};
/// Parts beside the language model, behind the prefix.
constexpr std::string_view kOtherParts[] = {
    "visual.",       "vision_tower.", "vision_model.",          "audio_tower.",
    "embed_vision.", "embed_audio.",  "multi_modal_projector.", "mtp."};

std::string_view without_prefix(std::string_view name) {
    for (const std::string_view prefix : kPrefixes)
        if (name.starts_with(prefix)) return name.substr(prefix.size());
    return name;
}

bool is_left_out(std::string_view name) {
    for (const std::string_view part : kOtherParts)
        if (name.starts_with(part)) return true;
    return name.ends_with("rotary_emb.inv_freq");
}

struct Match {
    bool matches = false;
    int64_t indices[2] = {-1, -1};
    std::string_view rest;  ///< "", ".weight" or ".bias"
};

Match match(std::string_view pattern, std::string_view name) {
    Match result;
    int n_indices = 0;
    while (!pattern.empty()) {
        if (pattern[0] != '*') {
            if (name.empty() || name[0] != pattern[0]) return {};
            pattern.remove_prefix(1);
            name.remove_prefix(1);
            continue;
        }
        int64_t& index = result.indices[n_indices++];
        const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), index);
        if (error != std::errc() || index < 0 || index > kMaxIndex) return {};
        pattern.remove_prefix(1);
        name.remove_prefix(static_cast<size_t>(end - name.data()));
    }
    result.matches = name.empty() || name == ".weight" || name == ".bias";
    result.rest = name;
    return result;
}

std::string named(const char* to, const Match& match) {
    std::string name = to;
    if (const size_t star = name.find('*'); star != std::string::npos)
        name.replace(star, 1, std::to_string(match.indices[0]));
    return name += match.rest;
}

bool is_float(SafeType type) {
    return type == SafeType::f32 || type == SafeType::f16 || type == SafeType::bf16;
}
Format format_of(SafeType type) {
    return type == SafeType::f32 ? Format::f32 : type == SafeType::f16 ? Format::f16 : Format::bf16;
}

}  // namespace

Translation::Translation(HuggingFaceFolder folder, const char* architecture)
    : folder_(std::move(folder)), architecture_(architecture) {
    const JsonValue root = folder_.config->root();
    config_ = root["text_config"].is(JsonKind::object) ? root["text_config"] : root;
    // MLX adds the 1 where it also turns the convolution's weights to [channels, taps, 1].
    for (const SafeTensor& tensor : folder_.tensors)
        if (tensor.name.ends_with("conv1d.weight") && tensor.n_dims == 3 && tensor.shape[2] == 1)
            norms_are_whole_ = tensor.shape[1] != 1;
    entries_.push_back({"general.architecture", std::string_view(architecture)});
    auto name = std::make_shared<const std::string>(folder_.path.substr(folder_.path.rfind('/') + 1));
    entries_.push_back({"general.name", std::string_view(*name)});
    kept_.push_back(std::move(name));
}

JsonValue Translation::config(std::string_view name) const {
    JsonValue value = config_[name];
    // What concerns the whole model may stand beside text_config.
    if (!value) value = folder_.config->root()[name];
    return value.is(JsonKind::null) ? JsonValue() : value;
}

int64_t Translation::integer_of(JsonValue value, std::string_view name) const {
    if (!value.is(JsonKind::integer))
        fail(ErrorKind::bad_file, "'%s': '%s' is %s; expected an integer", config_path().c_str(),
             printable(name).c_str(), value ? "something else" : "missing");
    return value.as_integer();
}
double Translation::number_of(JsonValue value, std::string_view name) const {
    const bool valid = value.is(JsonKind::integer) || value.is(JsonKind::number);
    if (!valid || !std::isfinite(value.as_number()))
        fail(ErrorKind::bad_file, "'%s': '%s' is %s; expected a finite number", config_path().c_str(),
             printable(name).c_str(), value ? "something else" : "missing");
    return value.as_number();
}
std::string_view Translation::text_of(JsonValue value, std::string_view name) const {
    if (!value.is(JsonKind::text))
        fail(ErrorKind::bad_file, "'%s': '%s' is %s; expected a text", config_path().c_str(),
             printable(name).c_str(), value ? "something else" : "missing");
    return value.as_text();
}
int64_t Translation::integer(std::string_view name) const {
    return integer_of(config(name), name);
}
int64_t Translation::integer_or(std::string_view name, int64_t fallback) const {
    const JsonValue value = config(name);
    return value ? integer_of(value, name) : fallback;
}
double Translation::number_or(std::string_view name, double fallback) const {
    const JsonValue value = config(name);
    return value ? number_of(value, name) : fallback;
}
std::string_view Translation::text_or(std::string_view name, std::string_view fallback) const {
    const JsonValue value = config(name);
    return value ? text_of(value, name) : fallback;
}
bool Translation::boolean_or(std::string_view name, bool fallback) const {
    const JsonValue value = config(name);
    if (!value) return fallback;
    if (!value.is(JsonKind::boolean))
        fail(ErrorKind::bad_file, "'%s': '%s' is something else than true or false", config_path().c_str(),
             printable(name).c_str());
    return value.as_boolean();
}

void Translation::refuse(std::string_view name, const std::string& what) const {
    fail(ErrorKind::unsupported, "'%s': '%s' is %s, which agave does not run", config_path().c_str(),
         printable(name).c_str(), printable(what).c_str());
}

void Translation::add(const char* suffix, MetadataValue value) {
    entries_.push_back({architecture_ + "." + suffix, std::move(value)});
}

void Translation::set_architecture(const char* architecture) {
    for (MetadataEntry& entry : entries_) {
        if (entry.key == "general.architecture") entry.value = std::string_view(architecture);
        if (entry.key.starts_with(architecture_ + "."))
            entry.key.replace(0, architecture_.size(), architecture);
    }
    architecture_ = architecture;
}

bool Translation::has_tensor(std::string_view name) const {
    if (folder_.find(name)) return true;
    for (const std::string_view prefix : kPrefixes)
        if (folder_.find(std::string(prefix) + std::string(name))) return true;
    return false;
}

/// The tensor in place; copied only where its numbers are not aligned, which the format allows.
Tensor Translation::matrix(const SafeTensor& from, std::string name) {
    Tensor tensor;
    tensor.name = std::move(name);
    if (!from.scaled && !is_float(from.type))
        fail(ErrorKind::unsupported,
             "'%s': the tensor '%s' is stored as %s, which agave does not run by itself",
             folder_.path.c_str(), printable(from.name).c_str(), safe_type_name(from.type));
    if (from.n_dims > 4 || from.n_elements() == 0)
        fail(ErrorKind::bad_file,
             "'%s': the tensor '%s' has %d dimensions and %lld entries; expected 1 to 4 "
             "dimensions, none of them 0",
             folder_.path.c_str(), printable(from.name).c_str(), from.n_dims,
             static_cast<long long>(from.n_elements()));
    tensor.format = from.scaled ? Format::f32 : format_of(from.type);
    tensor.scaled = from.scaled;
    tensor.n_dims = from.n_dims;
    for (int i = 0; i < from.n_dims; i++)
        tensor.shape[static_cast<size_t>(i)] = from.shape[static_cast<size_t>(from.n_dims - 1 - i)];
    tensor.data = from.data;
    tensor.n_bytes = from.n_bytes;
    if (from.scaled) return tensor;
    const size_t alignment = format_info(tensor.format).block_bytes;
    if (reinterpret_cast<uintptr_t>(from.data) % alignment != 0) {
        const std::shared_ptr<std::byte[]> copy(new std::byte[from.n_bytes]);
        std::memcpy(copy.get(), from.data, from.n_bytes);
        tensor.data = copy.get();
        kept_.push_back(copy);
    }
    return tensor;
}

Tensor Translation::vector(const SafeTensor& from, std::string name, Change change) {
    const Tensor source = matrix(from, from.name);
    std::vector<float> values = decode_tensor(source);
    if (change == Change::plus_one && !norms_are_whole_)
        for (float& value : values) value += 1.0f;
    if (change == Change::negate_exp)
        for (float& value : values) value = -std::exp(value);
    Tensor tensor;
    tensor.name = std::move(name);
    tensor.n_dims = 0;
    for (int i = 0; i < source.n_dims; i++)
        if (const int64_t size = source.shape[static_cast<size_t>(i)]; size != 1)
            tensor.shape[static_cast<size_t>(tensor.n_dims++)] = size;
    tensor.n_dims = std::max(tensor.n_dims, 1);
    if (change == Change::even_entries || change == Change::odd_entries) {
        if (tensor.shape[0] % 2 != 0)
            fail(ErrorKind::bad_file, "'%s': the tensor '%s' has rows of %lld entries; expected pairs",
                 folder_.path.c_str(), printable(from.name).c_str(), static_cast<long long>(tensor.shape[0]));
        tensor.shape[0] /= 2;
        const size_t first = change == Change::odd_entries;
        for (size_t i = 0; i < values.size() / 2; i++) values[i] = values[2 * i + first];
        values.resize(values.size() / 2);
    }
    auto kept = std::make_shared<const std::vector<float>>(std::move(values));
    tensor.data = reinterpret_cast<const std::byte*>(kept->data());
    tensor.n_bytes = kept->size() * sizeof(float);
    kept_.push_back(std::move(kept));
    return tensor;
}

void Translation::add_vector(const char* name, std::vector<float> values) {
    auto kept = std::make_shared<const std::vector<float>>(std::move(values));
    Tensor tensor;
    tensor.name = name;
    tensor.shape[0] = static_cast<int64_t>(kept->size());
    tensor.data = reinterpret_cast<const std::byte*>(kept->data());
    tensor.n_bytes = kept->size() * sizeof(float);
    tensors_.push_back(std::move(tensor));
    kept_.push_back(std::move(kept));
}

/// Every second row of a matrix, or of each of several.
Tensor Translation::every_second_row(const SafeTensor& from, std::string name, bool odd) {
    Tensor tensor = matrix(from, std::move(name));
    if (!tensor.scaled)
        fail(ErrorKind::unsupported,
             "'%s': the tensor '%s' holds gate and up in one as %s; agave reads that only as MXFP4",
             folder_.path.c_str(), printable(from.name).c_str(), safe_type_name(from.type));
    if (tensor.shape[1] % 2 != 0)
        fail(ErrorKind::bad_file, "'%s': the tensor '%s' has %lld rows; expected pairs", folder_.path.c_str(),
             printable(from.name).c_str(), static_cast<long long>(tensor.shape[1]));
    tensor.shape[1] /= 2;
    tensor.n_bytes /= 2;
    tensor.scaled_row = odd;
    tensor.scaled_step = 2;
    return tensor;
}

void Translation::add_tensor(const SafeTensor& from, const TensorName& line, std::string name, int64_t part) {
    if (line.change == Change::even_rows || line.change == Change::odd_rows) {
        tensors_.push_back(every_second_row(from, std::move(name), line.change == Change::odd_rows));
        return;
    }
    const bool own = line.change != Change::none || from.n_dims <= 1;
    if (part < 0) {
        tensors_.push_back(own ? vector(from, std::move(name), line.change) : matrix(from, std::move(name)));
        return;
    }
    if (from.n_dims != 2)
        fail(ErrorKind::bad_file, "'%s': the tensor '%s' has %d dimensions, expected a matrix",
             folder_.path.c_str(), printable(from.name).c_str(), from.n_dims);
    parts_.push_back({std::move(name), part, matrix(from, from.name)});
}

void Translation::add_tensors(std::initializer_list<std::span<const TensorName>> tables) {
    for (const SafeTensor& tensor : folder_.tensors) {
        const std::string_view name = without_prefix(tensor.name);
        if (is_left_out(name) || (!left_out_.empty() && name.starts_with(left_out_))) continue;
        const TensorName* found = nullptr;
        for (const std::span<const TensorName> table : tables) {
            if (found) break;
            for (const TensorName& line : table) {
                // The first line counts, and later ones of the same name, which take other parts of the
                // tensor.
                if (found && std::strcmp(found->from, line.from) != 0) continue;
                const Match matched = match(line.from, name);
                if (!matched.matches) continue;
                found = &line;
                add_tensor(tensor, line, named(line.to, matched), matched.indices[1]);
            }
        }
        if (!found)
            fail(ErrorKind::unsupported, "'%s': the tensor '%s' is none that agave knows of a %s model",
                 folder_.path.c_str(), printable(tensor.name).c_str(), architecture_.c_str());
    }
    join_parts();
}

/// The experts of one tensor, which must be numbered without a gap and alike.
void Translation::join_parts() {
    std::sort(parts_.begin(), parts_.end(), [](const Part& a, const Part& b) {
        return a.name != b.name ? a.name < b.name : a.index < b.index;
    });
    for (size_t first = 0, last = 0; first < parts_.size(); first = last) {
        while (last < parts_.size() && parts_[last].name == parts_[first].name) last++;
        auto matrices = std::make_shared<std::vector<Tensor>>();
        Tensor joined = parts_[first].tensor;
        joined.name = parts_[first].name;
        joined.data = nullptr;
        joined.n_dims = 3;
        joined.shape[2] = static_cast<int64_t>(last - first);
        joined.n_bytes = 0;
        for (size_t i = first; i < last; i++) {
            Tensor& part = parts_[i].tensor;
            if (parts_[i].index != static_cast<int64_t>(i - first) || part.shape[0] != joined.shape[0] ||
                part.shape[1] != joined.shape[1] || part.format != joined.format ||
                !part.scaled != !joined.scaled)
                fail(ErrorKind::bad_file,
                     "'%s': the experts of one layer must be numbered from 0 and alike in shape and dtype; "
                     "'%s' is not",
                     folder_.path.c_str(), printable(part.name).c_str());
            joined.n_bytes += part.n_bytes;
            matrices->push_back(std::move(part));
        }
        joined.parts = matrices->data();
        kept_.push_back(std::move(matrices));
        tensors_.push_back(std::move(joined));
    }
    parts_.clear();
}

/// A folder without a tokenizer is a model all the same, for token ids.
void Translation::add_tokenizer() {
    if (!has_hf_tokenizer(folder_.path)) return;
    const auto embedding = std::find_if(tensors_.begin(), tensors_.end(), [](const Tensor& tensor) {
        return tensor.name == "token_embd.weight";
    });
    if (embedding == tensors_.end()) return;  // the model says that it is missing
    kept_.push_back(read_hf_tokenizer(folder_.path, {architecture_, embedding->n_rows()}, entries_));
}

ModelFile Translation::finish() {
    uint64_t n_bytes = 0;
    for (const MappedFile& file : folder_.weight_files) n_bytes += file.bytes().size();
    for (auto& scaled : folder_.scaled) kept_.push_back(std::move(scaled));
    kept_.push_back(folder_.config);
    if (folder_.on_disk) add_tokenizer();
    Metadata metadata(folder_.path, std::move(entries_));
    return {folder_.path,
            std::move(folder_.weight_files),
            std::move(metadata),
            std::move(tensors_),
            n_bytes,
            Layout::huggingface,
            std::move(kept_)};
}

}  // namespace agave
