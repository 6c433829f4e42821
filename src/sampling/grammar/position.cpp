#include "sampling/grammar/position.h"

#include <algorithm>

namespace agave {

using grammar::Automaton;
using grammar::Link;
using grammar::Place;

Position::Position(GrammarData& grammar, bool late) : grammar_(grammar) {
    const uint32_t around_nothing[2] = {0, 0};
    links_.intern(around_nothing);
    const grammar::SetId start = late ? grammar.late_start : grammar.start;
    places_.push_back({0, start});
    may_end_ = grammar.automaton.accepts(start);
}

/// A call has ended: adds where the calls around it go on. True when all of the text may have ended.
bool Position::end_calls(uint32_t id, std::vector<Reading>& readings) {
    while (id != 0) {
        const Link ended = link(id);
        const Reading reading{ended.parent, grammar_.automaton.frontier(ended.back)};
        const bool known = std::any_of(readings.begin(), readings.end(), [reading](const Reading& r) {
            return r.link == reading.link && r.frontier == reading.frontier;
        });
        if (known) return false;
        readings.push_back(reading);
        if (!grammar_.automaton.accepts(ended.back)) return false;
        id = ended.parent;
    }
    return true;
}

bool Position::read(std::string_view bytes) {
    Automaton& automaton = grammar_.automaton;
    std::vector<Reading> readings, next;
    for (const Place& place : places_) readings.push_back({place.link, automaton.frontier(place.set)});
    bool ended = false;
    for (const char byte : bytes) {
        next.clear();
        ended = false;
        for (const Reading& reading : readings) {
            const Automaton::FrontierId f = automaton.step(reading.frontier, static_cast<uint8_t>(byte));
            if (f > Automaton::kEnded) next.push_back({reading.link, f});
            if (automaton.ends(f)) ended |= end_calls(reading.link, next);
        }
        readings.swap(next);
    }
    if (readings.empty() && !ended) return false;

    places_.clear();
    for (const Reading& reading : readings)
        for (const Place& place : automaton.places(reading.frontier))
            places_.push_back({add_link(place.link, reading.link), place.set});
    std::sort(places_.begin(), places_.end(), [](const Place& a, const Place& b) {
        return a.link != b.link ? a.link < b.link : a.set < b.set;
    });
    size_t n = 0;
    for (const Place& place : places_)
        if (n > 0 && places_[n - 1].link == place.link)
            places_[n - 1].set = automaton.unite(places_[n - 1].set, place.set);
        else
            places_[n++] = place;
    places_.resize(n);
    may_end_ = ended;
    return true;
}

/// The open call that a link of a frontier is, which began in `base`.
uint32_t Position::add_link(uint32_t relative, uint32_t base) {
    std::vector<grammar::SetId> backs;
    for (; relative != 0; relative = grammar_.automaton.link(relative).parent)
        backs.push_back(grammar_.automaton.link(relative).back);
    for (; !backs.empty(); backs.pop_back()) {
        const uint32_t words[2] = {backs.back(), base};
        base = links_.intern(words);
    }
    return base;
}

void Position::allow(const TokenTrie& trie, std::span<uint32_t> words) {
    MaskCache& masks = grammar_.masks_of(trie);
    std::vector<Return> returns;
    for (const Place& place : places_) {
        const SetMask& mask = masks.of(place.set);
        for (size_t i = 0; i < mask.words.size(); i++) words[i] |= mask.words[i];
        for (const int32_t token : mask.tokens)
            words[static_cast<size_t>(token) / 32] |= uint32_t{1} << (token % 32);
        if (place.link == 0) continue;
        for (const TriePoint& exit : mask.exits) returns.push_back({exit, place.link});
    }
    follow_returns(trie, returns, words);
}

void Position::allow_below(const TokenTrie& trie, TriePoint point, std::span<uint32_t> words) {
    std::vector<TriePoint> exits;
    std::vector<Return> returns;
    for (const Place& place : places_) {
        exits.clear();
        walk_tokens(grammar_.automaton, trie, point, grammar_.automaton.frontier(place.set), words, exits);
        if (place.link == 0) continue;
        for (const TriePoint& exit : exits) returns.push_back({exit, place.link});
    }
    follow_returns(trie, returns, words);
}

void Position::follow_returns(const TokenTrie& trie, std::vector<Return>& returns,
                              std::span<uint32_t> words) {
    std::vector<TriePoint> exits;
    while (!returns.empty()) {
        const Return from = returns.back();
        returns.pop_back();
        const Link ended = link(from.link);
        exits.clear();
        walk_tokens(grammar_.automaton, trie, from.point, grammar_.automaton.frontier(ended.back), words,
                    exits);
        if (ended.parent == 0) continue;
        if (grammar_.automaton.accepts(ended.back)) returns.push_back({from.point, ended.parent});
        for (const TriePoint& exit : exits) returns.push_back({exit, ended.parent});
    }
}

}  // namespace agave
