// The lists of ids that --tokens and `agave tokenize --decode` read, and our JSON of the same ids read again.
#include <cstdlib>

#include "base/error.h"
#include "base/json_writer.h"
#include "cli/token_list.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace agave;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        const std::vector<int32_t> ids = cli::parse_token_list(text, "the input");
        cli::JsonWriter json;
        json.array(ids);
        if (cli::parse_token_list(json.text(), "our own JSON") != ids) std::abort();
    } catch (const Error& error) {
        if (error.kind() != ErrorKind::usage) std::abort();
    }
    return 0;
}
