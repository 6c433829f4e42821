#include "sampling/grammar/nfa.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/utf8.h"

namespace agave::grammar {

namespace {

constexpr size_t kMaxStates = 1u << 19;
constexpr size_t kMaxEdges = 1u << 21;

enum class EdgeKind : uint8_t { bytes, call, empty };
struct Edge {
    uint32_t from, to;
    Rule rule;
    EdgeKind kind;
    uint8_t first, last;
};

/// Byte ranges, one for each byte of a character.
struct Utf8Sequence {
    int length;
    uint8_t first[4], last[4];
};

/// Splits a range of characters into products of byte ranges.
void split_utf8(uint32_t first, uint32_t last, std::vector<Utf8Sequence>& out) {
    constexpr std::array<uint32_t, 4> longest{0x7F, 0x7FF, 0xFFFF, kMaxCodePoint};
    for (uint32_t limit : longest)
        if (first <= limit && limit < last) {
            split_utf8(first, limit, out);
            split_utf8(limit + 1, last, out);
            return;
        }
    // From the second byte on, the ranges must be whole wherever a byte before them varies.
    for (int shift = 6; shift <= 18; shift += 6) {
        const uint32_t low = (uint32_t{1} << shift) - 1;
        if ((first & ~low) == (last & ~low) || last < 0x80) continue;
        if ((first & low) != 0) {
            split_utf8(first, first | low, out);
            split_utf8((first | low) + 1, last, out);
            return;
        }
        if ((last & low) != low) {
            split_utf8(first, (last & ~low) - 1, out);
            split_utf8(last & ~low, last, out);
            return;
        }
    }
    char a[4], b[4];
    Utf8Sequence sequence{};
    sequence.length = static_cast<int>(write_utf8(first, a));
    write_utf8(last, b);
    for (int i = 0; i < sequence.length; i++) {
        sequence.first[i] = static_cast<uint8_t>(a[i]);
        sequence.last[i] = static_cast<uint8_t>(b[i]);
    }
    out.push_back(sequence);
}

/// The edges of all rules, before they are sorted.
class Builder {
  public:
    explicit Builder(const Rules& rules) : rules_(rules) {}

    void add_rule(Rule rule) {
        const Rules::NamedRule& named = rules_.rules()[rule];
        if (named.right_side == Rules::kUndefined)
            fail(ErrorKind::usage, "%s has no rule \"%s\"", rules_.source, printable(named.name).c_str());
        starts.push_back(new_state());
        ends.push_back(new_state());
        compile(named.right_side, starts.back(), ends.back());
    }

    std::vector<Edge> edges;
    std::vector<uint8_t> runs;  ///< of each state
    std::vector<uint32_t> starts, ends;

  private:
    uint32_t new_state() {
        if (runs.size() >= kMaxStates || edges.size() >= kMaxEdges)
            fail(ErrorKind::usage, "%s is too large", rules_.source);
        runs.push_back(0);
        return static_cast<uint32_t>(runs.size() - 1);
    }
    void read_bytes(uint32_t from, uint8_t first, uint8_t last, uint32_t to) {
        edges.push_back({from, to, 0, EdgeKind::bytes, first, last});
    }
    void skip(uint32_t from, uint32_t to) { edges.push_back({from, to, 0, EdgeKind::empty, 0, 0}); }

    void compile(Expr expr, uint32_t from, uint32_t to);
    void compile_chars(const Rules::Node& node, uint32_t from, uint32_t to);
    void compile_repeat(const Rules::Node& node, uint32_t from, uint32_t to);
    void compile_list(const Rules::Node& node, uint32_t from, uint32_t to);
    void compile_machine(const Dfa& dfa, uint32_t from, uint32_t to);
    bool reads_plain_text(Expr expr, int depth) const;

