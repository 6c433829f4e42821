#include "cli/inspect_chat.h"

#include "base/error.h"
#include "cli/output.h"
#include "sampling/file_defaults.h"
#if AGAVE_CHAT
#include "chat/chat_template.h"
#endif

namespace agave::cli {

namespace {

struct ChatInfo {
    bool has_template = false;
    std::string fault;  ///< of the template
    const char *reasoning = "none", *tools = "none";
    bool reasoning_switch = false, reasoning_effort = false;
};

struct Recommended {
    SamplingParameters parameters;
    std::string fault;  ///< of the file, in place of them
};

Recommended read_recommended(const Metadata& metadata) {
    try {
        return {recommended_parameters(metadata), {}};
    } catch (const Error& error) {
        return {{}, error.what()};
    }
}

ChatInfo chat_info([[maybe_unused]] const Metadata& metadata) {
    ChatInfo info;
#if AGAVE_CHAT
    const std::string_view source = metadata.text_or("tokenizer.chat_template", "");
    info.has_template = !source.empty();
    if (!info.has_template) return info;
    try {
        const chat::Template chat_template{std::string(source)};
        const chat::ReplySyntax syntax = chat_template.reply_syntax();
        info.reasoning = chat::name_of(syntax.reasoning);
        info.tools = chat::name_of(syntax.tools);
        const chat::ReasoningSupport support = chat_template.reasoning_support();
        info.reasoning_switch = support.on_off;
        info.reasoning_effort = support.effort;
    } catch (const Error& error) {
        info.fault = error.what();
    }
#endif
    return info;
}

}  // namespace

void print_chat(const Metadata& metadata) {
    const Recommended recommended = read_recommended(metadata);
    std::string sampling = recommended.fault;
    for (const FileDefault& row : file_defaults())
        if (!row.key.empty() && metadata.find(row.key) && recommended.fault.empty())
            sampling += strprintf("%s%s %g", sampling.empty() ? "" : ", ", row.option.data(),
                                  row.value(recommended.parameters));
    if (!sampling.empty())
        printf_out("  sampling      %s%s\n", sampling.c_str(),
                   recommended.fault.empty() ? ", as the file recommends" : "");
    const ChatInfo info = chat_info(metadata);
    if (!info.has_template) return;
    if (!info.fault.empty()) {
        printf_out("  chat          %s\n", info.fault.c_str());
        return;
    }
    const char* settings = info.reasoning_switch && info.reasoning_effort ? "off, on, low, medium or high"
                           : info.reasoning_switch                        ? "off or on"
                           : info.reasoning_effort                        ? "on, low, medium or high"
                                                                          : "not to be switched";
    printf_out("  chat          reasoning: %s, %s; tool calls: %s\n", info.reasoning, settings, info.tools);
}

void write_chat(JsonWriter& json, const Metadata& metadata) {
    const Recommended recommended = read_recommended(metadata);
    json.key("sampling");
    json.begin_object();
    for (const FileDefault& row : file_defaults())
        if (!row.key.empty() && metadata.find(row.key) && recommended.fault.empty())
            json.member(row.option, row.value(recommended.parameters));
    if (!recommended.fault.empty()) json.member("fault", recommended.fault);
    json.end_object();
    const ChatInfo info = chat_info(metadata);
    if (!info.has_template) return;
    json.key("chat");
    json.begin_object();
    if (!info.fault.empty()) json.member("fault", info.fault);
    json.member("reasoning", info.reasoning);
    json.member("reasoning_switch", info.reasoning_switch);
    json.member("reasoning_effort", info.reasoning_effort);
    json.member("tools", info.tools);
    json.end_object();
}

}  // namespace agave::cli
