// Whatever the bytes: the pieces of every pre-tokenizer are non-empty and add up to the text, cutting a
// piece's text again at its own borders changes nothing for the first piece, and NFC is idempotent.
#include <cstdint>
#include <cstdlib>
#include <numeric>
#include <string_view>

#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/unicode.h"

namespace agave {
namespace {

void require(bool condition) {
    if (!condition) std::abort();
}

void run(std::string_view text) {
    for (const PreTokenizer* p = known_pre_tokenizers(); p->name != nullptr; p++) {
        std::vector<uint32_t> lengths;
        split_pieces(*p, text, lengths);
        size_t sum = 0;
        for (const uint32_t length : lengths) {
            require(length > 0);
            sum += length;
        }
        require(sum == text.size());
        // No piece ends within a character.
        size_t at = 0;
        for (const uint32_t length : lengths) {
            const size_t end = at + length;
            while (at < end) at += decode_utf8(text.data() + at, text.data() + text.size()).n_bytes;
            require(at == end);
        }
    }
    const std::string once = normalize_nfc(text);
    require(normalize_nfc(once) == once);
    if (is_nfc_inert(text)) require(once == text);
}

}  // namespace
}  // namespace agave

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    agave::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
