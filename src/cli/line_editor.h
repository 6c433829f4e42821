#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal.h"

namespace agave::cli {

/// The lines entered so far, kept in a file between runs (one line each, with \n and \\ escaped).
class History {
  public:
    static constexpr size_t kMaxLines = 1000;

    /// Reads the file; an empty path keeps nothing.
    explicit History(std::string path);
    /// Adds a line, unless it repeats the last one, and appends it to the file.
    void add(const std::string& line);
    const std::vector<std::string>& lines() const { return lines_; }

  private:
    std::string path_;
    std::vector<std::string> lines_;
};

/// ~/.local/state/agave/history, below XDG_STATE_HOME where that is set; empty when neither it nor HOME is.
std::string history_path();

/// What the word before the cursor can become.
struct Completion {
    size_t word_begin = 0;  ///< bytes of the text before the word
    std::vector<std::string> words;
};
using Completer = std::function<Completion(std::string_view text_before_cursor)>;

/// Reads one entry from the terminal with the usual keys of GNU Readline: history, reverse search (Ctrl-R),
/// completion (Tab), several lines (Alt-Enter, Ctrl-J, a backslash at the end of the line, pasted text).
class LineEditor {
  public:
    LineEditor(History& history, Completer completer);

    enum class Result { line, interrupted, end_of_input };
    /// Shows the prompt and edits until Enter. `line` is the entry.
    Result read(std::string_view prompt, std::string& line);

  private:
    void handle(const KeyPress& press);
    void insert(std::string_view text);
    void remove(size_t begin, size_t end, bool keep);
    void move_vertically(int direction);
    void show_history(size_t index);
    void complete();
    void search(RawTerminal& terminal, KeyPress& last);
    size_t character_before(size_t at) const;
    size_t character_after(size_t at) const;
    size_t word_begin(size_t at) const;
    size_t word_end(size_t at) const;
    void draw(std::string_view prompt, bool leave);

    History& history_;
    Completer completer_;
    std::string text_;
    size_t cursor_ = 0;  ///< in bytes
    std::string removed_;
    std::vector<std::string> entries_;  ///< history, and the new entry at the end; edits stay until Enter
    size_t entry_ = 0;
    int drawn_row_ = 0;  ///< of the cursor, from the prompt's row
};

}  // namespace agave::cli
