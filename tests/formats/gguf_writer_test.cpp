#include "formats/gguf_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <filesystem>
#include <functional>

#include "base/error.h"
#include "formats/gguf.h"
#include "gguf_cases.h"
#include "temporary_folder.h"

namespace agave {
namespace {

namespace fs = std::filesystem;

/// Writes what was read, tensor by tensor.
void copy(const ModelFile& model, const std::string& path, bool replace = false) {
    GgufFileWriter writer(path, model.metadata().entries(), model.tensors(), replace);
    for (const Tensor& tensor : model.tensors()) writer.write({tensor.data, tensor.n_bytes});
    writer.finish();
    EXPECT_EQ(fs::file_size(path), writer.n_bytes());
}

std::string message_of(const std::function<void()>& call, ErrorKind kind) {
    try {
        call();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), kind) << error.what();
        return error.what();
    }
    return "no error";
}

void expect_same(const ModelFile& a, const ModelFile& b) {
    ASSERT_EQ(a.metadata().entries().size(), b.metadata().entries().size());
    for (size_t i = 0; i < a.metadata().entries().size(); ++i) {
        const MetadataEntry &x = a.metadata().entries()[i], &y = b.metadata().entries()[i];
        EXPECT_EQ(x.key, y.key);
        EXPECT_EQ(x.type, y.type) << x.key;
        EXPECT_EQ(x.value, y.value) << x.key;
    }
    ASSERT_EQ(a.tensors().size(), b.tensors().size());
    for (size_t i = 0; i < a.tensors().size(); ++i) {
        const Tensor &x = a.tensors()[i], &y = b.tensors()[i];
        EXPECT_EQ(x.name, y.name);
        EXPECT_EQ(x.format, y.format);
        EXPECT_EQ(x.n_dims, y.n_dims);
        EXPECT_EQ(x.shape, y.shape);
        ASSERT_EQ(x.n_bytes, y.n_bytes);
        EXPECT_EQ(std::memcmp(x.data, y.data, x.n_bytes), 0) << x.name;
    }
}

TEST(GgufWriter, WritesWhatItRead) {
    const TemporaryFolder folder;
    for (const fs::directory_entry& entry : fs::directory_iterator(AGAVE_TEST_DATA "/gguf")) {
        if (entry.path().extension() != ".gguf" || entry.path().string().find("-of-") != std::string::npos)
            continue;
        SCOPED_TRACE(entry.path());
        const ModelFile model = ModelFile::open(entry.path());
        copy(model, folder / "copy.gguf", true);
        expect_same(model, ModelFile::open(folder / "copy.gguf"));
    }
}

TEST(GgufWriter, KeepsEveryValueType) {
    const TemporaryFolder folder;
    GgufWriter crafted = good_gguf();
    const std::vector<std::byte> bytes = crafted.bytes();
    const ModelFile model = ModelFile::from_bytes(bytes, "good.gguf");
    copy(model, folder / "copy.gguf");
    expect_same(model, ModelFile::open(folder / "copy.gguf"));
}

TEST(GgufWriter, GivesWidthsToValuesWithoutOne) {
    const TemporaryFolder folder;
    const std::vector<MetadataEntry> entries = {
        {"a", uint64_t{7}},
        {"b", uint64_t{1} << 40},
        {"c", int64_t{-7}},
        {"d", 0.5},
        {"e", true},
        {"f", std::string_view("text")},
        {"g", MetadataArray(std::vector<int64_t>{1, -2})},
        {"h", MetadataArray(std::vector<uint64_t>{1, uint64_t{1} << 33})},
        {"i", MetadataArray(std::vector<double>{0.25})},
        {"j", MetadataArray(std::vector<bool>{true, false})},
        {"k", MetadataArray(std::vector<std::string_view>{"x", ""})},
    };
    GgufFileWriter writer(folder / "a.gguf", entries, {}, false);
    writer.finish();
    const ModelFile model = ModelFile::open(folder / "a.gguf");
    const ValueType widths[] = {ValueType::uint32,  ValueType::uint64,  ValueType::int32, ValueType::float32,
                                ValueType::boolean, ValueType::text,    ValueType::int32, ValueType::uint64,
                                ValueType::float32, ValueType::boolean, ValueType::text};
    for (size_t i = 0; i < entries.size(); ++i) {
        EXPECT_EQ(model.metadata().entries()[i].value, entries[i].value) << i;
        EXPECT_EQ(model.metadata().entries()[i].type, widths[i]) << i;
    }
}

