#pragma once

#include <string>

#include "backends/cpu/limits.h"
#include "base/json_writer.h"
#include "cli/options.h"
#include "engine/engine.h"

namespace agave::cli {

/// What the options of a command that computes say about the engine. `max_outputs`: rows of logits in one
/// step.
EngineOptions engine_options(const Options& options, const std::string& kv_type, int64_t context_size,
                             int max_outputs);

/// The path that a MODEL argument means: itself, or the file of a model in the cache that is named
/// ORG/REPO[:QUANT]. Throws Error(usage) that says how to get a model which is not there.
std::string model_path(const std::string& model);

/// Maps the model file and lets the kernel read it ahead.
ModelFile open_model(const std::string& path);

/// The member "limits" of what bench, plan and doctor print.
void write_limits(JsonWriter& json, const cpu::MachineLimits& limits);

/// The index of the largest logit, the first of equals.
int32_t likeliest(std::span<const float> logits);

/// The table that --profile prints on standard error.
void print_profile(const Executor& executor);

}  // namespace agave::cli
