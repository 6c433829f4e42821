#include "base/json.h"

#include "base/error.h"

namespace {

/// Walks over everything; returns the number of values.
size_t walk(agave::JsonValue value) {
    size_t n = 1;
    for (auto member = value.begin(); member != value.end(); ++member) {
        n += member.name().size() + walk(*member);
        if (value.is(agave::JsonKind::object) && !value[member.name()]) __builtin_trap();
    }
    if (value.is(agave::JsonKind::text)) n += value.as_text().size();
    return n;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        const agave::Json json({reinterpret_cast<const char*>(data), size}, "fuzz.json");
        if (size < 4096) walk(json.root());
    } catch (const agave::Error&) {
    }
    return 0;
}
