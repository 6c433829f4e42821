#include <algorithm>

#include "backends/cpu/executor.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "base/system.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/inspect_chat.h"
#include "cli/output.h"
#include "formats/model_file.h"
#include "formats/npy.h"
#include "kv/cache.h"
#include "models/model.h"

namespace agave::cli {

namespace {

/// Longer metadata arrays (vocabularies) are told by their length alone.
constexpr size_t kShownElements = 256;

struct FormatCount {
    std::string_view name;  ///< ends with a zero
    uint64_t n_tensors = 0, n_weights = 0, n_bytes = 0;
};

struct KvPlan {
    int64_t context;
    size_t f16_bytes, f32_bytes;
};

/// What running the model takes; `reason` says why it cannot be run, and the rest is empty then.
struct MemoryUse {
    std::string reason;
    Model model;
    std::vector<KvPlan> kv;
    size_t scratch_bytes = 0, state_bytes = 0;
};

struct Summary {
    std::vector<FormatCount> formats;
    uint64_t n_weights = 0, weight_bytes = 0;
};

Summary summarize(const ModelFile& file) {
    Summary summary;
    for (const Tensor& tensor : file.tensors()) {
        const std::string_view name = tensor.format_name();
        auto found = std::find_if(summary.formats.begin(), summary.formats.end(),
                                  [&](const FormatCount& count) { return count.name == name; });
        if (found == summary.formats.end())
            found = summary.formats.insert(summary.formats.end(), FormatCount{tensor.format_name()});
        FormatCount& count = *found;
        count.n_tensors++;
        count.n_weights += static_cast<uint64_t>(tensor.n_elements());
        count.n_bytes += tensor.n_bytes;
        summary.n_weights += static_cast<uint64_t>(tensor.n_elements());
        summary.weight_bytes += tensor.n_bytes;
    }
    std::sort(summary.formats.begin(), summary.formats.end(), [](const FormatCount& a, const FormatCount& b) {
        return a.n_bytes != b.n_bytes ? a.n_bytes > b.n_bytes : a.name < b.name;
    });
    return summary;
}

MemoryUse plan_memory_use(const ModelFile& file) {
    MemoryUse use;
    try {
        use.model = build_model(file);
        ThreadTeam team(available_processors());
        // As `agave run` makes it.
        use.scratch_bytes =
            cpu::make_executor(
                use.model.graph, team,
                {.max_rows = 512, .max_outputs = 1, .exact = false, .level = cpu::best_level()})
                ->scratch_bytes();
    } catch (const Error& error) {
        if (error.kind() == ErrorKind::runtime) throw;
        use.reason = error.what();
        return use;
    }
    const std::vector<KvLayer>& layers = use.model.graph.kv_layers;
    std::vector<int64_t> contexts{512, 2048, 8192, 32768, 131072};
    std::erase_if(contexts, [&](int64_t n) { return n >= use.model.context_length; });
    contexts.push_back(use.model.context_length);
    use.state_bytes = state_bytes(use.model.graph.state_layers);
    for (int64_t n : contexts)
        use.kv.push_back({n, kv_bytes(layers, KvFormat::f16, n), kv_bytes(layers, KvFormat::f32, n)});
    return use;
}

/// 134515008 as "134.5 million".
std::string count_text(uint64_t n) {
    const auto value = static_cast<double>(n);
    if (n >= 1'000'000'000) return strprintf("%.2f billion", value / 1e9);
    if (n >= 1'000'000) return strprintf("%.1f million", value / 1e6);
    return strprintf("%llu", static_cast<unsigned long long>(n));
}

/// A dimension list as GGUF writes it, the row length first.
std::string shape_text(const Tensor& tensor) {
    std::string text;
    for (int i = 0; i < tensor.n_dims; i++)
        text +=
            strprintf("%s%lld", i ? " x " : "", static_cast<long long>(tensor.shape[static_cast<size_t>(i)]));
    return text;
}

// One value of metadata as text; arrays by their length and first elements.
struct ValueText {
    std::string operator()(int64_t value) const { return strprintf("%lld", static_cast<long long>(value)); }
    std::string operator()(uint64_t value) const {
        return strprintf("%llu", static_cast<unsigned long long>(value));
    }
    std::string operator()(double value) const { return strprintf("%.7g", value); }
    std::string operator()(bool value) const { return value ? "true" : "false"; }
    std::string operator()(std::string_view value) const { return "\"" + printable(value, 64) + "\""; }
    std::string operator()(const MetadataArray& array) const {
        return std::visit(
            [this](const auto& elements) {
                std::string text = strprintf("%zu: [", elements.size());
                for (size_t i = 0; i < elements.size(); i++) {
                    if (i == 8 || text.size() > 72) return text + ", ...]";
                    text += (i ? ", " : "") + (*this)(elements[i]);
                }
                return text + "]";
            },
            array);
    }
};

struct ValueJson {
    JsonWriter& json;
    void operator()(const MetadataArray& array) const {
        std::visit(
            [this](const auto& elements) {
                if (elements.size() > kShownElements) {
                    json.begin_object();
                    json.member("length", static_cast<uint64_t>(elements.size()));
                    json.end_object();
                    return;
                }
                json.begin_array();
                for (size_t i = 0; i < elements.size(); i++)
                    (*this)(static_cast<typename std::decay_t<decltype(elements)>::value_type>(elements[i]));
                json.end_array();
            },
            array);
    }
    template <typename T>
    void operator()(const T& value) const {
        json.value(value);
    }
};

void print_text(const ModelFile& file, const Summary& summary, const MemoryUse& use, bool list_tensors) {
    const Metadata& metadata = file.metadata();
    printf_out("%s\n", printable(metadata.text_or("general.name", file.path()), 200).c_str());
    printf_out("  architecture  %s\n", printable(metadata.text_or("general.architecture", "none")).c_str());
    printf_out("  file          %s, %s in %zu tensors\n", file.path().c_str(),
               bytes_text(static_cast<double>(file.n_bytes())).c_str(), file.tensors().size());
    printf_out("  parameters    %s\n", count_text(summary.n_weights).c_str());
    if (use.reason.empty())
        printf_out(
            "  shape         %lld layers, embedding %lld, vocabulary %lld, context %lld tokens\n",
            static_cast<long long>(use.model.n_layers), static_cast<long long>(use.model.embedding_length),
            static_cast<long long>(use.model.n_vocab), static_cast<long long>(use.model.context_length));
    print_chat(metadata);
    print("\nweight formats\n");
    for (const FormatCount& count : summary.formats)
        printf_out("  %-8s %6llu tensors  %14s weights  %10s\n", count.name.data(),
                   static_cast<unsigned long long>(count.n_tensors), count_text(count.n_weights).c_str(),
                   bytes_text(static_cast<double>(count.n_bytes)).c_str());

    print("\nmemory\n");
    printf_out("  weights %s, read in place from the file\n",
               bytes_text(static_cast<double>(summary.weight_bytes)).c_str());
    if (!use.reason.empty()) {
        printf_out("  not runnable: %s\n", use.reason.c_str());
    } else {
        printf_out("  scratch %s\n", bytes_text(static_cast<double>(use.scratch_bytes)).c_str());
        if (use.state_bytes != 0)
            printf_out("  recurrent state of a sequence %s, whatever its length\n",
                       bytes_text(static_cast<double>(use.state_bytes)).c_str());
        for (const KvPlan& plan : use.kv)
            printf_out("  K/V for %7lld tokens  %10s as f16  %10s as f32   total %10s\n",
                       static_cast<long long>(plan.context),
                       bytes_text(static_cast<double>(plan.f16_bytes)).c_str(),
                       bytes_text(static_cast<double>(plan.f32_bytes)).c_str(),
                       bytes_text(static_cast<double>(summary.weight_bytes + use.scratch_bytes +
                                                      use.state_bytes + plan.f16_bytes))
                           .c_str());
    }

    print("\nmetadata\n");
    for (const MetadataEntry& entry : metadata.entries())
        printf_out("  %s = %s\n", printable(entry.key, 200).c_str(),
                   std::visit(ValueText{}, entry.value).c_str());
    if (!list_tensors) return;
    print("\ntensors\n");
    for (const Tensor& tensor : file.tensors())
        printf_out("  %-40s %-6s %20s  %10s\n", printable(tensor.name, 200).c_str(), tensor.format_name(),
                   shape_text(tensor).c_str(), bytes_text(static_cast<double>(tensor.n_bytes)).c_str());
}

void write_memory(JsonWriter& json, const Summary& summary, const MemoryUse& use) {
    json.key("memory");
    json.begin_object();
    json.member("weight_bytes", summary.weight_bytes);
    if (use.reason.empty()) {
        json.member("scratch_bytes", static_cast<uint64_t>(use.scratch_bytes));
        json.member("state_bytes", static_cast<uint64_t>(use.state_bytes));
        json.key("kv");
        json.begin_array();
        for (const KvPlan& plan : use.kv) {
            json.begin_object();
            json.member("context", plan.context);
            json.member("f16_bytes", static_cast<uint64_t>(plan.f16_bytes));
            json.member("f32_bytes", static_cast<uint64_t>(plan.f32_bytes));
            json.end_object();
        }
        json.end_array();
    }
    json.end_object();
}

void write_tensor(JsonWriter& json, const Tensor& tensor) {
    json.begin_object();
    json.member("name", tensor.name);
    json.member("format", tensor.format_name());
    json.key("shape");
    json.begin_array();
    for (int i = 0; i < tensor.n_dims; i++) json.value(tensor.shape[static_cast<size_t>(i)]);
    json.end_array();
    json.member("bytes", static_cast<uint64_t>(tensor.n_bytes));
    json.end_object();
}

void print_json(const ModelFile& file, const Summary& summary, const MemoryUse& use, bool list_tensors) {
    JsonWriter json;
    json.begin_object();
    json.member("path", file.path());
    json.member("name", file.metadata().text_or("general.name", ""));
    json.member("architecture", file.metadata().text_or("general.architecture", ""));
    json.member("runnable", use.reason.empty());
    if (!use.reason.empty()) json.member("reason", use.reason);
    json.member("bytes", file.n_bytes());
    json.member("parameters", summary.n_weights);
    if (use.reason.empty()) {
        json.member("n_layers", use.model.n_layers);
        json.member("n_vocab", use.model.n_vocab);
        json.member("embedding_length", use.model.embedding_length);
        json.member("context_length", use.model.context_length);
    }
    write_chat(json, file.metadata());
    json.key("formats");
    json.begin_array();
    for (const FormatCount& count : summary.formats) {
        json.begin_object();
        json.member("format", count.name);
        json.member("tensors", count.n_tensors);
        json.member("weights", count.n_weights);
        json.member("bytes", count.n_bytes);
        json.end_object();
    }
    json.end_array();
    write_memory(json, summary, use);
    json.key("metadata");
    json.begin_object();
    for (const MetadataEntry& entry : file.metadata().entries()) {
        json.key(entry.key);
        std::visit(ValueJson{json}, entry.value);
    }
    json.end_object();
    if (list_tensors) {
        json.key("tensors");
        json.begin_array();
        for (const Tensor& tensor : file.tensors()) write_tensor(json, tensor);
        json.end_array();
    }
    json.end_object();
    print(json.text());
    print("\n");
}

}  // namespace

int inspect_command(const CommandLine& line) {
    const Options& options = line.options;
    if (options.tensor.empty() != options.out.empty())
        fail(ErrorKind::usage, "--tensor NAME and --out FILE belong together: one of them is missing");
    const ModelFile file = open_model_file(model_path(line.arguments[0]));
    if (!options.tensor.empty()) {
        const Tensor* tensor = file.find(options.tensor);
        if (!tensor)
            fail(ErrorKind::usage, "'%s' has no tensor '%s'; 'agave inspect --tensors' lists them",
                 file.path().c_str(), printable(options.tensor).c_str());
        write_npy_tensor(options.out, *tensor);
        if (!options.json) return 0;
        JsonWriter json;
        write_tensor(json, *tensor);
        print(json.text());
        print("\n");
        return 0;
    }
    const Summary summary = summarize(file);
    const MemoryUse use = plan_memory_use(file);
    (options.json ? print_json : print_text)(file, summary, use, options.tensors);
    return 0;
}

}  // namespace agave::cli
