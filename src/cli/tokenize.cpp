#include <memory>

#include "base/error.h"
#include "base/json_writer.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/output.h"
#include "cli/token_list.h"
#include "formats/model_file.h"
#include "models/model.h"
#include "tokenizer/tokenizer.h"

namespace agave::cli {

static void print_ids(std::span<const int32_t> ids, bool as_json) {
    if (as_json) {
        JsonWriter json;
        json.array(ids);
        print(json.text());
    } else {
        std::string text;
        for (int32_t id : ids) text += (text.empty() ? "" : " ") + std::to_string(id);
        print(text);
    }
    print("\n");
}

static void print_decoded(const Tokenizer& tokenizer, const Options& options) {
    const std::vector<int32_t> ids = parse_token_list(read_standard_input(), "standard input");
    const std::string text = tokenizer.decode(ids, options.show_special);
    if (options.json) {
        JsonWriter json;
        json.value(text);
        print(json.text());
        print("\n");
    } else {
        print(output_is_terminal() ? neutralize_controls(text) : text);
    }
}

int tokenize_command(const CommandLine& line) {
    const Options& options = line.options;
    if (options.decode && (options.no_special || options.no_parse_special))
        fail(ErrorKind::usage,
             "--decode reads ids, so --no-special and --no-parse-special have no meaning with it");
    if (!options.decode && options.show_special) fail(ErrorKind::usage, "--show-special needs --decode");
    const ModelFile file = open_model_file(model_path(line.arguments[0]));
    const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(file.metadata());
    if (options.decode) {
        print_decoded(*tokenizer, options);
    } else {
        const EncodeOptions encode{.add_special = !options.no_special,
                                   .parse_special = !options.no_parse_special};
        print_ids(tokenizer->encode(read_standard_input(), encode), options.json);
    }
    return 0;
}

}  // namespace agave::cli
