#pragma once

#include "base/json_writer.h"
#include "formats/model_file.h"

namespace agave::cli {

/// What a file says of talking to its model: recommended sampling, and how its chat template has it reason
/// and call tools. Lines for `agave inspect`; nothing where the file says nothing.
void print_chat(const Metadata& metadata);
void write_chat(JsonWriter& json, const Metadata& metadata);

}  // namespace agave::cli
