#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "engine/scheduler.h"
#include "models/model.h"
#include "server/api.h"

namespace agave::server::test {

/// Keeps an answer instead of sending it.
class KeptResponse final : public HttpResponse {
  public:
    void send(int code, std::string_view type, std::string text,
              std::vector<std::pair<std::string, std::string>> more) override;
    void begin(int code, std::string_view type,
               std::vector<std::pair<std::string, std::string>> more) override;
    void write(std::string data) override;
    void end() override;
    void on_close(std::function<void()> closed) override { closed_ = std::move(closed); }
    size_t n_unsent() const override { return n_unsent_; }

    void go_away() const { closed_(); }

    int status = 0;
    bool begun = false, ended = false;
    std::string content_type, body;
    std::vector<std::pair<std::string, std::string>> headers;
    std::vector<std::string> writes;
    size_t n_unsent_ = 0;

  private:
    std::function<void()> closed_;
};

/// What an event stream said.
struct ServerEvent {
    std::string name, data;
};
std::vector<ServerEvent> parse_events(const std::string& body);

/// A parsed answer, with its text.
struct Parsed {
    explicit Parsed(std::string body)
        : text(std::move(body)), json(text, "the answer", JsonSource::request) {}
    std::string text;
    Json json;
    JsonValue operator[](std::string_view name) const { return json.root()[name]; }
};

/// A tiny model behind the Api and a scheduler that is stepped by hand.
class Server {
  public:
    explicit Server(const std::string& path, SchedulerOptions options = {}, ApiObserver* observer = nullptr);

    /// Sends a request and steps until its answer has ended (or there is nothing to do).
    std::shared_ptr<KeptResponse> request(std::string_view method, std::string_view target,
                                          std::string_view body = {});
    std::shared_ptr<KeptResponse> post(std::string_view target, std::string_view body) {
        return request("POST", target, body);
    }
    /// The same without a step.
    std::shared_ptr<KeptResponse> submit(std::string_view method, std::string_view target,
                                         std::string_view body);
    void run() {
        while (scheduler->step()) {
        }
    }

    ModelFile file;
    std::unique_ptr<Tokenizer> tokenizer;
    std::unique_ptr<chat::Template> chat_template;
    std::unique_ptr<Engine> engine;
    std::unique_ptr<Scheduler> scheduler;
    std::unique_ptr<Api> api;
};

}  // namespace agave::server::test
