#include "chat/chat_template.h"

#include <mutex>

#include "base/error.h"
#include "chat/jinja/jinja.h"
#include "chat/jinja/json.h"

namespace agave::chat {

using jinja::Value;

namespace {

/// How a template wants what conversations leave open.
struct Style {
    bool arguments_as_text = false;  ///< of tool calls; else as an object
    bool none_content = true;        ///< for a message that has only tool calls; else ""
};

/// A way to switch reasoning: a variable's values as JSON (null: leave it undefined), or words in the system
/// message where the variable is null.
struct SwitchRow {
    const char* sign;  ///< in templates that may have it
    const char* variable;
    const char* off;
    const char* on;
};
// The first row that makes a difference is the template's own.
constexpr SwitchRow switch_rows[] = {
    {"enable_thinking", "enable_thinking", "false", "true"},
    {"thinking", "thinking", "false", "true"},
    {"thinking_budget", "thinking_budget", "0", nullptr},
    {"'no_think'", "reasoning_effort", "\"no_think\"", "\"high\""},
    {"'none'", "reasoning_effort", "\"none\"", "\"high\""},
    {"/no_think", nullptr, "/no_think", "/think"},
    {"detailed thinking", nullptr, "detailed thinking off", "detailed thinking on"},
};
constexpr const char* effort_variables[] = {"reasoning_effort", "thinking_effort"};

/// What a reasoning setting adds to a conversation.
struct ReasoningUse {
    const SwitchRow* row = nullptr;
    bool on = true;
    const char* effort_variable = nullptr;
    const char* effort = nullptr;  ///< as JSON
};

Message said(const char* role, const std::string& content) {
    Message message;
    message.role = role;
    message.content = content;
    return message;
}

Value text_value(const std::string& text) {
    return Value::string(text);
}

Value tool_call_value(const ToolCall& call, const Style& style) {
    const std::string& json = call.arguments_json;
    Value function = Value::dict();
    function.set("name", text_value(call.name));
    Value arguments = json.empty() ? Value::dict() : jinja::parse_json(json, "the arguments of a tool call");
    function.set("arguments",
                 style.arguments_as_text ? text_value(json.empty() ? "{}" : json) : std::move(arguments));
    Value value = Value::dict();
    value.set("type", Value::string("function"));
    if (!call.id.empty()) value.set("id", text_value(call.id));
    value.set("function", std::move(function));
    return value;
}

Value message_value(const Message& message, const Style& style, const char* reasoning_key) {
    Value value = Value::dict();
    const bool only_calls = message.content.empty() && !message.tool_calls.empty();
    value.set("role", text_value(message.role));
    value.set("content", only_calls && style.none_content ? Value::none() : text_value(message.content));
    if (message.reasoning) value.set(reasoning_key, text_value(*message.reasoning));
    if (!message.tool_calls.empty()) {
        Value calls = Value::new_list();
        for (const ToolCall& call : message.tool_calls) push(calls, tool_call_value(call, style));
        value.set("tool_calls", calls);
    }
    if (!message.tool_call_id.empty()) value.set("tool_call_id", text_value(message.tool_call_id));
    if (!message.name.empty()) value.set("name", text_value(message.name));
    return value;
}

/// The first of the names for an assistant's reasoning that the template reads.
const char* find_reasoning_key(const std::string& source) {
    for (const char* key : {"reasoning_content", "reasoning", "thinking"})
        for (const char before : {'.', '\'', '"'})
            if (source.find(before + std::string(key)) != std::string::npos) return key;
    return "reasoning_content";
}

}  // namespace

struct Template::State {
    jinja::Program program;
    const char* reasoning_key;
    std::once_flag style_known, reasoning_known;
    Style style;
    const SwitchRow* reasoning_switch = nullptr;
    const char* effort_variable = nullptr;

    std::string render(const std::vector<Message>& messages, const RenderOptions& options, const Style& how,
                       const ReasoningUse& reasoning) const {
        jinja::Heap heap;
        const jinja::HeapUse use(heap);
        Value list = Value::new_list();
        const char* words = reasoning.row && !reasoning.row->variable
                                ? (reasoning.on ? reasoning.row->on : reasoning.row->off)
                                : nullptr;
        const bool has_system = !messages.empty() && messages[0].role == "system";
        if (words && !has_system) push(list, message_value(said("system", words), how, reasoning_key));
        for (const Message& message : messages) {
            if (words && has_system && &message == &messages[0])
                push(list, message_value(said("system", message.content + "\n" + words), how, reasoning_key));
            else
                push(list, message_value(message, how, reasoning_key));
        }
        Value context = Value::dict();
        context.set("messages", list);
        Value tools = Value::none();
        if (!options.tools_json.empty()) {
            tools = jinja::parse_json(options.tools_json, "the list of tools");
            if (!tools.is_list(jinja::ListKind::list))
                fail(ErrorKind::usage, "the tools must be a JSON array");
            if (tools.items().empty()) tools = Value::none();
        }
        context.set("tools", std::move(tools));
        context.set("documents", Value::none());
        context.set("add_generation_prompt", Value::boolean(options.add_generation_prompt));
        if (!options.bos_token.empty()) context.set("bos_token", text_value(options.bos_token));
        if (!options.eos_token.empty()) context.set("eos_token", text_value(options.eos_token));
        if (reasoning.row && reasoning.row->variable)
            set_json(context, reasoning.row->variable, reasoning.on ? reasoning.row->on : reasoning.row->off);
        if (reasoning.effort) set_json(context, reasoning.effort_variable, reasoning.effort);
        if (!options.variables_json.empty()) {
            const Value more = jinja::parse_json(options.variables_json, "the template's variables");
            if (!more.is(jinja::Type::dict))
                fail(ErrorKind::usage, "the template's variables must be a JSON object");
            for (const auto& entry : more.dict_object().entries)
                context.dict_object().set(entry.key, entry.value);
        }
        return jinja::render(program, context, {}, options.now);
    }

