#include "hub/selection.h"

#include <algorithm>
#include <cctype>

namespace agave::hub {

namespace {

// What people expect first: the best trade of size for quality, then what is near it.
constexpr std::string_view kPreferred[] = {
    "Q4_K_M",  "Q4_K_S", "MXFP4",  "MXFP4_MOE", "Q4_0",  "IQ4_XS", "IQ4_NL", "Q4_1",   "Q4_K_L",
    "Q5_K_M",  "Q5_K_S", "Q5_0",   "Q5_1",      "Q6_K",  "Q8_0",   "Q3_K_M", "Q3_K_L", "Q3_K_S",
    "IQ3_M",   "IQ3_S",  "IQ3_XS", "IQ3_XXS",   "Q2_K",  "Q2_K_S", "IQ2_M",  "IQ2_S",  "IQ2_XS",
    "IQ2_XXS", "IQ1_M",  "IQ1_S",  "TQ2_0",     "TQ1_0", "BF16",   "F16",    "F32"};
constexpr size_t kUnknown = std::size(kPreferred);

char upper(char c) {
    return static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
}

std::string uppercase(std::string_view text) {
    std::string result(text);
    std::transform(result.begin(), result.end(), result.begin(), upper);
    return result;
}

/// True when `word` stands in `text` between separators or ends. Both are upper case.
bool holds_word(std::string_view text, std::string_view word) {
    const auto separates = [&](size_t i) {
        return i >= text.size() || text[i] == '-' || text[i] == '.' || text[i] == '/';
    };
    for (size_t at = text.find(word); at != text.npos; at = text.find(word, at + 1))
        if ((at == 0 || separates(at - 1)) && separates(at + word.size())) return true;
    return false;
}

size_t preference_of(std::string_view path) {
    const std::string name = uppercase(path);
    for (size_t i = 0; i < std::size(kPreferred); i++)
        if (holds_word(name, kPreferred[i])) return i;
    return kUnknown;
}

/// The path without "-00002-of-00003.gguf" or ".gguf"; `part` becomes 2 (1 for a file that is not split).
std::string_view without_part(std::string_view path, int& part) {
    path.remove_suffix(5);
    part = 1;
    constexpr std::string_view pattern = "-00001-of-00001";
    if (path.size() <= pattern.size()) return path;
    const std::string_view tail = path.substr(path.size() - pattern.size());
    for (size_t i = 0; i < pattern.size(); i++) {
        const bool digit = pattern[i] == '0' || pattern[i] == '1';
        if (digit ? !std::isdigit(static_cast<unsigned char>(tail[i])) : tail[i] != pattern[i]) return path;
    }
    part = 0;
    for (size_t i = 1; i <= 5; i++) part = part * 10 + (tail[i] - '0');
    return path.substr(0, path.size() - pattern.size());
}

bool is_projector(std::string_view path) {
    return uppercase(path).find("MMPROJ") != std::string::npos;
}

struct Candidate {
    OfferedModel model;
    std::string stem;
    size_t preference;
};

std::vector<Candidate> gguf_candidates(std::span<const OfferedFile> files) {
    std::vector<const OfferedFile*> sorted;
    for (const OfferedFile& file : files)
        if (file.path.ends_with(".gguf") && !is_projector(file.path)) sorted.push_back(&file);
    std::sort(sorted.begin(), sorted.end(),
              [](const OfferedFile* a, const OfferedFile* b) { return a->path < b->path; });
    std::vector<Candidate> candidates;
    for (const OfferedFile* file : sorted) {
        int part = 0;
        const std::string stem(without_part(file->path, part));
        if (part == 1 || candidates.empty() || candidates.back().stem != stem) {
            const size_t preference = preference_of(stem);
            const size_t slash = stem.rfind('/');
            std::string label(preference < kUnknown ? std::string(kPreferred[preference])
                                                    : stem.substr(slash == stem.npos ? 0 : slash + 1));
            candidates.push_back({{std::move(label), {}, 0}, stem, preference});
        }
        candidates.back().model.paths.push_back(file->path);
        candidates.back().model.size += file->size;
    }
    return candidates;
}

/// What a SafeTensors model needs beside its weights.
bool belongs_to_safetensors(std::string_view path) {
    constexpr std::string_view names[] = {
        "config.json",     "generation_config.json",  "model.safetensors.index.json",
        "tokenizer.json",  "tokenizer_config.json",   "special_tokens_map.json",
        "tokenizer.model", "chat_template.jinja",     "vocab.json",
        "merges.txt",      "preprocessor_config.json"};
    if (path.find('/') != path.npos) return false;
    return std::find(std::begin(names), std::end(names), path) != std::end(names) ||
           (path.ends_with(".safetensors") && path.starts_with("model"));
}

}  // namespace

std::vector<OfferedModel> offered_models(std::span<const OfferedFile> files) {
    std::vector<Candidate> candidates = gguf_candidates(files);
    std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) {
        return a.preference != b.preference ? a.preference < b.preference : a.stem < b.stem;
    });
    std::vector<OfferedModel> models;
    for (Candidate& candidate : candidates) models.push_back(std::move(candidate.model));

    OfferedModel folder{"safetensors", {}, 0};
    bool has_weights = false, has_config = false;
    for (const OfferedFile& file : files) {
        if (!belongs_to_safetensors(file.path)) continue;
        has_weights |= file.path.ends_with(".safetensors");
        has_config |= file.path == "config.json";
        folder.paths.push_back(file.path);
        folder.size += file.size;
    }
    // The file to open comes first.
    const auto config = std::find(folder.paths.begin(), folder.paths.end(), "config.json");
    if (config != folder.paths.end()) std::iter_swap(folder.paths.begin(), config);
    if (has_weights && has_config) models.push_back(std::move(folder));
    return models;
}

const OfferedModel* select_model(std::span<const OfferedModel> models, std::string_view selection) {
    if (selection.empty()) return models.empty() ? nullptr : &models.front();
    for (const OfferedModel& model : models)
        if (std::find(model.paths.begin(), model.paths.end(), selection) != model.paths.end() &&
            model.label != "safetensors")
            return &model;
    const std::string wanted = uppercase(selection);
    for (const OfferedModel& model : models)
        if (uppercase(model.label) == wanted) return &model;
    for (const OfferedModel& model : models)
        if (model.label != "safetensors" && holds_word(uppercase(model.paths.front()), wanted)) return &model;
    return nullptr;
}

const OfferedFile* offered_projector(std::span<const OfferedFile> files) {
    const OfferedFile* best = nullptr;
    const auto rank = [](const OfferedFile& file) {
        constexpr std::string_view order[] = {"F16", "BF16", "Q8_0", "F32"};
        for (size_t i = 0; i < std::size(order); i++)
            if (holds_word(uppercase(file.path), order[i])) return i;
        return std::size(order);
    };
    for (const OfferedFile& file : files)
        if (file.path.ends_with(".gguf") && is_projector(file.path) && (!best || rank(file) < rank(*best)))
            best = &file;
    return best;
}

}  // namespace agave::hub
