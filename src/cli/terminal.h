#pragma once

#include <termios.h>

#include <string>
#include <string_view>

namespace agave::cli {

/// What the user pressed.
enum class Key {
    text,  ///< KeyPress::text is a character, or what was pasted
    enter,
    newline,  ///< Alt-Enter or Ctrl-J: a line break within the text
    tab,
    backspace,
    remove,
    left,
    right,
    up,
    down,
    home,
    end,
    word_left,
    word_right,
    remove_word_left,
    remove_word_right,
    remove_to_start,
    remove_to_end,
    yank,
    transpose,
    clear_screen,
    search,
    cancel,  ///< Ctrl-G or a lone escape
    interrupt,
    end_of_input,
    none
};
struct KeyPress {
    Key key;
    std::string text;
};

/// The terminal in raw mode, with pasted text marked (bracketed paste), until destruction.
class RawTerminal {
  public:
    RawTerminal();
    ~RawTerminal();
    RawTerminal(const RawTerminal&) = delete;
    RawTerminal& operator=(const RawTerminal&) = delete;

    /// Waits for a key. Key::end_of_input when the terminal has gone.
    KeyPress read();

  private:
    int read_byte(int timeout_ms);
    KeyPress read_escape();
    KeyPress read_sequence();
    std::string read_paste();

    termios before_;
};

/// Columns of the terminal.
int terminal_columns();

/// Columns that the character at the beginning of `text` takes (0 for a combining one, 2 for wide ones) and
/// the bytes that it has; a byte that is no UTF-8 counts as one column.
struct CharacterSize {
    size_t n_bytes;
    int n_columns;
};
CharacterSize character_size(std::string_view text);

}  // namespace agave::cli
