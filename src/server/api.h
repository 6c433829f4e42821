#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "chat/chat_template.h"
#include "engine/scheduler.h"
#include "formats/model_file.h"
#include "sampling/sampler.h"
#include "server/http_server.h"
#include "tokenizer/tokenizer.h"

namespace agave::server {

/// A model that is served. What it points to must outlive the Api.
struct ServedModel {
    std::string name;  ///< as requests and lists call it
    const ModelFile* file;
    const Tokenizer* tokenizer;
    const chat::Template* chat_template;  ///< nullptr: it has none, and the chat surfaces refuse it
    Scheduler* scheduler;
    int64_t context_size;         ///< Engine::context_size()
    SamplingParameters sampling;  ///< what a request changes; see recommended_parameters()
};

/// What watches the generations. Called by the threads that step the schedulers.
class ApiObserver {
  public:
    virtual ~ApiObserver() = default;
    /// A token came, this long after the one before it (after the request, for the first).
    virtual void token(double /*seconds*/, bool /*first*/) {}
    virtual void finished(std::string_view /*path*/, const GenerationResult& /*result*/) {}
};

/// The APIs: /v1/* as OpenAI's and Anthropic's clients speak it, /api/* as Ollama's do, /tokenize,
/// /detokenize and /openapi.json. Safe to use from several threads.
class Api {
  public:
    /// Throws Error(usage) when there is no model, or two of one name. `observer` may be nullptr and must
    /// outlive this.
    Api(std::vector<ServedModel> models, ApiObserver* observer);
    ~Api();
    Api(const Api&) = delete;
    Api& operator=(const Api&) = delete;

    /// Answers the request, errors included; false when the path is none of this (then nothing was sent).
    bool handle(const HttpRequest& request, const std::shared_ptr<HttpResponse>& response);

    /// Ends what still generates: streams end with an error event of their surface, the others with 503. To
    /// be followed by Scheduler::step() until the sinks have been told.
    void cancel_all();

    /// Generations that have not ended.
    size_t n_active() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// The body of an error (JSON) in the shape that clients of this path expect: Anthropic's for /v1/messages,
/// Ollama's for /api/, OpenAI's elsewhere. For errors that arise before a request reaches the Api: 401, 404,
/// 413, 429 and so on.
std::string error_body(std::string_view path, int status, std::string_view message);

}  // namespace agave::server
