#include "sampling/grammar/dfa.h"

#include <algorithm>
#include <unordered_map>

#include "base/error.h"
#include "sampling/grammar/automaton.h"

namespace agave::grammar {

namespace {

constexpr size_t kMaxStates = 20000;

void check_size(size_t n_states) {
    if (n_states > kMaxStates)
        fail(ErrorKind::usage, "the schema needs an automaton of more than %zu states for one text",
             kMaxStates);
}

/// States reached from `states` by the bytes of a range; kNone among them when one is not read.
std::vector<uint32_t> reach(const Dfa& dfa, const std::vector<uint32_t>& states, int first, int last) {
    std::vector<uint32_t> reached;
    for (uint32_t state : states)
        for (int byte = first; byte <= last; byte++)
            reached.push_back(dfa.step(state, static_cast<uint8_t>(byte)));
    std::sort(reached.begin(), reached.end());
    reached.erase(std::unique(reached.begin(), reached.end()), reached.end());
    return reached;
}

/// Whether every plain character leads from the state back to it.
bool is_endless(const Dfa& dfa, uint32_t state) {
    struct Range {
        int first, last;
    };
    // Plain characters of one byte, and what may follow the first byte of longer ones (RFC 3629).
    constexpr Range ascii[] = {{0x20, 0x21}, {0x23, 0x5B}, {0x5D, 0x7E}};
    constexpr Range longer[][4] = {
        {{0xC2, 0xDF}, {0x80, 0xBF}, {}, {}},
        {{0xE0, 0xE0}, {0xA0, 0xBF}, {0x80, 0xBF}, {}},
        {{0xE1, 0xE1}, {0x80, 0xBF}, {0x80, 0xBF}, {}},
        {{0xE3, 0xEC}, {0x80, 0xBF}, {0x80, 0xBF}, {}},
        {{0xED, 0xED}, {0x80, 0x9F}, {0x80, 0xBF}, {}},
        {{0xEE, 0xEF}, {0x80, 0xBF}, {0x80, 0xBF}, {}},
        {{0xF0, 0xF0}, {0x90, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
        {{0xF1, 0xF3}, {0x80, 0xBF}, {0x80, 0xBF}, {0x80, 0xBF}},
        {{0xF4, 0xF4}, {0x80, 0x8F}, {0x80, 0xBF}, {0x80, 0xBF}},
        // U+2000 to U+2FFF without the separators U+2028 and U+2029
        {{0xE2, 0xE2}, {0x81, 0xBF}, {0x80, 0xBF}, {}},
        {{0xE2, 0xE2}, {0x80, 0x80}, {0x80, 0xA7}, {}},
        {{0xE2, 0xE2}, {0x80, 0x80}, {0xAA, 0xBF}, {}},
    };
    const std::vector<uint32_t> itself{state};
    for (const Range& range : ascii)
        if (reach(dfa, itself, range.first, range.last) != itself) return false;
    for (const auto& ranges : longer) {
        std::vector<uint32_t> states = itself;
        for (const Range& range : ranges)
            if (range.first != 0) states = reach(dfa, states, range.first, range.last);
        if (states != itself) return false;
    }
    return true;
}

void find_endless(Dfa& dfa) {
    dfa.endless.resize(dfa.size());
    for (uint32_t s = 0; s < dfa.size(); s++) dfa.endless[s] = is_endless(dfa, s);
}

Dfa combine(const Dfa& a, const Dfa& b, bool subtracting) {
    Dfa result;
    // Classes of bytes that both tell apart.
    std::vector<uint32_t> pairs;
    std::vector<uint8_t> sample;
    for (uint32_t byte = 0; byte < 256; byte++) {
        const uint32_t pair = a.byte_class[byte] * 256u + b.byte_class[byte];
        const auto found = std::find(pairs.begin(), pairs.end(), pair);
        result.byte_class[byte] = static_cast<uint8_t>(found - pairs.begin());
        if (found != pairs.end()) continue;
        pairs.push_back(pair);
        sample.push_back(static_cast<uint8_t>(byte));
    }
    result.n_classes = static_cast<uint32_t>(pairs.size());

    struct Pair {
        uint32_t a, b;
    };
    std::vector<Pair> states{{0, 0}};
    std::unordered_map<uint64_t, uint32_t> numbers{{0, 0}};
    for (size_t s = 0; s < states.size(); s++) {
        const Pair from = states[s];
        const bool in_b = from.b != Dfa::kNone && b.accepts[from.b];
        result.accepts.push_back(a.accepts[from.a] && in_b != subtracting);
        for (uint32_t c = 0; c < result.n_classes; c++) {
            const Pair to{a.step(from.a, sample[c]), b.step(from.b, sample[c])};
            uint32_t number = Dfa::kNone;
            if (to.a != Dfa::kNone && (subtracting || to.b != Dfa::kNone)) {
                const auto [place, fresh] =
                    numbers.try_emplace(uint64_t{to.a} << 32 | to.b, static_cast<uint32_t>(states.size()));
                if (fresh) states.push_back(to);
                number = place->second;
            }
            result.next.push_back(number);
        }
        check_size(states.size());
    }
    find_endless(result);
    result.work = result.next.size() * sizeof(uint32_t);
    return result;
}

}  // namespace

bool Dfa::matches(std::string_view text) const {
    uint32_t state = 0;
    for (const char byte : text) state = step(state, static_cast<uint8_t>(byte));
    return state != kNone && accepts[state];
}

Dfa make_dfa(const Rules& rules, Rule root) {
    const Nfa nfa = make_nfa(rules, root, true);
    Automaton automaton(nfa, size_t{16} << 20, ErrorKind::usage);
    const SetId start = automaton.start(root);
    std::vector<Automaton::FrontierId> states{automaton.frontier(start)};
    std::vector<uint32_t> numbers;  // of the frontiers
    Dfa dfa;
    std::copy(std::begin(nfa.byte_class), std::end(nfa.byte_class), std::begin(dfa.byte_class));
    dfa.n_classes = nfa.n_classes;
    std::vector<uint8_t> sample(nfa.n_classes);
    for (uint32_t byte = 0; byte < 256; byte++) sample[nfa.byte_class[byte]] = static_cast<uint8_t>(byte);
    for (size_t s = 0; s < states.size(); s++) {
        dfa.accepts.push_back(s == 0 ? automaton.accepts(start) : automaton.ends(states[s]));
        for (uint32_t c = 0; c < nfa.n_classes; c++) {
            const Automaton::FrontierId f = automaton.step(states[s], sample[c]);
            if (f == Automaton::kDead) {
                dfa.next.push_back(Dfa::kNone);
                continue;
            }
            if (numbers.size() <= f) numbers.resize(f + 1, Dfa::kNone);
            if (numbers[f] == Dfa::kNone) {
                numbers[f] = static_cast<uint32_t>(states.size());
                states.push_back(f);
            }
            dfa.next.push_back(numbers[f]);
        }
        check_size(states.size());
    }
    find_endless(dfa);
    dfa.work = automaton.bytes();
    return dfa;
}

Dfa intersect(const Dfa& a, const Dfa& b) {
    return combine(a, b, false);
}

Dfa subtract(const Dfa& a, const Dfa& b) {
    return combine(a, b, true);
}

}  // namespace agave::grammar
