#pragma once

#include <string>
#include <vector>

#include "server/generation.h"

namespace agave::server {

struct ToolSpec {
    std::string name, parameters;  ///< the JSON Schema of its arguments; empty: any object
};

enum class ToolChoice : uint8_t { automatic, none, required };

/// A conversation to go on with, whatever the surface that it came by.
struct ChatRequest {
    LoadedModel* model = nullptr;
    std::vector<chat::Message> messages;

    std::vector<ToolSpec> tools;
    std::string tools_json;  ///< the same, as OpenAI's API has them
    ToolChoice tool_choice = ToolChoice::automatic;
    std::string forced_tool;  ///< of `required`: the only one that may be called; empty: any
    bool parallel_calls = true;

    enum class Format : uint8_t { text, json, schema, gbnf };
    Format format = Format::text;
    std::string format_text;  ///< the schema, or the grammar

    chat::Reasoning reasoning = chat::Reasoning::automatic;
    std::string variables_json;  ///< for the template
    bool continue_last = false;  ///< a last message of the assistant is the beginning of the answer
    bool stream = false;
    GenerationPlan plan;  ///< sampling, limits, stops, logprobs
};

/// Renders and tokenizes the conversation, and makes the constraint of its tools and format: fills the rest
/// of the plan. Throws ApiError for what the model or its template cannot do.
GenerationPlan make_plan(ChatRequest request);

/// Sampling parameters by the names that OpenAI's API and other servers have for them, `seed` and
/// `logit_bias` included.
void read_sampling(Fields& fields, LoadedModel& model, SamplingParameters& sampling);
/// A string, or an array of them.
std::vector<std::string> read_stops(Fields& fields, std::string_view name);
/// OpenAI's response_format of a chat, or the same object as Responses has it under text.format.
void read_format(JsonValue format, const std::string& path, ChatRequest& request);
/// The words of reasoning_effort.
void read_effort(Fields& fields, std::string_view name, ChatRequest& request);
/// A text, or an array of parts that hold text: joined by newlines. Images and the like are refused.
std::string read_content(JsonValue content, const std::string& path);
/// Adds a tool, for the template and for the grammar. `parameters` may be absent.
void add_tool(ChatRequest& request, std::string_view name, std::string_view description, JsonValue parameters,
              JsonValue strict, const std::string& path);

/// Refuses a prompt that leaves no room in the context.
void check_length(const LoadedModel& model, size_t n_tokens);
std::string json_text(JsonValue value);

}  // namespace agave::server
