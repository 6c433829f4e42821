// POST /v1/responses: https://platform.openai.com/docs/api-reference/responses
#include <initializer_list>

#include "server/openai.h"

namespace agave::server {

namespace {

/// The request's own words, which the response repeats.
struct Repeated {
    std::string instructions = "null", tools = "[]", tool_choice = "\"auto\"", text_format, metadata = "{}",
                effort = "null";
    int64_t max_output_tokens = -1;
};

struct Body {
    ChatRequest chat;
    Repeated repeated;
};

/// The assistant's message that calls and reasoning belong to: a new one, unless the last is one.
chat::Message& assistant_message(ChatRequest& request) {
    if (request.messages.empty() || request.messages.back().role != "assistant") {
        request.messages.emplace_back();
        request.messages.back().role = "assistant";
    }
    return request.messages.back();
}

void read_message(Fields& item, ChatRequest& request) {
    const int role = item.choice("role", "user assistant system developer");
    if (role < 0) refuse("missing_required_parameter", item.path_of("role"), "is missing");
    std::string content = read_content(item.take("content"), item.path_of("content"));
    if (role == 1) {
        chat::Message& message = assistant_message(request);
        if (!message.content.empty()) message.content += '\n';
        message.content += content;
    } else {
        chat::Message message;
        message.role = role == 0 ? "user" : "system";
        message.content = std::move(content);
        request.messages.push_back(std::move(message));
    }
    item.ignore("phase");
}

void read_reasoning_item(Fields& item, ChatRequest& request) {
    std::string text;
    size_t index = 0;
    for (const JsonValue part : item.array("content")) {
        Fields fields(part, strprintf("%s[%zu]", item.path_of("content").c_str(), index++));
        fields.ignore("type");
        text += fields.required_text("text");
        fields.finish();
    }
    item.ignore("summary encrypted_content");
    if (text.empty()) return;
    // Reasoning belongs to the answer behind it.
    chat::Message message;
    message.role = "assistant";
    message.reasoning = std::move(text);
    request.messages.push_back(std::move(message));
}

void read_item(JsonValue value, const std::string& path, ChatRequest& request) {
    Fields item(value, path);
    const std::string_view type = item.text("type", "message");
    item.ignore("id status");
    if (type == "message") {
        read_message(item, request);
    } else if (type == "function_call") {
        chat::ToolCall call;
        call.id = item.required_text("call_id");
        call.name = item.required_text("name");
        call.arguments_json = read_arguments(item);
        assistant_message(request).tool_calls.push_back(std::move(call));
        item.ignore("namespace");
    } else if (type == "function_call_output") {
        chat::Message result;
        result.role = "tool";
        result.tool_call_id = item.required_text("call_id");
        result.content = read_content(item.take("output"), item.path_of("output"));
        for (const chat::Message& earlier : request.messages)
            for (const chat::ToolCall& call : earlier.tool_calls)
                if (call.id == result.tool_call_id) result.name = call.name;
        request.messages.push_back(std::move(result));
    } else if (type == "reasoning") {
        read_reasoning_item(item, request);
    } else {
        refuse("unsupported_value", item.path_of("type"), "is '%s', which this server does not take",
               printable(type, 40).c_str());
    }
    item.finish();
}

void read_input(JsonValue input, ChatRequest& request) {
    if (!input) refuse("missing_required_parameter", "input", "is missing");
    if (input.is(JsonKind::text)) {
        request.messages.emplace_back();
        request.messages.back().role = "user";
        request.messages.back().content = input.as_text();
        return;
    }
    if (!input.is(JsonKind::array)) refuse("invalid_type", "input", "must be a string or an array of items");
    size_t index = 0;
    for (const JsonValue item : input) read_item(item, strprintf("input[%zu]", index++), request);
}

void read_includes(JsonValue list, ChatRequest& request, int64_t top_logprobs) {
    for (const JsonValue name : list) {
        if (!name.is(JsonKind::text)) refuse("invalid_type", "include", "must hold strings");
        if (name.as_text() == "message.output_text.logprobs")
            request.plan.top_logprobs = static_cast<int>(top_logprobs);
        else if (name.as_text() != "reasoning.encrypted_content")
            refuse("unsupported_value", "include", "names '%s', which this server does not have",
                   printable(name.as_text(), 60).c_str());
    }
}

Body read_body(JsonValue root, const Service& service) {
    Body body;
    ChatRequest& request = body.chat;
    Repeated& repeated = body.repeated;
    Fields fields(root);
    request.model = &service.model(fields.text("model"));
    GenerationPlan& plan = request.plan;
    plan.sampling = request.model->served.sampling;

    for (const char* reference : {"previous_response_id", "conversation"})
        fields.refuse_unless(reference, "",
                             "is not supported: this server keeps no responses, so send the whole "
                             "conversation as input");
    fields.refuse_unless("prompt", "", "is not supported: this server keeps no prompts");
    const JsonValue instructions = fields.take("instructions");
    if (instructions) {
        if (!instructions.is(JsonKind::text)) refuse("invalid_type", "instructions", "must be a string");
        request.messages.emplace_back();
        request.messages.back().role = "system";
        request.messages.back().content = instructions.as_text();
        repeated.instructions = json_text(instructions);
    }
    read_input(fields.take("input"), request);

    read_sampling(fields, *request.model, plan.sampling);
    plan.max_tokens = fields.integer("max_output_tokens", -1, 1, INT32_MAX);
    repeated.max_output_tokens = plan.max_tokens;
    const int64_t top = fields.integer("top_logprobs", 0, 0, 20);
    read_includes(fields.array("include"), request, top);
    if (top > 0 && plan.top_logprobs < 0)
        refuse("invalid_value", "top_logprobs", "needs \"message.output_text.logprobs\" in include");

    const JsonValue tools = fields.array("tools");
    if (tools) repeated.tools = json_text(tools);
    size_t index = 0;
    for (const JsonValue tool : tools) {
        Fields function(tool, strprintf("tools[%zu]", index++));
        if (function.required_text("type") != "function")
            refuse("unsupported_value", function.path_of("type"),
                   "must be \"function\": this server runs no tools of its own");
        read_function(function, request);
        function.ignore("defer_loading");
        function.finish();
    }
    const JsonValue choice = fields.take("tool_choice");
    if (choice) repeated.tool_choice = json_text(choice);
    read_tool_choice(choice, request);
    request.parallel_calls = fields.boolean("parallel_tool_calls", true);

    repeated.text_format = R"({"type":"text"})";
    const JsonValue text = fields.object("text");
    if (text) {
        Fields inner(text, "text");
        const JsonValue format = inner.object("format");
        if (format) repeated.text_format = json_text(format);
        read_format(format, "text.format", request);
        inner.refuse_unless("verbosity", "\"medium\"", "cannot be set for this model");
        inner.finish();
    }
    const JsonValue reasoning = fields.object("reasoning");
    if (reasoning) {
        Fields inner(reasoning, "reasoning");
        if (const JsonValue effort = inner.take("effort")) repeated.effort = json_text(effort);
        read_effort(inner, "effort", request);
        inner.ignore("summary generate_summary");
        inner.finish();
    }
    const JsonValue metadata = fields.object("metadata");
    if (metadata) repeated.metadata = json_text(metadata);
    request.stream = fields.boolean("stream", false);
    fields.ignore("stream_options max_tool_calls");
    fields.refuse_unless("background", "false", "must be false: this server answers at once");
    fields.refuse_unless("truncation", "\"disabled\"", "must be \"disabled\"");
    fields.ignore(kHarmless);
    fields.finish();
    return body;
}

class ResponseJob final : public Job {
  public:
    ResponseJob(const ApiCall& call, GenerationPlan what, bool streams, bool parallel, Repeated repeated)
        : Job(call, std::move(what), streams),
          parallel_(parallel),
          repeated_(std::move(repeated)),
          id_(make_id("resp_")) {}

