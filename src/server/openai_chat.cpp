// POST /v1/chat/completions: https://platform.openai.com/docs/api-reference/chat
#include "base/utf8.h"
#include "server/openai.h"

namespace agave::server {

std::string token_name(const Tokenizer& tokenizer, int32_t id) {
    std::string bytes = tokenizer.token_bytes(id, true);
    if (valid_utf8_prefix(bytes) == bytes.size()) return bytes;
    std::string name = "bytes:";
    for (const char byte : bytes) name += strprintf("\\x%02x", static_cast<unsigned char>(byte));
    return name;
}

/// token, logprob and bytes of an entry that is still open.
static void append_token(std::string& out, const Tokenizer& tokenizer, int32_t id, float logprob) {
    std::string bytes;
    for (const char byte : tokenizer.token_bytes(id, true))
        bytes += strprintf(bytes.empty() ? "%u" : ",%u", static_cast<unsigned char>(byte));
    append_json(out, R"({"token":?,"logprob":?,"bytes":[?])",
                {token_name(tokenizer, id), logprob, RawJson{bytes}});
}

std::string token_logprobs_json(const Tokenizer& tokenizer, Choice& choice) {
    std::string json;
    for (; choice.n_records_used < choice.records.size(); choice.n_records_used++) {
        const TokenRecord& record = choice.records[choice.n_records_used];
        if (tokenizer.is_control(record.id)) continue;
        if (!json.empty()) json += ',';
        append_token(json, tokenizer, record.id, record.logprob);
        json += R"(,"top_logprobs":[)";
        for (const TokenLogprob& top : record.top) {
            if (&top != record.top.data()) json += ',';
            append_token(json, tokenizer, top.id, top.logprob);
            json += '}';
        }
        json += "]}";
    }
    return json;
}

std::string usage_json(const Usage& usage) {
    return make_json(
        R"({"prompt_tokens":?,"completion_tokens":?,"total_tokens":?,"prompt_tokens_details":{"cached_tokens":?},"completion_tokens_details":{"reasoning_tokens":?}})",
        {usage.prompt, usage.generated, usage.prompt + usage.generated, usage.cached, usage.reasoning});
}

std::string read_arguments(Fields& fields) {
    const std::string_view text = fields.text("arguments");
    if (text.empty()) return {};
    try {
        const Json json(text, "the text", JsonSource::request);
        if (json.root().is(JsonKind::object)) return std::string(text);
    } catch (const Error&) {
    }
    refuse("invalid_value", fields.path_of("arguments"), "must be a JSON object, as text");
}

void read_function(Fields& fields, ChatRequest& request) {
    const std::string_view name = fields.required_text("name");
    const std::string_view description = fields.text("description");
    const JsonValue parameters = fields.object("parameters");
    fields.boolean("strict", false);
    add_tool(request, name, description, parameters, fields.take("strict"), fields.path_of("parameters"));
}

void read_tool_choice(JsonValue choice, ChatRequest& request) {
    if (!choice) return;
    const std::string path = "tool_choice";
    if (choice.is(JsonKind::text)) {
        const std::string_view word = choice.as_text();
        if (word == "none")
            request.tool_choice = ToolChoice::none;
        else if (word == "required")
            request.tool_choice = ToolChoice::required;
        else if (word != "auto")
            refuse("invalid_value", path, "must be \"none\", \"auto\", \"required\" or an object");
        return;
    }
    Fields fields(choice, path);
    if (fields.required_text("type") != "function")
        refuse("unsupported_value", path + ".type", "must be \"function\"");
    // Chat nests the name, Responses does not.
    const JsonValue nested = fields.object("function");
    if (nested) {
        Fields function(nested, path + ".function");
        request.forced_tool = function.required_text("name");
        function.finish();
    } else {
        request.forced_tool = fields.required_text("name");
    }
    fields.finish();
    request.tool_choice = ToolChoice::required;
}

namespace {

constexpr size_t kMaxMessages = 20000;

void read_calls(JsonValue calls, const std::string& path, chat::Message& message) {
    size_t index = 0;
    for (const JsonValue entry : calls) {
        Fields call(entry, strprintf("%s[%zu]", path.c_str(), index++));
        if (call.text("type", "function") != "function")
            refuse("unsupported_value", call.path_of("type"), "must be \"function\"");
        call.ignore("index");
        chat::ToolCall made;
        made.id = call.text("id");
        Fields function(call.object("function"), call.path_of("function"));
        made.name = function.required_text("name");
        made.arguments_json = read_arguments(function);
        function.finish();
        call.finish();
        message.tool_calls.push_back(std::move(made));
    }
}

chat::Message read_message(JsonValue value, const std::string& path,
                           const std::vector<chat::Message>& before) {
    Fields fields(value, path);
    chat::Message message;
    const int role = fields.choice("role", "system developer user assistant tool");
    if (role < 0) refuse("missing_required_parameter", fields.path_of("role"), "is missing");
    constexpr const char* roles[] = {"system", "system", "user", "assistant", "tool"};
    message.role = roles[role];
    message.content = read_content(fields.take("content"), fields.path_of("content"));
    fields.ignore("name");
    if (role == 3) {
        const std::string_view reasoning = fields.text("reasoning_content", fields.text("reasoning"));
        if (!reasoning.empty()) message.reasoning = reasoning;
        read_calls(fields.array("tool_calls"), fields.path_of("tool_calls"), message);
        fields.ignore("refusal audio annotations function_call");
        const std::string_view refusal = fields.text("refusal");
        if (message.content.empty()) message.content = refusal;
    }
    if (role == 4) {
        message.tool_call_id = fields.required_text("tool_call_id");
        for (const chat::Message& earlier : before)
            for (const chat::ToolCall& call : earlier.tool_calls)
                if (call.id == message.tool_call_id) message.name = call.name;
    }
    fields.finish();
    return message;
}

void read_tools(JsonValue tools, ChatRequest& request) {
    size_t index = 0;
    for (const JsonValue tool : tools) {
        Fields fields(tool, strprintf("tools[%zu]", index++));
        if (fields.text("type", "function") != "function")
            refuse("unsupported_value", fields.path_of("type"), "must be \"function\"");
        Fields function(fields.object("function"), fields.path_of("function"));
        read_function(function, request);
        function.finish();
        fields.finish();
    }
}

struct Body {
    ChatRequest chat;
    int n = 1;
    bool include_usage = false;
};

Body read_body(JsonValue root, const Service& service) {
    Body body;
    ChatRequest& request = body.chat;
    Fields fields(root);
    request.model = &service.model(fields.text("model"));
    GenerationPlan& plan = request.plan;
    plan.sampling = request.model->served.sampling;

    const JsonValue messages = fields.array("messages");
    if (!messages) refuse("missing_required_parameter", "messages", "is missing: it must be an array");
    if (messages.size() > kMaxMessages) refuse("invalid_value", "messages", "has more than 20000 messages");
    for (const JsonValue message : messages)
        request.messages.push_back(
            read_message(message, strprintf("messages[%zu]", request.messages.size()), request.messages));

    read_sampling(fields, *request.model, plan.sampling);
    const int64_t limit = fields.integer("max_tokens", -1, 1, INT32_MAX);
    plan.max_tokens = fields.integer("max_completion_tokens", limit, 1, INT32_MAX);
    plan.stops = read_stops(fields, "stop");
    plan.ignore_end = fields.boolean("ignore_eos", false);
    const bool logprobs = fields.boolean("logprobs", false);
    const int64_t top = fields.integer("top_logprobs", -1, 0, 20);
    if (top >= 0 && !logprobs) refuse("invalid_value", "top_logprobs", "needs logprobs to be true");
    if (logprobs) plan.top_logprobs = static_cast<int>(top < 0 ? 0 : top);
    body.n = static_cast<int>(fields.integer("n", 1, 1, 128));

    read_tools(fields.array("tools"), request);
    read_tool_choice(fields.take("tool_choice"), request);
    request.parallel_calls = fields.boolean("parallel_tool_calls", true);
    read_format(fields.take("response_format"), "response_format", request);
    const std::string_view grammar = fields.text("grammar");
    if (!grammar.empty()) {
        if (request.format != ChatRequest::Format::text)
            refuse("invalid_value", "grammar", "and response_format exclude each other");
        request.format = ChatRequest::Format::gbnf;
        request.format_text = grammar;
    }
    read_effort(fields, "reasoning_effort", request);
    const JsonValue variables = fields.object("chat_template_kwargs");
    if (variables) request.variables_json = json_text(variables);

    request.stream = fields.boolean("stream", false);
    const JsonValue stream_options = fields.object("stream_options");
    if (stream_options) {
        if (!request.stream) refuse("invalid_value", "stream_options", "needs stream to be true");
        Fields options(stream_options, "stream_options");
        body.include_usage = options.boolean("include_usage", false);
        options.ignore("include_obfuscation");
        options.finish();
    }
    fields.ignore(kHarmless);
    fields.ignore("prediction");
    fields.refuse_unless("modalities", "[\"text\"]", "must be [\"text\"]: this server makes text only");
    fields.refuse_unless("verbosity", "\"medium\"", "cannot be set for this model");
    for (const char* name : {"audio", "web_search_options", "functions", "function_call"})
        fields.refuse_unless(name, "", "is not supported by this server (tools are, as \"tools\")");
    fields.finish();
    return body;
}

class ChatJob final : public Job {
  public:
    ChatJob(const ApiCall& call, GenerationPlan what, bool streams, bool include_usage)
        : Job(call, std::move(what), streams), include_usage_(include_usage), id_(make_id("chatcmpl-")) {}

