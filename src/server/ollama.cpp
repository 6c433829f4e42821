// Ollama's API under /api/: https://github.com/ollama/ollama/blob/main/docs/api.md
#include <ctime>

#include "server/chat_request.h"
#include "tokenizer/prompt_tokens.h"

namespace agave::server {

namespace {

/// The version of Ollama's API that is spoken; front ends look whether it is new enough.
constexpr const char* kSpokenVersion = "0.12.0";

LoadedModel& find_model(const Service& service, std::string_view name) {
    // Clients add the tag that Ollama gives to names without one.
    if (name.ends_with(":latest")) name.remove_suffix(sizeof ":latest" - 1);
    return service.model(name);
}

void read_options(JsonValue options, ChatRequest& request) {
    if (!options) return;
    GenerationPlan& plan = request.plan;
    Fields fields(options, "options");
    read_sampling(fields, *request.model, plan.sampling);
    // -1: without a limit, -2: until the context is full, which is the same here.
    const int64_t limit = fields.integer("num_predict", -1, -2, INT32_MAX);
    if (limit == 0) refuse(nullptr, "options.num_predict", "is 0, but must be 1 or more, or -1");
    plan.max_tokens = limit < 0 ? -1 : limit;
    plan.stops = read_stops(fields, "stop");
    fields.ignore(
        "num_ctx num_keep num_gpu num_thread num_batch main_gpu use_mmap use_mlock numa low_vram f16_kv "
        "logits_all vocab_only penalize_newline mirostat_tau mirostat_eta");
    fields.refuse_unless("mirostat", "0", "must be 0: this server has no Mirostat");
    fields.refuse_unless("tfs_z", "1", "must be 1: this server has no tail-free sampling");
    fields.finish();
}

void read_format_field(JsonValue format, ChatRequest& request) {
    if (!format) return;
    if (format.is(JsonKind::object)) {
        request.format = ChatRequest::Format::schema;
        request.format_text = json_text(format);
    } else if (format.is(JsonKind::text) && format.as_text() == "json") {
        request.format = ChatRequest::Format::json;
    } else if (!format.is(JsonKind::text) || !format.as_text().empty()) {
        refuse(nullptr, "format", "must be \"json\" or a JSON Schema");
    }
}

void read_think(JsonValue think, ChatRequest& request) {
    using chat::Reasoning;
    if (!think) return;
    if (think.is(JsonKind::boolean)) {
        request.reasoning = think.as_boolean() ? Reasoning::on : Reasoning::off;
        return;
    }
    const std::string_view word = think.is(JsonKind::text) ? think.as_text() : std::string_view();
    request.reasoning = word == "low"      ? Reasoning::low
                        : word == "medium" ? Reasoning::medium
                        : word == "high"   ? Reasoning::high
                                           : Reasoning::automatic;
    if (request.reasoning == Reasoning::automatic)
        refuse(nullptr, "think", "must be true, false, \"low\", \"medium\" or \"high\"");
}

/// What /api/chat and /api/generate have in common.
void read_common(Fields& fields, ChatRequest& request) {
    request.plan.sampling = request.model->served.sampling;
    read_options(fields.object("options"), request);
    read_format_field(fields.take("format"), request);
    read_think(fields.take("think"), request);
    request.stream = fields.boolean("stream", true);
    fields.ignore("keep_alive");
}

void refuse_images(Fields& fields) {
    fields.refuse_unless("images", "[]", "are not supported: this server takes text only");
}

chat::Message read_message(JsonValue value, const std::string& path) {
    Fields fields(value, path);
    chat::Message message;
    const int role = fields.choice("role", "system user assistant tool");
    if (role < 0) refuse(nullptr, fields.path_of("role"), "is missing");
    constexpr const char* roles[] = {"system", "user", "assistant", "tool"};
    message.role = roles[role];
    message.content = fields.text("content");
    const std::string_view thinking = fields.text("thinking");
    if (!thinking.empty()) message.reasoning = thinking;
    message.name = fields.text("tool_name");
    message.tool_call_id = fields.text("tool_call_id");
    refuse_images(fields);
    size_t index = 0;
    for (const JsonValue entry : fields.array("tool_calls")) {
        Fields call(entry, strprintf("%s.tool_calls[%zu]", path.c_str(), index++));
        Fields function(call.object("function"), call.path_of("function"));
        call.ignore("type");
        chat::ToolCall made;
        made.id = call.text("id");
        made.name = function.required_text("name");
        const JsonValue arguments = function.object("arguments");
        if (arguments) made.arguments_json = json_text(arguments);
        function.ignore("index");
        function.finish();
        call.finish();
        message.tool_calls.push_back(std::move(made));
    }
    fields.finish();
    return message;
}

ChatRequest read_chat(JsonValue root, const Service& service) {
    ChatRequest request;
    Fields fields(root);
    request.model = &find_model(service, fields.required_text("model"));
    read_common(fields, request);
    const JsonValue messages = fields.array("messages");
    if (!messages) refuse(nullptr, "messages", "is missing: it must be an array");
    for (const JsonValue message : messages)
        request.messages.push_back(
            read_message(message, strprintf("messages[%zu]", request.messages.size())));
    size_t index = 0;
    for (const JsonValue tool : fields.array("tools")) {
        Fields outer(tool, strprintf("tools[%zu]", index++));
        outer.ignore("type");
        Fields function(outer.object("function"), outer.path_of("function"));
        const std::string_view name = function.required_text("name");
        const std::string_view description = function.text("description");
        add_tool(request, name, description, function.object("parameters"), {},
                 function.path_of("parameters"));
        function.ignore("strict");
        function.finish();
        outer.finish();
    }
    request.continue_last = true;
    fields.finish();
    return request;
}

class OllamaJob final : public Job {
  public:
    OllamaJob(const ApiCall& call, GenerationPlan what, bool streams, bool chat)
        : Job(call, std::move(what), streams), chat_(chat) {}

