#include "cli/line_editor.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "cli/output.h"

namespace agave::cli {

namespace {

constexpr std::string_view kContinuation = "... ";

bool is_word_byte(char c) {
    return static_cast<unsigned char>(c) >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z') || c == '_';
}

/// Where a text ends when it is written from column `column` on.
struct Position {
    int row = 0, column = 0;
};
void advance(Position& at, std::string_view text, int columns) {
    while (!text.empty()) {
        if (text[0] == '\n') {
            at = {at.row + 1, static_cast<int>(kContinuation.size())};
            text.remove_prefix(1);
            continue;
        }
        const CharacterSize size = character_size(text);
        if (at.column + size.n_columns > columns) at = {at.row + 1, 0};
        at.column += size.n_columns;
        text.remove_prefix(size.n_bytes);
    }
    // Terminals put the cursor behind a full line only with the next character.
    if (at.column >= columns) at = {at.row + 1, 0};
}

std::string common_prefix(const std::vector<std::string>& words) {
    std::string prefix = words.front();
    for (const std::string& word : words) {
        const auto parting = std::mismatch(prefix.begin(), prefix.end(), word.begin(), word.end());
        prefix.erase(parting.first, prefix.end());
    }
    return prefix;
}

}  // namespace

LineEditor::LineEditor(History& history, Completer completer)
    : history_(history), completer_(std::move(completer)) {}

size_t LineEditor::character_before(size_t at) const {
    if (at == 0) return 0;
    // Combining characters go with the one that they stand on.
    for (;;) {
        do at--;
        while (at > 0 && (static_cast<unsigned char>(text_[at]) & 0xc0) == 0x80);
        if (at == 0 || text_[at] == '\n') return at;
        if (character_size(std::string_view(text_).substr(at)).n_columns > 0) return at;
    }
}

size_t LineEditor::character_after(size_t at) const {
    if (at == text_.size()) return at;
    at += text_[at] == '\n' ? 1 : character_size(std::string_view(text_).substr(at)).n_bytes;
    while (at < text_.size() && text_[at] != '\n') {
        const CharacterSize size = character_size(std::string_view(text_).substr(at));
        if (size.n_columns > 0) break;
        at += size.n_bytes;
    }
    return std::min(at, text_.size());
}

size_t LineEditor::word_begin(size_t at) const {
    while (at > 0 && !is_word_byte(text_[at - 1])) at--;
    while (at > 0 && is_word_byte(text_[at - 1])) at--;
    return at;
}

size_t LineEditor::word_end(size_t at) const {
    while (at < text_.size() && !is_word_byte(text_[at])) at++;
    while (at < text_.size() && is_word_byte(text_[at])) at++;
    return at;
}

void LineEditor::insert(std::string_view text) {
    std::string clean;
    for (char c : text)
        if (c == '\n' || static_cast<unsigned char>(c) >= ' ')
            clean += c;
        else if (c == '\t')
            clean += "    ";
    text_.insert(cursor_, clean);
    cursor_ += clean.size();
}

void LineEditor::remove(size_t begin, size_t end, bool keep) {
    if (keep && end > begin) removed_ = text_.substr(begin, end - begin);
    text_.erase(begin, end - begin);
    cursor_ = begin;
}

void LineEditor::show_history(size_t index) {
    entries_[entry_] = text_;
    entry_ = index;
    text_ = entries_[index];
    cursor_ = text_.size();
}

/// Up and down: within a text of several lines, else through the history.
void LineEditor::move_vertically(int direction) {
    const size_t line_begin = cursor_ == 0 ? 0 : text_.rfind('\n', cursor_ - 1) + 1;
    const size_t line_end = std::min(text_.find('\n', cursor_), text_.size());
    const size_t column = cursor_ - line_begin;
    if (direction < 0 && line_begin > 0) {
        const size_t previous = line_begin < 2 ? 0 : text_.rfind('\n', line_begin - 2) + 1;
        cursor_ = std::min(previous + column, line_begin - 1);
    } else if (direction > 0 && line_end < text_.size()) {
        const size_t next_end = std::min(text_.find('\n', line_end + 1), text_.size());
        cursor_ = std::min(line_end + 1 + column, next_end);
    } else if (direction < 0 && entry_ > 0) {
        show_history(entry_ - 1);
    } else if (direction > 0 && entry_ + 1 < entries_.size()) {
        show_history(entry_ + 1);
    }
    while (cursor_ > 0 && cursor_ < text_.size() &&
           (static_cast<unsigned char>(text_[cursor_]) & 0xc0) == 0x80)
        cursor_--;
}

void LineEditor::complete() {
    const Completion completion = completer_(std::string_view(text_).substr(0, cursor_));
    if (completion.words.empty()) return;
    const std::string prefix = common_prefix(completion.words);
    const bool grows = prefix.size() > cursor_ - completion.word_begin;
    remove(completion.word_begin, cursor_, false);
    insert(prefix);
    if (completion.words.size() == 1 || grows) return;
    std::string list = "\r\n";
    for (const std::string& word : completion.words) list += printable(word) + "  ";
    print("\x1b[J" + list + "\r\n");
    drawn_row_ = 0;
}

/// Ctrl-R: shows the latest entry that holds what is typed; `last` is the key that ended the search.
void LineEditor::search(RawTerminal& terminal, KeyPress& last) {
    const std::string before = text_;
    std::string wanted;
    size_t index = entries_.size();
    for (;;) {
        bool found = wanted.empty();
        for (size_t i = std::min(index, entries_.size() - 1) + 1; i-- > 0 && !wanted.empty();)
            if (entries_[i].find(wanted) != std::string::npos) {
                index = i;
                text_ = entries_[i];
                cursor_ = text_.find(wanted);
                found = true;
                break;
            }
        draw(strprintf("(%s '%s') ", found ? "search" : "nothing has", printable(wanted).c_str()), false);
        last = terminal.read();
        if (last.key == Key::text) {
            wanted += last.text;
        } else if (last.key == Key::backspace && !wanted.empty()) {
            wanted.pop_back();
            while (!wanted.empty() && (static_cast<unsigned char>(wanted.back()) & 0xc0) == 0x80)
                wanted.pop_back();
            index = entries_.size();
        } else if (last.key == Key::search) {
            if (index > 0) index--;
        } else {
            break;
        }
    }
    if (last.key == Key::cancel || last.key == Key::interrupt) {
        text_ = before;
        cursor_ = text_.size();
        last = {Key::none, {}};
    }
}

void LineEditor::handle(const KeyPress& press) {
    const size_t line_begin = cursor_ == 0 ? 0 : text_.rfind('\n', cursor_ - 1) + 1;
    const size_t line_end = std::min(text_.find('\n', cursor_), text_.size());
    switch (press.key) {
        case Key::text:
            return insert(press.text);
        case Key::newline:
            return insert("\n");
        case Key::tab:
            return complete();
        case Key::backspace:
            return remove(character_before(cursor_), cursor_, false);
        case Key::end_of_input:
        case Key::remove:
            return remove(cursor_, character_after(cursor_), false);
        case Key::left:
            cursor_ = character_before(cursor_);
            return;
        case Key::right:
            cursor_ = character_after(cursor_);
            return;
        case Key::up:
            return move_vertically(-1);
        case Key::down:
            return move_vertically(1);
        case Key::home:
            cursor_ = line_begin;
            return;
        case Key::end:
            cursor_ = line_end;
            return;
        case Key::word_left:
            cursor_ = word_begin(cursor_);
            return;
        case Key::word_right:
            cursor_ = word_end(cursor_);
            return;
        case Key::remove_word_left:
            return remove(word_begin(cursor_), cursor_, true);
        case Key::remove_word_right:
            return remove(cursor_, word_end(cursor_), true);
        case Key::remove_to_start:
            return remove(line_begin, cursor_, true);
        case Key::remove_to_end:
            return remove(cursor_, line_end, true);
        case Key::yank:
            return insert(removed_);
        case Key::transpose: {
            if (cursor_ == 0 || text_.size() < 2) return;
            const size_t right = cursor_ == text_.size() ? character_before(cursor_) : cursor_;
            const size_t left = character_before(right), end = character_after(right);
            const std::string first = text_.substr(left, right - left);
            text_.erase(left, right - left);
            cursor_ = left + (end - right);
            text_.insert(cursor_, first);
            cursor_ += first.size();
            return;
        }
        case Key::clear_screen:
            print("\x1b[H\x1b[2J");
            drawn_row_ = 0;
            return;
        default:
            return;
    }
}

/// Draws prompt and text over what was drawn before; with `leave`, puts the cursor behind the text.
void LineEditor::draw(std::string_view prompt, bool leave) {
    const int columns = std::max(terminal_columns(), 8);
    std::string out = drawn_row_ > 0 ? strprintf("\x1b[%dA", drawn_row_) : "";
    out += "\r\x1b[J";
    Position end, cursor;
    advance(end, prompt, columns);
    cursor = end;
    out += prompt;
    for (char c : text_) {
        if (c == '\n')
            out += "\r\n" + std::string(kContinuation);
        else
            out += c;
    }
    const std::string_view text = text_;
    advance(cursor, text.substr(0, cursor_), columns);
    advance(end, text, columns);
    if (end.column == 0 && end.row > 0 && !text.ends_with('\n')) out += "\r\n";
    if (leave) {
        cursor = end;
    } else {
        if (end.row > cursor.row) out += strprintf("\x1b[%dA", end.row - cursor.row);
        out += "\r";
        if (cursor.column > 0) out += strprintf("\x1b[%dC", cursor.column);
    }
    print(out);
    flush_output();
    drawn_row_ = cursor.row;
}

LineEditor::Result LineEditor::read(std::string_view prompt, std::string& line) {
    RawTerminal terminal;
    entries_ = history_.lines();
    entries_.emplace_back();
    entry_ = entries_.size() - 1;
    text_.clear();
    cursor_ = 0;
    drawn_row_ = 0;
    Result result = Result::line;
    for (;;) {
        draw(prompt, false);
        KeyPress press = terminal.read();
        if (press.key == Key::search) search(terminal, press);
        if (press.key == Key::enter && text_.ends_with('\\') && cursor_ == text_.size()) {
            remove(text_.size() - 1, text_.size(), false);
            press.key = Key::newline;
        }
        if (press.key == Key::enter) break;
        if (press.key == Key::interrupt) {
            result = Result::interrupted;
            break;
        }
        if (press.key == Key::end_of_input && text_.empty()) {
            result = Result::end_of_input;
            break;
        }
        handle(press);
    }
    draw(prompt, true);
    print("\r\n");
    flush_output();
    line = text_;
    return result;
}

}  // namespace agave::cli