  private:
    /// "choices" and, where it is not empty, "usage".
    std::string answer(const char* object, std::string_view choices, const std::string& usage) const {
        return make_json(R"({"id":?,"object":?,"created":?,"model":?,"choices":[?]?})",
                         {id_, object, created, plan.model->served.name, RawJson{choices},
                          RawJson{usage.empty() ? usage : ",\"usage\":" + usage}});
    }

    void chunk(Choice& choice, std::string_view delta, bool with_logprobs, const char* reason) {
        std::string logprobs = "null";
        if (with_logprobs && choice.n_records_used < choice.records.size()) logprobs = logprobs_json(choice);
        event(answer("chat.completion.chunk",
                     make_json(R"({"index":?,"delta":{?},"logprobs":?,"finish_reason":?})",
                               {choice.index, RawJson{delta}, RawJson{logprobs}, reason}),
                     include_usage_ ? "null" : ""));
    }

    std::string logprobs_json(Choice& choice) const {
        return R"({"content":[)" + token_logprobs_json(tokenizer(), choice) + R"(],"refusal":null})";
    }

    void begin() override {
        for (const std::unique_ptr<Choice>& choice : choices_)
            chunk(*choice, R"("role":"assistant","content":"")", false, nullptr);
    }

    void piece(Choice& choice, const chat::ReplyEvent& piece) override {
        using chat::ReplyEvent;
        // OpenAI gives the probabilities of the content's tokens alone.
        if (piece.kind != ReplyEvent::content) choice.n_records_used = choice.records.size();
        std::string delta;
        switch (piece.kind) {
            case ReplyEvent::content:
                delta = make_json(R"("content":?)", {piece.text});
                break;
            case ReplyEvent::reasoning:
                delta = make_json(R"("reasoning_content":?)", {piece.text});
                break;
            case ReplyEvent::call_begin:
                delta = make_json(
                    R"("tool_calls":[{"index":?,"id":?,"type":"function","function":{"name":?,"arguments":""}}])",
                    {piece.call, piece.id, piece.text});
                break;
            case ReplyEvent::call_arguments:
                delta = make_json(R"("tool_calls":[{"index":?,"function":{"arguments":?}}])",
                                  {piece.call, piece.text});
                break;
            case ReplyEvent::call_end:
                return;
        }
        chunk(choice, delta, true, nullptr);
    }