    static void set_json(Value& context, const char* variable, const char* json) {
        if (json) context.set(variable, jinja::parse_json(json, variable));
    }

    /// The prompt of a short question, or "" where the template refuses it.
    std::string probe(const ReasoningUse& reasoning) const {
        RenderOptions options;
        options.bos_token = options.eos_token = "</s>";
        options.now = 0;
        try {
            return render({said("user", "Hi")}, options, {}, reasoning);
        } catch (const Error&) {
            return {};
        }
    }

    void find_reasoning() {
        const auto holds = [&](const char* text) { return program.source.find(text) != std::string::npos; };
        for (const SwitchRow& row : switch_rows) {
            if (reasoning_switch || !holds(row.sign)) continue;
            const std::string off = probe({&row, false}), on = probe({&row, true});
            if (!off.empty() && !on.empty() && off != on) reasoning_switch = &row;
        }
        for (const char* variable : effort_variables) {
            if (effort_variable || !holds(variable)) continue;
            const std::string low = probe({reasoning_switch, true, variable, "\"low\""});
            const std::string high = probe({reasoning_switch, true, variable, "\"high\""});
            if (!low.empty() && !high.empty() && low != high) effort_variable = variable;
        }
    }

    ReasoningUse use_of(Reasoning setting) {
        if (setting == Reasoning::automatic) return {};
        std::call_once(reasoning_known, [this] { find_reasoning(); });
        if (!reasoning_switch && !effort_variable)
            fail(ErrorKind::usage, "the model's chat template has no switch for reasoning");
        if (setting == Reasoning::off && !reasoning_switch)
            fail(ErrorKind::usage,
                 "the model's chat template cannot switch reasoning off, only set it to low, medium or high");
        if (setting <= Reasoning::on) return {reasoning_switch, setting == Reasoning::on, nullptr, nullptr};
        if (!effort_variable)
            fail(ErrorKind::usage, "the model's chat template switches reasoning on and off only");
        constexpr const char* efforts[] = {"\"low\"", "\"medium\"", "\"high\""};
        return {reasoning_switch, true, effort_variable,
                efforts[static_cast<int>(setting) - static_cast<int>(Reasoning::low)]};
    }

    /// Tries a conversation with a tool call in each style and takes the first whose text looks right.
    Style find_style() const {
        constexpr const char* probe = "agave_probe";
        const Message question = said("user", "question");
        Message answer = said("assistant", ""), result = said("tool", "result");
        answer.tool_calls = {{"abcdefghi", "lookup", "{\"agave_probe\": \"value\"}"}};
        result.tool_call_id = "abcdefghi";
        result.name = "lookup";
        RenderOptions options;
        options.bos_token = options.eos_token = "</s>";
        options.tools_json =
            R"([{"type": "function", "function": {"name": "lookup", "description": "Looks up.", "parameters":)"
            R"( {"type": "object", "properties": {"other": {"type": "string", "description": "What."}}, "required": ["other"]}}}])";
        options.now = 0;
        const bool names_none = program.source.find("None") != std::string::npos;
        for (const Style candidate :
             {Style{false, true}, Style{false, false}, Style{true, true}, Style{true, false}}) {
            try {
                const std::string text = render({question, answer, result}, options, candidate, {});
                const auto has = [&](const char* part) { return text.find(part) != std::string::npos; };
                const bool python_text = has("{'agave_probe'"), quoted_twice = has("{\\\"agave_probe");
                const bool wrote_none = candidate.none_content && !names_none && has("None");
                if (has(probe) && !python_text && !quoted_twice && !wrote_none) return candidate;
            } catch (const Error&) {
                continue;
            }
        }
        return {false, false};
    }
};

Template::Template(std::string source) : state_(std::make_unique<State>()) {
    state_->program = jinja::parse(std::move(source));
    state_->reasoning_key = find_reasoning_key(state_->program.source);
}

Template::~Template() = default;
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;

std::string Template::render(const std::vector<Message>& messages, const RenderOptions& options) const {
    bool has_calls = false;
    for (const Message& message : messages) has_calls = has_calls || !message.tool_calls.empty();
    if (has_calls) std::call_once(state_->style_known, [this] { state_->style = state_->find_style(); });
    return state_->render(messages, options, has_calls ? state_->style : Style(),
                          state_->use_of(options.reasoning));
}

ReasoningSupport Template::reasoning_support() const {
    std::call_once(state_->reasoning_known, [this] { state_->find_reasoning(); });
    return {state_->reasoning_switch != nullptr, state_->effort_variable != nullptr};
}

ReplySyntax Template::reply_syntax() const {
    return find_reply_syntax(state_->program.source);
}

}  // namespace agave::chat
