#pragma once

#include <cstdint>
#include <span>

namespace agave {

/// Which tokens may come next in one text: a grammar's place in it. Used by one thread at a time.
class TokenConstraint {
  public:
    virtual ~TokenConstraint() = default;

    /// One bit for each token, the lowest of word 0 first [(n_vocab + 31) / 32]; valid until the next call.
    /// Tokens that end a generation have their bits set where the text may end. At least one bit is set.
    virtual std::span<const uint32_t> allowed() = 0;
    /// Takes note of the token that was chosen. Throws Error(runtime) for one that is not allowed.
    virtual void accept(int32_t token) = 0;
};

}  // namespace agave
