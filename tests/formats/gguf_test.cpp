#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdlib>
#include <filesystem>

#include "base/error.h"
#include "formats/gguf.h"
#include "gguf_cases.h"
#include "temporary_folder.h"

namespace agave {
namespace {

namespace fs = std::filesystem;

const std::string kFixtures = std::string(AGAVE_TEST_DATA) + "/gguf/";

/// The error of `call`, or (runtime, "no error").
template <typename Call>
Error error_of(Call call) {
    try {
        call();
    } catch (const Error& error) {
        return error;
    }
    return {ErrorKind::runtime, "no error"};
}

TEST(Gguf, ReadsEveryValueType) {
    for (const uint32_t version : {2u, 3u}) {
        GgufWriter writer = good_gguf();
        writer.version = version;
        const std::vector<std::byte> bytes = writer.bytes();
        const ModelFile model = ModelFile::from_bytes(bytes, "good.gguf");
        const Metadata& metadata = model.metadata();
        EXPECT_EQ(metadata.entries().size(), 20u);
        EXPECT_EQ(metadata.text("general.architecture"), "llama");
        EXPECT_EQ(metadata.integer("test.u8", 0, 255), 200);
        EXPECT_EQ(metadata.integer("test.i8", -128, 127), -7);
        EXPECT_EQ(metadata.integer("test.u16", 0, 65535), 60000);
        EXPECT_EQ(metadata.integer("test.i16", -32768, 0), -300);
        EXPECT_EQ(metadata.integer("test.u32", 0, UINT32_MAX), 4000000000);
        EXPECT_EQ(metadata.integer("test.i32", INT32_MIN, 0), -70000);
        EXPECT_EQ(*metadata.find("test.u64"), MetadataValue(UINT64_MAX));
        EXPECT_EQ(metadata.integer("test.i64", INT64_MIN, 0), INT64_MIN);
        EXPECT_EQ(metadata.number("test.f32"), double{1e-5f});
        EXPECT_EQ(metadata.number("test.f64"), 1e300);
        EXPECT_TRUE(metadata.boolean_or("test.bool", false));
        EXPECT_EQ(metadata.text("test.empty"), "");
        EXPECT_EQ(*metadata.texts("test.texts"),
                  (std::vector<std::string_view>{"a", "", "\xFF\xFE", "three"}));
        EXPECT_EQ(metadata.integers("test.i8s"), (std::vector<int64_t>{-1, 0, 1}));
        EXPECT_EQ(metadata.integers("test.u16s"), (std::vector<int64_t>{1, 65535}));
        EXPECT_EQ(metadata.integers("test.i32s"), std::vector<int64_t>{});
        EXPECT_EQ(metadata.numbers("test.f32s"), (std::vector<double>{0.5, -1000}));
        EXPECT_EQ(metadata.booleans("test.bools"), (std::vector<bool>{true, false, true}));

        EXPECT_EQ(model.tensors().size(), 3u);
        EXPECT_EQ(model.find("absent"), nullptr);
        EXPECT_EQ(model.tensor("token_embd.weight").n_bytes, 64u / 32 * 34 * 3);
        EXPECT_EQ(model.tensor("experts.weight").n_dims, 4);
        EXPECT_EQ(model.tensor("experts.weight").n_rows(), 12);
        EXPECT_EQ(decode_tensor(model.tensor("norm.weight")), (std::vector<float>{1, 2, 3, 4}));
        EXPECT_EQ(model.n_bytes(), bytes.size());
        EXPECT_STREQ(error_of([&] { model.tensor("output.weight"); }).what(),
                     "'good.gguf' has no tensor 'output.weight'");
    }
}

TEST(Gguf, TextsViewTheFile) {
    const std::vector<std::byte> bytes = good_gguf().bytes();
    const ModelFile model = ModelFile::from_bytes(bytes, "good.gguf");
    const auto* begin = reinterpret_cast<const char*>(bytes.data());
    for (const std::string_view text : *model.metadata().texts("test.texts")) {
        EXPECT_GE(text.data(), begin);
        EXPECT_LE(text.data() + text.size(), begin + bytes.size());
    }
}

TEST(Gguf, ReadsAVocabularyWithoutTensors) {
    GgufWriter writer;
    writer.texts("tokenizer.ggml.tokens", {"a", "b"});
    const std::vector<std::byte> bytes = writer.bytes();
    EXPECT_EQ(ModelFile::from_bytes(bytes, "vocab.gguf").tensors().size(), 0u);
    const std::vector<std::byte> nothing = GgufWriter().bytes();
    EXPECT_EQ(nothing.size(), 24u);
    EXPECT_EQ(ModelFile::from_bytes(nothing, "nothing.gguf").metadata().entries().size(), 0u);
}

TEST(Gguf, TakesTensorsInAnyOrderOfTheirData) {
    GgufWriter writer;
    writer.raw_tensor("second", {8}, 0, 64);
    writer.raw_tensor("first", {8}, 0, 0);
    writer.raw_data(96);
    const std::vector<std::byte> bytes = writer.bytes();
    const ModelFile model = ModelFile::from_bytes(bytes, "reordered.gguf");
    EXPECT_EQ(model.tensor("second").data - model.tensor("first").data, 64);
}

class BadGgufTest : public testing::TestWithParam<BadGguf> {};

TEST_P(BadGgufTest, IsRefusedInOneSentence) {
    const BadGguf& bad = GetParam();
    const Error error = error_of([&] { ModelFile::from_bytes(bad.bytes, "bad.gguf"); });
    const std::string message = error.what();
    EXPECT_NE(message, "no error");
    EXPECT_EQ(error.kind(), bad.kind) << message;
    EXPECT_NE(message.find(bad.words), std::string::npos) << message;
    EXPECT_NE(message.find("'bad.gguf'"), std::string::npos) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    if (const char* corpus = std::getenv("AGAVE_WRITE_CORPUS")) {
        std::FILE* file = std::fopen((std::string(corpus) + "/" + bad.name).c_str(), "wb");
        ASSERT_NE(file, nullptr);
        std::fwrite(bad.bytes.data(), 1, bad.bytes.size(), file);
        std::fclose(file);
    }
}

std::string case_name(const testing::TestParamInfo<BadGguf>& info) {
    std::string name = info.param.name;
    for (char& c : name)
        if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
    return name;
}

INSTANTIATE_TEST_SUITE_P(Gguf, BadGgufTest, testing::ValuesIn(bad_gguf_cases()), case_name);

TEST(Gguf, RefusesAFileTruncatedAtAnyByte) {
    GgufWriter writer = good_gguf();
    std::vector<std::string> tokens;
    for (int i = 0; i < 5500; i++) tokens.push_back("t" + std::to_string(i));
    writer.texts("tokenizer.ggml.tokens", tokens);
    const std::vector<std::byte> bytes = writer.bytes();
    ASSERT_GT(bytes.size(), 65536u);
    // The last tensor's own bytes end before the padding.
    const Tensor last = ModelFile::from_bytes(bytes, "whole.gguf").tensor("experts.weight");
    const size_t needed = static_cast<size_t>(last.data + last.n_bytes - bytes.data());
    for (size_t size = 0; size < bytes.size(); size++) {
        // An exact copy, so that the address sanitizer sees a read beyond the end.
        const std::vector<std::byte> cut(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
        const Error error = error_of([&] { ModelFile::from_bytes(cut, "cut.gguf"); });
        if (size >= needed) {
            ASSERT_STREQ(error.what(), "no error");
            continue;
        }
        ASSERT_EQ(error.kind(), ErrorKind::bad_file) << size;
        ASSERT_NE(std::string(error.what()).find("truncated"), std::string::npos) << size << error.what();
    }
}

TEST(Gguf, ReadsASparseFileOfHugeTextsWithinItsLimit) {
    // 2^31 bytes in one text: the file is sparse, and only its first and last page are touched.
    const TemporaryFolder folder;
    GgufWriter writer;
    writer.raw_key("test.text", GgufWriter::kTextType);
    writer.raw<uint64_t>(uint64_t{1} << 31);
    const std::string path = folder.write("huge.gguf", writer.bytes());
    ASSERT_EQ(::truncate(path.c_str(), (off_t{1} << 31) + 4096), 0);
    const Error error = error_of([&] { ModelFile::open(path); });
    EXPECT_NE(std::string(error.what())
                  .find("a text of 2147483648 bytes in the metadata key 'test.text'; at "
                        "most 2147483647 are allowed"),
              std::string::npos)
        << error.what();
}

TEST(Gguf, LimitsTheMemoryOfTinyElements) {
    const TemporaryFolder folder;
    GgufWriter writer;
    writer.raw_array("test.bytes", GgufWriter::type_of<uint8_t>(), kMaxGgufArrayElements + 1);
    const std::string path = folder.write("bytes.gguf", writer.bytes());
    ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(kMaxGgufArrayElements) + 4096), 0);
    const Error error = error_of([&] { ModelFile::open(path); });
    EXPECT_EQ(error.kind(), ErrorKind::bad_file);
    EXPECT_NE(std::string(error.what()).find("the arrays of a file may hold"), std::string::npos)
        << error.what();
}

TEST(Gguf, RefusesWhatIsNoRegularFile) {
    const TemporaryFolder folder;
    EXPECT_EQ(error_of([&] { ModelFile::open(folder / "absent.gguf"); }).kind(), ErrorKind::usage);
    EXPECT_EQ(error_of([&] { ModelFile::open(folder.path()); }).kind(), ErrorKind::usage);
    const std::string fifo = folder / "fifo.gguf";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    EXPECT_EQ(error_of([&] { ModelFile::open(fifo); }).kind(), ErrorKind::usage);
    EXPECT_EQ(error_of([&] { ModelFile::open("/dev/zero"); }).kind(), ErrorKind::usage);
    EXPECT_EQ(error_of([&] { ModelFile::open(folder.write("empty.gguf", {})); }).kind(), ErrorKind::bad_file);
    const std::string unreadable = folder.write("unreadable.gguf", good_gguf().bytes());
    ASSERT_EQ(::chmod(unreadable.c_str(), 0), 0);
    if (::geteuid() != 0) {
        EXPECT_EQ(error_of([&] { ModelFile::open(unreadable); }).kind(), ErrorKind::usage);
    }
}

/// Prints a model as tools/gguf/dump.py does.
void dump_values(const MetadataArray& array, std::string& out) {
    const auto hex = [](std::string_view text) {
        std::string digits;
        for (const char c : text) digits += strprintf("%02x", static_cast<unsigned char>(c));
        return digits.empty() ? "-" : digits;
    };
    if (const auto* texts = std::get_if<std::vector<std::string_view>>(&array)) {
        out += strprintf("text %zu", texts->size());
        for (const std::string_view v : *texts) out += " " + hex(v);
    } else if (const auto* numbers = std::get_if<std::vector<double>>(&array)) {
        out += strprintf("number %zu", numbers->size());
        for (const double v : *numbers) out += strprintf(" %.17g", v);
    } else if (const auto* booleans = std::get_if<std::vector<bool>>(&array)) {
        out += strprintf("bool %zu", booleans->size());
        for (const bool v : *booleans) out += strprintf(" %d", v);
    } else if (const auto* integers = std::get_if<std::vector<int64_t>>(&array)) {
        out += strprintf("signed %zu", integers->size());
        for (const int64_t v : *integers) out += strprintf(" %" PRId64, v);
    } else if (const auto* counts = std::get_if<std::vector<uint64_t>>(&array)) {
        out += strprintf("unsigned %zu", counts->size());
        for (const uint64_t v : *counts) out += strprintf(" %" PRIu64, v);
    }
}

std::string dump(const ModelFile& model, const std::byte* begin) {
    std::string out;
    for (const MetadataEntry& entry : model.metadata().entries()) {
        std::string values;
        if (const auto* array = std::get_if<MetadataArray>(&entry.value)) {
            dump_values(*array, values);
            out += "array " + entry.key + " " + values + "\n";
            continue;
        }
        if (const auto* text = std::get_if<std::string_view>(&entry.value))
            dump_values(std::vector<std::string_view>{*text}, values);
        if (const auto* number = std::get_if<double>(&entry.value))
            dump_values(std::vector<double>{*number}, values);
        if (const auto* boolean = std::get_if<bool>(&entry.value))
            dump_values(std::vector<bool>{*boolean}, values);
        if (const auto* integer = std::get_if<int64_t>(&entry.value))
            dump_values(std::vector<int64_t>{*integer}, values);
        if (const auto* count = std::get_if<uint64_t>(&entry.value))
            dump_values(std::vector<uint64_t>{*count}, values);
        values.erase(values.find(" 1 "), 2);
        out += "key " + entry.key + " " + values + "\n";
    }
    for (const Tensor& tensor : model.tensors()) {
        out +=
            strprintf("tensor %s %s %td %zu %" PRId64, tensor.name.c_str(), format_info(tensor.format).name,
                      tensor.data - begin, tensor.n_bytes, tensor.shape[0]);
        for (size_t i = 1; i < static_cast<size_t>(tensor.n_dims); i++)
            out += strprintf("x%" PRId64, tensor.shape[i]);
        out += "\n";
    }
    return out;
}

TEST(Gguf, AgreesWithGgufPyOnTheFixtures) {
    for (const char* name : {"small", "aligned", "split-00001-of-00003", "split-00002-of-00003"}) {
        const MappedFile file(kFixtures + name + ".gguf");
        const ModelFile model = ModelFile::from_bytes(file.bytes(), file.path());
        const std::vector<std::byte> expected = read_bytes(kFixtures + name + ".txt");
        EXPECT_EQ(dump(model, file.bytes().data()),
                  std::string(reinterpret_cast<const char*>(expected.data()), expected.size()));
    }
}

TEST(Gguf, OpensASplitModelFromAnyPart) {
    const ModelFile whole = ModelFile::open(kFixtures + "small.gguf");
    for (int number = 1; number <= 3; number++) {
        const ModelFile model =
            ModelFile::open(kFixtures + "split-0000" + std::to_string(number) + "-of-00003.gguf");
        EXPECT_EQ(model.path(), kFixtures + "split-00001-of-00003.gguf");
        EXPECT_EQ(model.metadata().text("general.architecture"), "llama");
        EXPECT_EQ(model.metadata().integer("split.no", 0, 2), 0);
        EXPECT_EQ(model.parts().size(), 3u);
        EXPECT_EQ(model.n_bytes(), 2976u + 3456u + 1024u);
        ASSERT_EQ(model.tensors().size(), whole.tensors().size());
        for (size_t i = 0; i < whole.tensors().size(); i++) {
            const Tensor& expected = whole.tensors()[i];
            const Tensor& found = model.tensors()[i];
            EXPECT_EQ(found.name, expected.name);
            EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(found.data), found.n_bytes),
                      std::string_view(reinterpret_cast<const char*>(expected.data), expected.n_bytes));
        }
        model.will_need();
    }
}

TEST(Gguf, OpensTheOracle) {
    const fs::path oracle = fs::path(AGAVE_SHARED) / "oracle" / "data";
    if (!fs::exists(oracle)) GTEST_SKIP() << oracle << " is not there";
    int n_opened = 0;
    for (const fs::directory_entry& file : fs::recursive_directory_iterator(oracle)) {
        if (file.path().extension() != ".gguf") continue;
        EXPECT_NO_THROW(ModelFile::open(file.path().string())) << file.path();
        n_opened++;
    }
    EXPECT_GE(n_opened, 60);
}

TEST(Gguf, OpensTheVocabularies) {
    const fs::path folder = fs::path(AGAVE_SHARED) / "tokenizer";
    if (!fs::exists(folder)) GTEST_SKIP() << folder << " is not there";
    for (const fs::directory_entry& file : fs::directory_iterator(folder)) {
        if (file.path().extension() != ".gguf") continue;
        const ModelFile model = ModelFile::open(file.path().string());
        EXPECT_GT(model.metadata().texts("tokenizer.ggml.tokens")->size(), 30000u) << file.path();
        EXPECT_EQ(model.tensors().size(), 0u);
    }
}

}  // namespace
}  // namespace agave
