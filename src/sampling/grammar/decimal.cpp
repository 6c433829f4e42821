#include "sampling/grammar/decimal.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/error.h"

namespace agave::grammar {

namespace {

constexpr int kMaxExponent = 40;
constexpr uint32_t kMaxFactor = 1500;

Expr digit(Rules& rules, char first, char last) {
    if (first > last) return rules.never();
    return rules.chars({{static_cast<uint32_t>(first), static_cast<uint32_t>(last)}});
}
Expr digits(Rules& rules, size_t least, uint32_t most = kUnbounded) {
    return rules.repeat(digit(rules, '0', '9'), static_cast<uint32_t>(least), most);
}

/// Numbers without sign, compared with one bound.
class Comparison {
  public:
    Comparison(Rules& rules, const Decimal& bound, bool strict, bool integer)
        : r_(rules), whole_(bound.whole), fraction_(bound.fraction), strict_(strict), integer_(integer) {}

    Expr any() { return r_.sequence({whole_any(), fraction_any()}); }
    Expr at_least() {
        return r_.choice({r_.sequence({whole_above(), fraction_any()}),
                          r_.sequence({r_.literal(whole_), fraction_at_least()})});
    }
    Expr at_most() {
        return r_.choice({r_.sequence({whole_below(), fraction_any()}),
                          r_.sequence({r_.literal(whole_), fraction_at_most()})});
    }

  private:
    Expr whole_of(size_t least, size_t most) {  // digits, with no zero before others
        if (least > most) return r_.never();
        const Expr longer = r_.sequence({digit(r_, '1', '9'), digits(r_, std::max<size_t>(least, 1) - 1,
                                                                     static_cast<uint32_t>(most) - 1)});
        return least <= 1 ? r_.choice({r_.literal("0"), longer}) : longer;
    }
    Expr whole_any() {
        return r_.choice({r_.literal("0"), r_.sequence({digit(r_, '1', '9'), digits(r_, 0)})});
    }
    Expr whole_above() {
        std::vector<Expr> choices{r_.sequence({digit(r_, '1', '9'), digits(r_, whole_.size())})};
        for (size_t i = 0; i < whole_.size(); i++)
            choices.push_back(r_.sequence({r_.literal(whole_.substr(0, i)),
                                           digit(r_, static_cast<char>(whole_[i] + 1), '9'), rest(i)}));
        return r_.choice(choices);
    }
    Expr whole_below() {
        std::vector<Expr> choices{whole_of(1, whole_.size() - 1)};
        for (size_t i = 0; i < whole_.size(); i++) {
            const char first = i == 0 && whole_.size() > 1 ? '1' : '0';
            choices.push_back(r_.sequence({r_.literal(whole_.substr(0, i)),
                                           digit(r_, first, static_cast<char>(whole_[i] - 1)), rest(i)}));
        }
        return r_.choice(choices);
    }
    Expr rest(size_t i) {
        const size_t n = whole_.size() - 1 - i;
        return digits(r_, n, static_cast<uint32_t>(n));
    }

    Expr point(Expr behind) { return r_.sequence({r_.literal("."), behind}); }
    Expr fraction_any() { return integer_ ? r_.empty() : r_.optional(point(digits(r_, 1))); }
    Expr fraction_at_least() {
        const Expr some = r_.sequence({digits(r_, 0), digit(r_, '1', '9'), digits(r_, 0)});
        if (integer_) return fraction_.empty() && !strict_ ? r_.empty() : r_.never();
        if (fraction_.empty()) return strict_ ? point(some) : fraction_any();
        Expr tail = strict_ ? some : digits(r_, 0);
        for (size_t i = fraction_.size(); i-- > 0;)
            tail =
                r_.choice({r_.sequence({digit(r_, static_cast<char>(fraction_[i] + 1), '9'), digits(r_, 0)}),
                           r_.sequence({r_.literal(fraction_.substr(i, 1)), tail})});
        return point(tail);
    }
    Expr fraction_at_most() {
        const Expr zeros = r_.repeat(r_.literal("0"), 1, kUnbounded);
        if (fraction_.empty()) {
            if (strict_) return r_.never();
            return integer_ ? r_.empty() : r_.optional(point(zeros));
        }
        if (integer_) return r_.empty();
        Expr tail = strict_ ? r_.never() : r_.repeat(r_.literal("0"), 0, kUnbounded);
        for (size_t i = fraction_.size(); i-- > 0;) {
            const bool last = i + 1 == fraction_.size();
            tail = r_.choice(
                {r_.sequence({digit(r_, '0', static_cast<char>(fraction_[i] - 1)), digits(r_, 0)}),
                 r_.sequence({r_.literal(fraction_.substr(i, 1)), last ? tail : r_.optional(tail)})});
        }
        return r_.optional(point(tail));
    }

