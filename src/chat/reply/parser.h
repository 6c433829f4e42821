#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "chat/reply/reply.h"
#include "chat/reply/syntax.h"

namespace agave::chat {

struct ReplyOptions {
    /// The tools of the request (RenderOptions::tools_json). Without any, calls are text like any other.
    std::string tools_json;
    /// The end of the rendered prompt, or all of it: a reply may begin within the reasoning.
    std::string prompt;
    /// Texts of the vocabulary's control tokens that are markers or beginnings of one.
    std::vector<std::string> control_tokens;
    /// What made-up ids of calls are drawn from; give each reply another one.
    uint64_t id_seed = 0;
};

/// Takes a reply apart while it is generated: into the answer, the reasoning and the tool calls. The fields
/// do not depend on how the text was cut into pieces. White space between text and markup is dropped. Markup
/// that is malformed comes out as content (within the reasoning, as reasoning): as a whole where nothing of
/// the call was certain, else from the place on where it goes wrong; the call then stays incomplete, as it
/// does when the reply ends within it.
class ReplyParser {
  public:
    /// Throws Error(usage) for tools that are no JSON.
    ReplyParser(ReplySyntax syntax, const ReplyOptions& options);
    ~ReplyParser();
    ReplyParser(ReplyParser&&) noexcept;
    ReplyParser& operator=(ReplyParser&&) noexcept;

    /// Text as it is decoded.
    void push(std::string_view text);
    /// The text of a control token. One that is no marker is left out.
    void push_control(std::string_view token_text);
    /// The reply has ended: what was held back comes out.
    void finish();

    /// The events since the last time.
    std::vector<ReplyEvent> take();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace agave::chat
