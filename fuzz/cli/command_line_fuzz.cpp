// The words behind a command, one a line; the first line is the command.
#include <cstdlib>

#include "base/error.h"
#include "cli/options.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace agave;
    std::vector<std::string> words(1);
    for (size_t i = 0; i < size; i++) {
        const char c = static_cast<char>(data[i]);
        if (c == '\n')
            words.emplace_back();
        else if (c != '\0')
            words.back() += c;
    }
    const cli::CommandInfo* command = cli::find_command(words[0]);
    if (!command) return 0;
    words.erase(words.begin());
    try {
        cli::parse_command_line(*command, words);
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::usage) std::abort();
    }
    return 0;
}
