#pragma once

#include <string>
#include <string_view>

namespace agave::cli {

/// Thrown when the reader of standard output has gone: the program ends quietly.
struct OutputClosed {};

/// Writes to standard output. Throws OutputClosed, and Error(runtime) when writing fails otherwise.
void print(std::string_view text);
[[gnu::format(printf, 1, 2)]] void printf_out(const char* format, ...);

/// Hands everything that was printed to the system; throws as print() does.
void flush_output();

/// Writes a line to standard error, in the terminal's dim style when `dim`.
void print_status(const std::string& line, bool dim);

/// What --color says, decided for standard error.
bool use_color(std::string_view mode);

/// True when standard output is a terminal.
bool output_is_terminal();

/// Text from a model made harmless for a terminal: control characters other than newline and tab are replaced
/// by their pictures (U+2400 ...), C1 controls by U+FFFD. `text` is whole UTF-8 characters.
std::string neutralize_controls(std::string_view text);

/// Everything on standard input. Throws Error(runtime) when reading fails.
std::string read_standard_input();

/// A whole file. Throws Error(usage) when it cannot be opened, Error(runtime) when reading fails.
std::string read_file(const std::string& path);

/// 1234567 bytes as "1.2 MB" (powers of 1000).
std::string bytes_text(double bytes);

}  // namespace agave::cli
