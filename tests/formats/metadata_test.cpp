#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "formats/model_file.h"

namespace agave {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Metadata example() {
    std::vector<MetadataEntry> entries;
    entries.push_back({"unsigned", uint64_t{5}});
    entries.push_back({"signed", int64_t{-5}});
    entries.push_back({"huge", std::numeric_limits<uint64_t>::max()});
    entries.push_back({"number", 0.5});
    entries.push_back({"nan", kNan});
    entries.push_back({"infinity", -kInfinity});
    entries.push_back({"yes", true});
    entries.push_back({"text", std::string_view("abc\x1b[31m")});
    entries.push_back({"texts", MetadataArray(std::vector<std::string_view>{"a", "b"})});
    entries.push_back({"numbers", MetadataArray(std::vector<double>{0.5, -1})});
    entries.push_back({"nans", MetadataArray(std::vector<double>{0.5, kNan})});
    entries.push_back({"integers", MetadataArray(std::vector<int64_t>{-1, 2})});
    entries.push_back({"counts", MetadataArray(std::vector<uint64_t>{1, 2})});
    entries.push_back({"huge counts", MetadataArray(std::vector<uint64_t>{1, uint64_t{1} << 63})});
    entries.push_back({"booleans", MetadataArray(std::vector<bool>{true, false})});
    return Metadata("model.gguf", std::move(entries));
}

template <typename Call>
std::string message_of(Call call) {
    try {
        call();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::bad_file);
        return error.what();
    }
    return "no error";
}

TEST(Metadata, FindsKeysAndKeepsTheFilesOrder) {
    const Metadata metadata = example();
    EXPECT_EQ(metadata.entries().front().key, "unsigned");
    EXPECT_EQ(metadata.find("absent"), nullptr);
    EXPECT_EQ(metadata.find(""), nullptr);
    EXPECT_EQ(metadata.find("zzz"), nullptr);
    for (const MetadataEntry& entry : metadata.entries()) EXPECT_EQ(metadata.find(entry.key), &entry.value);
}

TEST(Metadata, ChecksIntegers) {
    const Metadata metadata = example();
    EXPECT_EQ(metadata.integer("unsigned", 1, 5), 5);
    EXPECT_EQ(metadata.integer("signed", -5, 5), -5);
    EXPECT_EQ(metadata.integer_or("unsigned", 9, 1, 5), 5);
    EXPECT_EQ(metadata.integer_or("absent", 9, 1, 5), 9);
    EXPECT_EQ(message_of([&] { metadata.integer("unsigned", 6, 10); }),
              "'model.gguf': the metadata key 'unsigned' is the integer 5; expected an integer from 6 to 10");
    EXPECT_EQ(message_of([&] { metadata.integer("unsigned", 1, 4); }),
              "'model.gguf': the metadata key 'unsigned' is the integer 5; expected an integer from 1 to 4");
    EXPECT_EQ(message_of([&] { metadata.integer("absent", 1, 4); }),
              "'model.gguf': the metadata key 'absent' is missing");
    EXPECT_NE(message_of([&] { metadata.integer("huge", INT64_MIN, INT64_MAX); }), "no error");
    EXPECT_NE(message_of([&] { metadata.integer("huge", -1, 1); }), "no error");
    for (const char* key : {"number", "yes", "text", "texts", "counts"}) {
        EXPECT_NE(message_of([&] { metadata.integer(key, INT64_MIN, INT64_MAX); }), "no error") << key;
        EXPECT_NE(message_of([&] { metadata.integer_or(key, 1, INT64_MIN, INT64_MAX); }), "no error") << key;
    }
}

