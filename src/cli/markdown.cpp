#include "cli/markdown.h"

#include <utility>

namespace agave::cli {

namespace {

constexpr std::string_view kFence = "```";

/// True when what stands at a line's beginning may still become a fence or a heading.
bool undecided(std::string_view start) {
    if (kFence.starts_with(start)) return start.size() < kFence.size();
    return start.size() < 7 && start.find_first_not_of('#') == start.npos;
}

}  // namespace

/// Sets the style of what follows, from scratch.
void MarkdownStyler::restyle() {
    out_ += "\x1b[0m";
    if (fence_line_) out_ += "\x1b[2m";
    if (heading_ || strong_) out_ += "\x1b[1m";
    if (!fence_line_ && (fenced_ || code_)) out_ += "\x1b[36m";
}

/// `start`: the marks at the line's beginning, or empty.
void MarkdownStyler::begin_line(std::string_view start) {
    at_line_start_ = false;
    if (start.starts_with(kFence)) {
        fence_line_ = true;
        restyle();
    } else if (!fenced_ && start.starts_with('#') && start.ends_with(' ')) {
        heading_ = true;
        restyle();
    }
}

void MarkdownStyler::put(char c) {
    if (at_line_start_) {
        held_ += c;
        if (undecided(held_)) return;
        const std::string start = std::exchange(held_, {});
        begin_line(start);
        if (fence_line_ || heading_) {
            out_ += start;
            return;
        }
        for (char held : start) put(held);
        return;
    }
    if (c == '\n') {
        const bool styled = fence_line_ || heading_ || code_ || strong_;
        if (fence_line_) fenced_ = !fenced_;
        fence_line_ = heading_ = code_ = strong_ = false;
        if (!held_.empty()) out_ += held_;
        held_.clear();
        if (styled) out_ += "\x1b[0m";
        out_ += c;
        if (fenced_) restyle();
        at_line_start_ = true;
        return;
    }
    if (fence_line_ || fenced_ || heading_) {
        out_ += c;
        return;
    }
    if (c == '*' && !code_) {
        held_ += c;
        if (held_ != "**") return;
        held_.clear();
        strong_ = !strong_;
        restyle();
        return;
    }
    out_ += held_;
    held_.clear();
    if (c != '`') {
        out_ += c;
        return;
    }
    code_ = !code_;
    if (code_) restyle();
    out_ += c;
    if (!code_) restyle();
}

std::string MarkdownStyler::push(std::string_view text) {
    for (char c : text) put(c);
    return std::exchange(out_, {});
}

std::string MarkdownStyler::finish() {
    out_ += held_;
    if (fenced_ || fence_line_ || heading_ || code_ || strong_) out_ += "\x1b[0m";
    std::string rest = std::move(out_);
    *this = {};
    return rest;
}

}  // namespace agave::cli
