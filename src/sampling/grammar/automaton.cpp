#include "sampling/grammar/automaton.h"

#include <algorithm>

namespace agave::grammar {

namespace {

constexpr size_t kMaxPlaces = 1000;

size_t hash_words(std::span<const uint32_t> words) {
    uint64_t h = 0x9E3779B97F4A7C15u + words.size();
    for (uint32_t word : words) h = (h ^ word) * 0xFF51AFD7ED558CCDu, h ^= h >> 32;
    return h;
}

bool before(const Place& a, const Place& b) {
    return a.link != b.link ? a.link < b.link : a.set < b.set;
}

bool same(const Place& a, const Place& b) {
    return a.link == b.link && a.set == b.set;
}

}  // namespace

uint32_t Interner::intern(std::span<const uint32_t> words) {
    if (slots_.size() <= 2 * begins_.size()) grow();
    const size_t mask = slots_.size() - 1;
    size_t slot = hash_words(words) & mask;
    for (; slots_[slot] != 0; slot = (slot + 1) & mask) {
        const uint32_t id = slots_[slot] - 1;
        if (std::ranges::equal((*this)[id], words)) return id;
    }
    slots_[slot] = size() + 1;
    words_.insert(words_.end(), words.begin(), words.end());
    begins_.push_back(static_cast<uint32_t>(words_.size()));
    return size() - 1;
}

void Interner::grow() {
    slots_.assign(std::max<size_t>(64, slots_.size() * 4), 0);
    for (uint32_t id = 0; id < size(); id++) {
        size_t slot = hash_words((*this)[id]) & (slots_.size() - 1);
        while (slots_[slot] != 0) slot = (slot + 1) & (slots_.size() - 1);
        slots_[slot] = id + 1;
    }
}

void Interner::clear() {
    words_.clear();
    begins_.assign(1, 0);
    slots_.clear();
}

Automaton::Automaton(const Nfa& nfa, size_t max_bytes, ErrorKind too_much)
    : nfa_(nfa), max_bytes_(max_bytes), too_much_(too_much), seen_(nfa.states.size()) {
    std::vector<uint32_t> none;
    close(none);
    forget();
}

SetId Automaton::start(Rule rule) {
    std::vector<uint32_t> states{nfa_.starts[rule]};
    return close(states);
}

SetId Automaton::unite(SetId a, SetId b) {
    if (a == b) return a;
    const auto in_a = set_states_[a], in_b = set_states_[b];
    std::vector<uint32_t> states(in_a.begin(), in_a.end());
    states.insert(states.end(), in_b.begin(), in_b.end());
    return close(states);
}

/// The set of what empty edges reach from `states`: only states that read, call or accept tell sets apart.
SetId Automaton::close(std::vector<uint32_t>& states) {
    std::vector<uint32_t> reached, kept;
    Set set;
    set.only_ends = true;
    const auto reach = [&](uint32_t state) {
        if (seen_[state]) return;
        seen_[state] = true;
        reached.push_back(state);
    };
    for (uint32_t state : states) reach(state);
    for (size_t i = 0; i < reached.size(); i++) {
        const uint32_t state = reached[i];
        for (uint32_t target : nfa_.empties_of(state)) reach(target);
        const bool reads = !nfa_.bytes_of(state).empty(), calls = !nfa_.calls_of(state).empty();
        set.accepts |= nfa_.states[state].accepts;
        set.reads |= reads;
        set.run = std::max(set.run, nfa_.states[state].run);
        set.only_ends &= !reads && !calls;
        if (reads || calls || nfa_.states[state].accepts || nfa_.states[state].run > 0) kept.push_back(state);
    }
    for (uint32_t state : reached) seen_[state] = false;
    set.only_ends &= set.accepts;
    std::sort(kept.begin(), kept.end());
    const SetId id = set_states_.intern(kept);
    if (id == sets_.size()) {
        set_bytes_ += sizeof(Set);
        sets_.push_back(std::move(set));
        check_size();
    }
    return id;
}

SetId Automaton::step_set(SetId set, uint32_t byte_class) {
    if (!sets_[set].reads) return 0;
    if (sets_[set].next.empty()) {
        sets_[set].next.assign(nfa_.n_classes, kUnknown);
        set_bytes_ += nfa_.n_classes * sizeof(SetId);
    }
    if (sets_[set].next[byte_class] != kUnknown) return sets_[set].next[byte_class];
    std::vector<uint32_t> targets;
    for (uint32_t state : set_states_[set])
        for (const Nfa::ByteEdge& edge : nfa_.bytes_of(state))
            if (edge.first <= byte_class && byte_class <= edge.last) targets.push_back(edge.target);
    const SetId target = close(targets);
    sets_[set].next[byte_class] = target;
    return target;
}

std::span<const Automaton::Call> Automaton::calls_of(SetId set) {
    if (sets_[set].expanded) return sets_[set].calls;
    std::vector<Nfa::CallEdge> edges;
    for (uint32_t state : set_states_[set]) {
        const auto more = nfa_.calls_of(state);
        edges.insert(edges.end(), more.begin(), more.end());
    }
    std::sort(edges.begin(), edges.end(), [](const Nfa::CallEdge& a, const Nfa::CallEdge& b) {
        return a.rule != b.rule ? a.rule < b.rule : a.target < b.target;
    });
    std::vector<Call> calls;
    for (size_t i = 0; i < edges.size();) {
        const Rule rule = edges[i].rule;
        std::vector<uint32_t> targets;
        for (; i < edges.size() && edges[i].rule == rule; i++) targets.push_back(edges[i].target);
        const SetId back = close(targets);
        const SetId start_set = start(rule);
        calls.push_back({start_set, back, sets_[back].only_ends});
    }
    set_bytes_ += calls.size() * sizeof(Call);
    sets_[set].calls = std::move(calls);
    sets_[set].expanded = true;
    return sets_[set].calls;
}

Automaton::FrontierId Automaton::frontier(SetId set) {
    if (sets_[set].frontier == kUnknown) {
        std::vector<Place> places{{0, set}};
        const FrontierId f = make_frontier(places, false);
        sets_[set].frontier = f;
    }
    return sets_[set].frontier;
}

std::vector<Place> Automaton::places(FrontierId f) const {
    const auto words = frontier_places_[f];
    std::vector<Place> places;
    for (size_t i = 1; i < words.size(); i += 2) places.push_back({words[i], words[i + 1]});
    return places;
}

Automaton::FrontierId Automaton::make_frontier(std::vector<Place>& places, bool ends) {
    std::sort(places.begin(), places.end(), before);
    std::vector<uint32_t> words{ends ? 1u : 0u};
    uint8_t run = 0;
    for (size_t i = 0; i < places.size();) {
        const uint32_t in = places[i].link;
        SetId set = places[i].set;
        for (i++; i < places.size() && places[i].link == in; i++) set = unite(set, places[i].set);
        words.push_back(in);
        words.push_back(set);
        run = std::max(run, sets_[set].run);
    }
    const FrontierId id = frontier_places_.intern(words);
    if (id == frontiers_.size()) {
        frontiers_.push_back({ends, false, run, {}});
        next_.insert(next_.end(), nfa_.n_classes, kUnknown);
        frontier_bytes_ += sizeof(Frontier) + nfa_.n_classes * sizeof(FrontierId);
        check_size();
    }
    return id;
}

void Automaton::expand(FrontierId f) {
    if (frontiers_[f].expanded) return;
    std::vector<Place> heads = places(f);
    for (size_t i = 0; i < heads.size(); i++) {
        const Place place = heads[i];
        for (const Call& call : calls_of(place.set)) {
            const uint32_t link_words[2] = {call.back, place.link};
            add_place(heads, {call.tail ? place.link : links_.intern(link_words), call.start});
        }
    }
    std::erase_if(heads, [this](const Place& place) { return !sets_[place.set].reads; });
    frontier_bytes_ += heads.size() * sizeof(Place);
    frontiers_[f].heads = std::move(heads);
    frontiers_[f].expanded = true;
}

Automaton::FrontierId Automaton::find_step(FrontierId from, uint32_t byte_class) {
    expand(from);
    std::vector<Place> places;
    bool ends = false;
    for (size_t i = 0; i < frontiers_[from].heads.size(); i++) {
        const Place head = frontiers_[from].heads[i];
        if (const SetId set = step_set(head.set, byte_class)) add_place(places, {head.link, set});
    }
    for (size_t i = 0; i < places.size(); i++) {
        if (!sets_[places[i].set].accepts) continue;
        if (places[i].link == 0) {
            ends = true;
            continue;
        }
        const Link around = link(places[i].link);
        add_place(places, {around.parent, around.back});
    }
    // A set that can do nothing but end has ended.
    std::erase_if(places, [this](const Place& place) { return sets_[place.set].only_ends; });
    const FrontierId to = make_frontier(places, ends);
    next_[from * size_t{nfa_.n_classes} + byte_class] = to;
    return to;
}

size_t Automaton::set_bytes() const {
    return set_bytes_ + set_states_.bytes();
}

size_t Automaton::bytes() const {
    return set_bytes() + frontier_bytes_ + frontier_places_.bytes() + links_.bytes();
}

void Automaton::check_size() const {
    if (bytes() > max_bytes_)
        fail(too_much_, "the grammar needs more than %zu MB of memory to be followed", max_bytes_ >> 20);
}

void Automaton::add_place(std::vector<Place>& places, Place place) const {
    if (std::none_of(places.begin(), places.end(), [place](const Place& p) { return same(p, place); }))
        places.push_back(place);
    if (places.size() > kMaxPlaces)
        fail(too_much_, "the grammar is too ambiguous: there are more than %zu ways to read a text",
             kMaxPlaces);
}

void Automaton::forget() {
    frontier_places_.clear();
    links_.clear();
    frontiers_.clear();
    next_.clear();
    frontier_bytes_ = 0;
    for (Set& set : sets_) set.frontier = kUnknown;
    const uint32_t around_nothing[2] = {0, 0};
    links_.intern(around_nothing);
    std::vector<Place> none;
    make_frontier(none, false);
    make_frontier(none, true);
}

}  // namespace agave::grammar