  private:
    const char* stream_type() const override { return "application/x-ndjson"; }

    /// One line: `message` is what stands in the message of /api/chat, or beside "response".
    void line(std::string_view content, std::string_view more, std::string_view end) {
        append_json(
            out,
            chat_ ? R"({"model":?,"created_at":?,"message":{"role":"assistant","content":??},"done":??})"
                  : R"({"model":?,"created_at":?,"response":??,"done":??})",
            {plan.model->served.name, timestamp(std::time(nullptr)), content, RawJson{more}, !end.empty(),
             RawJson{end}});
        if (stream) out += '\n';
    }

    static void append_call(std::string& more, const chat::ToolCall& call) {
        append_json(more, R"({"function":{"name":?,"arguments":?}})",
                    {call.name, RawJson{call.arguments_json.empty() ? "{}" : call.arguments_json}});
    }

    void piece(Choice& choice, const chat::ReplyEvent& piece) override {
        using chat::ReplyEvent;
        if (piece.kind == ReplyEvent::content) return line(piece.text, "", "");
        std::string more;
        if (piece.kind == ReplyEvent::reasoning) {
            append_json(more, R"(,"thinking":?)", {piece.text});
        } else if (piece.kind == ReplyEvent::call_end) {
            more = R"(,"tool_calls":[)";
            append_call(more, choice.reply.tool_calls[piece.call]);
            more += ']';
        } else {
            return;
        }
        line("", more, "");
    }

    void finish() override {
        const Choice& choice = *choices_[0];
        const GenerationResult& result = choice.result;
        const auto nanoseconds = [](double seconds) { return static_cast<int64_t>(seconds * 1e9); };
        const std::string end = make_json(
            R"(,"done_reason":?,"total_duration":?,"load_duration":0,"prompt_eval_count":?,"prompt_eval_duration":?,"eval_count":?,"eval_duration":?)",
            {std::string_view(choice.finish_reason()) == "length" ? "length" : "stop",
             nanoseconds(result.queue_seconds + result.prefill_seconds + result.decode_seconds),
             n_prompt_tokens(), nanoseconds(result.prefill_seconds), n_generated_tokens(),
             nanoseconds(result.decode_seconds)});
        if (stream) return line("", "", end);
        std::string more;
        const chat::Reply& reply = choice.reply;
        if (!reply.reasoning.empty()) append_json(more, R"(,"thinking":?)", {reply.reasoning});
        bool first = true;
        for (const chat::ToolCall& call : reply.tool_calls) {
            if (!call.complete) continue;
            more += first ? R"(,"tool_calls":[)" : ",";
            first = false;
            append_call(more, call);
        }
        if (!first) more += ']';
        line(reply.content, more, end);
    }

    void write_error(int status, std::string_view message) override {
        out += error_body(path_, status, nullptr, {}, message, request_id_) + "\n";
    }

