#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <vector>

#include "engine/engine.h"

namespace agave {

/// A conversation's tokens over one sequence of an engine: of each new prompt, only what follows the longest
/// prefix that is stored already is computed. Models with recurrent layers cannot go back token by token; for
/// them the last few prompts' states are kept (Engine::snapshot), as many as the engine has room for.
class PromptSequence {
  public:
    /// `engine` must live as long as this.
    explicit PromptSequence(Engine& engine);
    ~PromptSequence();
    PromptSequence(const PromptSequence&) = delete;
    PromptSequence& operator=(const PromptSequence&) = delete;

    /// Makes the sequence hold exactly `tokens` (at least one) and returns the logits of the last [n_vocab].
    /// Stops early and returns an empty span once *cancel is set; what was computed by then stays for the
    /// next time. Throws Error(usage) when they do not fit into the context.
    std::span<const float> set(std::span<const int32_t> tokens, const std::atomic<bool>* cancel = nullptr);
    /// Appends one token and returns its logits.
    std::span<const float> append(int32_t token);

    const std::vector<int32_t>& tokens() const { return tokens_; }
    /// Tokens of the last set() that were there already.
    int64_t n_reused() const { return n_reused_; }

  private:
    struct Mark {
        KvSnapshot snapshot;
        int64_t n_tokens;
    };
    void go_back(int64_t n_tokens);
    void keep_mark();
    void drop_marks(int64_t n_tokens);
    std::span<const float> extend(std::span<const int32_t> tokens, const std::atomic<bool>* cancel);

    Engine& engine_;
    Sequence sequence_;
    std::vector<int32_t> tokens_;  ///< what sequence_ holds
    std::vector<Mark> marks_;      ///< ascending
    int64_t n_reused_ = 0;
};

}  // namespace agave
