#include "formats/safetensors.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "formats/huggingface.h"
#include "temporary_folder.h"

namespace agave {
namespace {

/// A SafeTensors file: the length of the header, the header, and `n_bytes` of data.
std::vector<std::byte> file_of(std::string_view header, size_t n_bytes, uint64_t declared) {
    std::vector<std::byte> bytes(sizeof declared + header.size() + n_bytes);
    std::memcpy(bytes.data(), &declared, sizeof declared);
    std::memcpy(bytes.data() + sizeof declared, header.data(), header.size());
    return bytes;
}
std::vector<std::byte> file_of(std::string_view header, size_t n_bytes) {
    return file_of(header, n_bytes, header.size());
}

std::string error_of(auto&& call) {
    try {
        call();
    } catch (const Error& error) {
        EXPECT_TRUE(error.kind() == ErrorKind::bad_file || error.kind() == ErrorKind::unsupported ||
                    error.kind() == ErrorKind::usage);
        return error.what();
    }
    return "no error";
}
std::string error_of_bytes(const std::vector<std::byte>& bytes) {
    return error_of([&] { parse_safetensors(bytes, "file"); });
}
void expect_error(std::string_view header, size_t n_bytes, const char* part) {
    EXPECT_PRED_FORMAT2(testing::IsSubstring, part, error_of_bytes(file_of(header, n_bytes)));
}

TEST(SafeTensors, ReadsWhatIsWell) {
    const auto bytes = file_of(R"({"__metadata__":{"format":"pt"},
        "b":{"dtype":"F32","shape":[2,1],"data_offsets":[2,10]},
        "a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"e":{"dtype":"F16","shape":[0,3],"data_offsets":[2,2]}})",
                               10);
    const std::vector<SafeTensor> tensors = parse_safetensors(bytes, "file");
    ASSERT_EQ(tensors.size(), 3u);
    EXPECT_EQ(tensors[0].name, "a");
    EXPECT_EQ(tensors[1].name, "e");
    EXPECT_EQ(tensors[1].n_elements(), 0);
    EXPECT_EQ(tensors[2].name, "b");
    EXPECT_EQ(tensors[2].n_bytes, 8u);
}

TEST(SafeTensors, RefusesAFileShorterThanItsLength) {
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "only 3 bytes", error_of_bytes(std::vector<std::byte>(3)));
}
TEST(SafeTensors, RefusesAHeaderBeyondTheFile) {
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "declares a header of 500 bytes",
                        error_of_bytes(file_of("{}", 0, 500)));
}
TEST(SafeTensors, RefusesAHeaderOfAllLengths) {
    for (const uint64_t length : {UINT64_MAX, UINT64_MAX - 7, uint64_t{1} << 63, kMaxSafeHeaderBytes + 1})
        EXPECT_PRED_FORMAT2(testing::IsSubstring, "at most", error_of_bytes(file_of("{}", 0, length)));
}
TEST(SafeTensors, RefusesAHeaderThatEndsEarly) {
    EXPECT_NE(error_of_bytes(file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, 20)),
              "no error");
}
TEST(SafeTensors, RefusesAHeaderThatIsNoObject) {
    expect_error("[]", 0, "no JSON header");
}
TEST(SafeTensors, NamesAGitLfsPointer) {
    const std::string_view text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
    std::vector<std::byte> bytes(text.size());
    std::memcpy(bytes.data(), text.data(), text.size());
    EXPECT_PRED_FORMAT2(testing::IsSubstring, "Git LFS pointer", error_of_bytes(bytes));
}
TEST(SafeTensors, RefusesOverlappingTensors) {
    expect_error(
        R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
        6, "overlaps");
}
TEST(SafeTensors, RefusesTwoTensorsInOnePlace) {
    expect_error(
        R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
        4, "overlaps");
}
TEST(SafeTensors, RefusesAGap) {
    expect_error(
        R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}})",
        6, "gap");
}
TEST(SafeTensors, RefusesBytesBehindTheLastTensor) {
    expect_error(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})", 5, "belong to none");
}
TEST(SafeTensors, RefusesAnOffsetBehindTheFile) {
    expect_error(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})", 3, "ends at byte 4");
    expect_error(
        R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[9223372036854775803,9223372036854775807]}})", 3,
        "ends at byte");
}
TEST(SafeTensors, RefusesOffsetsThatAreNone) {
    for (const char* offsets : {"[4,0]", "[-1,3]", "[0]", "[0,4,8]", "[0,4.5]", "[0,\"4\"]", "4", "null",
                                "{}", "[0,18446744073709551615]", "[0,1e400]"}) {
        const std::string header =
            std::string(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)") + offsets + "}}";
        EXPECT_NE(error_of_bytes(file_of(header, 4)), "no error") << offsets;
    }
}
TEST(SafeTensors, RefusesATypeThatDisagreesWithTheBytes) {
    expect_error(R"({"a":{"dtype":"F32","shape":[4],"data_offsets":[0,8]}})", 8,
                 "its dtype and shape need 16");
}
TEST(SafeTensors, RefusesAnUnknownType) {
    expect_error(R"({"a":{"dtype":"F3","shape":[1],"data_offsets":[0,1]}})", 1, "dtype 'F3'");
    expect_error(R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,1]}})", 1, "no dtype");
}
TEST(SafeTensors, RefusesHalfAByte) {
    expect_error(R"({"a":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", 2, "whole bytes");
}
TEST(SafeTensors, RefusesShapesThatOverflow) {
    for (const char* shape : {"[9223372036854775807]", "[4294967296,4294967296]", "[2147483648,2147483648,4]",
                              "[9223372036854775807,9223372036854775807]"}) {
        const std::string header =
            std::string(R"({"a":{"dtype":"F32","data_offsets":[0,0],"shape":)") + shape + "}}";
        EXPECT_PRED_FORMAT2(testing::IsSubstring, "overflow", error_of_bytes(file_of(header, 0))) << shape;
    }
}
TEST(SafeTensors, RefusesShapesThatAreNone) {
    for (const char* shape :
         {"[-1]", "[1.5]", "[9223372036854775808]", "4", "null", "[[1]]", "[1,1,1,1,1,1,1,1,1]"}) {
        const std::string header =
            std::string(R"({"a":{"dtype":"U8","data_offsets":[0,1],"shape":)") + shape + "}}";
        EXPECT_NE(error_of_bytes(file_of(header, 1)), "no error") << shape;
    }
}
TEST(SafeTensors, RefusesANameThatComesTwice) {
    EXPECT_NE(error_of_bytes(file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
        "a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
                                     2)),
              "no error");
}
TEST(SafeTensors, RefusesNamesThatAreNone) {
    expect_error(R"({"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, "is no name of a tensor");
    expect_error(R"({"a\u0000b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1,
                 "is no name of a tensor");
    expect_error("{\"" + std::string(kMaxSafeNameBytes + 1, 'a') +
                     R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
                 1, "is no name of a tensor");
}
TEST(SafeTensors, RefusesATensorThatIsNoObject) {
    expect_error(R"({"a":[]})", 0, "is not an object");
}
TEST(SafeTensors, RefusesADeepHeader) {
    EXPECT_PRED_FORMAT2(
        testing::IsSubstring, "deep",
        error_of_bytes(file_of("{\"a\":" + std::string(100000, '[') + std::string(100000, ']') + "}", 0)));
}

