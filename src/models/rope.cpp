#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>

#include "base/error.h"
#include "models/common.h"

namespace agave {

RopeTable rope_table(double base, int64_t n_dims) {
    RopeTable table;
    for (int64_t i = 0; i < n_dims / 2; i++) {
        const float exponent = static_cast<float>(2 * i) / static_cast<float>(n_dims);
        table.inverse_frequencies.push_back(1.0f / std::pow(static_cast<float>(base), exponent));
    }
    return table;
}

namespace {

/// YaRN (Peng et al. 2023, arXiv:2309.00071, section 3): slow pairs are interpolated by `factor`, fast ones
/// left as they are, and the pairs between two numbers of rotations over the original context blended.
RopeTable yarn_table(const ModelFile& file, const Model& model, double base, int64_t n_dims, bool truncate) {
    const Metadata& metadata = file.metadata();
    const double factor = metadata.number(key(model, "rope.scaling.factor"));
    const double original = static_cast<double>(
        metadata.integer(key(model, "rope.scaling.original_context_length"), 1, int64_t{1} << 31));
    const double fast = metadata.number_or(key(model, "rope.scaling.yarn_beta_fast"), 32.0);
    const double slow = metadata.number_or(key(model, "rope.scaling.yarn_beta_slow"), 1.0);
    if (!(factor >= 1 && fast > 0 && slow > 0 && base > 1))
        fail(ErrorKind::bad_file, "'%s': YaRN with factor %g, betas %g and %g and base %g is out of range",
             file.path().c_str(), factor, fast, slow, base);
    const double dims = static_cast<double>(n_dims);
    const auto pair_with_rotations = [&](double rotations) {
        return dims * std::log(original / (rotations * 2 * std::numbers::pi)) / (2 * std::log(base));
    };
    // No key of GGUF's own: what translates a config.json writes it.
    truncate = metadata.boolean_or(key(model, "rope.scaling.yarn_truncate"), truncate);
    double low = pair_with_rotations(fast), high = pair_with_rotations(slow);
    if (truncate) low = std::floor(low), high = std::ceil(high);
    low = std::max(low, 0.0);
    high = std::min(high, dims - 1);
    if (low == high) high += 0.001;

    RopeTable table = rope_table(base, n_dims);
    for (size_t i = 0; i < table.inverse_frequencies.size(); i++) {
        float& frequency = table.inverse_frequencies[i];
        const float ramp =
            static_cast<float>(std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0));
        frequency = frequency / static_cast<float>(factor) * ramp + frequency * (1.0f - ramp);
    }
    table.magnitude = static_cast<float>(metadata.number_or(key(model, "rope.scaling.attn_factor"),
                                                            factor > 1 ? 0.1 * std::log(factor) + 1.0 : 1.0));
    return table;
}

}  // namespace

RopeTable scaled_rope_table(const ModelFile& file, const Model& model, double base, int64_t n_dims,
                            bool truncate_yarn) {
    const Metadata& metadata = file.metadata();
    RopeTable table = rope_table(base, n_dims);
    const std::string_view type = metadata.text_or(key(model, "rope.scaling.type"), "none");
    double factor = metadata.number_or(key(model, "rope.scale_linear"), 1.0);
    if (type == "yarn") return yarn_table(file, model, base, n_dims, truncate_yarn);
    if (type == "linear")
        factor = metadata.number(key(model, "rope.scaling.factor"));
    else if (type != "none")
        fail(ErrorKind::unsupported,
             "'%s' scales RoPE by '%s'; this build knows none, linear, llama3 and yarn", file.path().c_str(),
             printable(type).c_str());
    if (!(factor > 0))
        fail(ErrorKind::bad_file, "'%s': the RoPE scaling factor is %g, expected a number above 0",
             file.path().c_str(), factor);
    for (float& frequency : table.inverse_frequencies) frequency /= static_cast<float>(factor);

    if (const Tensor* divisors = file.find("rope_freqs.weight")) {
        if (divisors->format != Format::f32 || divisors->n_elements() != n_dims / 2)
            fail(ErrorKind::bad_file,
                 "'%s': tensor 'rope_freqs.weight' has %lld entries of %s, expected %lld of F32",
                 file.path().c_str(), static_cast<long long>(divisors->n_elements()),
                 format_info(divisors->format).name, static_cast<long long>(n_dims / 2));
        for (size_t i = 0; i < table.inverse_frequencies.size(); i++) {
            float divisor;
            std::memcpy(&divisor, divisors->data + i * sizeof divisor, sizeof divisor);
            if (!(divisor > 0))
                fail(ErrorKind::bad_file,
                     "'%s': entry %zu of 'rope_freqs.weight' is %g, expected a number above 0",
                     file.path().c_str(), i, static_cast<double>(divisor));
            table.inverse_frequencies[i] /= divisor;
        }
    }
    return table;
}

double read_rope_base(const ModelFile& file, const Model& model, const char* suffix, double fallback) {
    const std::string name = key(model, "rope.") + suffix;
    const double base = file.metadata().number_or(name, fallback);
    if (!(base > 0))
        fail(ErrorKind::bad_file, "'%s': %s is %g, expected a number above 0", file.path().c_str(),
             name.c_str(), base);
    return base;
}

}  // namespace agave
