#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/json_writer.h"
#include "base/system.h"
#include "cli/commands.h"
#include "cli/divergence.h"
#include "cli/engine_options.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "engine/encode_tensor.h"
#include "engine/gguf_layout.h"
#include "formats/gguf_writer.h"
#include "formats/imatrix.h"
#include "models/quantization.h"
#include "tokenizer/tokenizer.h"

namespace agave::cli {

namespace {

/// Exit status after Ctrl-C, as shells give it: 128 + SIGINT.
constexpr int kInterrupted = 130;

std::atomic<bool> interrupted{false};

/// The first Ctrl-C stops the work and removes what was begun, a second one ends the program.
void catch_interrupt() {
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted.store(true, std::memory_order_relaxed); };
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
    ::sigaction(SIGINT, &action, nullptr);
}

[[noreturn]] void fail_format(const std::string& name, bool mix) {
    std::string names;
    std::vector<const char*> all;
    if (mix)
        for (const Mix& known : mixes()) all.push_back(known.name);
    else
        for (const FormatInfo& info : formats()) all.push_back(info.name);
    for (const char* known : all) names += (names.empty() ? "" : ", ") + std::string(known);
    fail(ErrorKind::usage, "'%s' is not a format; there are %s", printable(name).c_str(), names.c_str());
}

/// A mix by name. Q3_K, Q4_K and Q5_K alone mean the middle one, and of a --pure model a format's name is
/// enough.
Mix mix_of(const std::string& name, bool pure) {
    const FormatInfo* format = find_format(name);
    const Mix* mix = find_mix(name);
    if (!mix && format) mix = find_mix(name + "_M");
    if (!mix && !(pure && format)) fail_format(name, true);
    Mix result = mix ? *mix : Mix{format->name, 0, format->format, ""};
    if (pure && format) result.format = format->format;
    return result;
}

Format format_of(const std::string& name) {
    const FormatInfo* info = find_format(name);
    if (!info) fail_format(name, false);
    return info->format;
}

MixOptions mix_options(const Options& options) {
    MixOptions result;
    result.pure = options.pure;
    result.has_importance = !options.imatrix.empty();
    if (!options.output_tensor_type.empty()) result.output_format = format_of(options.output_tensor_type);
    if (!options.token_embedding_type.empty())
        result.embedding_format = format_of(options.token_embedding_type);
    for (const std::string& rule : options.tensor_types) {
        const size_t equals = rule.rfind('=');
        if (equals == std::string::npos || equals == 0)
            fail(ErrorKind::usage, "--tensor-type: '%s' is not PATTERN=FORMAT", printable(rule).c_str());
        result.rules.push_back({rule.substr(0, equals), format_of(rule.substr(equals + 1))});
    }
    return result;
}

/// The metadata of the new file: what the old one says, but for what is no longer true.
std::vector<MetadataEntry> new_metadata(const ModelFile& model, const Mix& mix,
                                        const ImportanceMatrix& importance) {
    std::vector<MetadataEntry> entries;
    for (const MetadataEntry& entry : model.metadata().entries())
        if (!entry.key.starts_with("split.")) entries.push_back(entry);
    const auto set = [&](const char* key, MetadataValue value) {
        const auto at = std::find_if(entries.begin(), entries.end(),
                                     [&](const MetadataEntry& entry) { return entry.key == key; });
        if (at == entries.end())
            entries.push_back({key, std::move(value)});
        else
            *at = {key, std::move(value)};
    };
    set_gguf_metadata(model, entries);
    // The version of the block layouts: 2 since June 2023, and the only one that is read.
    set("general.quantization_version", uint64_t{2});
    set("general.file_type", static_cast<uint64_t>(mix.file_type));
    if (!importance.entries().empty()) {
        set("quantize.imatrix.file", std::string_view(importance.path()));
        set("quantize.imatrix.entries_count", static_cast<uint64_t>(importance.entries().size()));
    }
    return entries;
}

std::string shape_text(const Tensor& tensor) {
    std::string text;
    for (int i = 0; i < tensor.n_dims; ++i)
        text += strprintf(i == 0 ? "%lld" : " x %lld",
                          static_cast<long long>(tensor.shape[static_cast<size_t>(i)]));
    return text;
}

struct Totals {
    uint64_t from_bytes = 0, to_bytes = 0, weights = 0;
    double squared_error = 0, squared_weights = 0;
    int64_t requantized = 0, without_importance = 0;
};

bool is_float(Format format) {
    return format_info(format).block_elements == 1;
}

/// One tensor's result as text or JSON.
class Report {
  public:
    Report(const Options& options) : json_(options.json), silent_(options.quiet && !options.json) {
        if (!json_) return;
        writer_.begin_object();
        writer_.key("tensors");
        writer_.begin_array();
    }
    void tensor(const Tensor& from, Format to, uint64_t to_bytes, std::optional<double> error) {
        if (json_) {
            writer_.begin_object();
            writer_.member("name", from.name);
            writer_.member("from", from.format_name());
            writer_.member("to", format_info(to).name);
            writer_.member("from_bytes", uint64_t{from.n_bytes});
            writer_.member("to_bytes", to_bytes);
            writer_.member("relative_rms_error", error.value_or(0.0));
            writer_.end_object();
        } else if (!silent_) {
            const std::string change = error ? strprintf("%s -> %s", from.format_name(), format_info(to).name)
                                             : strprintf("%s, copied", from.format_name());
            printf_out("%-36s %-18s %-18s %10s -> %-10s %s\n", printable(from.name, 64).c_str(),
                       shape_text(from).c_str(), change.c_str(),
                       bytes_text(static_cast<double>(from.n_bytes)).c_str(),
                       bytes_text(static_cast<double>(to_bytes)).c_str(),
                       error ? strprintf("error %.3g %%", 100 * *error).c_str() : "");
        }
    }
    void end(const Totals& totals, const std::string& path, uint64_t file_bytes, double seconds) {
        const double bits = 8 * static_cast<double>(totals.to_bytes) / static_cast<double>(totals.weights);
        const double error =
            totals.squared_weights > 0 ? std::sqrt(totals.squared_error / totals.squared_weights) : 0;
        if (json_) {
            writer_.end_array();
            writer_.member("path", path);
            writer_.member("bytes", file_bytes);
            writer_.member("bits_per_weight", bits);
            writer_.member("relative_rms_error", error);
            writer_.member("seconds", seconds);
            writer_.end_object();
            print(writer_.text() + "\n");
        } else if (!silent_) {
            printf_out("%s: %s (weights %s -> %s, %.2f bits each), error %.3g %%, %.1f s\n",
                       printable(path, 200).c_str(), bytes_text(static_cast<double>(file_bytes)).c_str(),
                       bytes_text(static_cast<double>(totals.from_bytes)).c_str(),
                       bytes_text(static_cast<double>(totals.to_bytes)).c_str(), bits, 100 * error, seconds);
        }
    }

