#include <gtest/gtest.h>

#include "base/error.h"
#include "formats/model_file.h"
#include "gguf_writer.h"
#include "temporary_folder.h"

namespace agave {
namespace {

struct Part {
    int number = 0;  ///< split.no, from 0
    int count = 2;
    int n_tensors = 2;
    std::vector<std::string> tensors;
};

GgufWriter write_part(const Part& part) {
    GgufWriter file;
    if (part.number == 0) {
        file.text("general.architecture", "llama");
        file.text("general.name", "first");
    }
    file.value<uint16_t>("split.no", static_cast<uint16_t>(part.number));
    file.value<uint16_t>("split.count", static_cast<uint16_t>(part.count));
    file.value<int32_t>("split.tensors.count", part.n_tensors);
    for (const std::string& name : part.tensors) file.float_tensor(name, {4}, {1, 2, 3, 4});
    return file;
}

class GgufSplit : public testing::Test {
  protected:
    std::string put(const std::string& name, const Part& part) {
        return folder_.write(name, write_part(part).bytes());
    }

    static void expect_error(const std::string& path, ErrorKind kind, const std::string& words) {
        try {
            ModelFile::open(path);
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), kind) << error.what();
            EXPECT_NE(std::string(error.what()).find(words), std::string::npos) << error.what();
            return;
        }
        ADD_FAILURE() << path << " was opened; expected: " << words;
    }

    TemporaryFolder folder_;
    const Part first_{0, 2, 2, {"a"}};
    const Part second_{1, 2, 2, {"b"}};
};

TEST_F(GgufSplit, OpensBothParts) {
    const std::string first = put("m-00001-of-00002.gguf", first_);
    const std::string second = put("m-00002-of-00002.gguf", second_);
    for (const std::string& path : {first, second}) {
        const ModelFile model = ModelFile::open(path);
        EXPECT_EQ(model.path(), first);
        EXPECT_EQ(model.metadata().text("general.name"), "first");
        EXPECT_EQ(model.tensors().size(), 2u);
        EXPECT_NE(model.find("b"), nullptr);
    }
}

TEST_F(GgufSplit, OpensASinglePartWhateverItsName) {
    EXPECT_EQ(ModelFile::open(put("m-00001-of-00001.gguf", {0, 1, 1, {"a"}})).tensors().size(), 1u);
    EXPECT_EQ(ModelFile::open(put("whole.gguf", {0, 1, 1, {"a"}})).tensors().size(), 1u);
    GgufWriter plain;
    plain.float_tensor("a", {4}, {1, 2, 3, 4});
    const std::string path = folder_.write("m-00001-of-00003.gguf", plain.bytes());
    EXPECT_EQ(ModelFile::open(path).tensors().size(), 1u);
}

TEST_F(GgufSplit, NamesAMissingPart) {
    const std::string first = put("m-00001-of-00002.gguf", first_);
    expect_error(first, ErrorKind::usage, "part 2 of 2 of the model is missing: cannot open '");
    const std::string second = put("n-00002-of-00002.gguf", second_);
    expect_error(second, ErrorKind::usage, "part 1 of 2 of the model is missing: cannot open '");
}

TEST_F(GgufSplit, RefusesANameThatDoesNotFindTheOthers) {
    for (const char* name : {"m.gguf", "m-00001-of-00003.gguf", "m-1-of-2.gguf", "-00001-of-00002.ggu",
                             "m-00000-of-00002.gguf", "m-000a1-of-00002.gguf", "m_00001-of-00002.gguf"})
        expect_error(put(name, first_), ErrorKind::bad_file,
                     "is one of 2 parts of a model, but its name does not end in '-0000N-of-00002.gguf'");
}

TEST_F(GgufSplit, RefusesReorderedParts) {
    const std::string first = put("m-00001-of-00002.gguf", second_);
    const std::string second = put("m-00002-of-00002.gguf", first_);
    expect_error(first, ErrorKind::bad_file,
                 "is part 2 of its model by its split.no, but part 1 by its name");
    expect_error(second, ErrorKind::bad_file,
                 "is part 2 of its model by its split.no, but part 1 by its name");
    put("m-00001-of-00002.gguf", first_);
    expect_error(first, ErrorKind::bad_file,
                 "is part 1 of its model by its split.no, but part 2 by its name");
}

TEST_F(GgufSplit, RefusesPartsOfDifferentModels) {
    const std::string first = put("m-00001-of-00002.gguf", first_);
    put("m-00002-of-00002.gguf", {1, 3, 2, {"b"}});
    expect_error(first, ErrorKind::bad_file,
                 "belongs to a different model: its split.count is 3; expected 2");
    put("m-00002-of-00002.gguf", {1, 2, 3, {"b"}});
    expect_error(first, ErrorKind::bad_file, "different models: their split.tensors.count differ");
    put("m-00002-of-00002.gguf", {1, 2, 2, {"a"}});
    expect_error(first, ErrorKind::bad_file, "the tensor 'a' comes twice");
    put("m-00002-of-00002.gguf", {1, 2, 2, {"b", "c"}});
    expect_error(first, ErrorKind::bad_file, "the 2 parts hold 3 tensors, but split.tensors.count is 2");
    GgufWriter other = write_part(second_);
    other.text("general.name", "second");
    folder_.write("m-00002-of-00002.gguf", other.bytes());
    expect_error(first, ErrorKind::bad_file, "different models: their metadata key 'general.name' differs");
    GgufWriter same = write_part(second_);
    same.text("general.name", "first");
    same.value<uint32_t>("general.alignment", 32);
    folder_.write("m-00002-of-00002.gguf", same.bytes());
    EXPECT_EQ(ModelFile::open(first).tensors().size(), 2u);
    GgufWriter whole;
    whole.float_tensor("b", {4}, {1, 2, 3, 4});
    folder_.write("m-00002-of-00002.gguf", whole.bytes());
    expect_error(first, ErrorKind::bad_file, "belongs to a different model");
}

TEST_F(GgufSplit, RefusesABrokenPartAndBrokenKeys) {
    const std::string first = put("m-00001-of-00002.gguf", first_);
    std::vector<std::byte> cut = write_part(second_).bytes();
    cut.resize(cut.size() - 20);
    folder_.write("m-00002-of-00002.gguf", cut);
    expect_error(first, ErrorKind::bad_file, "m-00002-of-00002.gguf' is damaged or truncated");
    folder_.write("m-00002-of-00002.gguf", {});
    expect_error(first, ErrorKind::bad_file, "m-00002-of-00002.gguf' is empty");
    put("m-00002-of-00002.gguf", {7, 2, 2, {"b"}});
    expect_error(first, ErrorKind::bad_file, "'split.no' is the integer 7");
    expect_error(put("zero.gguf", {0, 0, 2, {"a"}}), ErrorKind::bad_file, "'split.count' is the integer 0");
    GgufWriter text;
    text.text("split.count", "2");
    expect_error(folder_.write("text.gguf", text.bytes()), ErrorKind::bad_file, "'split.count' is the text");
    GgufWriter no_number;
    no_number.value<uint16_t>("split.count", 2);
    expect_error(folder_.write("m-00001-of-00002.gguf", no_number.bytes()), ErrorKind::bad_file,
                 "'split.no' is missing");
    GgufWriter negative = write_part({0, 2, -1, {"a"}});
    expect_error(folder_.write("m-00001-of-00002.gguf", negative.bytes()), ErrorKind::bad_file,
                 "'split.tensors.count' is the integer -1");
}

}  // namespace
}  // namespace agave
