// POST /v1/completions: https://platform.openai.com/docs/api-reference/completions
#include <algorithm>

#include "server/openai.h"
#include "tokenizer/prompt_tokens.h"

namespace agave::server {

namespace {

constexpr size_t kMaxPrompts = 128;

struct Body {
    GenerationPlan plan;
    std::vector<std::vector<int32_t>> prompts;
    std::vector<std::string> texts;  ///< of the prompts, for echo
    int n = 1;
    bool echo = false, stream = false, include_usage = false;
};

std::vector<int32_t> read_token_ids(JsonValue list, const std::string& path, int32_t n_vocab) {
    std::vector<int32_t> ids;
    ids.reserve(list.size());
    for (const JsonValue id : list) {
        if (!id.is(JsonKind::integer) || id.as_integer() < 0 || id.as_integer() >= n_vocab)
            refuse("invalid_value", path, "must hold token ids from 0 to %d", n_vocab - 1);
        ids.push_back(static_cast<int32_t>(id.as_integer()));
    }
    return ids;
}

void add_prompt(JsonValue value, const std::string& path, Body& body) {
    const Tokenizer& tokenizer = body.plan.model->tokenizer();
    std::string text;
    std::vector<int32_t> ids;
    if (value.is(JsonKind::text)) {
        text = value.as_text();
        ids = prompt_tokens(text, tokenizer);
    } else if (value.is(JsonKind::array)) {
        ids = read_token_ids(value, path, tokenizer.n_vocab());
        StreamDecoder decoder(tokenizer);
        for (const int32_t id : ids) text += decoder.push(id);
        text += decoder.finish();
    } else {
        refuse("invalid_type", path, "must be a string or an array of token ids");
    }
    check_length(*body.plan.model, ids.size());
    body.prompts.push_back(std::move(ids));
    body.texts.push_back(std::move(text));
}

void read_prompts(JsonValue prompt, Body& body) {
    if (!prompt) refuse("missing_required_parameter", "prompt", "is missing");
    const bool many = prompt.is(JsonKind::array) && prompt.size() && !prompt.at(0).is(JsonKind::integer);
    if (!many) return add_prompt(prompt, "prompt", body);
    if (prompt.size() > kMaxPrompts) refuse("invalid_value", "prompt", "has more than 128 prompts");
    for (const JsonValue one : prompt) add_prompt(one, strprintf("prompt[%zu]", body.prompts.size()), body);
}

Body read_body(JsonValue root, const Service& service) {
    Body body;
    Fields fields(root);
    GenerationPlan& plan = body.plan;
    plan.model = &service.model(fields.text("model"));
    plan.sampling = plan.model->served.sampling;
    read_prompts(fields.take("prompt"), body);
    read_sampling(fields, *plan.model, plan.sampling);
    plan.max_tokens = fields.integer("max_tokens", 16, 0, INT32_MAX);
    plan.stops = read_stops(fields, "stop");
    plan.ignore_end = fields.boolean("ignore_eos", false);
    body.n = static_cast<int>(fields.integer("n", 1, 1, 128));
    body.echo = fields.boolean("echo", false);
    plan.top_logprobs = static_cast<int>(fields.integer("logprobs", -1, 0, 20));
    if (body.echo) plan.prompt_logprobs = plan.top_logprobs;
    if (plan.max_tokens == 0 && !body.echo) refuse("invalid_value", "max_tokens", "may be 0 with echo only");
    // The one token is then listed with its probability also where it ends the text, as clients that score
    // texts expect.
    if (plan.max_tokens == 1 && plan.top_logprobs >= 0) plan.ignore_end = true;
    const std::string_view grammar = fields.text("grammar");
    if (!grammar.empty()) plan.grammar = Grammar::from_gbnf(grammar);
    body.stream = fields.boolean("stream", false);
    const JsonValue stream_options = fields.object("stream_options");
    if (stream_options) {
        if (!body.stream) refuse("invalid_value", "stream_options", "needs stream to be true");
        Fields options(stream_options, "stream_options");
        body.include_usage = options.boolean("include_usage", false);
        options.ignore("include_obfuscation");
        options.finish();
    }
    fields.refuse_unless("best_of", std::to_string(body.n), "must equal n");
    fields.refuse_unless("suffix", "\"\"", "is not supported by this server");
    fields.ignore(kHarmless);
    fields.finish();
    return body;
}

int32_t count_characters(std::string_view text) {
    return static_cast<int32_t>(
        std::count_if(text.begin(), text.end(), [](char byte) { return (byte & 0xC0) != 0x80; }));
}

class CompletionJob final : public Job {
  public:
    CompletionJob(const ApiCall& call, Body body)
        : Job(call, std::move(body.plan), body.stream),
          texts_(std::move(body.texts)),
          echo_(body.echo),
          include_usage_(body.include_usage),
          id_(make_id("cmpl-")) {}

  private:
    /// What a stream has given of a choice.
    struct Progress {
        bool echoed = false;
        int32_t n_characters = 0;
    };

