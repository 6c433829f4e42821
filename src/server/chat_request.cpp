#include "server/chat_request.h"

#include <cmath>
#include <cstdlib>

#include "base/json_writer.h"
#include "tokenizer/prompt_tokens.h"

namespace agave::server {

namespace {

using P = SamplingParameters;
struct SamplingField {
    const char* name;
    float P::* number;
    int32_t P::* integer;  ///< instead of `number`
    double minimum, maximum;
};
constexpr double kMaxInteger = 2147483647;
constexpr SamplingField sampling_fields[] = {
    {"temperature", &P::temperature, nullptr, 0, 1e6},
    {"top_p", &P::top_p, nullptr, 0, 1},
    {"top_k", nullptr, &P::top_k, 0, kMaxInteger},
    {"min_p", &P::min_p, nullptr, 0, 1},
    {"typical_p", &P::typical_p, nullptr, 0, 1},
    {"presence_penalty", &P::presence_penalty, nullptr, -100, 100},
    {"frequency_penalty", &P::frequency_penalty, nullptr, -100, 100},
    {"repeat_penalty", &P::repeat_penalty, nullptr, 0.01, 100},
    {"repetition_penalty", &P::repeat_penalty, nullptr, 0.01, 100},
    {"penalty_last_n", nullptr, &P::penalty_last_n, -1, kMaxInteger},
    {"repeat_last_n", nullptr, &P::penalty_last_n, -1, kMaxInteger},
};

void read_logit_bias(JsonValue biases, const std::string& path, int32_t n_vocab,
                     std::vector<LogitBias>& into) {
    if (biases.size() > 4096) refuse("invalid_value", path, "has more than 4096 entries");
    for (auto entry = biases.begin(); entry != biases.end(); ++entry) {
        const std::string name(entry.name());
        char* end = nullptr;
        const long long id =
            name.empty() || name[0] < '0' || name[0] > '9' ? -1 : std::strtoll(name.c_str(), &end, 10);
        if (id < 0 || id >= n_vocab || end != name.c_str() + name.size())
            refuse("invalid_value", path + "." + name, "does not name a token: the vocabulary has 0 to %d",
                   n_vocab - 1);
        const JsonValue value = *entry;
        const bool is_number = value.is(JsonKind::integer) || value.is(JsonKind::number);
        if (!is_number || !(std::fabs(value.as_number()) <= 100))
            refuse("invalid_value", path + "." + name, "must be a number from -100 to 100");
        // OpenAI: -100 bans a token.
        const double bias = value.as_number();
        into.push_back({static_cast<int32_t>(id), bias == -100 ? -INFINITY : static_cast<float>(bias)});
    }
}

const char* closing_marker(chat::ReasoningSyntax syntax) {
    switch (syntax) {
        case chat::ReasoningSyntax::think:
            return "</think>";
        case chat::ReasoningSyntax::mistral:
            return "[/THINK]";
        case chat::ReasoningSyntax::gemma:
            return "<channel|>";
        case chat::ReasoningSyntax::harmony:
            return "<|channel|>final<|message|>";
        default:
            return nullptr;
    }
}

/// Whether the answer begins within the reasoning: its opening marker stands at the end of the prompt.
bool begins_within_reasoning(chat::ReplySyntax syntax, std::string_view prompt) {
    while (!prompt.empty() && (prompt.back() == '\n' || prompt.back() == ' ')) prompt.remove_suffix(1);
    for (const chat::MarkerText& marker : chat::markers_of(syntax))
        if (marker.marker == chat::Marker::reasoning_open && prompt.ends_with(marker.text)) return true;
    return false;
}

/// For templates that know no tools: says in words how to call them, and writes calls and results of the
/// conversation so. The format is that of Hermes 2 Pro, which most models have seen.
void describe_tools(ChatRequest& request) {
    std::string words =
        "You may call functions. Their signatures are within <tools></tools>:\n<tools>\n" +
        request.tools_json +
        "\n</tools>\nFor each call, answer with a JSON object within <tool_call></tool_call>:\n"
        "<tool_call>\n{\"name\": NAME, \"arguments\": OBJECT}\n</tool_call>";
    std::vector<chat::Message>& messages = request.messages;
    for (chat::Message& message : messages) {
        for (const chat::ToolCall& call : message.tool_calls) {
            if (!message.content.empty()) message.content += '\n';
            append_json(message.content, "<tool_call>\n{\"name\": ?, \"arguments\": ?}\n</tool_call>",
                        {call.name, RawJson{call.arguments_json.empty() ? "{}" : call.arguments_json}});
        }
        message.tool_calls.clear();
        if (message.role != "tool") continue;
        message.role = "user";
        message.content = "<tool_response>\n" + message.content + "\n</tool_response>";
        message.tool_call_id.clear();
        message.name.clear();
    }
    if (request.tools.empty()) return;
    if (messages.empty() || messages[0].role != "system") {
        messages.emplace(messages.begin());
        messages[0].role = "system";
    }
    std::string& system = messages[0].content;
    system += (system.empty() ? "" : "\n\n") + words;
}

bool mentions_calls(const std::vector<chat::Message>& messages) {
    for (const chat::Message& message : messages)
        if (message.role == "tool" || !message.tool_calls.empty()) return true;
    return false;
}

/// What the template can do of what is asked.
chat::Reasoning usable_reasoning(const LoadedModel& model, chat::Reasoning wanted) {
    using chat::Reasoning;
    if (wanted == Reasoning::automatic) return wanted;
    const chat::ReasoningSupport support = model.served.chat_template->reasoning_support();
    const bool never = model.syntax.reasoning == chat::ReasoningSyntax::none;
    if (wanted == Reasoning::off && !support.on_off && never) return Reasoning::automatic;
    if (wanted == Reasoning::on && !support.on_off && !support.effort && !never) return Reasoning::automatic;
    if (wanted > Reasoning::on && !support.effort && support.on_off) return Reasoning::on;
    return wanted;
}

std::shared_ptr<const Grammar> make_grammar(const ChatRequest& request, chat::ToolSyntax syntax) {
    switch (request.format) {
        case ChatRequest::Format::json:
            return Grammar::json_object({.compact = true});
        case ChatRequest::Format::schema:
            return Grammar::from_json_schema(request.format_text, {.compact = true});
        case ChatRequest::Format::gbnf:
            return Grammar::from_gbnf(request.format_text);
        case ChatRequest::Format::text:
            break;
    }
    std::vector<ToolFunction> functions;
    for (const ToolSpec& tool : request.tools)
        if (request.forced_tool.empty() || request.forced_tool == tool.name)
            functions.push_back({tool.name, tool.parameters});
    return Grammar::tool_calls(syntax, functions, request.parallel_calls);
}

std::shared_ptr<const Grammar> grammar_of(const ChatRequest& request, chat::ToolSyntax syntax) {
    std::string key;
    if (request.format != ChatRequest::Format::text) {
        key = static_cast<char>('0' + static_cast<int>(request.format)) + request.format_text;
    } else {
        key = strprintf("t%d%d%s\n", static_cast<int>(syntax), request.parallel_calls,
                        request.forced_tool.c_str());
        for (const ToolSpec& tool : request.tools) ((key += tool.name) += '\0') += tool.parameters + '\0';
    }
    if (std::shared_ptr<const Grammar> known = request.model->grammar(key)) return known;
    std::shared_ptr<const Grammar> made = make_grammar(request, syntax);
    request.model->keep(std::move(key), made);
    return made;
}

}  // namespace

std::string json_text(JsonValue value) {
    JsonWriter json;
    json.value(value);
    return json.take();
}

void check_length(const LoadedModel& model, size_t n_tokens) {
    if (n_tokens == 0) throw ApiError(400, "invalid_value", "prompt", "the prompt is empty");
    if (static_cast<int64_t>(n_tokens) > model.served.context_size)
        throw ApiError(400, "context_length_exceeded", {},
                       strprintf("the prompt has %zu tokens, but the context holds %lld", n_tokens,
                                 static_cast<long long>(model.served.context_size)));
}

void read_sampling(Fields& fields, LoadedModel& model, SamplingParameters& sampling) {
    for (const SamplingField& field : sampling_fields) {
        if (field.integer)
            sampling.*field.integer = static_cast<int32_t>(
                fields.integer(field.name, sampling.*field.integer, static_cast<int64_t>(field.minimum),
                               static_cast<int64_t>(field.maximum)));
        else
            sampling.*field.number = static_cast<float>(fields.number(
                field.name, static_cast<double>(sampling.*field.number), field.minimum, field.maximum));
    }
    // The sampler's least temperature; below it only the likeliest token has any probability.
    if (sampling.temperature < 1e-6f) sampling.temperature = 0;
    const JsonValue seed = fields.take("seed");
    if (seed && !seed.is(JsonKind::integer))
        refuse("invalid_type", fields.path_of("seed"), "must be a whole number");
    if (seed) sampling.seed = static_cast<uint64_t>(seed.as_integer());
    read_logit_bias(fields.object("logit_bias"), fields.path_of("logit_bias"), model.tokenizer().n_vocab(),
                    sampling.logit_bias);
}

std::vector<std::string> read_stops(Fields& fields, std::string_view name) {
    std::vector<std::string> stops;
    const JsonValue value = fields.take(name);
    const auto add = [&](JsonValue text) {
        if (!text.is(JsonKind::text)) refuse("invalid_type", fields.path_of(name), "must hold strings");
        if (text.as_text().empty()) refuse("invalid_value", fields.path_of(name), "has an empty string");
        stops.emplace_back(text.as_text());
    };
    if (value.size() > 64) refuse("invalid_value", fields.path_of(name), "has more than 64 strings");
    if (value.is(JsonKind::array))
        for (const JsonValue text : value) add(text);
    else if (value)
        add(value);
    return stops;
}

void read_format(JsonValue format, const std::string& path, ChatRequest& request) {
    if (!format) return;
    Fields fields(format, path);
    const int type = fields.choice("type", "text json_object json_schema");
    if (type < 0) refuse("missing_required_parameter", path + ".type", "is missing");
    if (type == 1) request.format = ChatRequest::Format::json;
    if (type == 2) {
        // Chat nests them, Responses does not.
        const JsonValue nested = fields.object("json_schema");
        Fields inner(nested ? nested : format, nested ? path + ".json_schema" : path);
        if (!nested) inner.ignore("type");
        inner.ignore("name description strict");
        const JsonValue schema = inner.take("schema");
        if (!schema) refuse("missing_required_parameter", inner.path_of("schema"), "is missing");
        inner.finish();
        request.format = ChatRequest::Format::schema;
        request.format_text = json_text(schema);
        if (!nested) return;
    }
    fields.finish();
}

void read_effort(Fields& fields, std::string_view name, ChatRequest& request) {
    using chat::Reasoning;
    constexpr Reasoning efforts[] = {Reasoning::off,    Reasoning::low,  Reasoning::low,
                                     Reasoning::medium, Reasoning::high, Reasoning::high};
    const int effort = fields.choice(name, "none minimal low medium high xhigh");
    if (effort >= 0) request.reasoning = efforts[effort];
}

std::string read_content(JsonValue content, const std::string& path) {
    if (!content || content.is(JsonKind::null)) return {};
    if (content.is(JsonKind::text)) return std::string(content.as_text());
    if (!content.is(JsonKind::array)) refuse("invalid_type", path, "must be a string or an array of parts");
    std::string text;
    size_t index = 0;
    for (const JsonValue part : content) {
        Fields fields(part, strprintf("%s[%zu]", path.c_str(), index));
        const std::string_view type = fields.required_text("type");
        if (type != "text" && type != "input_text" && type != "output_text" && type != "refusal")
            refuse("unsupported_value", fields.path_of("type"), "is '%s', but this server takes text only",
                   printable(type, 40).c_str());
        fields.ignore("annotations logprobs cache_control citations");
        if (index++) text += '\n';
        text += fields.required_text(type == "refusal" ? "refusal" : "text");
        fields.finish();
    }
    return text;
}

void add_tool(ChatRequest& request, std::string_view name, std::string_view description, JsonValue parameters,
              JsonValue strict, const std::string& path) {
    bool good = !name.empty() && name.size() <= 128;
    for (const char c : name)
        good = good && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                        c == '_' || c == '-' || c == '.' || c == ':');
    if (!good)
        refuse("invalid_value", path + ".name", "must have 1 to 128 letters, digits, '_', '-', '.' and ':'");
    for (const ToolSpec& tool : request.tools)
        if (tool.name == name) refuse("invalid_value", path + ".name", "is the name of two tools");
    if (parameters && !parameters.is(JsonKind::object))
        refuse("invalid_type", path, "must hold a JSON Schema, an object");
    request.tools.push_back({std::string(name), parameters ? json_text(parameters) : std::string()});