    const bool chat_;
};

std::string details_json(const LoadedModel& model) {
    const Metadata& metadata = model.served.file->metadata();
    double n_weights = 0;
    for (const Tensor& tensor : model.served.file->tensors())
        n_weights += static_cast<double>(tensor.n_elements());
    const std::string_view architecture = metadata.text_or("general.architecture", "");
    // The format of most weights names the file.
    std::string_view format;
    int64_t most = 0;
    for (const Tensor& tensor : model.served.file->tensors())
        if (tensor.n_elements() > most && tensor.n_dims > 1) {
            most = tensor.n_elements();
            format = tensor.format_name();
        }
    return make_json(
        R"({"parent_model":"","format":"gguf","family":?,"families":[?],"parameter_size":?,"quantization_level":?})",
        {architecture, architecture,
         n_weights < 1e9 ? strprintf("%.0fM", n_weights / 1e6) : strprintf("%.1fB", n_weights / 1e9),
         format});
}

}  // namespace

void ollama_chat(const ApiCall& call) {
    const Json json(call.request.body, "the request", JsonSource::request);
    ChatRequest request = read_chat(json.root(), call.service);
    const bool stream = request.stream;
    std::make_shared<OllamaJob>(call, make_plan(std::move(request)), stream, true)->start(1);
}

void ollama_generate(const ApiCall& call) {
    const Json json(call.request.body, "the request", JsonSource::request);
    ChatRequest request;
    Fields fields(json.root());
    request.model = &find_model(call.service, fields.required_text("model"));
    read_common(fields, request);
    const std::string_view prompt = fields.text("prompt");
    const std::string_view system = fields.text("system");
    const bool raw = fields.boolean("raw", false) || !request.model->served.chat_template;
    refuse_images(fields);
    fields.refuse_unless("suffix", "\"\"", "is not supported by this server");
    fields.refuse_unless("template", "\"\"", "cannot be set: the model has its own");
    fields.refuse_unless("context", "[]", "is not supported: use /api/chat");
    fields.finish();
    if (prompt.empty()) {
        // Ollama's way to load a model, which is loaded.
        send_json(*call.response,
                  make_json(R"({"model":?,"created_at":?,"response":"","done":true,"done_reason":"load"})",
                            {request.model->served.name, timestamp(std::time(nullptr))}));
        return;
    }
    const bool stream = request.stream;
    GenerationPlan plan;
    if (raw) {
        if (!system.empty()) refuse(nullptr, "system", "needs the model's chat template");
        if (request.format != ChatRequest::Format::text)
            refuse(nullptr, "format", "needs the model's chat template");
        plan = std::move(request.plan);
        plan.model = request.model;
        plan.prompt = prompt_tokens(prompt, request.model->tokenizer());
        check_length(*plan.model, plan.prompt.size());
    } else {
        const auto say = [&](const char* role, std::string_view content) {
            request.messages.emplace_back();
            request.messages.back().role = role;
            request.messages.back().content = content;
        };
        if (!system.empty()) say("system", system);
        say("user", prompt);
        plan = make_plan(std::move(request));
    }
    std::make_shared<OllamaJob>(call, std::move(plan), stream, false)->start(1);
}

void ollama_tags(const ApiCall& call) {
    std::string list;
    for (const std::unique_ptr<LoadedModel>& model : call.service.models) {
        if (!list.empty()) list += ',';
        append_json(list, R"({"name":?,"model":?,"modified_at":?,"size":?,"digest":"","details":?})",
                    {model->served.name, model->served.name, timestamp(model->created),
                     model->served.file->n_bytes(), RawJson{details_json(*model)}});
    }
    send_json(*call.response, make_json(R"({"models":[?]})", {RawJson{list}}));
}

void ollama_show(const ApiCall& call) {
    const Json json(call.request.body, "the request", JsonSource::request);
    Fields fields(json.root());
    const std::string_view old_name = fields.text("name");
    const LoadedModel& model = find_model(call.service, fields.text("model", old_name));
    fields.boolean("verbose", false);
    fields.ignore("system template options");
    fields.finish();
    const Metadata& metadata = model.served.file->metadata();
    std::string info;
    for (const MetadataEntry& entry : metadata.entries()) {
        const RawJson comma{info.empty() ? "" : ","};
        if (entry.key == "tokenizer.chat_template") continue;
        if (const auto* text = std::get_if<std::string_view>(&entry.value))
            append_json(info, "??:?", {comma, entry.key, *text});
        else if (const auto* integer = std::get_if<int64_t>(&entry.value))
            append_json(info, "??:?", {comma, entry.key, *integer});
        else if (const auto* natural = std::get_if<uint64_t>(&entry.value))
            append_json(info, "??:?", {comma, entry.key, *natural});
        else if (const auto* number = std::get_if<double>(&entry.value))
            append_json(info, "??:?", {comma, entry.key, static_cast<float>(*number)});
        else if (const auto* truth = std::get_if<bool>(&entry.value))
            append_json(info, "??:?", {comma, entry.key, *truth});
    }
    std::string capabilities = R"("completion")";
    if (model.syntax.tools != chat::ToolSyntax::none) capabilities += R"(,"tools")";
    if (model.syntax.reasoning != chat::ReasoningSyntax::none) capabilities += R"(,"thinking")";
    send_json(
        *call.response,
        make_json(
            R"({"modelfile":"","parameters":"","template":?,"details":?,"model_info":{?},"capabilities":[?],"modified_at":?})",
            {metadata.text_or("tokenizer.chat_template", ""), RawJson{details_json(model)}, RawJson{info},
             RawJson{capabilities}, timestamp(model.created)}));
}

void ollama_version(const ApiCall& call) {
    send_json(*call.response, make_json(R"({"version":?})", {kSpokenVersion}));
}

}  // namespace agave::server
