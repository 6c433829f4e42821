#include "reference.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <string>

namespace agave::testing_reference {

namespace {

struct Entry {
    int32_t token;
    double logit;
};

std::vector<double> softmax(const std::vector<Entry>& entries) {
    double max = -INFINITY;
    for (const Entry& e : entries) max = std::max(max, e.logit);
    std::vector<double> p;
    for (const Entry& e : entries) p.push_back(std::exp(e.logit - max));
    const double sum = std::accumulate(p.begin(), p.end(), 0.0);
    for (double& x : p) x /= sum;
    return p;
}

/// The shortest head in order of `key` (small first, then the lower token) whose probability reaches p.
std::vector<Entry> head(const std::vector<Entry>& entries, const std::vector<double>& key, double p) {
    const std::vector<double> probability = softmax(entries);
    std::vector<size_t> order(entries.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        return key[a] != key[b] ? key[a] < key[b] : entries[a].token < entries[b].token;
    });
    std::vector<Entry> kept;
    double sum = 0;
    for (size_t i : order) {
        kept.push_back(entries[i]);
        sum += probability[i];
        if (sum >= p) break;
    }
    return kept;
}

std::vector<double> minus_logits(const std::vector<Entry>& entries) {
    std::vector<double> key;
    for (const Entry& e : entries) key.push_back(-e.logit);
    return key;
}

int count_in_window(std::span<const int32_t> history, int last_n, int32_t token) {
    int count = 0;
    for (size_t back = 0; back < history.size(); ++back) {
        if (last_n >= 0 && back >= static_cast<size_t>(last_n)) break;
        count += history[history.size() - 1 - back] == token;
    }
    return count;
}

void penalize(std::vector<Entry>& entries, const SamplingParameters& p, std::span<const int32_t> history) {
    for (Entry& e : entries) {
        const int count = count_in_window(history, p.penalty_last_n, e.token);
        if (count == 0) continue;
        e.logit = e.logit > 0 ? e.logit / static_cast<double>(p.repeat_penalty)
                              : e.logit * static_cast<double>(p.repeat_penalty);
        e.logit -= static_cast<double>(p.presence_penalty) + count * static_cast<double>(p.frequency_penalty);
    }
}

std::vector<Entry> apply(const std::string& name, std::vector<Entry> entries, const SamplingParameters& p,
                         std::span<const int32_t> history) {
    if (name == "penalties") penalize(entries, p, history);
    if (name == "dry" && p.dry_multiplier != 0.0f) {
        for (Entry& e : entries) {
            const int length = dry_length(p, history, e.token);
            if (length < p.dry_allowed_length) continue;
            e.logit -= static_cast<double>(p.dry_multiplier) *
                       std::pow(static_cast<double>(p.dry_base), length - p.dry_allowed_length);
        }
    }
    if (name == "top_k" && p.top_k > 0 && static_cast<size_t>(p.top_k) < entries.size()) {
        entries = head(entries, minus_logits(entries), 2.0);
        entries.resize(static_cast<size_t>(p.top_k));
    }
    if (name == "top_p" && p.top_p < 1.0f) {
        entries = head(entries, minus_logits(entries), static_cast<double>(p.top_p));
    }
    if (name == "typical" && p.typical_p < 1.0f) {
        const std::vector<double> probability = softmax(entries);
        double entropy = 0;
        for (double x : probability) entropy -= x > 0 ? x * std::log(x) : 0;
        std::vector<double> key;
        for (double x : probability) key.push_back(std::abs(-std::log(x) - entropy));
        entries = head(entries, key, static_cast<double>(p.typical_p));
    }
    if (name == "min_p") {
        const std::vector<double> probability = softmax(entries);
        const double least =
            static_cast<double>(p.min_p) * *std::max_element(probability.begin(), probability.end());
        std::vector<Entry> kept;
        for (size_t i = 0; i < entries.size(); ++i) {
            if (probability[i] >= least) kept.push_back(entries[i]);
        }
        entries = kept;
    }
    if (name == "temperature") {
        for (Entry& e : entries) e.logit /= static_cast<double>(p.temperature);
    }
    return entries;
}

}  // namespace

int dry_length(const SamplingParameters& p, std::span<const int32_t> history, int32_t token) {
    if (p.dry_penalty_last_n >= 0 && history.size() > static_cast<size_t>(p.dry_penalty_last_n)) {
        history = history.last(static_cast<size_t>(p.dry_penalty_last_n));
    }
    for (const auto& breaker : p.dry_sequence_breakers) {
        if (breaker == std::vector<int32_t>{token}) return 0;
    }
    // A repetition may not hold a breaker: it is a run of tokens after the last one.
    size_t limit = std::min<size_t>(history.size(), 50);
    for (const auto& breaker : p.dry_sequence_breakers) {
        for (size_t begin = 0; begin + breaker.size() <= history.size(); ++begin) {
            const size_t end = begin + breaker.size();
            if (std::equal(breaker.begin(), breaker.end(), history.subspan(begin).begin())) {
                limit = std::min(limit, history.size() - end);
            }
        }
    }
    for (size_t length = limit; length >= 1; --length) {
        const auto suffix = history.last(length);
        for (size_t begin = 0; begin + length < history.size(); ++begin) {
            if (history[begin + length] == token &&
                std::equal(suffix.begin(), suffix.end(), history.subspan(begin).begin())) {
                return static_cast<int>(length);
            }
        }
    }
    return 0;
}

std::vector<double> distribution(const SamplingParameters& p, std::span<const int32_t> history,
                                 std::span<const float> logits) {
    std::vector<Entry> entries;
    for (size_t i = 0; i < logits.size(); ++i) {
        double logit = static_cast<double>(logits[i]);
        for (const LogitBias& bias : p.logit_bias) {
            if (bias.token == static_cast<int32_t>(i)) logit += static_cast<double>(bias.bias);
        }
        if (logit > -INFINITY) entries.push_back({static_cast<int32_t>(i), logit});
    }
    std::string rest = p.samplers;
    while (!rest.empty()) {
        const size_t end = rest.find(';');
        entries = apply(rest.substr(0, end), entries, p, history);
        rest = end == std::string::npos ? "" : rest.substr(end + 1);
    }
    const std::vector<double> probability = softmax(entries);
    std::vector<double> result(logits.size(), 0.0);
    for (size_t i = 0; i < entries.size(); ++i)
        result[static_cast<size_t>(entries[i].token)] = probability[i];
    return result;
}

std::vector<float> random_logits(size_t n, float deviation, uint32_t seed) {
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0.0f, deviation);
    std::vector<float> logits(n);
    for (float& x : logits) x = normal(generator);
    return logits;
}

}  // namespace agave::testing_reference
