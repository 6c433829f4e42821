#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace agave::test {

/// The whole file, or an empty string where it cannot be read.
inline std::string read_file(const std::string& path) {
    std::string bytes;
    if (std::FILE* file = std::fopen(path.c_str(), "rb")) {
        char buffer[65536];
        for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) bytes.append(buffer, n);
        std::fclose(file);
    }
    return bytes;
}

/// One list of ids for each line of a text file.
inline std::vector<std::vector<int32_t>> read_id_lines(const std::string& path) {
    std::vector<std::vector<int32_t>> lines;
    const std::string text = read_file(path);
    for (size_t begin = 0; begin < text.size();) {
        size_t end = text.find('\n', begin);
        if (end == std::string::npos) end = text.size();
        const std::string line = text.substr(begin, end - begin);
        std::vector<int32_t> ids;
        const char* at = line.c_str();
        for (char* next;; at = next) {
            const long id = std::strtol(at, &next, 10);
            if (next == at) break;
            ids.push_back(static_cast<int32_t>(id));
        }
        if (!ids.empty()) lines.push_back(ids);
        begin = end + 1;
    }
    return lines;
}

/// The numbers of a two-dimensional float32 .npy file, row after row.
inline std::vector<float> read_npy(const std::string& path) {
    const std::string bytes = read_file(path);
    if (bytes.size() < 10) return {};
    const size_t header =
        10 + static_cast<unsigned char>(bytes[8]) + 256u * static_cast<unsigned char>(bytes[9]);
    std::vector<float> numbers((bytes.size() - header) / sizeof(float));
    std::memcpy(numbers.data(), bytes.data() + header, numbers.size() * sizeof(float));
    return numbers;
}

}  // namespace agave::test
