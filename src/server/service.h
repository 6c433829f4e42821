#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "sampling/grammar/grammar.h"
#include "server/api.h"
#include "server/fields.h"

namespace agave::server {

/// A model that is served, with what requests share.
class LoadedModel {
  public:
    explicit LoadedModel(const ServedModel& model);

    const ServedModel served;
    const chat::ReplySyntax syntax;  ///< of its template
    const int64_t created;           ///< seconds since 1970

    /// The grammar that was kept under this key, or nullptr: the same schema comes again and again, and a
    /// grammar remembers what it has found out.
    std::shared_ptr<const Grammar> grammar(std::string_view key);
    void keep(std::string key, std::shared_ptr<const Grammar> grammar);
    const TokenTrie& trie();

    const Tokenizer& tokenizer() const { return *served.tokenizer; }

  private:
    std::mutex mutex_;
    std::unique_ptr<TokenTrie> trie_;  ///< made when it is first needed
    std::vector<std::pair<std::string, std::shared_ptr<const Grammar>>> grammars_;  ///< the latest at the end
};

class Job;

/// What all requests share.
struct Service {
    std::vector<std::unique_ptr<LoadedModel>> models;
    ApiObserver* observer = nullptr;
    std::atomic<bool> stopping{false};

    std::mutex mutex;
    std::vector<std::shared_ptr<Job>> jobs;  ///< that have not ended

    /// The model of this name. Without a name, the only one. Throws ApiError(404), or (400) when the name is
    /// needed.
    LoadedModel& model(std::string_view name) const;
};

/// One request and its answer.
struct ApiCall {
    Service& service;
    const HttpRequest& request;
    const std::shared_ptr<HttpResponse>& response;
};

/// The handlers of the routes. They throw Error and ApiError.
void openai_chat(const ApiCall& call);
void openai_completions(const ApiCall& call);
void openai_responses(const ApiCall& call);
void openai_models(const ApiCall& call);
void openai_model(const ApiCall& call);
void anthropic_messages(const ApiCall& call);
void anthropic_count_tokens(const ApiCall& call);
void ollama_chat(const ApiCall& call);
void ollama_generate(const ApiCall& call);
void ollama_tags(const ApiCall& call);
void ollama_show(const ApiCall& call);
void ollama_version(const ApiCall& call);
void tokenize(const ApiCall& call);
void detokenize(const ApiCall& call);
void openapi(const ApiCall& call);
void no_embeddings(const ApiCall& call);

/// The JSON of an error in the shape of the path's API.
std::string error_body(std::string_view path, int status, const char* code, std::string_view param,
                       std::string_view message, std::string_view request_id);

/// The HTTP status of an error that a handler threw.
int status_of(const Error& error);

void send_json(HttpResponse& response, std::string json, int status = 200);

/// `prefix` and 24 letters and digits that no other answer has.
std::string make_id(const char* prefix);

/// Seconds since 1970 as RFC 3339 has them, in UTC.
std::string timestamp(int64_t seconds);

}  // namespace agave::server
