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

/// Writes a line of statistics or progress to standard error, dimmed where color is used.
void print_status(const std::string& line);
/// Writes a sentence that the user must see to standard error, marked where color is used.
void print_message(const std::string& sentence);

/// Says what --color says: "auto", "always" or "never". Until then it is auto.
void set_color(std::string_view mode);
/// True when standard error is to be colored.
bool use_color();

/// True when text on standard output may be colored.
bool use_output_color();

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
