#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "formats/json.h"

namespace {

volatile uint64_t sink;

/// Visits every value; the checked getters accept or throw.
void walk(const agave::JsonValue& value) {
    const auto attempt = [](auto&& call) {
        try {
            call();
        } catch (const agave::Error&) {
        }
    };
    for (const char c : value.spelling()) sink = sink + static_cast<uint8_t>(c);
    attempt([&] { value.boolean(); });
    attempt([&] { value.integer(0, 1000); });
    attempt([&] { value.number(); });
    attempt([&] { value.require("a"); });
    if (value.is_array()) {
        size_t n = 0;
        for (const agave::JsonValue element : value.elements()) walk(element), n++;
        if (n != value.size()) __builtin_trap();
    } else if (value.is_object()) {
        size_t n = 0;
        for (const agave::JsonMember& member : value.members()) {
            if (value.find(member.key).place() != member.value.place()) __builtin_trap();
            walk(member.value), n++;
        }
        if (n != value.size()) __builtin_trap();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    try {
        const agave::JsonDocument document =
            agave::JsonDocument::parse({reinterpret_cast<const char*>(data), size}, "fuzz.json");
        walk(document.root());
    } catch (const agave::Error&) {
    }
    return 0;
}
