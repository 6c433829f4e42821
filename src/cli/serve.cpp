#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/output.h"
#include "sampling/file_defaults.h"
#include "server/access_log.h"
#include "server/metrics.h"
#include "server/web_chat.h"
#include "tokenizer/tokenizer.h"

namespace agave::cli {

namespace {

std::atomic<server::HttpServer*> running_server{nullptr};
static_assert(std::atomic<server::HttpServer*>::is_always_lock_free);

/// The first signal lets the answers end that have begun; the handler is gone then, so that a second one ends
/// the program.
void catch_signals() {
    struct sigaction action{};
    action.sa_handler = [](int) {
        if (server::HttpServer* server = running_server) server->stop();
    };
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
}

/// The keys of --api-key, and of the lines of --api-key-file.
std::vector<std::string> api_keys(const Options& options) {
    std::vector<std::string> keys = options.api_keys;
    if (!options.api_key_file.empty()) {
        const size_t n_before = keys.size();
        const std::string text = read_file(options.api_key_file);
        for (size_t begin = 0; begin < text.size();) {
            const size_t end = std::min(text.find('\n', begin), text.size());
            std::string line = text.substr(begin, end - begin);
            if (line.ends_with('\r')) line.pop_back();
            if (!line.empty() && line[0] != '#') keys.push_back(std::move(line));
            begin = end + 1;
        }
        if (keys.size() == n_before)
            fail(ErrorKind::usage, "--api-key-file: '%s' holds no key",
                 printable(options.api_key_file).c_str());
    }
    for (const std::string& key : keys) {
        const bool plain = std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < 0x7F; });
        if (key.empty() || !plain)
            fail(ErrorKind::usage, "an API key must be of printable ASCII characters without spaces");
    }
    return keys;
}

server::HttpServerOptions http_options(const Options& options, server::Metrics& metrics) {
    server::HttpServerOptions http;
    http.host = options.host;
    http.port = static_cast<int>(options.port);
    http.access.api_keys = api_keys(options);
    http.access.cors_origins = options.cors_origins;
    http.access.allowed_hosts = options.allowed_hosts;
    http.access.allowed_hosts.push_back(options.host);
    http.access.open_paths = {"/", "/health", "/ready"};
    if (options.public_metrics) http.access.open_paths.push_back("/metrics");
    http.access.rate_limit = options.rate_limit;
    http.max_connections = static_cast<size_t>(options.max_connections);
    http.drain_seconds = static_cast<double>(options.grace);
    http.error_body = server::error_body;
    const bool log = options.log != "off", json = options.log == "json";
    http.finished = [&metrics, log, json](const server::HttpOutcome& outcome) {
        metrics.request(outcome);
        if (log) std::fprintf(stderr, "%s\n", server::log_line(outcome, json).c_str());
    };
    return http;
}

/// A model that is loaded, with the thread that steps its scheduler.
class RunningModel {
  public:
    RunningModel(const std::string& argument, const Options& options)
        : file_(open_model(argument)),
          tokenizer_(Tokenizer::load(file_.metadata())),
          engine_(file_, with_room_for(scheduler_options(options, *tokenizer_),
                                       engine_options(options, options.kv_type, options.context_size, 1))),
          scheduler_(engine_, scheduler_options(options, *tokenizer_)) {
        const std::string source(file_.metadata().text_or("tokenizer.chat_template", ""));
        if (!source.empty()) template_ = std::make_unique<chat::Template>(source);
    }

    ~RunningModel() {
        stopping_ = true;
        scheduler_.wake();
        if (thread_.joinable()) thread_.join();
    }

    server::ServedModel served(std::string name) {
        return {std::move(name),
                &file_,
                tokenizer_.get(),
                template_.get(),
                &scheduler_,
                engine_.context_size(),
                recommended_parameters(file_.metadata())};
    }
    Engine& engine() { return engine_; }

    void start() {
        thread_ = std::thread([this] {
            try {
                while (!stopping_) {
                    if (!scheduler_.step()) scheduler_.wait();
                }
            } catch (const std::exception& error) {
                print_message(strprintf("the server ends, because a step failed: %s", error.what()));
                ::_exit(1);
            }
        });
    }

