#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace agave {

/// Length in bytes of the valid UTF-8 character (RFC 3629) at the front of `text`, or 0.
size_t utf8_length(std::string_view text);

/// Bytes at the front of `text` that are valid UTF-8; text.size() when all are.
size_t valid_utf8_prefix(std::string_view text);

/// Writes a code point, at most 0x10FFFF, as 1 to 4 bytes; returns how many.
size_t write_utf8(uint32_t code_point, char* out);

}  // namespace agave
