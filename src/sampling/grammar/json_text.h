#pragma once

#include <string>
#include <string_view>

#include "sampling/grammar/rules.h"

namespace agave::grammar {

/// The rules of JSON itself (RFC 8259), each made when it is first asked for.
class JsonText {
  public:
    JsonText(Rules& rules, bool compact) : rules_(rules), compact_(compact) {}

    /// White space that may stand between two parts.
    Expr space();
    Expr null() { return rules_.literal("null"); }
    Expr boolean() { return rules_.choice({rules_.literal("true"), rules_.literal("false")}); }
    Expr integer();
    Expr number();
    /// A string with any escapes that make sense: no half of a surrogate pair.
    Expr string();
    /// A string of least to most characters.
    Expr string(uint32_t least, uint32_t most);
    Expr any();
    Expr object() { return container(object_, &JsonText::make_object); }
    Expr array() { return container(array_, &JsonText::make_array); }

    /// ":" or "," with the white space around it.
    Expr colon() { return rules_.sequence({space(), rules_.literal(":"), space()}); }
    Expr comma() { return rules_.sequence({space(), rules_.literal(","), space()}); }
    /// `inside`, which may be empty, between brackets.
    Expr between(std::string_view open, Expr inside, std::string_view close) {
        return rules_.sequence({rules_.literal(open), space(), inside, space(), rules_.literal(close)});
    }

  private:
    static constexpr Rule kNone = UINT32_MAX;
    Expr container(Rule& rule, Expr (JsonText::*make)());
    Expr make_space();
    Expr make_character();
    Expr make_string();
    Expr make_number();
    Expr make_integer();
    Expr make_object();
    Expr make_array();
    Expr make_any();

    Rules& rules_;
    bool compact_;
    Rule space_ = kNone, character_ = kNone, string_ = kNone, number_ = kNone, integer_ = kNone,
         object_ = kNone, array_ = kNone, any_ = kNone;
};

/// The characters of a JSON string that stand for themselves.
const CharSet& unescaped_characters();
/// A character of the set as it is written in a JSON string, escaped only where it must be.
Expr json_characters(Rules& rules, const CharSet& set);
/// `text` between quotes, escaped only where it must be; without the quotes.
std::string json_string(std::string_view text);
std::string json_string_inside(std::string_view text);

}  // namespace agave::grammar
