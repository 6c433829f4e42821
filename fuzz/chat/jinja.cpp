// Input: a template, a byte 0xFF, the context as JSON (without them: an example conversation).
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "chat/jinja/jinja.h"
#include "chat/jinja/json.h"

using namespace agave;
using namespace agave::chat;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    constexpr std::string_view example =
        R"({"messages": [{"role": "user", "content": " Hi \u00e9 "}, {"role": "assistant", "content": null, "tool_calls":)"
        R"( [{"function": {"name": "f", "arguments": {"a": [1, 2.5, true]}}}]}], "tools": null, "n": -3, "x": 1.5,)"
        R"( "add_generation_prompt": true, "bos_token": "<s>"})";
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    const size_t end = input.find('\xff');
    const std::string_view json = end == std::string_view::npos ? example : input.substr(end + 1);
    jinja::Limits limits;
    limits.max_steps = 50'000;
    limits.max_value_bytes = 8 << 20;
    limits.max_output_bytes = 1 << 20;
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    try {
        const jinja::Program program = jinja::parse(std::string(input.substr(0, end)));
        jinja::Value context = jinja::parse_json(json, "the context");
        if (!context.is(jinja::Type::dict)) return 0;
        jinja::render(program, context, limits, 0);
    } catch (const Error&) {
    }
    return 0;
}