    std::string more;
    if (!description.empty()) append_json(more, R"(, "description": ?)", {description});
    const bool has_strict = strict && strict.is(JsonKind::boolean);
    append_json(
        request.tools_json, R"(?{"type": "function", "function": {"name": ??, "parameters": ??}})",
        {RawJson{request.tools_json.empty() ? "[" : ", "}, name, RawJson{more},
         RawJson{parameters ? request.tools.back().parameters : R"({"type": "object", "properties": {}})"},
         RawJson{!has_strict           ? ""
                 : strict.as_boolean() ? R"(, "strict": true)"
                                       : R"(, "strict": false)"}});
}

GenerationPlan make_plan(ChatRequest request) {
    LoadedModel& model = *request.model;
    GenerationPlan& plan = request.plan;
    const chat::Template* chat_template = model.served.chat_template;
    if (!chat_template)
        throw ApiError(400, "unsupported_model", "model",
                       "the model '" + model.served.name +
                           "' has no chat template; /v1/completions takes a prompt as it is");
    if (request.messages.empty()) refuse("invalid_value", "messages", "is empty");
    if (!request.tools.empty()) request.tools_json += "]";
    if (request.tool_choice == ToolChoice::none) {
        request.tools.clear();
        request.tools_json.clear();
    }
    const bool forced = request.tool_choice == ToolChoice::required;
    if (forced && request.tools.empty()) refuse("invalid_value", "tool_choice", "needs tools to choose from");
    bool known = request.forced_tool.empty();
    for (const ToolSpec& tool : request.tools) known = known || tool.name == request.forced_tool;
    if (!known)
        refuse("invalid_value", "tool_choice", "names '%s', which is none of the tools",
               printable(request.forced_tool, 64).c_str());
    if (request.format != ChatRequest::Format::text && !request.tools.empty())
        refuse("unsupported_value", "response_format",
               "cannot be combined with tools, unless tool_choice is \"none\"");

    plan.model = &model;
    plan.chat = true;
    plan.syntax = model.syntax;
    plan.tools_json = request.tools_json;
    const bool foreign = plan.syntax.tools == chat::ToolSyntax::none ||
                         (forced && !Grammar::can_force_tools(plan.syntax.tools));
    if (foreign && (!request.tools.empty() || mentions_calls(request.messages))) {
        describe_tools(request);
        plan.syntax.tools = chat::ToolSyntax::json;
    }

    chat::RenderOptions options;
    const Tokenizer& tokenizer = model.tokenizer();
    const auto token_text = [&](int32_t id) {
        return id < 0 ? std::string() : std::string(tokenizer.token_text(id));
    };
    options.bos_token = token_text(tokenizer.bos());
    options.eos_token = token_text(tokenizer.eos());
    options.reasoning = usable_reasoning(model, request.reasoning);
    options.variables_json = request.variables_json;
    if (!foreign) options.tools_json = request.tools_json;
    std::string beginning;
    if (request.continue_last && request.messages.back().role == "assistant" &&
        request.messages.back().tool_calls.empty() && request.messages.size() > 1) {
        beginning = request.messages.back().content;
        request.messages.pop_back();
    }
    plan.rendered = chat_template->render(request.messages, options) + beginning;
    plan.prompt = prompt_tokens(plan.rendered, tokenizer);
    check_length(model, plan.prompt.size());

    if (forced || request.format != ChatRequest::Format::text) {
        plan.grammar = grammar_of(request, plan.syntax.tools);
        const char* closing = closing_marker(plan.syntax.reasoning);
        // Harmony's answers come on a channel of their own, whatever the prompt ends with.
        const bool harmony = plan.syntax.reasoning == chat::ReasoningSyntax::harmony;
        if (harmony && forced)
            refuse("unsupported_value", "tool_choice",
                   "cannot force calls of this model, whose format is "
                   "Harmony: use \"auto\"");
        if (harmony || (closing && begins_within_reasoning(plan.syntax, plan.rendered)))
            plan.grammar_after = closing;
    }
    plan.one_call = !request.tools.empty() && !request.parallel_calls;
    return std::move(plan);
}

}  // namespace agave::server
