#include "formats/npy.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <numeric>

#include "base/error.h"
#include "temporary_folder.h"

namespace agave {
namespace {

namespace fs = std::filesystem;

size_t n_files(const TemporaryFolder& folder) {
    return static_cast<size_t>(
        std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()));
}

/// Header and data of a file that must be a well-formed version 1.0 array (numpy.lib.format).
struct Npy {
    std::string header;
    std::vector<float> data;
};
Npy read_npy(const std::string& path) {
    const std::vector<std::byte> bytes = read_bytes(path);
    const std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    EXPECT_EQ(text.substr(0, 8), std::string("\x93NUMPY\x01\x00", 8));
    const size_t length = static_cast<unsigned char>(text[8]) + 256u * static_cast<unsigned char>(text[9]);
    EXPECT_EQ((10 + length) % 64, 0u);
    Npy npy{text.substr(10, length), std::vector<float>((bytes.size() - 10 - length) / 4)};
    EXPECT_EQ(npy.header.back(), '\n');
    if (!npy.data.empty()) std::memcpy(npy.data.data(), bytes.data() + 10 + length, npy.data.size() * 4);
    return npy;
}

std::vector<float> numbers(size_t n) {
    std::vector<float> values(n);
    std::iota(values.begin(), values.end(), 0.25f);
    return values;
}

TEST(Npy, WritesTheHeaderOfNumpy) {
    const TemporaryFolder folder;
    const std::vector<float> data = numbers(24);
    const std::string path = folder / "x.npy";
    write_npy_float32(path, std::vector<int64_t>{2, 3, 4}, data);
    EXPECT_EQ(read_npy(path).data, data);
    EXPECT_TRUE(read_npy(path).header.starts_with(
        "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3, 4, ), }"));
    write_npy_float32(path, std::vector<int64_t>{5}, numbers(5));
    EXPECT_EQ(read_npy(path).data, numbers(5));
    EXPECT_NE(read_npy(path).header.find("(5, )"), std::string::npos);
    write_npy_float32(path, std::vector<int64_t>{0, 5}, {});
    EXPECT_EQ(read_npy(path).data.size(), 0u);
    EXPECT_EQ(n_files(folder), 1u);
}

TEST(Npy, WritesADecodedTensorPieceByPiece) {
    const TemporaryFolder folder;
    const std::vector<float> data = numbers(3 * 700 * 512);
    Tensor tensor;
    tensor.n_dims = 3;
    tensor.shape = {512, 700, 3, 1};
    tensor.data = reinterpret_cast<const std::byte*>(data.data());
    tensor.n_bytes = data.size() * sizeof(float);
    write_npy_tensor(folder / "x.npy", tensor);
    EXPECT_EQ(read_npy(folder / "x.npy").data, data);
    EXPECT_NE(read_npy(folder / "x.npy").header.find("(3, 700, 512, )"), std::string::npos);
}

TEST(Npy, DecodesEveryFormatLikeTheWholeTensor) {
    const TemporaryFolder folder;
    const ModelFile model = ModelFile::open(std::string(AGAVE_TEST_DATA) + "/gguf/small.gguf");
    for (const Tensor& tensor : model.tensors()) {
        write_npy_tensor(folder / "x.npy", tensor);
        const std::vector<float> found = read_npy(folder / "x.npy").data;
        const std::vector<float> expected = decode_tensor(tensor);
        ASSERT_EQ(found.size(), expected.size());
        EXPECT_EQ(std::memcmp(found.data(), expected.data(), found.size() * 4), 0) << tensor.name;
    }
}

TEST(Npy, FindsTheBlocksOfEachPiece) {
    const TemporaryFolder folder;
    Tensor tensor;
    tensor.format = Format::q8_0;
    tensor.n_dims = 2;
    tensor.shape = {4096, 130, 1, 1};
    tensor.n_bytes = tensor.row_bytes() * 130;
    std::vector<std::byte> blocks(tensor.n_bytes);
    for (size_t i = 0; i < blocks.size(); i++) blocks[i] = static_cast<std::byte>(i * i >> 8 & 0x3F);
    tensor.data = blocks.data();
    write_npy_tensor(folder / "x.npy", tensor);
    EXPECT_EQ(read_npy(folder / "x.npy").data, decode_tensor(tensor));
}

template <typename Call>
void expect_error(ErrorKind kind, const std::string& words, Call call) {
    try {
        call();
        ADD_FAILURE() << "no error; expected: " << words;
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), kind) << error.what();
        EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
    }
}

TEST(Npy, SaysWhenItCannotWrite) {
    const TemporaryFolder folder;
    const auto write = [](const std::string& path) {
        return [path] { write_npy_float32(path, std::vector<int64_t>{4}, numbers(4)); };
    };
    expect_error(ErrorKind::usage, "it is a directory", write(folder.path()));
    expect_error(ErrorKind::usage, "No such file or directory", write(folder / "absent" + "/x.npy"));
    EXPECT_EQ(n_files(folder), 0u);
}

TEST(Npy, WritesIntoAPipe) {
    // Not onto a real device: code that took it for a regular file would replace it.
    const TemporaryFolder folder;
    const std::string path = folder / "pipe.npy";
    ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
    const int reader = ::open(path.c_str(), O_RDWR | O_NONBLOCK);
    ASSERT_GE(reader, 0);
    write_npy_float32(path, std::vector<int64_t>{4}, numbers(4));
    char bytes[1024];
    EXPECT_EQ(::read(reader, bytes, sizeof bytes), 128 + 16);
    ::close(reader);
    EXPECT_TRUE(fs::is_fifo(path));
    EXPECT_EQ(n_files(folder), 1u);
}

TEST(Npy, LeavesTheOldFileWhenTheDiskIsFull) {
    const TemporaryFolder folder;
    const std::string path = folder / "x.npy";
    write_npy_float32(path, std::vector<int64_t>{4}, numbers(4));
    struct rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    const struct rlimit limit{100000, before.rlim_max};
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    expect_error(ErrorKind::runtime, "File too large",
                 [&] { write_npy_float32(path, std::vector<int64_t>{100000}, numbers(100000)); });
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
    std::signal(SIGXFSZ, handler);
    EXPECT_EQ(read_npy(path).data, numbers(4));
    EXPECT_EQ(n_files(folder), 1u);
}

TEST(Npy, WritesThroughALinkAndPastALeftover) {
    const TemporaryFolder folder;
    write_npy_float32(folder / "x.npy", std::vector<int64_t>{4}, numbers(4));
    fs::create_symlink("x.npy", folder / "link.npy");
    folder.write("x.npy.tmp-" + std::to_string(::getpid()) + "-0", {});
    write_npy_float32(folder / "link.npy", std::vector<int64_t>{5}, numbers(5));
    EXPECT_TRUE(fs::is_symlink(folder / "link.npy"));
    EXPECT_EQ(read_npy(folder / "x.npy").data, numbers(5));
    EXPECT_EQ(n_files(folder), 3u);
}

}  // namespace
}  // namespace agave
