#include "cli/chat_session.h"

#include <algorithm>

#include "base/error.h"
#include "base/system.h"
#include "chat/reply/stream.h"
#include "cli/engine_options.h"
#include "cli/prompt.h"
#include "sampling/stop_matcher.h"
#include "tokenizer/prompt_tokens.h"

namespace agave::cli {

namespace {

/// Recurrent states that are kept to go back to: of the last few prompts.
constexpr int kMaxSnapshots = 4;

EngineOptions chat_engine_options(const Options& options) {
    EngineOptions result = engine_options(options, options.kv_type, options.context_size, 1);
    result.max_snapshots = kMaxSnapshots;
    return result;
}

chat::Template load_template(const ModelFile& file) {
    const std::string_view source = file.metadata().text_or("tokenizer.chat_template", "");
    if (source.empty())
        fail(ErrorKind::unsupported,
             "'%s' has no chat template, so it cannot hold a conversation; 'agave run MODEL PROMPT' "
             "continues text",
             file.path().c_str());
    return chat::Template(std::string(source));
}

chat::Message make_message(const char* role, const std::string& content) {
    chat::Message message;
    message.role = role;
    message.content = content;
    return message;
}

}  // namespace

ChatModel::ChatModel(const std::string& model, const Options& options)
    : name(model),
      file(open_model(model)),
      tokenizer(Tokenizer::load(file.metadata())),
      chat_template(load_template(file)),
      engine(file, chat_engine_options(options)),
      sequence(engine) {}

ChatSession::ChatSession(const CommandLine& given)
    : line(given),
      grammar_(read_grammar(given.options)),
      model_(std::make_unique<ChatModel>(given.arguments[0], given.options)) {}

void ChatSession::change_model(const std::string& name) {
    // Both may not fit into memory at once; but a model that cannot be loaded must not end the conversation.
    std::unique_ptr<ChatModel> next = std::make_unique<ChatModel>(name, line.options);
    model_ = std::move(next);
    grammar_.trie.reset();
}

std::vector<int32_t> ChatSession::render() const {
    std::vector<chat::Message> all;
    if (!line.options.system.empty()) all.push_back(make_message("system", line.options.system));
    all.insert(all.end(), messages.begin(), messages.end());
    const std::string text =
        model_->chat_template.render(all, render_options(line.options, *model_->tokenizer));
    return prompt_tokens(text, *model_->tokenizer);
}

bool ChatSession::drop_oldest_turn() {
    const auto is_user = [](const chat::Message& message) { return message.role == "user"; };
    const auto first = std::find_if(messages.begin(), messages.end(), is_user);
    if (first == messages.end()) return false;
    const auto second = std::find_if(first + 1, messages.end(), is_user);
    if (second == messages.end()) return false;
    messages.erase(first, second);
    return true;
}

/// The prompt, made to leave room for an answer.
std::vector<int32_t> ChatSession::fit(TurnStatistics& statistics) {
    const int64_t context = model_->engine.context_size();
    const bool drop = line.options.on_overflow == "drop-oldest-turns";
    const int64_t room = !drop                     ? 1
                         : line.options.max_tokens ? std::min(line.options.max_tokens, context / 2)
                                                   : context / 4;
    std::vector<int32_t> tokens = render();
    while (drop && static_cast<int64_t>(tokens.size()) + room > context && drop_oldest_turn()) {
        statistics.dropped_turns++;
        tokens = render();
    }
    if (static_cast<int64_t>(tokens.size()) >= context)
        fail(
            ErrorKind::usage,
            "the conversation has %zu tokens with this message, but the context holds %lld%s", tokens.size(),
            static_cast<long long>(context),
            drop ? "" : "; /undo or /clear make room, and --on-overflow drop-oldest-turns does so by itself");
    return tokens;
}

void ChatSession::generate(std::span<const int32_t> prompt, ReplyListener& listener,
                           const std::atomic<bool>& interrupted, TurnStatistics& statistics,
                           chat::Reply& reply) {
    const Tokenizer& tokenizer = *model_->tokenizer;
    chat::ReplyOptions reply_options;
    reply_options.prompt = tokenizer.decode(prompt, true);
    reply_options.id_seed = ++n_answers_;
    if (grammar_.grammar && !grammar_.trie) grammar_.trie = std::make_unique<TokenTrie>(tokenizer);
    const std::unique_ptr<TokenConstraint> constraint =
        grammar_.constrain_answer(model_->chat_template.reply_syntax(), reply_options.prompt);
    chat::ReplyStream stream(tokenizer, model_->chat_template.reply_syntax(), std::move(reply_options));
    StopMatcher stops(line.options.stops);
    Sampler sampler(sampling_parameters(line, model_->file.metadata(), tokenizer), tokenizer.n_vocab());
    for (int32_t token : prompt) sampler.accept(token);
    const auto tell = [&](std::vector<chat::ReplyEvent> events) {
        bool stopped = false;
        for (chat::ReplyEvent& event : events) {
            if (event.kind == chat::ReplyEvent::content) {
                StopMatcher::Output output = stops.push(event.text);
                event.text = std::move(output.text);
                stopped |= output.stopped;
            }
            reply.add(event);
            listener.hear(event);
        }
        return stopped;
    };

    double begin = monotonic_seconds();
    std::span<const float> logits = model_->sequence.set(prompt, &interrupted);
    statistics.prefill_seconds = monotonic_seconds() - begin;
    statistics.prompt_tokens = static_cast<int64_t>(prompt.size());
    statistics.reused_tokens = model_->sequence.n_reused();
    begin = monotonic_seconds();
    bool stopped = false;
    for (;;) {
        if (interrupted) {
            statistics.finish_reason = "interrupted";
            break;
        }
        const int32_t token =
            sampler.sample(logits, constraint ? constraint->allowed() : std::span<const uint32_t>()).id;
        if (tokenizer.is_end_of_generation(token)) break;
        statistics.generated_tokens++;
        sampler.accept(token);
        if (constraint) constraint->accept(token);
        stopped = tell(stream.push(token));
        if (stopped) break;
        if (statistics.generated_tokens == line.options.max_tokens) {
            statistics.finish_reason = "length";
            break;
        }
        if (static_cast<int64_t>(model_->sequence.tokens().size()) == model_->engine.context_size()) {
            statistics.finish_reason = "context";
            break;
        }
        logits = model_->sequence.append(token);
    }
    if (!stopped) {
        tell(stream.finish());
        const chat::ReplyEvent rest{chat::ReplyEvent::content, 0, stops.finish(), {}};
        reply.add(rest);
        listener.hear(rest);
    }
    statistics.decode_seconds = monotonic_seconds() - begin;
}

TurnStatistics ChatSession::answer(ReplyListener& listener, const std::atomic<bool>& interrupted) {
    TurnStatistics statistics;
    const std::vector<int32_t> prompt = fit(statistics);
    chat::Reply reply;
    generate(prompt, listener, interrupted, statistics, reply);
    chat::Message message = make_message("assistant", reply.content);
    if (!reply.reasoning.empty()) message.reasoning = reply.reasoning;
    message.tool_calls = reply.tool_calls;
    messages.push_back(std::move(message));
    last_ = statistics;
    total_.prompt_tokens += statistics.prompt_tokens;
    total_.reused_tokens += statistics.reused_tokens;
    total_.generated_tokens += statistics.generated_tokens;
    total_.prefill_seconds += statistics.prefill_seconds;
    total_.decode_seconds += statistics.decode_seconds;
    return statistics;
}

bool ChatSession::undo() {
    const auto is_user = [](const chat::Message& message) { return message.role == "user"; };
    const auto last = std::find_if(messages.rbegin(), messages.rend(), is_user);
    if (last == messages.rend()) return false;
    messages.erase(last.base() - 1, messages.end());
    return true;
}

}  // namespace agave::cli
