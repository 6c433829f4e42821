#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

/// Text as Python's str sees it: UTF-8 taken as a row of code points. A byte that is not part of valid UTF-8
/// counts as one code point of its own (0xDC00 + byte, as Python's surrogateescape does), so that no input
/// text is lost or refused.
namespace agave::chat::text {

/// Decodes the code point at `position` (< text.size()) and moves `position` past it.
uint32_t next_code_point(std::string_view text, size_t& position);

/// Appends the code point; 0xDC80..0xDCFF become the raw byte again.
void append_code_point(std::string& out, uint32_t code_point);

/// Number of code points.
size_t count_code_points(std::string_view text);

/// Byte offset of the code point with this index, at most text.size().
size_t byte_offset(std::string_view text, size_t index);

/// The classes of Python's str.isspace, isalpha, isdigit and isprintable, for one code point.
bool is_space(uint32_t code_point);
bool is_alpha(uint32_t code_point);
bool is_digit(uint32_t code_point);
bool is_printable(uint32_t code_point);
/// True for letters that have another case: Python's Lu and Ll as far as case mappings tell.
bool is_upper(uint32_t code_point);
bool is_lower(uint32_t code_point);

/// str.upper(), str.lower(), str.title() and str.capitalize().
std::string upper(std::string_view text);
std::string lower(std::string_view text);
std::string title(std::string_view text);
std::string capitalize(std::string_view text);
/// str.swapcase().
std::string swapcase(std::string_view text);

/// Appends repr(text) as Python writes it.
void append_repr(std::string& out, std::string_view text);
/// Appends repr(number) of a Python float: the shortest digits that read back, with an exponent below 1e-4
/// and from 1e16 on.
void append_float(std::string& out, double number);
void append_integer(std::string& out, int64_t number);

enum class Parsed : uint8_t { whole, not_whole, overflow };
/// Reads digits of the base (2 to 36), after a '-' if `sign`; not_whole if something else is in the text.
Parsed parse_integer(std::string_view digits, int base, int64_t& number, bool sign = false);
/// Reads a decimal float, infinity or nan; `overflow` for digits that no double holds.
Parsed parse_float(std::string_view digits, double& number);

/// Appends a JSON string with Python's json.dumps escapes; ensure_ascii writes \uXXXX for all but ASCII.
void append_json_string(std::string& out, std::string_view text, bool ensure_ascii);

/// Removes characters of `characters` (whitespace when null) from the chosen ends.
std::string_view strip(std::string_view text, const std::string_view* characters, bool left, bool right);

/// Moves `position` past one line break of str.splitlines, if there is one there.
bool skip_line_break(std::string_view text, size_t& position);

/// HTML-escapes & < > ' " as MarkupSafe does.
std::string html_escape(std::string_view text);

}  // namespace agave::chat::text