    Rules& r_;
    std::string whole_, fraction_;
    bool strict_, integer_;
};

Expr bounded(Rules& rules, const NumberBound& bound, bool integer) {
    Comparison than(rules, bound.value, bound.strict, integer);
    const auto minus = [&rules](Expr number) { return rules.sequence({rules.literal("-"), number}); };
    const bool negative = bound.value.negative && !bound.value.is_zero();
    if (bound.lower) return negative ? rules.choice({than.any(), minus(than.at_most())}) : than.at_least();
    if (negative || (bound.value.is_zero() && bound.strict)) return minus(than.at_least());
    return rules.choice({minus(than.any()), than.at_most()});
}

/// The texts of multiples: remainders of the digits read so far.
Dfa multiples(const Decimal& factor, bool integer) {
    const std::string all = factor.whole + factor.fraction;
    uint32_t divisor = 0;
    const auto [end, error] = std::from_chars(all.data(), all.data() + all.size(), divisor);
    const auto places = static_cast<uint32_t>(factor.fraction.size());
    if (error != std::errc() || end != all.data() + all.size() || divisor == 0 || divisor > kMaxFactor ||
        places > 6)
        fail(ErrorKind::usage,
             "the schema asks for multiples of %s, but agave can tell only those of numbers of at "
             "most %u that have at most 6 decimal places (0.25 counts as 25)",
             decimal_text(factor).c_str(), kMaxFactor);
    // States: begin, behind "-", behind "0" alone, then for each number of decimal places so far (0: none, no
    // point yet; 1: just the point; 1 + n: n places) and remainder one, and one for zeros behind all places.
    const uint32_t per_phase = divisor, phases = integer ? 1 : places + 3;
    const uint32_t base = 3;
    Dfa dfa;
    const std::string_view classes = "0123456789-.";
    std::fill(std::begin(dfa.byte_class), std::end(dfa.byte_class), static_cast<uint8_t>(classes.size()));
    for (size_t c = 0; c < classes.size(); c++)
        dfa.byte_class[static_cast<uint8_t>(classes[c])] = static_cast<uint8_t>(c);
    dfa.n_classes = static_cast<uint32_t>(classes.size()) + 1;
    const uint32_t n_states = base + phases * per_phase;
    dfa.next.assign(size_t{n_states} * dfa.n_classes, Dfa::kNone);
    dfa.accepts.assign(n_states, false);
    dfa.endless.assign(n_states, false);
    const auto state = [&](uint32_t phase, uint32_t remainder) {
        return base + phase * per_phase + remainder;
    };
    const auto set = [&](uint32_t from, size_t by, uint32_t to) { dfa.next[from * dfa.n_classes + by] = to; };
    constexpr size_t minus = 10, point = 11;
    set(0, minus, 1);
    for (uint32_t from : {0u, 1u}) {
        set(from, 0, 2);
        for (uint32_t d = 1; d < 10; d++) set(from, d, state(0, d % divisor));
    }
    dfa.accepts[2] = true;
    if (!integer) set(2, point, state(1, 0));
    const auto scaled_to_zero = [&](uint64_t remainder, uint32_t missing_places) {
        for (uint32_t i = 0; i < missing_places; i++) remainder = remainder * 10 % divisor;
        return remainder == 0;
    };
    for (uint32_t remainder = 0; remainder < divisor; remainder++) {
        const uint32_t whole = state(0, remainder);
        dfa.accepts[whole] = scaled_to_zero(remainder, places);
        for (uint32_t d = 0; d < 10; d++) set(whole, d, state(0, (remainder * 10 + d) % divisor));
        if (integer) continue;
        set(whole, point, state(1, remainder));
        for (uint32_t n = 0; n < places; n++) {
            for (uint32_t d = 0; d < 10; d++)
                set(state(1 + n, remainder), d, state(2 + n, (remainder * 10 + d) % divisor));
            dfa.accepts[state(2 + n, remainder)] = scaled_to_zero(remainder, places - n - 1);
        }
        // Behind all places only zeros can follow; phase 1 + places has read no zero yet only if places is 0.
        set(state(1 + places, remainder), 0, state(2 + places, remainder));
        set(state(2 + places, remainder), 0, state(2 + places, remainder));
        dfa.accepts[state(2 + places, remainder)] = remainder == 0;
    }
    return dfa;
}

}  // namespace

Decimal read_decimal(JsonValue value) {
    std::string text;
    int exponent = 0;
    if (value.kind() == JsonKind::integer) {
        text = strprintf("%lld", static_cast<long long>(value.as_integer()));
    } else {
        // The shortest digits that give the same double.
        const double number = value.as_number();
        int n_digits = 1;
        while (n_digits < 17 &&
               std::strtod(strprintf("%.*e", n_digits - 1, number).c_str(), nullptr) != number)
            n_digits++;
        text = strprintf("%.*e", n_digits - 1, number);
        const size_t e = text.find('e');
        if (e == text.npos || n_digits > 15)
            fail(ErrorKind::usage, "the schema has the number %.17g, of which agave cannot tell all digits",
                 number);
        exponent = std::atoi(text.c_str() + e + 1);
        text.resize(e);
        if (std::abs(exponent) > kMaxExponent)
            fail(ErrorKind::usage,
                 "the schema has the number %g, which is too large or too small to spell out", number);
    }
    Decimal decimal{text[0] == '-', {}, {}};
    std::erase_if(text, [](char c) { return c < '0' || c > '9'; });
    if (value.kind() == JsonKind::integer) {
        decimal.whole = text;
        return decimal;
    }
    // text[0] stands before the point, which the exponent moves.
    while (exponent < 0) text.insert(text.begin(), '0'), exponent++;
    while (static_cast<int>(text.size()) <= exponent) text += '0';
    decimal.whole = text.substr(0, static_cast<size_t>(exponent) + 1);
    decimal.fraction = text.substr(static_cast<size_t>(exponent) + 1);
    while (decimal.whole.size() > 1 && decimal.whole[0] == '0') decimal.whole.erase(0, 1);
    while (!decimal.fraction.empty() && decimal.fraction.back() == '0') decimal.fraction.pop_back();
    return decimal;
}

std::string decimal_text(const Decimal& decimal) {
    std::string text = decimal.negative && !decimal.is_zero() ? "-" : "";
    text += decimal.whole;
    if (!decimal.fraction.empty()) text += '.' + decimal.fraction;
    return text;
}

Expr bounded_number(Rules& rules, const std::vector<NumberBound>& bounds, const std::vector<Decimal>& factors,
                    bool integer) {
    if (bounds.size() == 1 && factors.empty()) return bounded(rules, bounds[0], integer);
    std::vector<Dfa> parts;
    for (const NumberBound& bound : bounds) {
        Rules own;
        own.source = rules.source;
        const Rule root = own.define(std::string(), bounded(own, bound, integer));
        parts.push_back(make_dfa(own, root));
    }
    for (const Decimal& factor : factors) parts.push_back(multiples(factor, integer));
    while (parts.size() > 1) {
        parts[parts.size() - 2] = intersect(parts[parts.size() - 2], parts.back());
        parts.pop_back();
    }
    return rules.machine(std::move(parts[0]));
}

}  // namespace agave::grammar
