// POST /v1/messages and /v1/messages/count_tokens: https://docs.anthropic.com/en/api/messages
#include "server/chat_request.h"

namespace agave::server {

namespace {

/// One block of a message's content, into the messages that the template knows: results of tools become
/// messages of their own, in front of the text that `message` collects.
void read_block(JsonValue value, const std::string& path, chat::Message& message,
                std::vector<chat::Message>& messages) {
    Fields block(value, path);
    const bool assistant = message.role == "assistant";
    const std::string_view type = block.required_text("type");
    block.ignore("cache_control citations caller");
    if (type == "text") {
        if (!message.content.empty()) message.content += '\n';
        message.content += block.required_text("text");
    } else if (type == "thinking" && assistant) {
        if (!message.reasoning) message.reasoning.emplace();
        *message.reasoning += block.required_text("thinking");
        block.ignore("signature");
    } else if (type == "redacted_thinking" && assistant) {
        block.ignore("data");
    } else if (type == "tool_use" && assistant) {
        chat::ToolCall call;
        call.id = block.required_text("id");
        call.name = block.required_text("name");
        const JsonValue input = block.object("input");
        if (input) call.arguments_json = json_text(input);
        message.tool_calls.push_back(std::move(call));
    } else if (type == "tool_result" && !assistant) {
        chat::Message result;
        result.role = "tool";
        result.tool_call_id = block.required_text("tool_use_id");
        result.content = read_content(block.take("content"), block.path_of("content"));
        if (block.boolean("is_error", false)) result.content = "Error: " + result.content;
        for (const chat::Message& earlier : messages)
            for (const chat::ToolCall& call : earlier.tool_calls)
                if (call.id == result.tool_call_id) result.name = call.name;
        messages.push_back(std::move(result));
    } else {
        refuse("invalid_value", block.path_of("type"), "is '%s', which this server does not take %s",
               printable(type, 40).c_str(), assistant ? "of the assistant" : "of the user");
    }
    block.finish();
}

void read_message(JsonValue value, const std::string& path, std::vector<chat::Message>& messages) {
    Fields fields(value, path);
    const int role = fields.choice("role", "user assistant system");
    if (role < 0) refuse(nullptr, fields.path_of("role"), "is missing");
    chat::Message message;
    message.role = role == 0 ? "user" : role == 1 ? "assistant" : "system";
    const JsonValue content = fields.take("content");
    fields.finish();
    bool only_results = false;
    if (content.is(JsonKind::array)) {
        const size_t n_before = messages.size();
        size_t index = 0;
        for (const JsonValue block : content)
            read_block(block, strprintf("%s.content[%zu]", path.c_str(), index++), message, messages);
        only_results = messages.size() > n_before && message.content.empty();
    } else if (content.is(JsonKind::text)) {
        message.content = content.as_text();
    } else {
        refuse(nullptr, fields.path_of("content"), "must be a string or an array of blocks");
    }
    if (!only_results) messages.push_back(std::move(message));
}

void read_tools(JsonValue tools, ChatRequest& request) {
    size_t index = 0;
    for (const JsonValue tool : tools) {
        Fields fields(tool, strprintf("tools[%zu]", index++));
        if (fields.text("type", "custom") != "custom")
            refuse("unsupported_value", fields.path_of("type"),
                   "must be \"custom\": this server runs no tools");
        const std::string_view name = fields.required_text("name");
        const std::string_view description = fields.text("description");
        const JsonValue schema = fields.object("input_schema");
        if (!schema) refuse(nullptr, fields.path_of("input_schema"), "is missing");
        fields.boolean("strict", false);
        add_tool(request, name, description, schema, fields.take("strict"), fields.path_of("input_schema"));
        fields.ignore("cache_control input_examples defer_loading allowed_callers eager_input_streaming");
        fields.finish();
    }
}

void read_tool_choice(JsonValue choice, ChatRequest& request) {
    if (!choice) return;
    Fields fields(choice, "tool_choice");
    const int type = fields.choice("type", "auto any tool none");
    if (type < 0) refuse(nullptr, "tool_choice.type", "is missing");
    if (type == 2) request.forced_tool = fields.required_text("name");
    if (type == 1 || type == 2) request.tool_choice = ToolChoice::required;
    if (type == 3) request.tool_choice = ToolChoice::none;
    request.parallel_calls = !fields.boolean("disable_parallel_tool_use", false);
    fields.finish();
}

void read_thinking(JsonValue thinking, ChatRequest& request) {
    // Without a word about it, this API does not think.
    const chat::Template* chat_template = request.model->served.chat_template;
    const auto off = [&] {
        if (chat_template && chat_template->reasoning_support().on_off)
            request.reasoning = chat::Reasoning::off;
    };
    if (!thinking) return off();
    Fields fields(thinking, "thinking");
    const int type = fields.choice("type", "disabled enabled adaptive");
    if (type < 0) refuse(nullptr, "thinking.type", "is missing");
    if (type == 0) off();
    if (type == 1) request.reasoning = chat::Reasoning::on;
    fields.integer("budget_tokens", 1024, 1, INT32_MAX);
    fields.ignore("display");
    fields.finish();
}

ChatRequest read_body(JsonValue root, const Service& service, bool count_only) {
    ChatRequest request;
    Fields fields(root);
    const std::string_view name = fields.required_text("model");
    request.model = &service.model(name);
    GenerationPlan& plan = request.plan;
    plan.sampling = request.model->served.sampling;

    const JsonValue system = fields.take("system");
    if (system) {
        request.messages.emplace_back();
        request.messages[0].role = "system";
        request.messages[0].content = read_content(system, "system");
    }
    const JsonValue messages = fields.array("messages");
    if (!messages) refuse(nullptr, "messages", "is missing: it must be an array");
    size_t index = 0;
    for (const JsonValue message : messages)
        read_message(message, strprintf("messages[%zu]", index++), request.messages);

    read_tools(fields.array("tools"), request);
    read_tool_choice(fields.object("tool_choice"), request);
    read_thinking(fields.object("thinking"), request);
    const JsonValue output = fields.object("output_config");
    if (output) {
        Fields config(output, "output_config");
        read_format(config.object("format"), "output_config.format", request);
        config.ignore("effort");
        config.finish();
    }
    read_format(fields.object("output_format"), "output_format", request);
    if (!count_only) {
        plan.max_tokens = fields.integer("max_tokens", -1, 1, INT32_MAX);
        if (plan.max_tokens < 0) refuse(nullptr, "max_tokens", "is missing: it must be a whole number");
        plan.stops = read_stops(fields, "stop_sequences");
        read_sampling(fields, *request.model, plan.sampling);
        request.stream = fields.boolean("stream", false);
    }
    request.continue_last = true;
    fields.ignore("metadata service_tier cache_control inference_geo");
    for (const char* other : {"container", "mcp_servers", "context_management"})
        fields.refuse_unless(other, "[]", "is not supported by this server");
    fields.finish();
    return request;
}

/// What a stream has open.
enum class Block : uint8_t { none, text, thinking, tool };

class MessageJob final : public Job {
  public:
    MessageJob(const ApiCall& call, GenerationPlan what, bool streams)
        : Job(call, std::move(what), streams), id_(make_id("msg_")) {}

