#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/error.h"
#include "sampling/grammar/nfa.h"

namespace agave::grammar {

/// Numbers for equal spans of words: each distinct content is kept once.
class Interner {
  public:
    /// The number of `words`, a new one (the next in order) if they were not there yet.
    uint32_t intern(std::span<const uint32_t> words);
    std::span<const uint32_t> operator[](uint32_t id) const {
        return std::span(words_).subspan(begins_[id], begins_[id + 1] - begins_[id]);
    }
    uint32_t size() const { return static_cast<uint32_t>(begins_.size()) - 1; }
    size_t bytes() const { return (words_.size() + begins_.size() + slots_.size()) * sizeof(uint32_t); }
    void clear();

  private:
    void grow();

    std::vector<uint32_t> words_, begins_{0};
    std::vector<uint32_t> slots_;  ///< open addressing; 1 + number, or 0
};

/// States of one rule's automaton that a text may be in: the subset construction's states, closed under
/// empty edges. 0 is the empty set.
using SetId = uint32_t;

/// A call that has not returned: where its rule goes on, and the call around that one. Link 0 has nothing
/// around it.
struct Link {
    SetId back;
    uint32_t parent;
};

/// Where a text may be: for each call that may be the innermost one, the states in its rule.
struct Place {
    uint32_t link;
    SetId set;
};

/// The network of a grammar made deterministic as far as texts need it. A frontier is where a text may be
/// that began in one set of states, in calls made since then; what lies around these is not known, so that a
/// frontier (and what is computed from it) serves wherever a rule is called. All that is found is kept; the
/// caller decides when to forget frontiers, while sets stay.
class Automaton {
  public:
    /// Throws Error(too_much) from then on where more than `max_bytes` of memory would be needed, or a text
    /// could be read in too many ways.
    explicit Automaton(const Nfa& nfa, size_t max_bytes = size_t{256} << 20,
                       ErrorKind too_much = ErrorKind::runtime);

    SetId start(Rule rule);
    bool accepts(SetId set) const { return sets_[set].accepts; }
    SetId unite(SetId a, SetId b);

    /// Frontier 0 is where no text is; 1 is where the set's own rule has ended and nothing else is open.
    using FrontierId = uint32_t;
    static constexpr FrontierId kDead = 0, kEnded = 1;
    FrontierId frontier(SetId set);
    FrontierId step(FrontierId from, uint8_t byte) {
        const uint32_t known = next_[from * size_t{nfa_.n_classes} + nfa_.byte_class[byte]];
        return known != kUnknown ? known : find_step(from, nfa_.byte_class[byte]);
    }
    /// The rule of the set that the frontier began with may have ended.
    bool ends(FrontierId f) const { return frontiers_[f].ends; }
    /// Plain characters that may come at least, each followed by any; Nfa::kEndlessRun: any number.
    uint8_t run(FrontierId f) const { return frontiers_[f].run; }
    /// Places in links made since the frontier began; link 0 is the call that it began in.
    std::vector<Place> places(FrontierId f) const;
    Link link(uint32_t id) const { return {links_[id][0], links_[id][1]}; }

    size_t bytes() const;      ///< of memory, about
    size_t set_bytes() const;  ///< the part of it that forget() keeps
    void forget();

  private:
    static constexpr uint32_t kUnknown = UINT32_MAX;
    struct Call {
        SetId start, back;
        bool tail;  ///< nothing follows the call in its rule
    };
    struct Set {
        bool accepts = false, reads = false, expanded = false;
        bool only_ends = false;  ///< accepts, and neither reads nor calls
        uint8_t run = 0;
        FrontierId frontier = kUnknown;
        std::vector<Call> calls;
        std::vector<SetId> next;  ///< by class of bytes, once asked for
    };
    struct Frontier {
        bool ends, expanded;
        uint8_t run;
        std::vector<Place> heads;  ///< where bytes are read: places and the calls that can be made there
    };

    SetId close(std::vector<uint32_t>& states);
    SetId step_set(SetId set, uint32_t byte_class);
    std::span<const Call> calls_of(SetId set);
    FrontierId make_frontier(std::vector<Place>& places, bool ends);
    void expand(FrontierId f);
    FrontierId find_step(FrontierId from, uint32_t byte_class);
    void check_size() const;

    void add_place(std::vector<Place>& places, Place place) const;

    const Nfa& nfa_;
    size_t max_bytes_;
    ErrorKind too_much_;
    Interner set_states_, links_, frontier_places_;
    std::vector<Set> sets_;
    std::vector<Frontier> frontiers_;
    std::vector<FrontierId> next_;  ///< [frontier][class]
    std::vector<bool> seen_;        ///< [state] scratch
    size_t set_bytes_ = 0, frontier_bytes_ = 0;
};

}  // namespace agave::grammar