    void choice_ended(Choice& choice) override {
        chunk(choice, "", choice.reply.tool_calls.empty(), choice.finish_reason());
    }

    void finish() override {
        const std::string usage =
            usage_json({n_prompt_tokens(), n_cached_tokens(), n_generated_tokens(), n_reasoning_tokens()});
        if (stream) {
            if (include_usage_) event(answer("chat.completion.chunk", "", usage));
            out += "data: [DONE]\n\n";
            return;
        }
        std::string choices;
        for (const std::unique_ptr<Choice>& choice : choices_) {
            if (!choices.empty()) choices += ',';
            append_choice(choices, *choice);
        }
        out = answer("chat.completion", choices, usage);
    }

    void append_choice(std::string& json, Choice& choice) const {
        const chat::Reply& reply = choice.reply;
        std::string more;
        if (!reply.reasoning.empty()) append_json(more, R"(,"reasoning_content":?)", {reply.reasoning});
        for (const chat::ToolCall& call : reply.tool_calls)
            append_json(more, R"(?{"id":?,"type":"function","function":{"name":?,"arguments":?}})",
                        {RawJson{&call == reply.tool_calls.data() ? R"(,"tool_calls":[)" : ","}, call.id,
                         call.name, call.arguments_json.empty() ? "{}" : call.arguments_json});
        if (!reply.tool_calls.empty()) more += ']';
        choice.n_records_used = choice.n_records_before_content;
        const bool only_calls = reply.content.empty() && !reply.tool_calls.empty();
        append_json(
            json,
            R"({"index":?,"message":{"role":"assistant","content":?,"refusal":null?},"logprobs":?,"finish_reason":?})",
            {choice.index, only_calls ? JsonArgument(nullptr) : JsonArgument(reply.content), RawJson{more},
             RawJson{plan.top_logprobs >= 0 ? logprobs_json(choice) : "null"}, choice.finish_reason()});
    }

    void write_error(int status, std::string_view message) override {
        out += "data: " + error_body(path_, status, nullptr, {}, message, request_id_) + "\n\n";
    }

    const bool include_usage_;
    const std::string id_;
};

}  // namespace

void openai_chat(const ApiCall& call) {
    const Json json(call.request.body, "the request", JsonSource::request);
    Body body = read_body(json.root(), call.service);
    const bool stream = body.chat.stream;
    const auto job =
        std::make_shared<ChatJob>(call, make_plan(std::move(body.chat)), stream, body.include_usage);
    job->start(body.n);
}

}  // namespace agave::server
