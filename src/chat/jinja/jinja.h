#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "chat/jinja/ast.h"
#include "chat/jinja/value.h"

/// An interpreter for Jinja2 templates as chat templates use it: with the settings of Hugging Face
/// transformers (ImmutableSandboxedEnvironment, trim_blocks, lstrip_blocks, loop controls, the `generation`
/// block, its own tojson), and nothing of the machine in reach but the clock. Reference: PyPI's jinja2 3.1
/// and https://jinja.palletsprojects.com/en/stable/templates/.
namespace agave::chat::jinja {

struct Limits {
    uint64_t max_steps = 20'000'000;         ///< evaluated nodes, and work on long values
    uint64_t max_value_bytes = 256u << 20;   ///< memory of all values of a render
    uint64_t max_output_bytes = 128u << 20;  ///< of the text
    uint32_t max_depth = 500;  ///< of nested evaluation (real templates: below 100); 256 KB of stack
};

/// Parses a template. Throws Error(bad_file) with line and column.
Program parse(std::string source);

/// Renders with the variables of `context`, a dict. `now`: seconds since 1970 for strftime_now, taken as UTC;
/// without it the local time. Throws Error(usage) for what the template itself raises (with its words) and
/// for what goes wrong in it (with line and column), Error(bad_file) when it exceeds a limit. A
/// program may be in use on several threads, a context only on one.
std::string render(const Program& program, const Value& context, const Limits& limits = {},
                   std::optional<int64_t> now = std::nullopt);

}  // namespace agave::chat::jinja
