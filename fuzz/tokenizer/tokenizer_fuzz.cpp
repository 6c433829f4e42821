// A vocabulary from the input's bytes, then texts through it: loading gives a tokenizer or one Error, and
// whatever bytes are encoded give ids that decode. The input is read as: a byte that chooses the kind and
// the flags, one for the pre-tokenizer and three for ids, then lines: tokens ("kind text"), merges, and after
// an empty line the text.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "formats/model_file.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/tokenizer.h"

namespace agave {
namespace {

/// Takes the text up to `end` off the front.
std::string_view take_until(std::string_view& rest, char end) {
    const size_t at = std::min(rest.find(end), rest.size());
    const std::string_view out = rest.substr(0, at);
    rest.remove_prefix(std::min(at + 1, rest.size()));
    return out;
}

Metadata read_metadata(std::string_view& rest) {
    const auto byte = [&] {
        const uint8_t value = rest.empty() ? uint8_t{0} : static_cast<uint8_t>(rest[0]);
        rest.remove_prefix(rest.empty() ? 0 : 1);
        return value;
    };
    const uint8_t kind = byte(), flags = byte();
    int n_pre_tokenizers = 0;
    while (known_pre_tokenizers()[n_pre_tokenizers].name != nullptr) n_pre_tokenizers++;

    std::vector<MetadataEntry> entries;
    constexpr std::string_view models[] = {"llama", "gpt2", "gemma4", "gpt2"};
    entries.push_back({"tokenizer.ggml.model", models[kind % 4]});
    entries.push_back(
        {"tokenizer.ggml.pre", std::string_view(known_pre_tokenizers()[byte() % n_pre_tokenizers].name)});
    std::vector<std::string_view> tokens, merges;
    std::vector<int64_t> types;
    std::vector<double> scores;
    while (!rest.empty()) {
        const std::string_view line = take_until(rest, '\n');
        if (line.empty()) break;
        if (line[0] == 'm') {
            merges.push_back(line.substr(1));
        } else {
            types.push_back(line[0] - '0');
            tokens.push_back(line.substr(1));
            scores.push_back(-static_cast<double>(line.size() * 7 % 13));
        }
    }
    if ((flags & 1) != 0 && !types.empty()) types.pop_back();
    entries.push_back({"tokenizer.ggml.tokens", MetadataArray(tokens)});
    if ((flags & 2) == 0) entries.push_back({"tokenizer.ggml.token_type", MetadataArray(types)});
    entries.push_back({"tokenizer.ggml.scores", MetadataArray(scores)});
    // "llama" merges by its scores, unless there is a list.
    if (kind % 4 != 0 || (flags & 64) != 0)
        entries.push_back({"tokenizer.ggml.merges", MetadataArray(merges)});
    if ((flags & 128) != 0) {
        constexpr std::string_view schemes[] = {"prepend", "always", "first", "unknown"};
        entries.push_back({"tokenizer.ggml.space_prefix", schemes[byte() % 4]});
        for (const char* key : {"tokenizer.ggml.lstrip_token_ids", "tokenizer.ggml.rstrip_token_ids",
                                "tokenizer.ggml.prefix_token_ids", "tokenizer.ggml.eos_token_ids"})
            entries.push_back({key, MetadataArray(std::vector<int64_t>{byte(), byte()})});
    }
    entries.push_back({"tokenizer.ggml.add_bos_token", (flags & 4) != 0});
    entries.push_back({"tokenizer.ggml.add_space_prefix", (flags & 8) != 0});
    entries.push_back({"tokenizer.ggml.remove_extra_whitespaces", (flags & 16) != 0});
    for (const char* key :
         {"tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id", "tokenizer.ggml.unknown_token_id"})
        if ((flags & 32) == 0) entries.push_back({key, int64_t{byte()} - 2});
    return Metadata("fuzz.gguf", std::move(entries));
}

void run(std::string_view input) {
    const Metadata metadata = read_metadata(input);
    const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(metadata);
    for (const bool parse_special : {true, false}) {
        const std::vector<int32_t> ids = tokenizer->encode(input, {.parse_special = parse_special});
        for (const int32_t id : ids)
            if (id < 0 || id >= tokenizer->n_vocab()) std::abort();
        tokenizer->decode(ids, true);
        StreamDecoder decoder(*tokenizer);
        for (const int32_t id : ids) decoder.push(id);
        decoder.finish();
    }
    // A long text goes through the caches and the long merges too.
    std::string twice(input);
    while (twice.size() < 2048 && !twice.empty()) twice += std::string(input);
    tokenizer->encode(twice);
}

}  // namespace
}  // namespace agave

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        agave::run({reinterpret_cast<const char*>(data), size});
    } catch (const agave::Error&) {
    }
    return 0;
}
