#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "formats/model_file.h"

namespace {

/// Keeps the reads alive.
volatile uint64_t sink;

void touch_array(const agave::MetadataArray& array) {
    if (const auto* texts = std::get_if<std::vector<std::string_view>>(&array))
        for (const std::string_view text : *texts)
            if (!text.empty())
                sink = sink + static_cast<uint8_t>(text.front()) + static_cast<uint8_t>(text.back());
}

void touch(const agave::ModelFile& model) {
    const agave::Metadata& metadata = model.metadata();
    for (const agave::MetadataEntry& entry : metadata.entries()) {
        if (metadata.find(entry.key) != &entry.value) __builtin_trap();
        if (const auto* text = std::get_if<std::string_view>(&entry.value); text && !text->empty())
            sink = sink + static_cast<uint8_t>(text->front()) + static_cast<uint8_t>(text->back());
        if (const auto* array = std::get_if<agave::MetadataArray>(&entry.value)) touch_array(*array);
        // The getters accept or throw.
        const auto attempt = [](auto&& call) {
            try {
                call();
            } catch (const agave::Error&) {
            }
        };
        attempt([&] { metadata.integer(entry.key, 0, 1000); });
        attempt([&] { metadata.number(entry.key); });
        attempt([&] { metadata.text(entry.key); });
        attempt([&] { metadata.texts(entry.key); });
        attempt([&] { metadata.numbers(entry.key); });
        attempt([&] { metadata.integers(entry.key); });
        attempt([&] { metadata.booleans(entry.key); });
        attempt([&] { metadata.boolean_or(entry.key, false); });
    }
    for (const agave::Tensor& tensor : model.tensors()) {
        if (model.find(tensor.name) != &tensor) __builtin_trap();
        if (tensor.n_bytes != tensor.row_bytes() * static_cast<size_t>(tensor.n_rows())) __builtin_trap();
        sink = sink + static_cast<uint8_t>(tensor.data[0]) +
               static_cast<uint8_t>(tensor.data[tensor.n_bytes - 1]);
        if (tensor.n_elements() <= 4096) decode_tensor(tensor);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        touch(agave::ModelFile::from_bytes({reinterpret_cast<const std::byte*>(data), size}, "fuzz.gguf"));
    } catch (const agave::Error&) {
    }
    return 0;
}
