#include "base/error.h"
#include "step.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    try {
        step_through(agave::Grammar::from_json_schema(text), text);
    } catch (const agave::Error&) {
    }
    return 0;
}