  private:
    std::string message_json(std::string_view content, const char* reason, const std::string* stop,
                             std::string_view usage) const {
        return make_json(
            R"({"id":?,"type":"message","role":"assistant","model":?,"content":[?],"stop_reason":?,"stop_sequence":?,"usage":?})",
            {id_, plan.model->served.name, RawJson{content}, reason,
             stop ? JsonArgument(*stop) : JsonArgument(nullptr), RawJson{usage}});
    }

    std::string final_usage() const {
        return usage_json(n_prompt_tokens() - n_cached_tokens(), n_cached_tokens(), n_generated_tokens());
    }
    static std::string usage_json(int64_t input, int64_t cached, int64_t output) {
        return make_json(
            R"({"input_tokens":?,"cache_creation_input_tokens":0,"cache_read_input_tokens":?,"output_tokens":?})",
            {input, cached, output});
    }

    static const char* stop_reason(const Choice& choice) {
        const std::string_view reason = choice.finish_reason();
        return choice.stop()            ? "stop_sequence"
               : reason == "length"     ? "max_tokens"
               : reason == "tool_calls" ? "tool_use"
                                        : "end_turn";
    }

    void send(const char* name, const char* pattern, std::initializer_list<JsonArgument> arguments) {
        event(make_json(pattern, arguments), name);
    }

