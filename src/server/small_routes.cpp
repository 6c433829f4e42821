// The routes that generate nothing: lists of models, token ids, what is not there.
#include "server/chat_request.h"
#include "tokenizer/prompt_tokens.h"

namespace agave::server {

namespace {

std::string model_json(const LoadedModel& model) {
    return make_json(R"({"id":?,"object":"model","created":?,"owned_by":"agave","max_model_len":?})",
                     {model.served.name, model.created, model.served.context_size});
}

constexpr size_t kMaxTokens = 1 << 24;

}  // namespace

void openai_models(const ApiCall& call) {
    std::string list;
    for (const std::unique_ptr<LoadedModel>& model : call.service.models)
        (list += list.empty() ? "" : ",") += model_json(*model);
    send_json(*call.response, make_json(R"({"object":"list","data":[?]})", {RawJson{list}}));
}

void openai_model(const ApiCall& call) {
    send_json(*call.response,
              model_json(call.service.model(call.request.path.substr(sizeof "/v1/models/" - 1))));
}

void no_embeddings(const ApiCall&) {
    throw ApiError(501, "unsupported", {}, "this server makes text only: it has no embeddings");
}

void tokenize(const ApiCall& call) {
    const Json body(call.request.body, "the request", JsonSource::request);
    Fields fields(body.root());
    const LoadedModel& model = call.service.model(fields.text("model"));
    const std::string_view text = fields.required_text("content");
    const bool add_special = fields.boolean("add_special", false);
    const bool parse_special = fields.boolean("parse_special", true);
    const bool with_pieces = fields.boolean("with_pieces", false);
    fields.finish();
    const Tokenizer& tokenizer = model.tokenizer();
    const std::vector<int32_t> ids =
        tokenizer.encode(text, {.add_special = add_special, .parse_special = parse_special});
    std::string list;
    for (const int32_t id : ids) {
        if (!list.empty()) list += ',';
        if (with_pieces)
            append_json(list, R"({"id":?,"piece":?})", {id, tokenizer.token_bytes(id, true)});
        else
            list += std::to_string(id);
    }
    send_json(*call.response, make_json(R"({"tokens":[?]})", {RawJson{list}}));
}

void detokenize(const ApiCall& call) {
    const Json body(call.request.body, "the request", JsonSource::request);
    Fields fields(body.root());
    const LoadedModel& model = call.service.model(fields.text("model"));
    const JsonValue tokens = fields.array("tokens");
    if (!tokens) refuse("missing_required_parameter", "tokens", "is missing: it must be an array");
    if (tokens.size() > kMaxTokens) refuse("invalid_value", "tokens", "has more than 2^24 tokens");
    const bool special = fields.boolean("special", true);
    fields.finish();
    std::vector<int32_t> ids;
    for (const JsonValue id : tokens) {
        if (!id.is(JsonKind::integer) || id.as_integer() < 0 ||
            id.as_integer() >= model.tokenizer().n_vocab())
            refuse("invalid_value", "tokens", "must hold token ids from 0 to %d",
                   model.tokenizer().n_vocab() - 1);
        ids.push_back(static_cast<int32_t>(id.as_integer()));
    }
    send_json(*call.response, make_json(R"({"content":?})", {model.tokenizer().decode(ids, special)}));
}

}  // namespace agave::server
