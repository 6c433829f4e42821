#include "engine/prompt_sequence.h"

#include <algorithm>

namespace agave {

PromptSequence::PromptSequence(Engine& engine) : engine_(engine), sequence_(engine.new_sequence()) {}

PromptSequence::~PromptSequence() {
    drop_marks(-1);
    engine_.release(sequence_);
}

std::span<const float> PromptSequence::set(std::span<const int32_t> tokens, const std::atomic<bool>* cancel) {
    // The last token is always computed, since its logits are wanted.
    const size_t most = std::min(tokens_.size(), tokens.size() - 1);
    const auto parting =
        std::mismatch(tokens_.begin(), tokens_.begin() + static_cast<int64_t>(most), tokens.begin());
    go_back(parting.first - tokens_.begin());
    n_reused_ = static_cast<int64_t>(tokens_.size());
    const auto rest = tokens.subspan(tokens_.size());
    // The mark lies before the last token, so that the same prompt can be answered once more from it.
    if (rest.size() > 1) {
        extend(rest.first(rest.size() - 1), cancel);
        if (cancel && cancel->load(std::memory_order_relaxed)) return {};
    }
    keep_mark();
    return extend(rest.last(1), cancel);
}

std::span<const float> PromptSequence::append(int32_t token) {
    return extend({&token, 1}, nullptr);
}

/// Forgets at least what follows the first n_tokens.
void PromptSequence::go_back(int64_t n_tokens) {
    if (n_tokens < static_cast<int64_t>(tokens_.size()) && !engine_.truncate(sequence_, n_tokens)) {
        drop_marks(n_tokens);
        const bool restored = !marks_.empty() && engine_.restore(sequence_, marks_.back().snapshot);
        if (!restored) {
            drop_marks(-1);
            engine_.release(sequence_);
            sequence_ = engine_.new_sequence();
        }
    }
    tokens_.resize(static_cast<size_t>(sequence_.n_tokens()));
    drop_marks(sequence_.n_tokens());
}

void PromptSequence::keep_mark() {
    if (!marks_.empty() && marks_.back().n_tokens == sequence_.n_tokens()) return;
    // Without recurrent layers truncate() does all that a mark could.
    if (engine_.model().graph.state_layers.empty()) return;
    std::optional<KvSnapshot> snapshot = engine_.snapshot(sequence_);
    if (!snapshot && !marks_.empty()) {
        engine_.release(marks_.front().snapshot);
        marks_.erase(marks_.begin());
        snapshot = engine_.snapshot(sequence_);
    }
    if (snapshot) marks_.push_back({std::move(*snapshot), sequence_.n_tokens()});
}

/// Gives up the marks beyond n_tokens.
void PromptSequence::drop_marks(int64_t n_tokens) {
    while (!marks_.empty() && marks_.back().n_tokens > n_tokens) {
        engine_.release(marks_.back().snapshot);
        marks_.pop_back();
    }
}

std::span<const float> PromptSequence::extend(std::span<const int32_t> tokens,
                                              const std::atomic<bool>* cancel) {
    const std::span<const float> logits = engine_.prefill(sequence_, tokens, cancel);
    const auto n_new = static_cast<size_t>(sequence_.n_tokens()) - tokens_.size();
    tokens_.insert(tokens_.end(), tokens.begin(), tokens.begin() + static_cast<int64_t>(n_new));
    return logits;
}

}  // namespace agave
