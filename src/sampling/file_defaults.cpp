#include "sampling/file_defaults.h"

#include <cstdlib>

#include "base/error.h"
#include "sampling/recipes.h"

namespace agave {

namespace {

using P = SamplingParameters;
constexpr double kMaxTokens = 2147483647;
constexpr FileDefault rows[] = {
    {"general.sampling.temp", "temperature", &P::temperature, nullptr, 0, 1e6},
    {"general.sampling.top_k", "top-k", nullptr, &P::top_k, 0, kMaxTokens},
    {"general.sampling.top_p", "top-p", &P::top_p, nullptr, 0, 1},
    {"general.sampling.min_p", "min-p", &P::min_p, nullptr, 0, 1},
    {"general.sampling.penalty_repeat", "repeat-penalty", &P::repeat_penalty, nullptr, 0.01, 100},
    {"general.sampling.penalty_last_n", "penalty-last-n", nullptr, &P::penalty_last_n, -1, kMaxTokens},
    {"", "presence-penalty", &P::presence_penalty, nullptr, -100, 100},
};

}  // namespace

double FileDefault::value(const SamplingParameters& parameters) const {
    if (integer) return parameters.*integer;
    // Not std::to_chars, which for floats brings 127 KB of tables.
    const float number_value = parameters.*number;
    double decimal = 0;
    for (int n_digits = 6; n_digits <= 9; n_digits++) {
        decimal =
            std::strtod(strprintf("%.*g", n_digits, static_cast<double>(number_value)).c_str(), nullptr);
        if (static_cast<float>(decimal) == number_value) break;
    }
    return decimal;
}

std::span<const FileDefault> file_defaults() {
    return rows;
}

SamplingParameters recommended_parameters(const Metadata& metadata, bool thinking) {
    SamplingParameters parameters;
    if (const Recipe* recipe = find_recipe(metadata, thinking)) recipe->apply(parameters);
    for (const FileDefault& row : rows) {
        if (row.key.empty() || !metadata.find(row.key)) continue;
        const double value = metadata.number(row.key);
        if (!(value >= row.minimum && value <= row.maximum) ||
            (row.integer && value != static_cast<double>(static_cast<int64_t>(value))))
            fail(ErrorKind::bad_file, "'%s': %s is %g, but must be %s from %g to %g", metadata.path().c_str(),
                 std::string(row.key).c_str(), value, row.integer ? "a whole number" : "a number",
                 row.minimum, row.maximum);
        if (row.integer)
            parameters.*row.integer = static_cast<int32_t>(value);
        else
            parameters.*row.number = static_cast<float>(value);
    }
    return parameters;
}

}  // namespace agave
