#include "cli/engine_options.h"

#include <sys/stat.h>

#include <algorithm>

#include "base/error.h"
#include "cli/output.h"
#if AGAVE_HUB
#include "cli/pull.h"
#endif
#include "models/model.h"

namespace agave::cli {

namespace {

constexpr CpuLevel levels[] = {CpuLevel::portable,    CpuLevel::avx2, CpuLevel::avx512_vnni,
                               CpuLevel::avx512_bf16, CpuLevel::neon, CpuLevel::dotprod,
                               CpuLevel::i8mm};

CpuLevel parse_cpu_level(const std::string& name) {
    std::string names;
    for (CpuLevel level : levels) {
        if (name == cpu_level_name(level)) return level;
        names += (names.empty() ? "" : ", ") + std::string(cpu_level_name(level));
    }
    fail(ErrorKind::usage, "--cpu-level: '%s' is not one of %s", printable(name).c_str(), names.c_str());
}

}  // namespace

EngineOptions engine_options(const Options& options, const std::string& kv_type, int64_t context_size,
                             int max_outputs) {
    EngineOptions result;
    result.n_threads = static_cast<int>(options.n_threads);
    result.kv_format = kv_type == "f32" ? KvFormat::f32 : KvFormat::f16;
    result.context_size = context_size;
    result.prefill_chunk = static_cast<int>(options.prefill_chunk);
    result.max_outputs = max_outputs;
    result.exact = options.exact;
    if (!options.cpu_level.empty()) result.cpu_level = parse_cpu_level(options.cpu_level);
    return result;
}

std::string model_path(const std::string& model) {
#if AGAVE_HUB
    struct stat status{};
    if (::stat(model.c_str(), &status) != 0 && !model.ends_with(".gguf") && hub::like_model_name(model)) {
        const hub::ModelName name = hub::parse_model_name(model);
        const std::string path = hub::find_cached_model(name);
        return path.empty() ? pull_if_wanted(name) : path;
    }
#endif
    return model;
}

ModelFile open_model(const std::string& path) {
    ModelFile file = open_model_file(model_path(path));
    file.will_need();
    return file;
}

void write_limits(JsonWriter& json, const cpu::MachineLimits& limits) {
    json.key("limits");
    json.begin_object();
    json.member("read_bytes_per_second", limits.read_bytes_per_second);
    json.member("int8_ops_per_second", limits.int8_ops_per_second);
    json.member("bf16_flops_per_second", limits.bf16_flops_per_second);
    json.member("f32_flops_per_second", limits.f32_flops_per_second);
    json.end_object();
}

int32_t likeliest(std::span<const float> logits) {
    return static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

void print_profile(const Executor& executor) {
    std::vector<OperationProfile> rows = executor.profile();
    std::sort(rows.begin(), rows.end(),
              [](const OperationProfile& a, const OperationProfile& b) { return a.seconds > b.seconds; });
    double total = 0;
    for (const OperationProfile& row : rows) total += row.seconds;
    print_status("operation                    calls   seconds   share     GB/s    GOP/s");
    for (const OperationProfile& row : rows) {
        const double seconds = std::max(row.seconds, 1e-12);
        print_status(strprintf("%-24s %9lld %9.4f %6.1f%% %8.2f %8.1f", row.name.c_str(),
                               static_cast<long long>(row.calls), row.seconds,
                               100 * row.seconds / std::max(total, 1e-12), row.weight_bytes / seconds / 1e9,
                               row.operations / seconds / 1e9));
    }
}

}  // namespace agave::cli