  private:
    static SchedulerOptions scheduler_options(const Options& options, const Tokenizer& tokenizer) {
        SchedulerOptions result;
        result.end_tokens = tokenizer.end_of_generation();
        result.max_running = static_cast<int>(options.max_running);
        result.max_waiting = static_cast<int>(options.max_waiting);
        result.prefix_cache = !options.no_prefix_cache;
        return result;
    }

    ModelFile file_;
    std::unique_ptr<Tokenizer> tokenizer_;
    Engine engine_;
    Scheduler scheduler_;
    std::unique_ptr<chat::Template> template_;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

/// A path's last part without .gguf; the name of a downloaded model as it is.
std::string served_name(const std::string& argument) {
    struct stat status{};
    if (::stat(argument.c_str(), &status) != 0) return argument;
    std::string name = argument.substr(0, argument.find_last_not_of('/') + 1);
    name = name.substr(name.rfind('/') + 1);
    if (name.ends_with(".gguf")) name.resize(name.size() - 5);
    return name;
}

/// What is neither API nor page: whether the server is there, and what it does.
bool answer_operations(const server::HttpRequest& request, server::HttpResponse& response,
                       const std::function<std::string()>& metrics, bool stopping) {
    const bool health = request.path == "/health", ready = request.path == "/ready";
    if (!health && !ready && request.path != "/metrics") return false;
    if (request.method != "GET") {
        response.send(405, "application/json",
                      server::error_body(request.path, 405, "this path takes GET alone"),
                      {{"allow", "GET, HEAD"}});
    } else if (health || ready) {
        const bool well = health || !stopping;
        response.send(well ? 200 : 503, "application/json",
                      well ? R"({"status":"ok"})" : R"({"status":"stopping"})");
    } else {
        response.send(200, "text/plain; version=0.0.4; charset=utf-8", metrics());
    }
    return true;
}

}  // namespace

int serve_command(const CommandLine& line) {
    const Options& options = line.options;
    if (!options.aliases.empty() && options.aliases.size() != line.arguments.size())
        fail(ErrorKind::usage, "--alias is given %zu times, for %zu models", options.aliases.size(),
             line.arguments.size());
    server::Metrics metrics;
    std::vector<server::ServedModel> served;
    std::vector<std::unique_ptr<RunningModel>> models;
    std::unique_ptr<server::Api> api;
    server::HttpServer* http = nullptr;
    server::HttpServerOptions http_settings = http_options(options, metrics);
    http_settings.grace_over = [&] { api->cancel_all(); };
    const auto metrics_text = [&] { return metrics.text(served, http->n_connections()); };
    // Listens before the models are loaded, so that a port that is taken is told at once; the first clients
    // wait meanwhile.
    server::HttpServer server(
        std::move(http_settings),
        [&](const server::HttpRequest& request, const std::shared_ptr<server::HttpResponse>& response) {
            if (answer_operations(request, *response, metrics_text, http->stopping())) return;
            if (server::answer_web_chat(request, *response)) return;
            if (api->handle(request, response)) return;
            response->send(404, "application/json",
                           server::error_body(request.path, 404, "there is nothing at this path"));
        });
    http = &server;

    for (size_t i = 0; i < line.arguments.size(); i++) {
        const std::string& argument = line.arguments[i];
        models.push_back(std::make_unique<RunningModel>(argument, options));
        served.push_back(
            models.back()->served(options.aliases.empty() ? served_name(argument) : options.aliases[i]));
        const Engine& engine = models.back()->engine();
        print_status(strprintf("%s: %s, context %lld tokens, K/V %s as %s, %d threads, %s kernels",
                               printable(served.back().name).c_str(), engine.model().architecture.c_str(),
                               static_cast<long long>(engine.context_size()),
                               bytes_text(static_cast<double>(engine.cache().reserved_bytes())).c_str(),
                               options.kv_type.c_str(), engine.n_threads(),
                               cpu_level_name(engine.cpu_level())));
    }
    api = std::make_unique<server::Api>(served, &metrics);
    for (const std::unique_ptr<RunningModel>& model : models) model->start();

    running_server = &server;
    catch_signals();
    const bool v6 = options.host.find(':') != std::string::npos;
    print_status(strprintf(v6 ? "listening on http://[%s]:%d" : "listening on http://%s:%d",
                           printable(options.host).c_str(), server.port()));
    server.run();
    running_server = nullptr;
    // The schedulers' threads tell the last generations that they are over, before the Api goes.
    api->cancel_all();
    while (api->n_active()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return 0;
}

}  // namespace agave::cli