TEST(Metadata, ChecksNumbers) {
    const Metadata metadata = example();
    EXPECT_EQ(metadata.number("number"), 0.5);
    EXPECT_EQ(metadata.number("signed"), -5.0);
    EXPECT_EQ(metadata.number_or("unsigned", 1), 5.0);
    EXPECT_EQ(metadata.number_or("absent", 1), 1.0);
    for (const char* key : {"nan", "infinity", "yes", "text", "numbers"}) {
        EXPECT_NE(message_of([&] { metadata.number(key); }), "no error") << key;
        EXPECT_NE(message_of([&] { metadata.number_or(key, 1); }), "no error") << key;
    }
    EXPECT_EQ(message_of([&] { metadata.number("absent"); }),
              "'model.gguf': the metadata key 'absent' is missing");
}

TEST(Metadata, ChecksBooleansAndTexts) {
    const Metadata metadata = example();
    EXPECT_TRUE(metadata.boolean_or("yes", false));
    EXPECT_TRUE(metadata.boolean_or("absent", true));
    EXPECT_NE(message_of([&] { metadata.boolean_or("unsigned", true); }), "no error");
    EXPECT_EQ(metadata.text("text"), "abc\x1b[31m");
    EXPECT_EQ(metadata.text_or("absent", "x"), "x");
    EXPECT_EQ(message_of([&] { metadata.text("absent"); }),
              "'model.gguf': the metadata key 'absent' is missing");
    EXPECT_NE(message_of([&] { metadata.text("texts"); }), "no error");
    EXPECT_NE(message_of([&] { metadata.text_or("yes", "x"); }), "no error");
    EXPECT_EQ(message_of([&] { metadata.number("text"); }),
              "'model.gguf': the metadata key 'text' is the text 'abc?[31m'; expected a finite number");
}

TEST(Metadata, ChecksArrays) {
    const Metadata metadata = example();
    EXPECT_EQ(metadata.texts("texts")->at(1), "b");
    EXPECT_EQ(metadata.texts("absent"), nullptr);
    EXPECT_EQ(metadata.numbers("numbers"), (std::vector<double>{0.5, -1}));
    EXPECT_EQ(metadata.numbers("integers"), (std::vector<double>{-1, 2}));
    EXPECT_EQ(metadata.numbers("counts"), (std::vector<double>{1, 2}));
    EXPECT_EQ(metadata.numbers("absent"), std::nullopt);
    EXPECT_EQ(metadata.integers("integers"), (std::vector<int64_t>{-1, 2}));
    EXPECT_EQ(metadata.integers("counts"), (std::vector<int64_t>{1, 2}));
    EXPECT_EQ(metadata.integers("absent"), std::nullopt);
    EXPECT_EQ(metadata.booleans("booleans"), (std::vector<bool>{true, false}));
    EXPECT_EQ(metadata.booleans("absent"), std::nullopt);
    EXPECT_EQ(
        message_of([&] { metadata.texts("counts"); }),
        "'model.gguf': the metadata key 'counts' is an array of 2 integers; expected an array of texts");
    EXPECT_NE(message_of([&] { metadata.texts("text"); }), "no error");
    EXPECT_EQ(message_of([&] { metadata.numbers("nans"); }),
              "'model.gguf': element 1 of the metadata key 'nans' is nan; expected a finite number");
    EXPECT_NE(message_of([&] { metadata.numbers("texts"); }), "no error");
    EXPECT_NE(message_of([&] { metadata.numbers("number"); }), "no error");
    EXPECT_NE(message_of([&] { metadata.integers("numbers"); }), "no error");
    EXPECT_NE(message_of([&] { metadata.integers("huge counts"); }), "no error");
    EXPECT_NE(message_of([&] { metadata.booleans("counts"); }), "no error");
}

TEST(Metadata, RefusesADuplicateKey) {
    EXPECT_EQ(message_of([] {
                  std::vector<MetadataEntry> entries;
                  entries.push_back({"b", true});
                  entries.push_back({"a", true});
                  entries.push_back({"b", false});
                  Metadata("model.gguf", std::move(entries));
              }),
              "'model.gguf': the metadata key 'b' comes twice");
}

}  // namespace
}  // namespace agave
