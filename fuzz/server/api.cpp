// The parsers of all routes: the first byte chooses one, the others are the body. What they make of a request
// goes to a scheduler that takes everything and computes nothing.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "base/json.h"
#include "server/api.h"

namespace agave {

struct Scheduler::State {
    Id last = 0;
};
Scheduler::Scheduler(Engine&, const SchedulerOptions&) : state_(std::make_unique<State>()) {}
Scheduler::~Scheduler() = default;
void Scheduler::cancel(Id) {}

Scheduler::Id Scheduler::submit(GenerationRequest request, GenerationSink& sink) {
    validate(request.sampling, 270);
    for (const int32_t id : request.prompt)
        if (id < 0 || id >= 270) std::abort();
    const auto prompt_size = static_cast<int64_t>(request.prompt.size());
    // A few bytes as the answer, of which some end a character and some begin markup.
    const TokenLogprob top[2] = {{70, -0.5f}, {200, -2.0f}};
    for (const int32_t id : {66, 97, 98, 265, 200, 70}) {
        const GeneratedToken token{id, -0.5f, {top, top + std::max(0, std::min(request.top_logprobs, 2))}};
        if (request.constraint) {
            const std::span<const uint32_t> allowed = request.constraint->allowed();
            if (!(allowed[static_cast<size_t>(id) / 32] >> (id % 32) & 1)) continue;
            request.constraint->accept(id);
        }
        if (!sink.token(token)) break;
    }
    GenerationResult result{};
    result.reason = FinishReason::end_of_generation;
    result.n_prompt_tokens = prompt_size;
    sink.finished(result);
    return ++state_->last;
}

}  // namespace agave

namespace {

using namespace agave;

struct NoResponse final : server::HttpResponse {
    int n_answers = 0;
    void send(int status, std::string_view, std::string body,
              std::vector<std::pair<std::string, std::string>>) override {
        // What clients read must be JSON, whatever came in.
        const Json json(body, "the answer", JsonSource::request);
        if (status >= 500 && status != 501) std::abort();
        n_answers++;
    }
    void begin(int, std::string_view, std::vector<std::pair<std::string, std::string>>) override {}
    void write(std::string) override {}
    void end() override { n_answers++; }
    void on_close(std::function<void()>) override {}
    size_t n_unsent() const override { return 0; }
};

struct World {
    ModelFile file = ModelFile::open(AGAVE_FUZZ_MODEL);
    std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(file.metadata());
    chat::Template chat_template{std::string(file.metadata().text("tokenizer.chat_template"))};
    // The stand-in never looks at its engine.
    alignas(Engine) std::byte no_engine[sizeof(Engine)];
    Scheduler scheduler{*reinterpret_cast<Engine*>(no_engine), {}};
    server::Api api{{{"m", &file, tokenizer.get(), &chat_template, &scheduler, 2048, {}}}, nullptr};
};

constexpr std::string_view paths[] = {
    "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages", "/api/chat",
    "/api/generate",        "/api/show",       "/tokenize",     "/detokenize",  "/v1/messages/count_tokens"};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    static World world;
    if (size == 0) return 0;
    server::HttpRequest request;
    request.method = "POST";
    request.path = paths[data[0] % std::size(paths)];
    request.body = {reinterpret_cast<const char*>(data) + 1, size - 1};
    const auto response = std::make_shared<NoResponse>();
    if (!world.api.handle(request, response) || response->n_answers != 1) std::abort();
    if (world.api.n_active() != 0) std::abort();
    return 0;
}
