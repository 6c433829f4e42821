#include <algorithm>

#include "engine/scheduler_state.h"

namespace agave {

void WaitingLine::push(std::unique_ptr<Request> request) {
    if (request->started == 0) {
        const uint64_t id = request->request.client;
        auto client =
            std::find_if(clients_.begin(), clients_.end(), [&](const Client& c) { return c.id == id; });
        if (client == clients_.end()) client = clients_.insert(clients_.end(), {id, now_});
        request->turn = std::max(client->next_turn, now_);
        client->next_turn = request->turn + 1;
    }
    requests_.push_back(std::move(request));
}

static bool comes_before(const Request& a, const Request& b) {
    if (a.request.priority != b.request.priority) return a.request.priority > b.request.priority;
    const bool a_ran = a.started != 0, b_ran = b.started != 0;
    if (a_ran != b_ran) return a_ran;
    if (a.turn != b.turn && !a_ran) return a.turn < b.turn;
    return a.id < b.id;
}

Request* WaitingLine::next() const {
    Request* best = nullptr;
    for (const std::unique_ptr<Request>& request : requests_)
        if (!best || comes_before(*request, *best)) best = request.get();
    return best;
}

std::unique_ptr<Request> WaitingLine::take(const Request& request) {
    const auto at = std::find_if(requests_.begin(), requests_.end(),
                                 [&](const std::unique_ptr<Request>& r) { return r.get() == &request; });
    std::unique_ptr<Request> taken = std::move(*at);
    requests_.erase(at);
    now_ = std::max(now_, taken->turn);
    std::erase_if(clients_, [&](const Client& client) { return client.next_turn <= now_; });
    return taken;
}

}  // namespace agave
