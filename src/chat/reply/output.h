#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chat/reply/reply.h"

namespace agave::chat {

/// Collects the events of a reply; neighbours of one kind become one.
class ReplyOutput {
  public:
    /// `short_ids`: of nine letters and digits, which Mistral's templates demand; else "call_" and 24 of
    /// them.
    ReplyOutput(uint64_t id_seed, bool short_ids) : random_(id_seed), short_ids_(short_ids) {}

    void content(std::string_view text) { add(ReplyEvent::content, text); }
    void reasoning(std::string_view text) { add(ReplyEvent::reasoning, text); }
    /// Without an id of the model's own, one is made up.
    void begin_call(std::string_view name, std::string_view id = {});
    void arguments(std::string_view text) { add(ReplyEvent::call_arguments, text); }
    void end_call();

    /// True between begin_call() and end_call() of a call.
    bool in_call() const { return in_call_; }
    /// The call that is open will not be completed.
    void abandon_call() { in_call_ = false; }
    uint32_t n_calls() const { return n_calls_; }
    /// What was read so far means nothing more than what was reported.
    void settle() { n_reports_++; }
    /// Changes whenever something is reported or settled.
    uint64_t n_reports() const { return n_reports_; }

    std::vector<ReplyEvent> take();

  private:
    void add(ReplyEvent::Kind kind, std::string_view text);
    std::string make_id();

    std::vector<ReplyEvent> events_;
    uint64_t random_;
    uint64_t n_reports_ = 0;
    uint32_t n_calls_ = 0;
    bool short_ids_, in_call_ = false;
};

}  // namespace agave::chat
