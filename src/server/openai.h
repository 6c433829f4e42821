#pragma once

#include "server/chat_request.h"

// What the surfaces of OpenAI's API share.
namespace agave::server {

/// The text of a token for a list of probabilities; bytes that are no UTF-8 as "bytes:\xE2\x82".
std::string token_name(const Tokenizer& tokenizer, int32_t id);

/// The probabilities of a choice's tokens since the last time, as chat and Responses have them: entries with
/// commas between them.
std::string token_logprobs_json(const Tokenizer& tokenizer, Choice& choice);

/// What a job has counted.
struct Usage {
    int64_t prompt, cached, generated, reasoning;
};
/// As "usage" has it.
std::string usage_json(const Usage& usage);

/// "arguments": the text of a JSON object.
std::string read_arguments(Fields& fields);

/// Of `fields`, a function of a tool: name, description, parameters, strict.
void read_function(Fields& fields, ChatRequest& request);
/// "none", "auto", "required", or an object that names a function.
void read_tool_choice(JsonValue choice, ChatRequest& request);
/// What chat, completions and Responses have in common that changes nothing here.
inline constexpr std::string_view kHarmless =
    "user store metadata service_tier safety_identifier prompt_cache_key prompt_cache_retention";

}  // namespace agave::server
