#pragma once

#include <memory>
#include <string_view>

#include "sampling/grammar/grammar.h"

/// Follows the grammar with some tokens that `choices` picks among the allowed ones; traps where a token that
/// is allowed is not taken, and where a text that may end is none of the grammar's.
void step_through(const std::shared_ptr<const agave::Grammar>& grammar, std::string_view choices);
