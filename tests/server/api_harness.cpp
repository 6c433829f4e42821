#include "api_harness.h"

#include <gtest/gtest.h>

#include "sampling/file_defaults.h"

namespace agave::server::test {

void KeptResponse::send(int code, std::string_view type, std::string text,
                        std::vector<std::pair<std::string, std::string>> more) {
    EXPECT_FALSE(begun) << "answered twice";
    begun = ended = true;
    status = code;
    content_type = type;
    body = std::move(text);
    headers = std::move(more);
}

void KeptResponse::begin(int code, std::string_view type,
                         std::vector<std::pair<std::string, std::string>> more) {
    EXPECT_FALSE(begun) << "begun twice";
    begun = true;
    status = code;
    content_type = type;
    headers = std::move(more);
}

void KeptResponse::write(std::string data) {
    EXPECT_TRUE(begun && !ended);
    body += data;
    writes.push_back(std::move(data));
}

void KeptResponse::end() {
    EXPECT_TRUE(begun && !ended);
    ended = true;
}

std::vector<ServerEvent> parse_events(const std::string& body) {
    std::vector<ServerEvent> events;
    size_t at = 0;
    while (at < body.size()) {
        const size_t end = body.find("\n\n", at);
        EXPECT_NE(end, std::string::npos) << "an event without its end";
        if (end == std::string::npos) break;
        std::string block = body.substr(at, end - at);
        at = end + 2;
        ServerEvent event;
        if (block.starts_with("event: ")) {
            const size_t line = block.find('\n');
            event.name = block.substr(7, line - 7);
            block.erase(0, line + 1);
        }
        EXPECT_TRUE(block.starts_with("data: ")) << block;
        EXPECT_EQ(block.find('\n'), std::string::npos) << block;
        event.data = block.substr(6);
        events.push_back(std::move(event));
    }
    return events;
}

Server::Server(const std::string& path, SchedulerOptions options, ApiObserver* observer)
    : file(ModelFile::open(path)), tokenizer(Tokenizer::load(file.metadata())) {
    options.end_tokens = tokenizer->end_of_generation();
    EngineOptions engine_options;
    engine_options.n_threads = 1;
    engine_options.context_size = 2048;
    engine = std::make_unique<Engine>(file, with_room_for(options, engine_options));
    scheduler = std::make_unique<Scheduler>(*engine, options);
    const std::string_view source = file.metadata().text_or("tokenizer.chat_template", "");
    if (!source.empty()) chat_template = std::make_unique<chat::Template>(std::string(source));
    ServedModel model{"tiny",
                      &file,
                      tokenizer.get(),
                      chat_template.get(),
                      scheduler.get(),
                      engine->context_size(),
                      recommended_parameters(file.metadata())};
    api = std::make_unique<Api>(std::vector<ServedModel>{model}, observer);
}

std::shared_ptr<KeptResponse> Server::submit(std::string_view method, std::string_view target,
                                             std::string_view body) {
    HttpRequest request;
    request.method = method;
    request.path = target;
    request.body = body;
    request.id = "req_1";
    auto response = std::make_shared<KeptResponse>();
    EXPECT_TRUE(api->handle(request, response)) << target;
    return response;
}

std::shared_ptr<KeptResponse> Server::request(std::string_view method, std::string_view target,
                                              std::string_view body) {
    auto response = submit(method, target, body);
    run();
    EXPECT_TRUE(response->ended) << target << " " << body;
    EXPECT_EQ(api->n_active(), 0u);
    return response;
}

}  // namespace agave::server::test
