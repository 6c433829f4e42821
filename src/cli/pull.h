#pragma once

#include <string>

#include "hub/cache.h"

namespace agave::cli {

/// Says that a model which is not in the cache shall be downloaded without a question (--pull).
void set_pull_without_asking(bool on);

/// For a model that is not in the cache: downloads it where --pull says so or the user, asked on the
/// terminal, agrees, and returns the path of its file. Throws Error(usage) that tells the command otherwise.
std::string pull_if_wanted(const hub::ModelName& name);

}  // namespace agave::cli
