#include "base/system.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/mapped_file.h"

namespace agave {
namespace {

#ifdef AGAVE_EMULATED
// The emulator's own page tables for the reservation are resident too.
constexpr uint64_t kSlack = uint64_t{1} << 30;
#else
constexpr uint64_t kSlack = uint64_t{1} << 20;
#endif

TEST(PageMemory, IsZeroCostsNothingUntilWrittenAndIsGivenBack) {
    const size_t bytes = size_t{1} << 36;
    const uint64_t before = resident_bytes();
    PageMemory memory(bytes);
    EXPECT_LT(resident_bytes(), before + kSlack);
    EXPECT_EQ(memory.data()[bytes - 1], std::byte{0});
    std::memset(memory.data(), 1, 1 << 20);
    memory.release(0, 1 << 20);
    EXPECT_EQ(memory.data()[0], std::byte{0});
    EXPECT_THROW(PageMemory(SIZE_MAX / 2), Error);
}

TEST(System, ReportsThisMachine) {
    EXPECT_GE(available_processors(), 1);
    EXPECT_GT(available_memory_bytes(), uint64_t{1} << 20);
    EXPECT_GE(peak_resident_bytes() + (1 << 20), resident_bytes());
    const double now = monotonic_seconds();
    EXPECT_GE(monotonic_seconds(), now);
}

std::string refusal(const std::string& path) {
    try {
        MappedFile file(path);
        return "";
    } catch (const Error& error) {
        return error.what();
    }
}

TEST(MappedFile, RefusesWhatIsNoRegularFileWithoutHanging) {
    char folder[] = "/tmp/agave-mapped-XXXXXX";
    ASSERT_TRUE(::mkdtemp(folder));
    const std::string base = folder, fifo = base + "/fifo", empty = base + "/empty", full = base + "/full";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    std::fclose(std::fopen(empty.c_str(), "w"));
    std::FILE* file = std::fopen(full.c_str(), "w");
    std::fputs("abc", file);
    std::fclose(file);
    EXPECT_NE(refusal(base).find("a directory"), std::string::npos);
    EXPECT_NE(refusal(fifo).find("pipe"), std::string::npos);
    EXPECT_NE(refusal(empty).find("is empty"), std::string::npos);
    EXPECT_NE(refusal(base + "/none").find("No such file"), std::string::npos);
    const MappedFile mapped(full);
    EXPECT_EQ(std::memcmp(mapped.bytes().data(), "abc", 3), 0);
    for (const std::string& path : {fifo, empty, full}) ::unlink(path.c_str());
    ::rmdir(folder);
}

}  // namespace
}  // namespace agave
