#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "gguf_writer.h"

namespace agave {

/// A crafted file that must be refused, and words of the sentence that it must get.
struct BadGguf {
    std::string name;
    std::vector<std::byte> bytes;
    ErrorKind kind;
    std::string words;
};

/// A small well-formed file with every value type and tensors of several formats.
GgufWriter good_gguf();

/// The cases of the bad-input list that concern the container.
std::vector<BadGguf> bad_gguf_cases();

}  // namespace agave