  private:
    enum class Item : uint8_t { none, message, reasoning, call };

    std::string response_json(const char* status, std::string_view output, std::string_view usage,
                              const char* incomplete, std::string_view error) const {
        std::string details = "null";
        if (incomplete) details = make_json(R"({"reason":?})", {incomplete});
        return make_json(
            R"({"id":?,"object":"response","created_at":?,"status":?,"error":?,"incomplete_details":?,"instructions":?,"max_output_tokens":?,"model":?,"output":[?],"parallel_tool_calls":?,"previous_response_id":null,"reasoning":{"effort":?,"summary":null},"store":false,"temperature":?,"text":{"format":?},"tool_choice":?,"tools":?,"top_p":?,"truncation":"disabled","usage":?,"user":null,"metadata":?})",
            {id_, created, status, RawJson{error}, RawJson{details}, RawJson{repeated_.instructions},
             repeated_.max_output_tokens < 0 ? JsonArgument(nullptr)
                                             : JsonArgument(repeated_.max_output_tokens),
             plan.model->served.name, RawJson{output}, parallel_, RawJson{repeated_.effort},
             plan.sampling.temperature, RawJson{repeated_.text_format}, RawJson{repeated_.tool_choice},
             RawJson{repeated_.tools}, plan.sampling.top_p, RawJson{usage}, RawJson{repeated_.metadata}});
    }

