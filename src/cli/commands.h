#pragma once

#include "cli/options.h"

namespace agave::cli {

/// The commands. Each returns the exit status; errors are thrown (agave::Error, OutputClosed).
int run_command(const CommandLine& line);
/// `words`: what stood behind the command's name.
int chat_command(const CommandLine& line, const std::vector<std::string>& words);
int inspect_command(const CommandLine& line);
int tokenize_command(const CommandLine& line);
int logits_command(const CommandLine& line);
int perplexity_command(const CommandLine& line);
int bench_command(const CommandLine& line);
int plan_command(const CommandLine& line);
int doctor_command(const CommandLine& line);
int serve_command(const CommandLine& line);
int pull_command(const CommandLine& line);
int list_command(const CommandLine& line);
int show_command(const CommandLine& line);
int rm_command(const CommandLine& line);
int quantize_command(const CommandLine& line);
int calibrate_command(const CommandLine& line);
int completion_command(const CommandLine& line);
int help_command(const CommandLine& line);

}  // namespace agave::cli
