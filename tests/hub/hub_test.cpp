#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "hub/cache.h"
#include "hub/hash.h"
#include "hub/journal.h"
#include "hub/selection.h"
#include "hub/transfer.h"

namespace agave::hub {
namespace {

std::string digest(Hash::Kind kind, std::string_view text, size_t piece) {
    Hash hash(kind);
    for (size_t i = 0; i < text.size(); i += piece)
        hash.update(std::as_bytes(std::span(text.substr(i, piece))));
    return hash.finish();
}

// FIPS 180-4's examples (NIST, "Examples with Intermediate Values"), in one piece and byte by byte.
TEST(Hash, MatchesTheStandardsExamples) {
    const std::string two_blocks = "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    for (size_t piece : {size_t{1}, size_t{7}, size_t{64}, size_t{1000000}}) {
        EXPECT_EQ(digest(Hash::Kind::sha256, "", piece),
                  "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        EXPECT_EQ(digest(Hash::Kind::sha256, "abc", piece),
                  "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        EXPECT_EQ(digest(Hash::Kind::sha256, two_blocks, piece),
                  "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
        EXPECT_EQ(digest(Hash::Kind::sha256, std::string(1000000, 'a'), piece),
                  "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
        EXPECT_EQ(digest(Hash::Kind::sha1, "abc", piece), "a9993e364706816aba3e25717850c26c9cd0d89d");
        EXPECT_EQ(digest(Hash::Kind::sha1, two_blocks, piece), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    }
}

// `git hash-object` of a file that holds "hello\n".
TEST(Hash, NamesFilesAsGitDoes) {
    const std::string path = testing::TempDir() + "git_blob";
    std::ofstream(path) << "hello\n";
    EXPECT_EQ(git_blob_id(path, 6), "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST(ModelName, ReadsRepositoryAndSelection) {
    EXPECT_EQ(parse_model_name("org/repo").repository, "org/repo");
    EXPECT_EQ(parse_model_name("org/repo").selection, "");
    EXPECT_EQ(parse_model_name("org/repo:Q4_K_M").selection, "Q4_K_M");
    EXPECT_EQ(parse_model_name("org/repo:sub/file.gguf").selection, "sub/file.gguf");
    for (const char* name : {"", "repo", "a/b/c", "/repo", "org/", "./repo", "../repo", "org/..", "o rg/repo",
                             "org/repo:", "org/repo:../x", "org/repo:/x", "-org/repo"})
        EXPECT_THROW(parse_model_name(name), Error) << name;
}

TEST(SafeRelativePath, RefusesWhatLeavesTheFolder) {
    for (const char* path : {"a", "a/b.gguf", "..a/b..", "ä/b c"})
        EXPECT_TRUE(safe_relative_path(path)) << path;
    for (const char* path : {"", "/a", "a/", "a//b", ".", "..", "a/../b", "a/..", "a\\b", "a\nb", "a\x7f"})
        EXPECT_FALSE(safe_relative_path(path)) << path;
    EXPECT_FALSE(safe_relative_path(std::string(300, 'x')));
}

TEST(Selection, GroupsPartsAndPrefersQ4KM) {
    const std::vector<OfferedFile> files{{"x-Q8_0.gguf", 8},
                                         {"x-Q4_K_M-00002-of-00002.gguf", 2},
                                         {"x-Q4_K_M-00001-of-00002.gguf", 3},
                                         {"x.Q4_0.gguf", 4},
                                         {"other.gguf", 1},
                                         {"mmproj-x-f32.gguf", 9},
                                         {"mmproj-x-F16.gguf", 5},
                                         {"notes.txt", 1}};
    const std::vector<OfferedModel> models = offered_models(files);
    ASSERT_EQ(models.size(), 4u);
    EXPECT_EQ(models[0].label, "Q4_K_M");
    EXPECT_EQ(models[0].size, 5u);
    EXPECT_EQ(models[0].paths,
              (std::vector<std::string>{"x-Q4_K_M-00001-of-00002.gguf", "x-Q4_K_M-00002-of-00002.gguf"}));
    EXPECT_EQ(models[3].label, "other");
    EXPECT_EQ(select_model(models, "")->label, "Q4_K_M");
    EXPECT_EQ(select_model(models, "q4_0")->label, "Q4_0");
    EXPECT_EQ(select_model(models, "x-Q8_0.gguf")->label, "Q8_0");
    EXPECT_EQ(select_model(models, "Q4"), nullptr);
    EXPECT_EQ(offered_projector(files)->path, "mmproj-x-F16.gguf");
    EXPECT_TRUE(offered_models({}).empty());
}

TEST(Selection, NeedsBothWeightsAndConfiguration) {
    std::vector<OfferedFile> files{{"model.safetensors", 10}, {"sub/config.json", 1}};
    EXPECT_TRUE(offered_models(files).empty());
    files.push_back({"config.json", 1});
    ASSERT_EQ(offered_models(files).size(), 1u);
    EXPECT_EQ(offered_models(files)[0].paths.front(), "config.json");
}

TEST(Journal, RemembersAndDistrustsOtherSizes) {
    const std::string path = testing::TempDir() + "journal";
    std::filesystem::remove(path);
    {
        Journal journal(path, 100, 40);
        ASSERT_EQ(journal.n_parts(), 3u);
        EXPECT_EQ(journal.part_end(2), 100u);
        journal.set_done(1, 7);
        journal.set_done(2, 20);
    }
    EXPECT_EQ(Journal(path, 100, 40).total_done(), 27u);
    EXPECT_EQ(Journal(path, 100, 40).done(1), 7u);
    EXPECT_EQ(Journal(path, 100, 50).total_done(), 0u);
    EXPECT_EQ(Journal(path, 101, 50).total_done(), 0u);
    {
        Journal journal(path, 100, 40);
        journal.set_done(0, 41);  // more than a part holds: the file was damaged
    }
    EXPECT_EQ(Journal(path, 100, 40).total_done(), 0u);
}

TEST(Url, OriginAndPath) {
    EXPECT_EQ(origin_of("https://host:1/a?b"), "https://host:1");
    EXPECT_EQ(origin_of("http://host"), "http://host");
    EXPECT_NE(origin_of("http://host:1/"), origin_of("http://host:2/"));
    EXPECT_EQ(url_path("a b/ä#?.gguf"), "a%20b/%C3%A4%23%3F.gguf");
}

}  // namespace
}  // namespace agave::hub
