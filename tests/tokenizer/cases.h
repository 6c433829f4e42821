#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace agave {

/// One object of a file of cases: [{"text": ..., "ids": [...], "decoded": ..., "name": ...}, ...].
struct TokenizerCase {
    std::string text;
    std::vector<int32_t> ids;
    std::optional<std::string> decoded;
    std::string name;
};

/// Reads a file of cases; empty when there is no such file, throws std::runtime_error when it is not one.
std::vector<TokenizerCase> read_cases(const std::string& path);

}  // namespace agave