TEST(GgufWriter, AlignsAsTheMetadataSays) {
    const TemporaryFolder folder;
    const std::vector<MetadataEntry> entries = {{"general.alignment", uint64_t{256}, ValueType::uint32}};
    const std::vector<std::byte> data(12, std::byte{1});
    Tensor tensor{"a", Format::f32, 1, {3, 1, 1, 1}, data.data(), data.size()};
    std::vector<Tensor> tensors{tensor, tensor};
    tensors[1].name = "b";
    GgufFileWriter writer(folder / "a.gguf", entries, tensors, false);
    writer.write(data);
    writer.write(std::span(data).first(5));
    writer.write(std::span(data).last(7));
    writer.finish();
    const ModelFile model = ModelFile::open(folder / "a.gguf");
    EXPECT_EQ(model.tensors()[1].data - model.tensors()[0].data, 256);
    EXPECT_EQ(std::memcmp(model.tensors()[1].data, data.data(), 12), 0);
}

TEST(GgufWriter, LeavesNothingUnlessFinished) {
    const TemporaryFolder folder;
    const std::string path = folder / "a.gguf";
    {
        GgufFileWriter writer(path, {}, {}, false);
    }
    EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(GgufWriter, RefusesWhatExists) {
    const TemporaryFolder folder;
    const std::string path = folder.write("a.gguf", std::vector<std::byte>(3));
    const std::string message = message_of([&] { GgufFileWriter(path, {}, {}, false); }, ErrorKind::usage);
    EXPECT_NE(message.find("exists already"), std::string::npos) << message;
    EXPECT_EQ(fs::file_size(path), 3u);
    {
        GgufFileWriter unfinished(path, {}, {}, true);
    }
    EXPECT_EQ(fs::file_size(path), 3u) << "replaced before it was finished";
    GgufFileWriter writer(path, {}, {}, true);
    writer.finish();
    EXPECT_EQ(ModelFile::open(path).tensors().size(), 0u);
    EXPECT_NE(
        message_of([&] { GgufFileWriter(folder.path(), {}, {}, true); }, ErrorKind::usage).find("directory"),
        std::string::npos);
    EXPECT_NE(message_of([&] { GgufFileWriter(folder / "none/a.gguf", {}, {}, true); }, ErrorKind::usage)
                  .find("No such file"),
              std::string::npos);
}

TEST(GgufWriter, RefusesASecondWriterAndTakesALeftover) {
    const TemporaryFolder folder;
    const std::string path = folder / "a.gguf";
    folder.write("a.gguf.part", std::vector<std::byte>(1000));
    GgufFileWriter writer(path, {}, {}, false);
    EXPECT_NE(
        message_of([&] { GgufFileWriter(path, {}, {}, false); }, ErrorKind::runtime).find("another program"),
        std::string::npos);
    writer.finish();
    EXPECT_EQ(ModelFile::open(path).tensors().size(), 0u);
}

TEST(GgufWriter, SaysWhenTheDiskIsTooSmall) {
    const TemporaryFolder folder;
    const Tensor huge{"a", Format::f32, 2, {int64_t{1} << 30, int64_t{1} << 28, 1, 1}, nullptr, 0};
    EXPECT_NE(
        message_of([&] { GgufFileWriter(folder / "a.gguf", {}, {&huge, 1}, false); }, ErrorKind::runtime)
            .find("are free on its disk"),
        std::string::npos);
    EXPECT_TRUE(fs::is_empty(folder.path()));
}

/// A limit on the file's size stands for a disk that becomes full.
TEST(GgufWriter, LeavesNothingWhenWritingFails) {
    const TemporaryFolder folder;
    const pid_t child = ::fork();
    if (child == 0) {
        ::signal(SIGXFSZ, SIG_IGN);
        const rlimit limit{4096, 4096};
        ::setrlimit(RLIMIT_FSIZE, &limit);
        const Tensor tensor{"a", Format::f32, 1, {100000, 1, 1, 1}, nullptr, 0};
        const std::vector<std::byte> data(400000);
        try {
            GgufFileWriter writer(folder / "a.gguf", {}, {&tensor, 1}, false);
            writer.write(data);
            writer.finish();
        } catch (const Error&) {
            ::_exit(7);
        }
        ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_EQ(WEXITSTATUS(status), 7);
    EXPECT_TRUE(fs::is_empty(folder.path()));
}

}  // namespace
}  // namespace agave
