#pragma once

#include <memory>

#include "sampling/grammar/grammar.h"
#include "sampling/grammar/rules.h"

namespace agave::grammar {

/// The texts of `root` as a grammar that can be followed. Throws as make_nfa() does.
std::shared_ptr<const Grammar> finish(Rules& rules, Rule root);

}  // namespace agave::grammar
