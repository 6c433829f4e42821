#pragma once

#include <string>
#include <string_view>

namespace agave::cli {

/// Styles streamed Markdown for a terminal, lightly: headings and **strong** text bold, `code` and fenced
/// code in colour, the marks of the latter two left in place. What is not finished yet is held back by a few
/// bytes only.
class MarkdownStyler {
  public:
    /// The text with escape sequences.
    std::string push(std::string_view text);
    /// What was held back, and the end of every style.
    std::string finish();

  private:
    void put(char c);
    void begin_line(std::string_view line_start);
    void restyle();

    std::string out_, held_;
    bool at_line_start_ = true;
    bool fenced_ = false, fence_line_ = false, heading_ = false, code_ = false, strong_ = false;
};

}  // namespace agave::cli
