#include "server/api.h"

#include <sys/random.h>

#include <algorithm>
#include <ctime>

#include "sampling/random.h"
#include "server/generation.h"

namespace agave::server {

namespace {

constexpr size_t kMaxGrammars = 32;

struct Route {
    std::string_view method, path;  ///< a path that ends in '*' stands for all that begin so
    void (*handler)(const ApiCall&);
};
constexpr Route routes[] = {
    {"POST", "/v1/chat/completions", openai_chat},
    {"POST", "/v1/completions", openai_completions},
    {"POST", "/v1/responses", openai_responses},
    {"GET", "/v1/models", openai_models},
    {"GET", "/v1/models/*", openai_model},
    {"POST", "/v1/embeddings", no_embeddings},
    {"POST", "/v1/messages", anthropic_messages},
    {"POST", "/v1/messages/count_tokens", anthropic_count_tokens},
    {"POST", "/api/chat", ollama_chat},
    {"POST", "/api/generate", ollama_generate},
    {"GET", "/api/tags", ollama_tags},
    {"GET", "/api/ps", ollama_tags},
    {"POST", "/api/show", ollama_show},
    {"GET", "/api/version", ollama_version},
    {"POST", "/api/embed", no_embeddings},
    {"POST", "/api/embeddings", no_embeddings},
    {"GET", "/openapi.json", openapi},
    {"POST", "/tokenize", tokenize},
    {"POST", "/detokenize", detokenize},
};

bool matches(const Route& route, std::string_view path) {
    if (route.path.back() != '*') return route.path == path;
    const std::string_view prefix = route.path.substr(0, route.path.size() - 1);
    return path.size() > prefix.size() && path.starts_with(prefix);
}

const char* openai_type(int status) {
    switch (status) {
        case 401:
            return "authentication_error";
        case 403:
            return "permission_error";
        case 404:
            return "not_found_error";
        case 429:
            return "rate_limit_error";
        default:
            return status >= 500 ? "server_error" : "invalid_request_error";
    }
}

const char* anthropic_type(int status) {
    switch (status) {
        case 413:
            return "request_too_large";
        case 503:
        case 529:
            return "overloaded_error";
        default:
            return status >= 500 ? "api_error" : openai_type(status);
    }
}

void send_error(const ApiCall& call, int status, const char* code, std::string_view param,
                std::string_view message) {
    std::vector<std::pair<std::string, std::string>> headers;
    if (status == 503) headers.emplace_back("retry-after", "1");
    call.response->send(status, "application/json",
                        error_body(call.request.path, status, code, param, message, call.request.id),
                        std::move(headers));
}

}  // namespace

LoadedModel::LoadedModel(const ServedModel& model)
    : served(model),
      syntax(model.chat_template ? model.chat_template->reply_syntax() : chat::ReplySyntax()),
      created(std::time(nullptr)) {}

std::shared_ptr<const Grammar> LoadedModel::grammar(std::string_view key) {
    const std::lock_guard lock(mutex_);
    const auto found =
        std::find_if(grammars_.begin(), grammars_.end(), [&](const auto& kept) { return kept.first == key; });
    if (found == grammars_.end()) return nullptr;
    std::rotate(found, found + 1, grammars_.end());
    return grammars_.back().second;
}

void LoadedModel::keep(std::string key, std::shared_ptr<const Grammar> grammar) {
    const std::lock_guard lock(mutex_);
    if (grammars_.size() == kMaxGrammars) grammars_.erase(grammars_.begin());
    grammars_.emplace_back(std::move(key), std::move(grammar));
}

const TokenTrie& LoadedModel::trie() {
    const std::lock_guard lock(mutex_);
    if (!trie_) trie_ = std::make_unique<TokenTrie>(tokenizer());
    return *trie_;
}

LoadedModel& Service::model(std::string_view name) const {
    if (name.empty() && models.size() == 1) return *models[0];
    std::string names;
    for (const std::unique_ptr<LoadedModel>& model : models) {
        if (model->served.name == name) return *model;
        names += (names.empty() ? "'" : ", '") + model->served.name + "'";
    }
    if (name.empty())
        refuse("missing_required_parameter", "model", "is missing; there are %s", names.c_str());
    throw ApiError(404, "model_not_found", "model",
                   "the model '" + printable(name) + "' is not served here; there is " + names);
}

std::string make_id(const char* prefix) {
    static std::atomic<uint64_t> counter{[] {
        uint64_t seed = 0;
        if (::getrandom(&seed, sizeof seed, 0) != sizeof seed)
            seed = static_cast<uint64_t>(std::time(nullptr));
        return seed;
    }()};
    Random random(counter.fetch_add(1, std::memory_order_relaxed));
    std::string id = prefix;
    for (int i = 0; i < 24; i++)
        id += "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[random.next() % 62];
    return id;
}

std::string timestamp(int64_t seconds) {
    const std::time_t time = seconds;
    std::tm parts{};
    ::gmtime_r(&time, &parts);
    char text[40];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text;
}

void send_json(HttpResponse& response, std::string json, int status) {
    response.send(status, "application/json", std::move(json));
}

int status_of(const Error& error) {
    // At run time, what is out is room: the queue is full.
    return error.kind() == ErrorKind::runtime ? 503 : 400;
}

std::string error_body(std::string_view path, int status, const char* code, std::string_view param,
                       std::string_view message, std::string_view request_id) {
    if (path.starts_with("/api/")) return make_json(R"({"error":?})", {message});
    if (path.starts_with("/v1/messages"))
        return make_json(R"({"type":"error","error":{"type":?,"message":?},"request_id":?})",
                         {anthropic_type(status), message, request_id});
    return make_json(R"({"error":{"message":?,"type":?,"param":?,"code":?}})",
                     {message, openai_type(status), param.empty() ? JsonArgument(nullptr) : param, code});
}

std::string error_body(std::string_view path, int status, std::string_view message) {
    const char* code = status == 401 ? "invalid_api_key" : status == 429 ? "rate_limit_exceeded" : nullptr;
    return error_body(path, status, code, {}, message, {});
}

struct Api::State {
    Service service;
};

Api::Api(std::vector<ServedModel> models, ApiObserver* observer) : state_(std::make_unique<State>()) {
    Service& service = state_->service;
    if (models.empty()) fail(ErrorKind::usage, "there is no model to serve");
    for (const ServedModel& model : models) {
        for (const std::unique_ptr<LoadedModel>& other : service.models)
            if (other->served.name == model.name)
                fail(ErrorKind::usage, "two models have the name '%s'", printable(model.name).c_str());
        service.models.push_back(std::make_unique<LoadedModel>(model));
    }
    service.observer = observer;
}

Api::~Api() = default;

bool Api::handle(const HttpRequest& request, const std::shared_ptr<HttpResponse>& response) {
    const ApiCall call{state_->service, request, response};
    const Route* wrong_method = nullptr;
    for (const Route& route : routes) {
        if (!matches(route, request.path)) continue;
        if (route.method != request.method) {
            wrong_method = &route;
            continue;
        }
        try {
            route.handler(call);
        } catch (const ApiError& error) {
            send_error(call, error.status(), error.code(), error.param(), error.what());
        } catch (const Error& error) {
            send_error(call, status_of(error), nullptr, {}, error.what());
        }
        return true;
    }
    if (!wrong_method) return false;
    response->send(405, "application/json",
                   error_body(request.path, 405, nullptr, {},
                              strprintf("%s wants %s", printable(request.path).c_str(),
                                        std::string(wrong_method->method).c_str()),
                              request.id),
                   {{"allow", std::string(wrong_method->method)}});
    return true;
}

void Api::cancel_all() {
    std::vector<std::shared_ptr<Job>> jobs;
    {
        const std::lock_guard lock(state_->service.mutex);
        state_->service.stopping = true;
        jobs = state_->service.jobs;
    }
    for (const std::shared_ptr<Job>& job : jobs) job->shut_down();
}

size_t Api::n_active() const {
    const std::lock_guard lock(state_->service.mutex);
    return state_->service.jobs.size();
}

}  // namespace agave::server
