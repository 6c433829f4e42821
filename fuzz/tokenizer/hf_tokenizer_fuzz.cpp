// A Hugging Face folder from the input, cut at lines of "%%": tokenizer.json, tokenizer_config.json,
// generation_config.json, tokenizer.model. Reading gives metadata or one Error; a tokenizer made of it
// encodes.
#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "formats/hf_tokenizer.h"
#include "tokenizer/tokenizer.h"

namespace agave {
namespace {

/// A folder of this process, in memory where the system has such a file system.
const std::string& folder() {
    static const std::string path = [] {
        std::string name =
            ::access("/dev/shm", W_OK) == 0 ? "/dev/shm/agave-fuzz-XXXXXX" : "/tmp/agave-fuzz-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        static std::string left = name;
        std::atexit([] {
            for (const char* file :
                 {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "tokenizer.model"})
                ::unlink((left + "/" + file).c_str());
            ::rmdir(left.c_str());
        });
        return name;
    }();
    return path;
}

void run(std::string_view input) {
    for (const char* name :
         {"tokenizer.json", "tokenizer_config.json", "generation_config.json", "tokenizer.model"}) {
        const size_t end = std::min(input.find("\n%%\n"), input.size());
        const std::string path = folder() + "/" + name;
        ::unlink(path.c_str());
        if (end > 0) {
            std::FILE* file = std::fopen(path.c_str(), "wb");
            if (file == nullptr) std::abort();
            std::fwrite(input.data(), 1, end, file);
            std::fclose(file);
        }
        input.remove_prefix(std::min(end + 4, input.size()));
    }
    for (const HfTokenizerRequest& request : {HfTokenizerRequest{}, HfTokenizerRequest{"gemma4", 600}}) {
        try {
            std::vector<MetadataEntry> entries;
            const std::shared_ptr<const void> texts = read_hf_tokenizer(folder(), request, entries);
            const Metadata metadata(folder(), std::move(entries));
            const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(metadata);
            for (const int32_t id : tokenizer->encode(" It's 12 <s> \n\xE2\x96\x81\xF0\x9F\x9A\x80\xFF "))
                if (id < 0 || id >= tokenizer->n_vocab()) std::abort();
        } catch (const Error&) {
        }
    }
}

}  // namespace
}  // namespace agave

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    agave::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