    const Rules& rules_;
};

void Builder::compile(Expr expr, uint32_t from, uint32_t to) {
    const Rules::Node node = rules_.node(expr);
    switch (node.kind) {
        case Rules::Kind::never:
            break;
        case Rules::Kind::literal: {
            const std::string_view bytes = rules_.bytes(node);
            if (bytes.empty()) skip(from, to);
            for (size_t i = 0; i < bytes.size(); i++) {
                const uint32_t next = i + 1 == bytes.size() ? to : new_state();
                read_bytes(from, static_cast<uint8_t>(bytes[i]), static_cast<uint8_t>(bytes[i]), next);
                from = next;
            }
            break;
        }
        case Rules::Kind::chars:
            compile_chars(node, from, to);
            break;
        case Rules::Kind::sequence:
            if (node.size == 0) skip(from, to);
            for (uint32_t i = 0; i < node.size; i++) {
                const uint32_t next = i + 1 == node.size ? to : new_state();
                compile(rules_.children(node)[i], from, next);
                from = next;
            }
            break;
        case Rules::Kind::choice:
            for (uint32_t i = 0; i < node.size; i++) compile(rules_.children(node)[i], from, to);
            break;
        case Rules::Kind::repeat:
            compile_repeat(node, from, to);
            break;
        case Rules::Kind::list:
            compile_list(node, from, to);
            break;
        case Rules::Kind::machine:
            compile_machine(rules_.machine(node), from, to);
            break;
        case Rules::Kind::call:
            edges.push_back({from, to, node.of, EdgeKind::call, 0, 0});
            break;
    }
    if (edges.size() >= kMaxEdges) fail(ErrorKind::usage, "%s is too large", rules_.source);
}

void Builder::compile_chars(const Rules::Node& node, uint32_t from, uint32_t to) {
    struct Suffix {
        uint8_t first, last;
        uint32_t next, state;
    };
    std::vector<Utf8Sequence> sequences;
    std::vector<Suffix> suffixes;  // one state for all characters that end alike
    for (uint32_t i = 0; i < node.size; i++) {
        const CharRange range = rules_.ranges(node)[i];
        sequences.clear();
        split_utf8(range.first, range.last, sequences);
        for (const Utf8Sequence& sequence : sequences) {
            uint32_t next = to;
            for (int b = sequence.length - 1; b > 0; b--) {
                const size_t recent = suffixes.size() - std::min<size_t>(suffixes.size(), 64);
                const auto found = std::find_if(suffixes.begin() + static_cast<std::ptrdiff_t>(recent),
                                                suffixes.end(), [&](const Suffix& s) {
                                                    return s.first == sequence.first[b] &&
                                                           s.last == sequence.last[b] && s.next == next;
                                                });
                if (found != suffixes.end()) {
                    next = found->state;
                    continue;
                }
                const uint32_t state = new_state();
                read_bytes(state, sequence.first[b], sequence.last[b], next);
                suffixes.push_back({sequence.first[b], sequence.last[b], next, state});
                next = state;
            }
            read_bytes(from, sequence.first[0], sequence.last[0], next);
        }
    }
}

void Builder::compile_repeat(const Rules::Node& node, uint32_t from, uint32_t to) {
    const uint32_t least = node.begin, most = node.size;
    const bool plain = reads_plain_text(node.of, 0);
    const uint32_t copies = most == kUnbounded ? least : most;
    for (uint32_t i = 0;; i++) {
        const uint32_t state = new_state();
        skip(from, state);
        if (i >= least) skip(state, to);
        if (plain)
            runs[state] = most == kUnbounded
                              ? Nfa::kEndlessRun
                              : static_cast<uint8_t>(std::min<uint32_t>(most - i, Nfa::kEndlessRun - 1));
        if (i == copies) {
            if (most == kUnbounded) compile(node.of, state, state);
            break;
        }
        from = new_state();
        compile(node.of, state, from);
    }
}

void Builder::compile_list(const Rules::Node& node, uint32_t from, uint32_t to) {
    const Expr* children = rules_.children(node);
    uint32_t none_yet = new_state(), some = new_state();  // before each item
    skip(from, none_yet);
    for (uint32_t i = 1; i < node.size; i += 2) {
        const bool optional = children[i + 1] != 0;
        const uint32_t item = new_state(), next_none = new_state(), next_some = new_state();
        skip(none_yet, item);
        compile(children[0], some, item);
        compile(children[i], item, next_some);
        if (optional) {
            skip(none_yet, next_none);
            skip(some, next_some);
        }
        none_yet = next_none;
        some = next_some;
    }
    skip(some, to);
    if (node.of != 0) skip(none_yet, to);
}

void Builder::compile_machine(const Dfa& dfa, uint32_t from, uint32_t to) {
    std::vector<uint32_t> states;
    for (uint32_t s = 0; s < dfa.size(); s++) {
        states.push_back(new_state());
        if (dfa.endless[s]) runs[states[s]] = Nfa::kEndlessRun;
    }
    skip(from, states[0]);
    for (uint32_t s = 0; s < dfa.size(); s++) {
        if (dfa.accepts[s]) skip(states[s], to);
        for (uint32_t first = 0; first < 256;) {
            const uint32_t target = dfa.step(s, static_cast<uint8_t>(first));
            uint32_t last = first;
            while (last < 255 && dfa.step(s, static_cast<uint8_t>(last + 1)) == target) last++;
            if (target != Dfa::kNone)
                read_bytes(states[s], static_cast<uint8_t>(first), static_cast<uint8_t>(last),
                           states[target]);
            first = last + 1;
        }
    }
}

/// Whether every plain character, as TokenTrie::text() has them, is one text of the expression.
bool Builder::reads_plain_text(Expr expr, int depth) const {
    const Rules::Node& node = rules_.node(expr);
    if (depth > 8) return false;
    if (node.kind == Rules::Kind::call) {
        const Expr right_side = rules_.rules()[node.of].right_side;
        return right_side != Rules::kUndefined && reads_plain_text(right_side, depth + 1);
    }
    if (node.kind == Rules::Kind::choice) {
        for (uint32_t i = 0; i < std::min<uint32_t>(node.size, 16); i++)
            if (reads_plain_text(rules_.children(node)[i], depth + 1)) return true;
        return false;
    }
    if (node.kind != Rules::Kind::chars) return false;
    const CharSet other = complement(CharSet(rules_.ranges(node), rules_.ranges(node) + node.size));
    return std::all_of(other.begin(), other.end(), [](CharRange range) {
        return range.last < 0x20 ||
               (range.first == range.last &&
                (range.first == '"' || range.first == '\\' || range.first == 0x7F)) ||
               (range.first >= 0x2028 && range.last <= 0x2029);
    });
}

/// Edges by the state at one of their ends.
struct Index {
    Index(const std::vector<Edge>& edges, size_t n_states, uint32_t Edge::* end) : begin(n_states + 1) {
        for (const Edge& edge : edges) begin[edge.*end + 1]++;
        for (size_t s = 0; s < n_states; s++) begin[s + 1] += begin[s];
        std::vector<uint32_t> next(begin.begin(), begin.end() - 1);
        order.resize(edges.size());
        for (size_t e = 0; e < edges.size(); e++) order[next[edges[e].*end]++] = static_cast<uint32_t>(e);
    }
    std::span<const uint32_t> at(uint32_t state) const {
        return std::span(order).subspan(begin[state], begin[state + 1] - begin[state]);
    }
    std::vector<uint32_t> begin, order;
};

/// The states from which the end of their rule can be reached, with or without reading bytes.
std::vector<bool> reaching_end(const Builder& net, const Index& by_target, bool reading) {
    std::vector<std::vector<uint32_t>> calls(net.starts.size());  // that wait for their rule
    std::vector<bool> reaches(net.runs.size());
    std::vector<uint32_t> rule_of(net.runs.size(), UINT32_MAX), work;
    for (uint32_t r = 0; r < net.starts.size(); r++) rule_of[net.starts[r]] = r;
    const auto mark = [&](uint32_t state) {
        if (reaches[state]) return;
        reaches[state] = true;
        work.push_back(state);
    };
    for (uint32_t end : net.ends) mark(end);
    while (!work.empty()) {
        const uint32_t state = work.back();
        work.pop_back();
        for (uint32_t e : by_target.at(state)) {
            const Edge& edge = net.edges[e];
            if (edge.kind == EdgeKind::bytes && !reading) continue;
            if (edge.kind == EdgeKind::call && !reaches[net.starts[edge.rule]])
                calls[edge.rule].push_back(edge.from);
            else
                mark(edge.from);
        }
        if (rule_of[state] == UINT32_MAX) continue;
        for (uint32_t from : calls[rule_of[state]]) mark(from);
    }
    return reaches;
}

/// Sets the classes of bytes that no edge tells apart.
void classify_bytes(Nfa& nfa, const std::vector<Edge>& edges) {
    std::array<bool, 257> begins{};
    for (const Edge& edge : edges)
        if (edge.kind == EdgeKind::bytes) begins[edge.first] = begins[edge.last + 1u] = true;
    uint32_t current = 0;
    for (uint32_t byte = 0; byte < 256; byte++) {
        if (byte > 0 && begins[byte]) current++;
        nfa.byte_class[byte] = static_cast<uint8_t>(current);
    }
    nfa.n_classes = current + 1;
}

/// Moves the edges into the result, by the states that they leave.
void sort_edges(Nfa& nfa, const Builder& net) {
    const size_t n_states = net.runs.size();
    const Index by_source(net.edges, n_states, &Edge::from);
    nfa.states.resize(n_states + 1);
    for (uint32_t s = 0; s <= n_states; s++) {
        nfa.states[s] = {static_cast<uint32_t>(nfa.byte_edges.size()),
                         static_cast<uint32_t>(nfa.call_edges.size()),
                         static_cast<uint32_t>(nfa.empty_edges.size()), false, 0};
        if (s == n_states) break;
        nfa.states[s].run = net.runs[s];
        for (uint32_t e : by_source.at(s)) {
            const Edge& edge = net.edges[e];
            switch (edge.kind) {
                case EdgeKind::bytes:
                    nfa.byte_edges.push_back(
                        {nfa.byte_class[edge.first], nfa.byte_class[edge.last], edge.to});
                    break;
                case EdgeKind::call:
                    nfa.call_edges.push_back({edge.rule, edge.to});
                    break;
                case EdgeKind::empty:
                    nfa.empty_edges.push_back(edge.to);
                    break;
            }
        }
    }
    for (uint32_t end : net.ends) nfa.states[end].accepts = true;
}

/// The rules that a text of `rule` may begin with.
std::vector<Rule> left_calls(const Nfa& nfa, Rule rule, std::vector<uint32_t>& seen) {
    std::vector<Rule> calls;
    std::vector<uint32_t> work{nfa.starts[rule]};
    while (!work.empty()) {
        const uint32_t state = work.back();
        work.pop_back();
        if (seen[state] == rule) continue;
        seen[state] = rule;
        for (const Nfa::CallEdge& call : nfa.calls_of(state)) calls.push_back(call.rule);
        const auto empties = nfa.empties_of(state);
        work.insert(work.end(), empties.begin(), empties.end());
    }
    return calls;
}

void refuse_left_recursion(const Nfa& nfa, const Rules& rules) {
    enum : uint8_t { unknown, open, done };
    struct Visit {
        Rule rule;
        std::vector<Rule> calls;
    };
    std::vector<uint8_t> mark(nfa.starts.size(), unknown);
    std::vector<uint32_t> seen(nfa.states.size(), UINT32_MAX);
    std::vector<Visit> path;
    for (Rule first = 0; first < mark.size(); first++) {
        if (mark[first] != unknown) continue;
        mark[first] = open;
        path.push_back({first, left_calls(nfa, first, seen)});
        while (!path.empty()) {
            Visit& visit = path.back();
            if (visit.calls.empty()) {
                mark[visit.rule] = done;
                path.pop_back();
                continue;
            }
            const Rule next = visit.calls.back();
            visit.calls.pop_back();
            if (mark[next] == open) {
                std::string name = rules.rules()[next].name;
                for (size_t i = path.size(); name.empty() && i-- > 0;)
                    name = rules.rules()[path[i].rule].name;
                fail(ErrorKind::usage,
                     "%s recurses to the left: a text of \"%s\" can begin with a text of \"%s\" again",
                     rules.source, printable(name).c_str(), printable(name).c_str());
            }
            if (mark[next] == done) continue;
            mark[next] = open;
            path.push_back({next, left_calls(nfa, next, seen)});
        }
    }
}

}  // namespace

Nfa make_nfa(const Rules& rules, Rule root, bool may_be_empty) {
    Builder net(rules);
    for (Rule r = 0; r < rules.rules().size(); r++) net.add_rule(r);
    {
        const Index by_target(net.edges, net.runs.size(), &Edge::to);
        const std::vector<bool> productive = reaching_end(net, by_target, true);
        const std::vector<bool> nullable = reaching_end(net, by_target, false);
        if (!productive[net.starts[root]] && !may_be_empty)
            fail(ErrorKind::usage, "%s allows no text at all", rules.source);
        std::erase_if(net.edges, [&](const Edge& edge) {
            return !productive[edge.from] || !productive[edge.to] ||
                   (edge.kind == EdgeKind::call && !productive[net.starts[edge.rule]]);
        });
        // A call of a rule that may be empty can be left out, so that no rule need return at once.
        for (size_t e = 0, n = net.edges.size(); e < n; e++)
            if (net.edges[e].kind == EdgeKind::call && nullable[net.starts[net.edges[e].rule]])
                net.edges.push_back({net.edges[e].from, net.edges[e].to, 0, EdgeKind::empty, 0, 0});
    }
    Nfa nfa{};
    classify_bytes(nfa, net.edges);
    sort_edges(nfa, net);
    nfa.starts = std::move(net.starts);
    refuse_left_recursion(nfa, rules);
    return nfa;
}

bool generates_text(const Rules& rules, Rule root) {
    const Nfa nfa = make_nfa(rules, root, true);
    const Nfa::State &start = nfa.states[nfa.starts[root]], &next = nfa.states[nfa.starts[root] + 1];
    return start.bytes != next.bytes || start.calls != next.calls || start.empties != next.empties;
}

}  // namespace agave::grammar
