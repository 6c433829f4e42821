// Which recommendation counts: the file's over the family's over ours.
#include "sampling/recipes.h"

#include <gtest/gtest.h>

#include "sampling/file_defaults.h"

namespace agave {
namespace {

Metadata metadata(std::string_view architecture, std::string_view chat_template,
                  std::vector<MetadataEntry> more = {}) {
    more.push_back({"general.architecture", architecture});
    if (!chat_template.empty()) more.push_back({"tokenizer.chat_template", chat_template});
    return Metadata("test", more);
}

std::string name_of(const Metadata& metadata, bool thinking) {
    const Recipe* recipe = find_recipe(metadata, thinking);
    return recipe ? recipe->name : "none";
}

TEST(Recipes, AreThoseOfTheFamilyAndOfThinking) {
    EXPECT_EQ(name_of(metadata("qwen3", "{{ enable_thinking }}"), true), "Qwen 3, thinking");
    EXPECT_EQ(name_of(metadata("qwen3", "{{ enable_thinking }}"), false), "Qwen 3");
    EXPECT_EQ(name_of(metadata("qwen3", "no such switch"), true), "Qwen 3");
    EXPECT_EQ(name_of(metadata("qwen3", ""), true), "none");  // a base model
    EXPECT_EQ(name_of(metadata("gemma3", "x"), false), "Gemma 3");
    EXPECT_EQ(name_of(metadata("mamba", "x"), false), "none");
}

TEST(Recipes, OfOneArchitectureDifferByTheVocabulary) {
    const std::vector<std::string_view> tokens(128256, "t");
    EXPECT_EQ(name_of(metadata("llama", "x"), true), "none");
    EXPECT_EQ(name_of(metadata("llama", "x", {{"tokenizer.ggml.tokens", MetadataArray(tokens)}}), true),
              "Llama 3");
}

TEST(Recipes, GiveWayToTheFile) {
    const Metadata file = metadata("gemma3", "x", {{"general.sampling.temp", 0.5}});
    const SamplingParameters p = recommended_parameters(file);
    EXPECT_EQ(p.temperature, 0.5f);
    EXPECT_EQ(p.top_k, 64);
    EXPECT_EQ(p.min_p, 0.0f);
    EXPECT_EQ(recommended_parameters(metadata("qwen35", "x")).presence_penalty, 1.5f);
    EXPECT_EQ(recommended_parameters(metadata("other", "x")).top_k, SamplingParameters{}.top_k);
}

}  // namespace
}  // namespace agave
