// The table of formats against gguf-py's (tests/data/quant/formats.txt).

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

#include "quant/format.h"

namespace agave {
namespace {

TEST(Formats, EqualGgufPysTable) {
    std::FILE* file = std::fopen(AGAVE_TEST_DATA "/quant/formats.txt", "r");
    ASSERT_NE(file, nullptr);
    char name[16];
    unsigned id = 0, elements = 0, bytes = 0;
    size_t n = 0;
    while (std::fscanf(file, "%15s %u %u %u", name, &id, &elements, &bytes) == 4) {
        ++n;
        const FormatInfo* info = find_gguf_format(id);
        ASSERT_NE(info, nullptr) << name;
        EXPECT_STREQ(info->name, name);
        EXPECT_EQ(info->block_elements, elements) << name;
        EXPECT_EQ(info->block_bytes, bytes) << name;
    }
    std::fclose(file);
    EXPECT_EQ(n, formats().size());
}

TEST(Formats, AreInTheOrderOfTheEnum) {
    for (size_t i = 0; i < formats().size(); ++i) {
        EXPECT_EQ(static_cast<size_t>(formats()[i].format), i);
        EXPECT_EQ(&format_info(formats()[i].format), &formats()[i]);
    }
}

TEST(Formats, UnknownTypeIdsAreNotFound) {
    // 4 and 5 (Q4_2, Q4_3) were removed from ggml, 9 and 15 (Q8_1, Q8_K) never are in files.
    for (uint32_t id : {4u, 5u, 9u, 15u, 31u, 1000u, 0x7FFFFFFFu, 0x80000000u, 0xFFFFFFFFu}) {
        EXPECT_EQ(find_gguf_format(id), nullptr) << id;
    }
}

}  // namespace
}  // namespace agave