    std::string usage_json() const {
        return make_json(
            R"({"input_tokens":?,"input_tokens_details":{"cached_tokens":?},"output_tokens":?,"output_tokens_details":{"reasoning_tokens":?},"total_tokens":?})",
            {n_prompt_tokens(), n_cached_tokens(), n_generated_tokens(), n_reasoning_tokens(),
             n_prompt_tokens() + n_generated_tokens()});
    }

    static std::string part_json(std::string_view text, std::string_view logprobs) {
        return make_json(R"({"type":"output_text","text":?,"annotations":[],"logprobs":[?]})",
                         {text, RawJson{logprobs}});
    }

    /// An item of the output: `text` is what it says, thinks, or calls with.
    std::string item_json(Item kind, const char* status, std::string_view text, bool with_part) const {
        switch (kind) {
            case Item::message:
                return make_json(
                    R"({"id":?,"type":"message","status":?,"role":"assistant","content":[?]})",
                    {item_id_, status, RawJson{with_part ? part_json(text, logprobs_) : std::string()}});
            case Item::reasoning: {
                std::string part;
                if (with_part) append_json(part, R"({"type":"reasoning_text","text":?})", {text});
                return make_json(R"({"id":?,"type":"reasoning","status":?,"summary":[],"content":[?]})",
                                 {item_id_, status, RawJson{part}});
            }
            default:
                return make_json(
                    R"({"id":?,"type":"function_call","status":?,"call_id":?,"name":?,"arguments":?})",
                    {item_id_, status, call_id_, call_name_, text});
        }
    }

    /// An event: `pattern` holds its members beside type and sequence_number.
    void send(const char* type, const char* pattern, std::initializer_list<JsonArgument> arguments) {
        event(make_json(R"({"type":?,"sequence_number":?,?})",
                        {type, n_events_++, RawJson{make_json(pattern, arguments)}}),
              type);
    }
    /// One of an item's part: `more` is text that is there already.
    void send_of_part(const char* type, const char* member, std::string_view text, const char* more) {
        send(type, R"("item_id":?,"output_index":?,"content_index":0,?:??)",
             {item_id_, n_items_, member, text, RawJson{more}});
    }

    void begin() override {
        const std::string response = response_json("in_progress", "", "null", nullptr, "null");
        send("response.created", R"("response":?)", {RawJson{response}});
        send("response.in_progress", R"("response":?)", {RawJson{response}});
    }

    void open_item(Item kind) {
        open_ = kind;
        text_.clear();
        logprobs_.clear();
        item_id_ = make_id(kind == Item::message ? "msg_" : kind == Item::reasoning ? "rs_" : "fc_");
        send("response.output_item.added", R"("output_index":?,"item":?)",
             {n_items_, RawJson{item_json(kind, "in_progress", "", false)}});
        if (kind == Item::message) send_part("response.content_part.added", part_json("", ""));
        if (kind == Item::reasoning)
            send_part("response.content_part.added", R"({"type":"reasoning_text","text":""})");
    }
    void send_part(const char* type, const std::string& part) {
        send(type, R"("item_id":?,"output_index":?,"content_index":0,"part":?)",
             {item_id_, n_items_, RawJson{part}});
    }

    void close_item(const char* status) {
        if (open_ == Item::none) return;
        if (open_ == Item::message) {
            send_of_part("response.output_text.done", "text", text_,
                         (",\"logprobs\":[" + logprobs_ + "]").c_str());
            send_part("response.content_part.done", part_json(text_, logprobs_));
        } else if (open_ == Item::reasoning) {
            send_of_part("response.reasoning_text.done", "text", text_, "");
            send_part("response.content_part.done",
                      make_json(R"({"type":"reasoning_text","text":?})", {text_}));
        } else {
            send("response.function_call_arguments.done",
                 R"("item_id":?,"output_index":?,"name":?,"arguments":?)",
                 {item_id_, n_items_, call_name_, text_});
        }
        const std::string item = item_json(open_, status, text_, true);
        send("response.output_item.done", R"("output_index":?,"item":?)", {n_items_++, RawJson{item}});
        add_output(item);
        open_ = Item::none;
    }
    void add_output(const std::string& item) {
        if (!output_.empty()) output_ += ',';
        output_ += item;
    }