  private:
    bool json_, silent_;
    JsonWriter writer_;
};

/// Everything that is to be written, decided before the first byte.
struct Plan {
    std::vector<Tensor> tensors;  ///< names, shapes and formats of the new file
    std::vector<std::span<const float>> importance;
};

Plan make_plan(const ModelFile& model, const Mix& mix, const MixOptions& options,
               const ImportanceMatrix& importance) {
    Plan plan;
    const std::vector<Format> formats = choose_formats(model, mix, options);
    size_t n_known = 0;
    for (size_t i = 0; i < formats.size(); ++i) {
        Tensor tensor = model.tensors()[i];
        const bool kept = !is_quantizable(tensor);
        tensor.format = kept ? gguf_kept_format(model, tensor, mix.format) : formats[i];
        tensor.n_bytes = tensor_bytes(tensor, tensor.format);
        set_gguf_shape(model, tensor);
        plan.tensors.push_back(tensor);
        plan.importance.push_back(is_quantizable(tensor) ? importance.find(tensor)
                                                         : std::span<const float>{});
        n_known += !plan.importance.back().empty();
    }
    if (!importance.entries().empty() && n_known == 0)
        fail(ErrorKind::usage, "'%s' names no matrix of '%s': it is of another model",
             importance.path().c_str(), model.path().c_str());
    return plan;
}

/// A vector as rows of one number each, which a RowOrder can rearrange.
Tensor as_column(const Tensor& tensor) {
    Tensor column = tensor;
    if (tensor.n_dims == 1 && format_info(tensor.format).block_elements == 1)
        std::swap(column.shape[0], column.shape[1]);
    return column;
}

void check_output(const ModelFile& model, const std::string& path) {
    if (same_file(model.path(), path))
        fail(ErrorKind::usage, "'%s' is the model itself; write to another file", path.c_str());
    for (const MappedFile& part : model.parts())
        if (same_file(part.path(), path))
            fail(ErrorKind::usage, "'%s' is a part of the model itself; write to another file", path.c_str());
}

void say_notes(const Totals& totals, const ImportanceMatrix& importance) {
    if (totals.requantized > 0)
        print_message(
            strprintf("%lld matrices were quantised already: both errors add up, so begin from F16, BF16 "
                      "or F32 where you can",
                      static_cast<long long>(totals.requantized)));
    if (!importance.entries().empty() && totals.without_importance > 0)
        print_status(strprintf("%lld matrices have no importance in '%s' and were encoded without",
                               static_cast<long long>(totals.without_importance), importance.path().c_str()));
}

void write_model(const ModelFile& model, const Plan& plan, const ImportanceMatrix& importance,
                 GgufFileWriter& writer, const Options& options) {
    ThreadTeam team(options.n_threads > 0 ? static_cast<int>(options.n_threads) : available_processors());
    ProgressBar bar(options.quiet);
    Report report(options);
    Totals totals;
    uint64_t all = 0;
    for (const Tensor& tensor : model.tensors()) all += tensor.n_bytes;
    const double start = monotonic_seconds();
    for (size_t i = 0; i < plan.tensors.size(); ++i) {
        const Tensor &from = model.tensors()[i], &to = plan.tensors[i];
        std::optional<double> relative;
        if (from.format == to.format) {
            copy_tensor(as_column(from), gguf_order(model, from),
                        [&](std::span<const std::byte> bytes) { writer.write(bytes); });
        } else {
            uint64_t done = 0;
            const EncodingError error = encode_tensor(
                team, {from, to.format, gguf_order(model, from), plan.importance[i]}, &interrupted,
                [&](std::span<const std::byte> bytes) {
                    writer.write(bytes);
                    done += bytes.size();
                    bar.update("quantize",
                               totals.from_bytes + static_cast<uint64_t>(static_cast<double>(from.n_bytes) *
                                                                         static_cast<double>(done) /
                                                                         static_cast<double>(to.n_bytes)),
                               all);
                });
            relative = error.relative_rms();
            totals.squared_error += error.squared_error;
            totals.squared_weights += error.squared_weights;
            totals.requantized += !is_float(from.format) || from.scaled || (from.parts && from.parts->scaled);
            totals.without_importance += !is_float(to.format) && plan.importance[i].empty();
        }
        if (interrupted) fail(ErrorKind::runtime, "stopped");
        totals.from_bytes += from.n_bytes;
        totals.to_bytes += to.n_bytes;
        totals.weights += static_cast<uint64_t>(to.n_elements());
        bar.clear();
        report.tensor(from, to.format, to.n_bytes, relative);
        bar.update("quantize", totals.from_bytes, all);
    }
    writer.finish();
    bar.clear();
    report.end(totals, options.out, writer.n_bytes(), monotonic_seconds() - start);
    if (!options.quiet) say_notes(totals, importance);
}

/// --measure: what the new file predicts, against the model that it was made from.
void measure(const ModelFile& model, const Options& options) {
    constexpr int64_t kChunk = 256;
    const ModelFile made = open_model(options.out);
    const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(model.metadata());
    const std::string text = options.file.empty() ? kSampleText : read_file(options.file);
    const std::vector<int32_t> ids = tokenizer->encode(text, {.add_special = true, .parse_special = false});
    const int64_t chunk = std::min<int64_t>(kChunk, static_cast<int64_t>(ids.size()));
    const int64_t max_outputs = std::clamp<int64_t>((int64_t{1} << 22) / tokenizer->n_vocab(), 8, 64);
    const EngineOptions settings =
        engine_options(options, options.kv_type, chunk, static_cast<int>(max_outputs));
    Engine reference(model, settings), engine(made, settings);
    const Divergence divergence = measure_divergence(reference, engine, *tokenizer, ids, chunk);
    if (options.json) {
        JsonWriter json;
        json.begin_object();
        json.member("kl_divergence", divergence.mean());
        json.member("kl_divergence_standard_error", divergence.error());
        json.member("kl_divergence_largest", divergence.largest);
        json.member("same_likeliest_token", divergence.agreement());
        json.member("compared", divergence.count);
        json.end_object();
        print(json.text() + "\n");
    } else {
        printf_out("against %s: %s\n", printable(model.path(), 200).c_str(), divergence.text().c_str());
    }
}

}  // namespace

int quantize_command(const CommandLine& line) {
    Options options = line.options;
    options.out = line.arguments[1];
    const Mix mix = mix_of(line.arguments[2], options.pure);
    const MixOptions choices = mix_options(options);
    const ImportanceMatrix importance =
        options.imatrix.empty() ? ImportanceMatrix() : ImportanceMatrix::open(options.imatrix);
    const ModelFile model = open_model(line.arguments[0]);
    check_gguf_layout(model);
    check_output(model, options.out);
    const Plan plan = make_plan(model, mix, choices, importance);
    catch_interrupt();
    try {
        GgufFileWriter writer(options.out, new_metadata(model, mix, importance), plan.tensors, options.force);
        write_model(model, plan, importance, writer, options);
    } catch (const Error&) {
        if (!interrupted) throw;
        print_message(strprintf("stopped; '%s' was not written", options.out.c_str()));
        return kInterrupted;
    }
    if (options.measure) measure(model, options);
    return 0;
}

}  // namespace agave::cli