    void begin() override {
        send("message_start", R"({"type":"message_start","message":?})",
             {RawJson{message_json("", nullptr, nullptr, usage_json(n_prompt_tokens(), 0, 0))}});
    }

    void open_block(Block block, const char* pattern, std::initializer_list<JsonArgument> arguments) {
        close_block();
        open_ = block;
        send("content_block_start", R"({"type":"content_block_start","index":?,"content_block":?})",
             {n_blocks_, RawJson{make_json(pattern, arguments)}});
    }
    void close_block() {
        if (open_ == Block::none) return;
        if (open_ == Block::thinking)
            send(
                "content_block_delta",
                R"({"type":"content_block_delta","index":?,"delta":{"type":"signature_delta","signature":""}})",
                {n_blocks_});
        send("content_block_stop", R"({"type":"content_block_stop","index":?})", {n_blocks_++});
        open_ = Block::none;
    }
    void delta(const char* type, const char* member, std::string_view text) {
        send("content_block_delta", R"({"type":"content_block_delta","index":?,"delta":{"type":?,?:?}})",
             {n_blocks_, type, member, text});
    }

    void piece(Choice&, const chat::ReplyEvent& piece) override {
        using chat::ReplyEvent;
        switch (piece.kind) {
            case ReplyEvent::content:
                if (open_ != Block::text) open_block(Block::text, R"({"type":"text","text":""})", {});
                delta("text_delta", "text", piece.text);
                break;
            case ReplyEvent::reasoning:
                if (open_ != Block::thinking)
                    open_block(Block::thinking, R"({"type":"thinking","thinking":"","signature":""})", {});
                delta("thinking_delta", "thinking", piece.text);
                break;
            case ReplyEvent::call_begin:
                open_block(Block::tool, R"({"type":"tool_use","id":?,"name":?,"input":{}})",
                           {piece.id, piece.text});
                break;
            case ReplyEvent::call_arguments:
                delta("input_json_delta", "partial_json", piece.text);
                break;
            case ReplyEvent::call_end:
                close_block();
                break;
        }
    }

    void choice_ended(Choice& choice) override {
        close_block();
        const std::string* stop = choice.stop();
        send("message_delta",
             R"({"type":"message_delta","delta":{"stop_reason":?,"stop_sequence":?},"usage":?})",
             {stop_reason(choice), stop ? JsonArgument(*stop) : JsonArgument(nullptr),
              RawJson{final_usage()}});
        send("message_stop", R"({"type":"message_stop"})", {});
    }

    void finish() override {
        if (stream) return;
        const Choice& choice = *choices_[0];
        const chat::Reply& reply = choice.reply;
        std::string content;
        const auto comma = [&] { return RawJson{content.empty() ? "" : ","}; };
        if (!reply.reasoning.empty())
            append_json(content, R"({"type":"thinking","thinking":?,"signature":""})", {reply.reasoning});
        if (!reply.content.empty())
            append_json(content, R"(?{"type":"text","text":?})", {comma(), reply.content});
        for (const chat::ToolCall& call : reply.tool_calls)
            append_json(
                content, R"(?{"type":"tool_use","id":?,"name":?,"input":?})",
                {comma(), call.id, call.name,
                 RawJson{call.complete && !call.arguments_json.empty() ? call.arguments_json : "{}"}});
        out = message_json(content, stop_reason(choice), choice.stop(), final_usage());
    }

    void write_error(int status, std::string_view message) override {
        event(error_body(path_, status, nullptr, {}, message, request_id_), "error");
    }

    const std::string id_;
    Block open_ = Block::none;
    int n_blocks_ = 0;
};

}  // namespace

void anthropic_messages(const ApiCall& call) {
    const Json json(call.request.body, "the request", JsonSource::request);
    ChatRequest request = read_body(json.root(), call.service, false);
    const bool stream = request.stream;
    std::make_shared<MessageJob>(call, make_plan(std::move(request)), stream)->start(1);
}

void anthropic_count_tokens(const ApiCall& call) {
    const Json json(call.request.body, "the request", JsonSource::request);
    const GenerationPlan plan = make_plan(read_body(json.root(), call.service, true));
    send_json(*call.response, make_json(R"({"input_tokens":?})", {plan.prompt.size()}));
}

}  // namespace agave::server