/// A folder with a configuration, files of one U8 tensor each, and an index.
class Folder : public testing::Test {
  protected:
    void write(const std::string& name, std::string_view text) {
        folder_.write(name, std::as_bytes(std::span(text)));
    }
    void write_tensor(const std::string& file, const std::string& name) {
        folder_.write(file,
                      file_of("{\"" + name + R"(":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1));
    }
    std::string error() const {
        return error_of([&] { open_huggingface(folder_.path()); });
    }
    void expect(const char* part) const { EXPECT_PRED_FORMAT2(testing::IsSubstring, part, error()); }
    void expect_index(std::string_view index, const char* part) {
        write("config.json", "{}");
        write("model.safetensors.index.json", index);
        expect(part);
    }
    TemporaryFolder folder_;
};

TEST_F(Folder, ReadsAnIndex) {
    write_tensor("a.safetensors", "a");
    write_tensor("b.safetensors", "b");
    expect_index(R"({"weight_map":{"a":"a.safetensors","b":"b.safetensors"}})", "no error");
}
TEST_F(Folder, RefusesAMissingConfiguration) {
    write_tensor("model.safetensors", "a");
    expect("no config.json");
}
TEST_F(Folder, RefusesAConfigurationThatIsNoJson) {
    write_tensor("model.safetensors", "a");
    write("config.json", "{\"a\":");
    expect("config.json");
}
TEST_F(Folder, RefusesADeepConfiguration) {
    write_tensor("model.safetensors", "a");
    write("config.json", std::string(100000, '[') + std::string(100000, ']'));
    expect("deep");
}
TEST_F(Folder, RefusesAFolderWithoutWeights) {
    write("config.json", "{}");
    expect("no SafeTensors file");
}
TEST_F(Folder, RefusesFilesThatNoIndexNames) {
    write("config.json", "{}");
    write_tensor("a.safetensors", "a");
    write_tensor("b.safetensors", "b");
    expect("name one of them");
}
TEST_F(Folder, RefusesAnIndexThatLeadsOutOfTheFolder) {
    for (const char* name :
         {"../a.safetensors", "/etc/a.safetensors", "sub/a.safetensors", "..\\\\a.safetensors",
          ".a.safetensors", "a.bin", "a\\u0000.safetensors", "", ".."})
        expect_index(std::string(R"({"weight_map":{"a":")") + name + "\"}}",
                     "no SafeTensors file of its own folder");
}
TEST_F(Folder, RefusesAnIndexThatNamesAMissingFile) {
    expect_index(R"({"weight_map":{"a":"a.safetensors"}})", "a.safetensors");
    EXPECT_NE(error(), "no error");
}
TEST_F(Folder, RefusesAnIndexThatNamesAMissingTensor) {
    write_tensor("a.safetensors", "a");
    expect_index(R"({"weight_map":{"a":"a.safetensors","b":"a.safetensors"}})", "has no tensor 'b'");
}
TEST_F(Folder, RefusesAnIndexThatPlacesATensorElsewhere) {
    write_tensor("a.safetensors", "a");
    write_tensor("b.safetensors", "b");
    expect_index(R"({"weight_map":{"a":"b.safetensors","b":"a.safetensors"}})", "which");
}
TEST_F(Folder, RefusesATensorInTwoFiles) {
    write_tensor("a.safetensors", "a");
    write_tensor("b.safetensors", "a");
    expect_index(R"({"weight_map":{"a":"a.safetensors","b":"b.safetensors"}})", "comes twice");
}
TEST_F(Folder, RefusesAnIndexWithoutAMap) {
    for (const char* index :
         {"{}", "[]", R"({"weight_map":[]})", R"({"weight_map":{}})", R"({"weight_map":null})"})
        expect_index(index, "no weight_map");
    expect_index(R"({"weight_map":{"a":1}})", "something other than names");
}

}  // namespace
}  // namespace agave
