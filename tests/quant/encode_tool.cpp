// Encodes rows for tools/quant/compare_errors.py: encode_tool FORMAT COLUMNS [IMPORTANCE] < floats > blocks.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "quant/encode.h"

int main(int argc, char** argv) {
    if (argc < 3) return 2;
    const agave::FormatInfo* info = nullptr;
    for (const agave::FormatInfo& row : agave::formats())
        if (std::strcmp(row.name, argv[1]) == 0) info = &row;
    const long columns = std::strtol(argv[2], nullptr, 10);
    if (!info || columns <= 0 || columns % info->block_elements != 0) return 2;
    std::vector<float> row(static_cast<size_t>(columns)), importance;
    if (argc > 3) {
        importance.resize(row.size());
        std::FILE* file = std::fopen(argv[3], "rb");
        if (!file || std::fread(importance.data(), sizeof(float), row.size(), file) != row.size()) return 2;
        std::fclose(file);
    }
    std::vector<std::byte> blocks(row.size() / info->block_elements * info->block_bytes);
    while (std::fread(row.data(), sizeof(float), row.size(), stdin) == row.size()) {
        agave::encoder(info->format)(row, importance, blocks.data());
        if (std::fwrite(blocks.data(), 1, blocks.size(), stdout) != blocks.size()) return 1;
    }
    return 0;
}