    void piece(Choice& choice, const chat::ReplyEvent& piece) override {
        using chat::ReplyEvent;
        if (piece.kind == ReplyEvent::call_end) {
            if (text_.empty()) send_arguments("{}");
            return close_item("completed");
        }
        const Item kind = piece.kind == ReplyEvent::content     ? Item::message
                          : piece.kind == ReplyEvent::reasoning ? Item::reasoning
                                                                : Item::call;
        if (open_ != kind || piece.kind == ReplyEvent::call_begin) {
            close_item("completed");
            if (kind == Item::call) {
                call_id_ = piece.id;
                call_name_ = piece.text;
            }
            open_item(kind);
        }
        if (piece.kind != ReplyEvent::content) choice.n_records_used = choice.records.size();
        if (piece.kind == ReplyEvent::call_begin) return;
        if (kind == Item::call) return send_arguments(piece.text);
        text_ += piece.text;
        if (kind == Item::reasoning)
            return send_of_part("response.reasoning_text.delta", "delta", piece.text, "");
        const std::string logprobs = token_logprobs_json(tokenizer(), choice);
        if (!logprobs_.empty() && !logprobs.empty()) logprobs_ += ',';
        logprobs_ += logprobs;
        send_of_part("response.output_text.delta", "delta", piece.text,
                     (",\"logprobs\":[" + logprobs + "]").c_str());
    }
    void send_arguments(std::string_view text) {
        text_ += text;
        send("response.function_call_arguments.delta", R"("item_id":?,"output_index":?,"delta":?)",
             {item_id_, n_items_, text});
    }

    void choice_ended(Choice& choice) override {
        close_item(is_incomplete(choice) ? "incomplete" : "completed");
    }
    static bool is_incomplete(const Choice& choice) {
        return std::string_view(choice.finish_reason()) == "length";
    }

    void build_output(Choice& choice) {
        const chat::Reply& reply = choice.reply;
        const char* status = is_incomplete(choice) ? "incomplete" : "completed";
        const auto add = [&](Item kind, const char* prefix, std::string_view text) {
            item_id_ = make_id(prefix);
            add_output(item_json(kind, status, text, true));
        };
        if (!reply.reasoning.empty()) add(Item::reasoning, "rs_", reply.reasoning);
        choice.n_records_used = choice.n_records_before_content;
        logprobs_ = token_logprobs_json(tokenizer(), choice);
        if (!reply.content.empty()) add(Item::message, "msg_", reply.content);
        for (const chat::ToolCall& call : reply.tool_calls) {
            call_id_ = call.id;
            call_name_ = call.name;
            add(Item::call, "fc_", call.arguments_json.empty() ? "{}" : call.arguments_json);
        }
    }

    void finish() override {
        Choice& choice = *choices_[0];
        if (!stream) build_output(choice);
        const bool incomplete = is_incomplete(choice);
        const std::string response =
            response_json(incomplete ? "incomplete" : "completed", output_, usage_json(),
                          incomplete ? "max_output_tokens" : nullptr, "null");
        if (stream)
            send(incomplete ? "response.incomplete" : "response.completed", R"("response":?)",
                 {RawJson{response}});
        else
            out = response;
    }

    void write_error(int, std::string_view message) override {
        const std::string error = make_json(R"({"code":"server_error","message":?})", {message});
        send("response.failed", R"("response":?)",
             {RawJson{response_json("failed", output_, "null", nullptr, error)}});
    }

    const bool parallel_;
    const Repeated repeated_;
    const std::string id_;
    Item open_ = Item::none;
    int n_events_ = 0, n_items_ = 0;
    std::string output_;                                           ///< the items that are complete
    std::string item_id_, call_id_, call_name_, text_, logprobs_;  ///< of the item that is open
};

}  // namespace

void openai_responses(const ApiCall& call) {
    const Json json(call.request.body, "the request", JsonSource::request);
    Body body = read_body(json.root(), call.service);
    const bool stream = body.chat.stream, parallel = body.chat.parallel_calls;
    std::make_shared<ResponseJob>(call, make_plan(std::move(body.chat)), stream, parallel,
                                  std::move(body.repeated))
        ->start(1);
}

}  // namespace agave::server
