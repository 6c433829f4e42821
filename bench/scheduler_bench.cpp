// What many clients at once get from the scheduler, without a server around it.
//   scheduler_bench MODEL THREADS TOKENS CLIENTS [PREFILL_BUDGET]
// Each client sends one request after the other, prompts of 25 to 270 random tokens, TOKENS generated for
// each.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

#include "base/error.h"
#include "base/system.h"
#include "engine/scheduler.h"
#include "models/model.h"

namespace agave {
namespace {

struct Client final : GenerationSink {
    std::vector<double>* gaps;
    std::vector<double>* first;
    double sent = 0, last = 0;
    bool busy = false;

    bool token(const GeneratedToken&) override {
        const double now = monotonic_seconds();
        (last == 0 ? first : gaps)->push_back(now - (last == 0 ? sent : last));
        last = now;
        return true;
    }
    void finished(const GenerationResult&) override { busy = false; }
};

double quantile(std::vector<double> values, double q) {
    if (values.empty()) return 0;
    std::sort(values.begin(), values.end());
    return values[static_cast<size_t>(q * static_cast<double>(values.size() - 1))];
}

void measure(const char* path, int n_threads, int64_t n_tokens, int n_clients, int prefill_budget) {
    const ModelFile file = open_model_file(path);
    SchedulerOptions options;
    options.max_running = n_clients;
    if (prefill_budget > 0) options.prefill_budget = prefill_budget;
    EngineOptions engine_options;
    engine_options.n_threads = n_threads;
    engine_options.context_size = int64_t{n_clients} * 512;
    Engine engine(file, with_room_for(options, engine_options));
    Scheduler scheduler(engine, options);
    std::mt19937 random(1);
    std::vector<double> gaps, first;
    std::vector<Client> clients(static_cast<size_t>(n_clients));
    int n_left = std::max(2 * n_clients, 8);
    const double begin = monotonic_seconds();
    for (bool any = true; any;) {
        for (Client& client : clients) {
            if (client.busy || n_left == 0) continue;
            n_left--;
            GenerationRequest request;
            for (size_t i = 25 + random() % 245; i > 0; i--)
                request.prompt.push_back(
                    static_cast<int32_t>(random() % static_cast<uint32_t>(engine.n_vocab())));
            request.max_tokens = n_tokens;
            request.ignore_end = true;
            request.sampling.seed = 1;
            client.gaps = &gaps;
            client.first = &first;
            client.sent = monotonic_seconds();
            client.last = 0;
            client.busy = true;
            scheduler.submit(std::move(request), client);
        }
        scheduler.step();
        any = std::any_of(clients.begin(), clients.end(), [](const Client& c) { return c.busy; });
    }
    const double seconds = monotonic_seconds() - begin;
    std::printf(
        "%d clients, budget %d: %.1f output tokens/s; first token median %.0f ms; gaps median %.1f, "
        "p99 %.1f ms\n",
        n_clients, options.prefill_budget, static_cast<double>(gaps.size() + first.size()) / seconds,
        1e3 * quantile(first, 0.5), 1e3 * quantile(gaps, 0.5), 1e3 * quantile(gaps, 0.99));
}

void measure_chat(const char* path, int n_threads, int64_t n_tokens) {
    const ModelFile file = open_model_file(path);
    SchedulerOptions options;
    options.max_running = 1;
    EngineOptions engine_options;
    engine_options.n_threads = n_threads;
    engine_options.context_size = 400 + 20 * (50 + n_tokens);
    Engine engine(file, with_room_for(options, engine_options));
    Scheduler scheduler(engine, options);
    struct Reader final : GenerationSink {
        std::vector<int32_t> ids;
        GenerationResult result{};
        bool token(const GeneratedToken& token) override { return ids.push_back(token.id), true; }
        void finished(const GenerationResult& r) override { result = r; }
    };
    std::vector<int32_t> prompt;
    std::mt19937 random(1);
    for (int turn = 0; turn < 20; turn++) {
        for (int i = turn == 0 ? 450 : 50; i > 0; i--)
            prompt.push_back(static_cast<int32_t>(random() % static_cast<uint32_t>(engine.n_vocab())));
        Reader reader;
        GenerationRequest request;
        request.prompt = prompt;
        request.max_tokens = n_tokens;
        request.sampling.seed = 1;
        scheduler.submit(std::move(request), reader);
        while (scheduler.step()) {
        }
        prompt.insert(prompt.end(), reader.ids.begin(), reader.ids.end());
        std::printf("turn %2d: prompt %5lld, of them cached %5lld, first token after %4.0f ms\n", turn + 1,
                    static_cast<long long>(reader.result.n_prompt_tokens),
                    static_cast<long long>(reader.result.n_cached_tokens),
                    1e3 * reader.result.prefill_seconds);
    }
}

}  // namespace
}  // namespace agave

int main(int argc, char** argv) {
    if (argc < 5)
        return std::fprintf(stderr, "usage: %s MODEL THREADS TOKENS CLIENTS [BUDGET]\n", argv[0]), 1;
    try {
        if (std::atoi(argv[4]) == 0)
            agave::measure_chat(argv[1], std::atoi(argv[2]), std::atoll(argv[3]));
        else
            agave::measure(argv[1], std::atoi(argv[2]), std::atoll(argv[3]), std::atoi(argv[4]),
                           argc > 5 ? std::atoi(argv[5]) : 0);
    } catch (const agave::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
    return 0;
}
