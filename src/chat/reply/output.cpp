#include "chat/reply/output.h"

#include <utility>

namespace agave::chat {

void ReplyOutput::begin_call(std::string_view name, std::string_view id) {
    in_call_ = true;
    n_calls_++;
    add(ReplyEvent::call_begin, name);
    events_.back().id = id.empty() ? make_id() : std::string(id);
}

void ReplyOutput::end_call() {
    in_call_ = false;
    add(ReplyEvent::call_end, {});
}

void ReplyOutput::add(ReplyEvent::Kind kind, std::string_view text) {
    n_reports_++;
    const bool of_call = kind >= ReplyEvent::call_begin;
    if (!of_call && text.empty()) return;
    const bool joins = kind != ReplyEvent::call_begin && !events_.empty() && events_.back().kind == kind;
    if (!joins) events_.push_back({kind, of_call ? n_calls_ - 1 : 0, {}, {}});
    events_.back().text += text;
}

std::string ReplyOutput::make_id() {
    constexpr char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    std::string id = short_ids_ ? "" : "call_";
    for (int i = short_ids_ ? 9 : 24; i > 0; i--) {
        // SplitMix64
        random_ += 0x9E3779B97F4A7C15u;
        uint64_t z = random_;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        id += letters[(z ^ (z >> 31)) % 62];
    }
    return id;
}

std::vector<ReplyEvent> ReplyOutput::take() {
    return std::exchange(events_, {});
}

}  // namespace agave::chat
