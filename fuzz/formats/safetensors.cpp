// A Hugging Face folder from the input, cut at lines of "%%": config.json, model.safetensors.index.json (none
// where it is empty), and a SafeTensors file. Opening it gives checked tensors or one Error, and so does
// joining matrices with their scales; every row of them decodes.
#include <stdlib.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "formats/huggingface.h"
#include "formats/model_file.h"

namespace agave {
namespace {

constexpr const char* kFiles[] = {"config.json", "model.safetensors.index.json", "a.safetensors"};

/// A folder of this process, in memory where the system has such a file system.
const std::string& folder_path() {
    static const std::string path = [] {
        std::string name =
            ::access("/dev/shm", W_OK) == 0 ? "/dev/shm/agave-fuzz-XXXXXX" : "/tmp/agave-fuzz-XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        static std::string left = name;
        std::atexit([] {
            for (const char* file : kFiles) ::unlink((left + "/" + file).c_str());
            ::rmdir(left.c_str());
        });
        return name;
    }();
    return path;
}

volatile uint8_t sink;

void touch(const HuggingFaceFolder& folder) {
    for (const SafeTensor& tensor : folder.tensors) {
        if (folder.find(tensor.name) != &tensor) std::abort();
        if (!tensor.scaled) {
            if (tensor.n_bytes)
                sink = static_cast<uint8_t>(tensor.data[0]) ^
                       static_cast<uint8_t>(tensor.data[tensor.n_bytes - 1]);
            continue;
        }
        if (tensor.n_elements() != tensor.scaled->n_rows * tensor.scaled->n_columns) std::abort();
        // One number behind the row, which must stay as it is.
        std::vector<float> row(static_cast<size_t>(tensor.scaled->n_columns) + 1);
        for (int64_t r = 0; r < tensor.scaled->n_rows; r++)
            tensor.scaled->format->decode_row(*tensor.scaled, r, row.data());
        if (row.back() != 0) std::abort();
    }
}

void run(std::string_view input) {
    for (const char* name : kFiles) {
        const bool last = name == kFiles[2];
        const size_t end = last ? input.size() : std::min(input.find("\n%%\n"), input.size());
        const std::string path = folder_path() + "/" + name;
        ::unlink(path.c_str());
        if (end > 0 || last) {
            std::FILE* file = std::fopen(path.c_str(), "wb");
            if (file == nullptr) std::abort();
            std::fwrite(input.data(), 1, end, file);
            std::fclose(file);
        }
        input.remove_prefix(std::min(end + 4, input.size()));
    }
    try {
        HuggingFaceFolder folder = open_huggingface(folder_path());
        touch(folder);
        join_scaled_tensors(folder);
        touch(folder);
    } catch (const Error&) {
    }
}

}  // namespace
}  // namespace agave

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    agave::run({reinterpret_cast<const char*>(data), size});
    return 0;
}