    std::string answer(std::string_view choices, const std::string& usage) const {
        return make_json(R"({"id":?,"object":"text_completion","created":?,"model":?,"choices":[?]?})",
                         {id_, created, plan.model->served.name, RawJson{choices},
                          RawJson{usage.empty() ? usage : ",\"usage\":" + usage}});
    }

    Progress& progress(const Choice& choice) {
        if (progress_.size() < choices_.size()) progress_.resize(choices_.size());
        return progress_[static_cast<size_t>(choice.index)];
    }
    const std::string& prompt_text(const Choice& choice) const {
        return texts_[static_cast<size_t>(choice.index) / n_per_prompt_];
    }

    std::string choice_json(Choice& choice, std::string_view text, bool with_prompt, const char* reason) {
        return make_json(
            R"({"text":?,"index":?,"logprobs":?,"finish_reason":?})",
            {text, choice.index,
             RawJson{plan.top_logprobs >= 0 ? logprobs_json(choice, with_prompt) : "null"}, reason});
    }

    std::string logprobs_json(Choice& choice, bool with_prompt) {
        std::vector<const TokenRecord*> records;
        if (with_prompt)
            for (const TokenRecord& record : choice.prompt_records) records.push_back(&record);
        for (; choice.n_records_used < choice.records.size(); choice.n_records_used++)
            records.push_back(&choice.records[choice.n_records_used]);
        std::string tokens, logprobs, tops, offsets;
        int32_t& n_characters = progress(choice).n_characters;
        for (const TokenRecord* record : records) {
            const RawJson comma{tokens.empty() ? "" : ","};
            append_json(tokens, "??", {comma, token_name(tokenizer(), record->id)});
            append_json(logprobs, "??", {comma, record->logprob});
            append_json(tops, "??", {comma, RawJson{top_json(*record)}});
            append_json(offsets, "??", {comma, n_characters});
            n_characters += count_characters(tokenizer().token_bytes(record->id));
        }
        return make_json(R"({"tokens":[?],"token_logprobs":[?],"top_logprobs":[?],"text_offset":[?]})",
                         {RawJson{tokens}, RawJson{logprobs}, RawJson{tops}, RawJson{offsets}});
    }

    std::string top_json(const TokenRecord& record) const {
        if (record.logprob != record.logprob) return "null";
        std::string json;
        const auto add = [&](int32_t id, float logprob) {
            append_json(json, "??:?",
                        {RawJson{json.empty() ? "{" : ","}, token_name(tokenizer(), id), logprob});
        };
        bool has_own = false;
        for (const TokenLogprob& top : record.top) {
            add(top.id, top.logprob);
            has_own = has_own || top.id == record.id;
        }
        if (!has_own) add(record.id, record.logprob);
        return json + "}";
    }

    const char* reason_of(const Choice& choice) const {
        if (!choice.records.empty() && choice.result.reason == FinishReason::length &&
            tokenizer().is_end_of_generation(choice.records.back().id))
            return "stop";
        return choice.finish_reason();
    }

    void write_chunk(Choice& choice, std::string_view text, const char* reason) {
        const bool with_prompt = echo_ && !progress(choice).echoed;
        progress(choice).echoed = true;
        std::string both;
        if (with_prompt) text = both = prompt_text(choice) + std::string(text);
        event(answer(choice_json(choice, text, with_prompt, reason), include_usage_ ? "null" : ""));
    }

    void piece(Choice& choice, const chat::ReplyEvent& piece) override {
        write_chunk(choice, piece.text, nullptr);
    }
    void choice_ended(Choice& choice) override { write_chunk(choice, "", reason_of(choice)); }

    void finish() override {
        const std::string usage = usage_json({n_prompt_tokens(), n_cached_tokens(), n_generated_tokens(), 0});
        if (stream) {
            if (include_usage_) event(answer("", usage));
            out += "data: [DONE]\n\n";
            return;
        }
        std::string choices;
        for (const std::unique_ptr<Choice>& choice : choices_) {
            if (!choices.empty()) choices += ',';
            const std::string text = (echo_ ? prompt_text(*choice) : "") + choice->reply.content;
            choices += choice_json(*choice, text, echo_, reason_of(*choice));
        }
        out = answer(choices, usage);
    }

    void write_error(int status, std::string_view message) override {
        out += "data: " + error_body(path_, status, nullptr, {}, message, request_id_) + "\n\n";
    }

    const std::vector<std::string> texts_;
    const bool echo_, include_usage_;
    const std::string id_;
    std::vector<Progress> progress_;
};

}  // namespace

void openai_completions(const ApiCall& call) {
    const Json json(call.request.body, "the request", JsonSource::request);
    Body body = read_body(json.root(), call.service);
    const std::vector<std::vector<int32_t>> prompts = std::move(body.prompts);
    const int n = body.n;
    std::make_shared<CompletionJob>(call, std::move(body))->start(prompts, n);
}

}  // namespace agave::server
