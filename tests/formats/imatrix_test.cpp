#include "formats/imatrix.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "base/error.h"
#include "gguf_writer.h"
#include "temporary_folder.h"

namespace agave {
namespace {

std::string message_of(std::span<const std::byte> bytes) {
    try {
        ImportanceMatrix::from_bytes(bytes, "x.imatrix");
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::bad_file) << error.what();
        return error.what();
    }
    return "no error";
}

/// The older form, built number by number.
struct Dat {
    std::vector<std::byte> bytes;
    template <typename T>
    Dat& put(T value) {
        const auto* begin = reinterpret_cast<const std::byte*>(&value);
        bytes.insert(bytes.end(), begin, begin + sizeof value);
        return *this;
    }
    Dat& text(std::string_view value) {
        put(static_cast<int32_t>(value.size()));
        for (const char c : value) put(c);
        return *this;
    }
};

Dat good_dat() {
    Dat dat;
    dat.put(int32_t{2});
    dat.text("blk.1.attn_q.weight").put(int32_t{4}).put(int32_t{2}).put(8.0f).put(0.0f);
    dat.text("blk.0.attn_q.weight").put(int32_t{0}).put(int32_t{1}).put(3.0f);
    // What llama.cpp appends: the last chunk and the name of the text.
    dat.put(int32_t{7}).text("text.txt");
    return dat;
}

Tensor tensor_named(const char* name, int64_t columns, int64_t rows, int64_t matrices) {
    Tensor tensor;
    tensor.name = name;
    tensor.n_dims = 3;
    tensor.shape = {columns, rows, matrices, 1};
    return tensor;
}

TEST(Imatrix, ReadsTheOlderForm) {
    const ImportanceMatrix matrix = ImportanceMatrix::from_bytes(good_dat().bytes, "x.dat");
    ASSERT_EQ(matrix.entries().size(), 2u);
    EXPECT_EQ(matrix.entries()[0].name, "blk.0.attn_q.weight");
    EXPECT_EQ(matrix.entries()[0].values, std::vector<float>{3.0f});
    EXPECT_EQ(matrix.entries()[1].values, (std::vector<float>{2.0f, 0.0f}));
}

TEST(Imatrix, RefusesEveryTruncation) {
    const std::vector<std::byte> bytes = good_dat().bytes;
    // The last chunk and the text's name (4 + 4 + 8 bytes) are not read.
    for (size_t n = 0; n < bytes.size() - 16; ++n)
        EXPECT_NE(message_of(std::span(bytes).first(n)), "no error") << n;
    EXPECT_EQ(message_of(bytes), "no error");
}

TEST(Imatrix, RefusesHostileNumbers) {
    for (const int32_t count : {0, -1, 3, INT32_MAX, INT32_MIN}) {
        Dat dat = good_dat();
        std::memcpy(dat.bytes.data(), &count, 4);
        EXPECT_NE(message_of(dat.bytes), "no error") << count;
    }
    for (const int32_t length : {0, -1, 257, INT32_MAX}) {
        Dat dat = good_dat();
        std::memcpy(dat.bytes.data() + 4, &length, 4);
        EXPECT_NE(message_of(dat.bytes), "no error") << length;
    }
    for (const int32_t columns : {0, -1, 1000, INT32_MAX}) {
        Dat dat = good_dat();
        std::memcpy(dat.bytes.data() + 4 + 4 + 19 + 4, &columns, 4);
        EXPECT_NE(message_of(dat.bytes), "no error") << columns;
    }
    for (const float value : {-1.0f, NAN, INFINITY}) {
        Dat dat = good_dat();
        std::memcpy(dat.bytes.data() + 4 + 4 + 19 + 8, &value, 4);
        EXPECT_NE(message_of(dat.bytes).find("expected finite numbers"), std::string::npos) << value;
    }
    Dat twice;
    twice.put(int32_t{2});
    for (int i = 0; i < 2; ++i) twice.text("a.weight").put(int32_t{1}).put(int32_t{1}).put(1.0f);
    EXPECT_NE(message_of(twice.bytes).find("comes twice"), std::string::npos);
}

std::vector<ImportanceSums> sums() {
    return {{"blk.1.ffn_down_exps.weight", 2, {2, 4, 0, 0, 30, 60}, {2, 0, 30}},
            {"blk.0.attn_q.weight", 3, {4, 8, 12}, {4}}};
}

TEST(Imatrix, ReadsWhatItWrote) {
    const TemporaryFolder folder;
    const std::string path = folder / "a.gguf";
    write_imatrix(path, sums(), "text.txt", 3, 512, false);
    const ImportanceMatrix matrix = ImportanceMatrix::open(path);
    ASSERT_EQ(matrix.entries().size(), 2u);
    EXPECT_EQ(matrix.entries()[0].values, (std::vector<float>{1, 2, 3}));
    // The expert that no token reached counts all columns the same.
    EXPECT_EQ(matrix.entries()[1].values, (std::vector<float>{1, 2, 1, 1, 1, 2}));
    const ModelFile file = ModelFile::open(path);
    EXPECT_EQ(file.metadata().text("general.type"), "imatrix");
    EXPECT_EQ(file.metadata().integer("imatrix.chunk_count", 0, 100), 3);
    EXPECT_EQ(file.tensor("blk.1.ffn_down_exps.weight.counts").shape, (std::array<int64_t, 4>{1, 3, 1, 1}));
}

TEST(Imatrix, FindsWhatFitsTheTensor) {
    const TemporaryFolder folder;
    write_imatrix(folder / "a.gguf", sums(), "text.txt", 3, 512, false);
    const ImportanceMatrix matrix = ImportanceMatrix::open(folder / "a.gguf");
    EXPECT_EQ(matrix.find(tensor_named("blk.0.attn_q.weight", 3, 5, 1)).size(), 3u);
    EXPECT_EQ(matrix.find(tensor_named("blk.1.ffn_down_exps.weight", 2, 5, 3)).size(), 6u);
    EXPECT_TRUE(matrix.find(tensor_named("blk.7.attn_q.weight", 3, 5, 1)).empty());
    EXPECT_THROW(matrix.find(tensor_named("blk.0.attn_q.weight", 4, 5, 1)), Error);
    EXPECT_THROW(matrix.find(tensor_named("blk.1.ffn_down_exps.weight", 2, 5, 4)), Error);
    EXPECT_THROW(matrix.find(tensor_named("blk.1.ffn_down_exps.weight", 4, 5, 3)), Error);
}

/// GGUF files that are no importance matrix, or one whose parts disagree.
TEST(Imatrix, RefusesGgufFilesThatAreNone) {
    GgufWriter none;
    none.tensor("blk.0.attn_q.weight", 0, {4, 1});
    EXPECT_NE(message_of(none.bytes()).find("is no importance matrix"), std::string::npos);
    GgufWriter uncounted;
    uncounted.tensor("a.weight.in_sum2", 0, {4, 1});
    EXPECT_NE(message_of(uncounted.bytes()).find("no counts"), std::string::npos);
    GgufWriter unequal;
    unequal.tensor("a.weight.in_sum2", 0, {4, 2});
    unequal.tensor("a.weight.counts", 0, {1, 3});
    EXPECT_NE(message_of(unequal.bytes()).find("belong together"), std::string::npos);
    GgufWriter halves;
    halves.tensor("a.weight.in_sum2", 1, {4, 1});
    halves.tensor("a.weight.counts", 0, {1, 1});
    EXPECT_NE(message_of(halves.bytes()).find("belong together"), std::string::npos);
}

}  // namespace
}  // namespace agave
