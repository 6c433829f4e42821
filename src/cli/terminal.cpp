#include "cli/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include <cerrno>
#include <clocale>
#include <cstring>

#include "base/error.h"

namespace agave::cli {

namespace {

constexpr int kEscapeTimeout = 50;  // ms: what follows an escape sooner belongs to it
constexpr std::string_view kPasteEnd = "\x1b[201~";
constexpr size_t kMaxPaste = size_t{16} << 20;

constexpr char control(char letter) {
    return static_cast<char>(letter & 0x1f);
}

Key control_key(char byte) {
    switch (byte) {
        case '\r':
            return Key::enter;
        case '\n':
            return Key::newline;
        case '\t':
            return Key::tab;
        case 0x7f:
        case control('H'):
            return Key::backspace;
        case control('A'):
            return Key::home;
        case control('B'):
            return Key::left;
        case control('C'):
            return Key::interrupt;
        case control('D'):
            return Key::end_of_input;
        case control('E'):
            return Key::end;
        case control('F'):
            return Key::right;
        case control('G'):
            return Key::cancel;
        case control('K'):
            return Key::remove_to_end;
        case control('L'):
            return Key::clear_screen;
        case control('N'):
            return Key::down;
        case control('P'):
            return Key::up;
        case control('R'):
            return Key::search;
        case control('T'):
            return Key::transpose;
        case control('U'):
            return Key::remove_to_start;
        case control('W'):
            return Key::remove_word_left;
        case control('Y'):
            return Key::yank;
        default:
            return Key::none;
    }
}

/// The key of "\x1b[<parameters><final>" or "\x1bO<final>".
Key sequence_key(std::string_view parameters, char final) {
    const bool with_modifier = parameters.find(';') != parameters.npos;
    switch (final) {
        case 'A':
            return Key::up;
        case 'B':
            return Key::down;
        case 'C':
            return with_modifier ? Key::word_right : Key::right;
        case 'D':
            return with_modifier ? Key::word_left : Key::left;
        case 'H':
            return Key::home;
        case 'F':
            return Key::end;
        case '~':
            if (parameters == "1" || parameters == "7") return Key::home;
            if (parameters == "4" || parameters == "8") return Key::end;
            if (parameters == "3") return Key::remove;
            return Key::none;
        default:
            return Key::none;
    }
}

}  // namespace

RawTerminal::RawTerminal() {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0)
        fail(ErrorKind::runtime, "cannot read the terminal's settings: %s", std::strerror(errno));
    termios raw = before_;
    raw.c_iflag &= ~static_cast<tcflag_t>(BRKINT | ICRNL | INPCK | ISTRIP | IXON);
    raw.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON | IEXTEN | ISIG);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    (void)!::write(STDOUT_FILENO, "\x1b[?2004h", 8);
}

RawTerminal::~RawTerminal() {
    (void)!::write(STDOUT_FILENO, "\x1b[?2004l", 8);
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

/// The next byte; -1 at the end of input, -2 when none comes in time (a negative timeout waits for ever).
int RawTerminal::read_byte(int timeout_ms) {
    for (;;) {
        if (timeout_ms >= 0) {
            pollfd ready{STDIN_FILENO, POLLIN, 0};
            const int n = ::poll(&ready, 1, timeout_ms);
            if (n == 0) return -2;
            if (n < 0 && errno == EINTR) continue;
        }
        unsigned char byte = 0;
        const ssize_t n = ::read(STDIN_FILENO, &byte, 1);
        if (n == 1) return byte;
        if (n < 0 && errno == EINTR) continue;
        return -1;
    }
}

KeyPress RawTerminal::read() {
    const int first = read_byte(-1);
    if (first < 0) return {Key::end_of_input, {}};
    const char byte = static_cast<char>(first);
    if (byte == '\x1b') return read_escape();
    if (first < 0x20 || first == 0x7f) return {control_key(byte), {}};
    std::string text(1, byte);
    const int n_more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : first >= 0xc0 ? 1 : 0;
    for (int i = 0; i < n_more; i++) {
        const int next = read_byte(kEscapeTimeout);
        if (next < 0) break;
        text += static_cast<char>(next);
    }
    return {Key::text, std::move(text)};
}

KeyPress RawTerminal::read_escape() {
    const int next = read_byte(kEscapeTimeout);
    switch (next) {
        case -1:
            return {Key::end_of_input, {}};
        case '[':
        case 'O':
            return read_sequence();
        case '\r':
        case '\n':
            return {Key::newline, {}};
        case 'b':
            return {Key::word_left, {}};
        case 'f':
            return {Key::word_right, {}};
        case 'd':
            return {Key::remove_word_right, {}};
        case 0x7f:
            return {Key::remove_word_left, {}};
        default:
            return {Key::cancel, {}};
    }
}

KeyPress RawTerminal::read_sequence() {
    std::string parameters;
    for (;;) {
        const int next = read_byte(kEscapeTimeout);
        if (next < 0) return {Key::none, {}};
        if (next >= 0x40 && next <= 0x7e) {
            if (next == '~' && parameters == "200") return {Key::text, read_paste()};
            return {sequence_key(parameters, static_cast<char>(next)), {}};
        }
        if (parameters.size() < 16) parameters += static_cast<char>(next);
    }
}

std::string RawTerminal::read_paste() {
    std::string text;
    while (!text.ends_with(kPasteEnd)) {
        const int next = read_byte(-1);
        if (next < 0) return text;
        if (text.size() < kMaxPaste) text += static_cast<char>(next);
    }
    text.resize(text.size() - kPasteEnd.size());
    // Terminals send line breaks of pasted text as carriage returns.
    for (char& c : text)
        if (c == '\r') c = '\n';
    return text;
}

int terminal_columns() {
    winsize size{};
    return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

CharacterSize character_size(std::string_view text) {
    // wcwidth() knows widths only in a UTF-8 locale; nothing else of the program depends on it.
    static const bool ready = std::setlocale(LC_CTYPE, "C.UTF-8") || std::setlocale(LC_CTYPE, "");
    const unsigned char first = static_cast<unsigned char>(text[0]);
    if (!ready || first < 0x80) return {1, 1};
    std::mbstate_t state{};
    wchar_t character = 0;
    const size_t n = std::mbrtowc(&character, text.data(), text.size(), &state);
    if (n == 0 || n > text.size()) return {1, 1};
    const int width = ::wcwidth(character);
    return {n, width < 0 ? 1 : width};
}

}  // namespace agave::cli
