#include "sampling/recipes.h"

namespace agave {

namespace {

// Sources: the model cards (section "Best Practices" or "Recommended parameters") of Qwen3-8B,
// Qwen3.5-35B-A3B, GLM-4.6, GLM-4.7-Flash, GLM-Z1-32B-0414, Nemotron-Nano-9B-v2 and Nemotron-3-Nano-30B-A3B;
// the Gemma team's for Gemma 3 and 4; OpenAI's README of gpt-oss; generation_config.json of Qwen2.5 and Llama
// 3 Instruct.
constexpr Recipe recipes[] = {
    {"Qwen 3, thinking", "qwen3", 0, Recipe::on, 0.6f, 20, 0.95f, 0, 0, 1},
    {"Qwen 3", "qwen3", 0, Recipe::off, 0.7f, 20, 0.8f, 0, 0, 1},
    {"Qwen 3, thinking", "qwen3moe", 0, Recipe::on, 0.6f, 20, 0.95f, 0, 0, 1},
    {"Qwen 3", "qwen3moe", 0, Recipe::off, 0.7f, 20, 0.8f, 0, 0, 1},
    {"Qwen 3.5, thinking", "qwen35", 0, Recipe::on, 1, 20, 0.95f, 0, 1.5f, 1},
    {"Qwen 3.5", "qwen35", 0, Recipe::off, 0.7f, 20, 0.8f, 0, 1.5f, 1},
    {"Qwen 3.5, thinking", "qwen35moe", 0, Recipe::on, 1, 20, 0.95f, 0, 1.5f, 1},
    {"Qwen 3.5", "qwen35moe", 0, Recipe::off, 0.7f, 20, 0.8f, 0, 1.5f, 1},
    {"Qwen 2.5", "qwen2", 0, Recipe::either, 0.7f, 20, 0.8f, 0, 0, 1.05f},
    {"Gemma 3", "gemma3", 0, Recipe::either, 1, 64, 0.95f, 0, 0, 1},
    {"Gemma 4", "gemma4", 0, Recipe::either, 1, 64, 0.95f, 0, 0, 1},
    {"GPT-OSS", "gpt-oss", 0, Recipe::either, 1, 0, 1, 0, 0, 1},
    {"GLM-4.6", "glm4moe", 0, Recipe::either, 1, 40, 0.95f, 0, 0, 1},
    {"GLM-4.7-Flash", "deepseek2", 154880, Recipe::either, 1, 0, 0.95f, 0, 0, 1},
    {"GLM-Z1, thinking", "glm4", 0, Recipe::on, 0.6f, 40, 0.95f, 0, 0, 1},
    {"Nemotron Nano 2, thinking", "nemotron_h", 0, Recipe::on, 0.6f, 0, 0.95f, 0, 0, 1},
    {"Nemotron 3 Nano", "nemotron_h_moe", 0, Recipe::either, 1, 0, 1, 0, 0, 1},
    {"Llama 3", "llama", 128256, Recipe::either, 0.6f, 0, 0.9f, 0, 0, 1},
};

int64_t vocabulary_size(const Metadata& metadata) {
    const MetadataValue* tokens = metadata.find("tokenizer.ggml.tokens");
    const auto* array = tokens ? std::get_if<MetadataArray>(tokens) : nullptr;
    if (!array) return 0;
    return static_cast<int64_t>(std::visit([](const auto& elements) { return elements.size(); }, *array));
}

}  // namespace

void Recipe::apply(SamplingParameters& parameters) const {
    parameters.temperature = temperature;
    parameters.top_k = top_k;
    parameters.top_p = top_p;
    parameters.min_p = min_p;
    parameters.presence_penalty = presence_penalty;
    parameters.repeat_penalty = repeat_penalty;
}

const Recipe* find_recipe(const Metadata& metadata, bool thinking) {
    const std::string_view architecture = metadata.text_or("general.architecture", ""),
                           chat_template = metadata.text_or("tokenizer.chat_template", "");
    if (chat_template.empty()) return nullptr;
    thinking = thinking && chat_template.find("think") != chat_template.npos;
    for (const Recipe& recipe : recipes) {
        if (recipe.architecture != architecture) continue;
        if (recipe.n_vocab != 0 && recipe.n_vocab != vocabulary_size(metadata)) continue;
        if (recipe.thinking == Recipe::either || (recipe.thinking == Recipe::on) == thinking) return &recipe;
    }
    return nullptr;
}

}  // namespace agave
