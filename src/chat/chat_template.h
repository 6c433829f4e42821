#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "chat/reply/reply.h"
#include "chat/reply/syntax.h"

namespace agave::chat {

/// One message of a conversation, as OpenAI's chat API has it.
struct Message {
    std::string role;  ///< system, user, assistant, tool, or what else the template knows
    std::string content;
    std::optional<std::string> reasoning;  ///< what the assistant thought before it answered
    std::vector<ToolCall> tool_calls;
    std::string tool_call_id, name;  ///< of a tool's result; empty = absent
};

/// How much a model is to think before it answers; automatic leaves it to the template.
enum class Reasoning : uint8_t { automatic, off, on, low, medium, high };

/// What a template can be told about reasoning.
struct ReasoningSupport {
    bool on_off = false;
    bool effort = false;  ///< low, medium, high
};

struct RenderOptions {
    bool add_generation_prompt = true;  ///< end with the beginning of the assistant's answer
    std::string bos_token,
        eos_token;  ///< their text; empty leaves the variable undefined, as transformers does
    /// Set by the template's own means: a variable (enable_thinking, thinking, reasoning_effort ...) or a
    /// word in the system message (/no_think).
    Reasoning reasoning = Reasoning::automatic;
    std::string tools_json;      ///< a JSON array of tools, as OpenAI's API has them; empty = none
    std::string variables_json;  ///< more variables: a JSON object, empty = none; they win over the others
    std::optional<int64_t> now;  ///< seconds since 1970 for strftime_now (as UTC); else the local time
};

/// The chat template of a model (tokenizer.chat_template): Jinja source that turns a conversation into the
/// text that the model was trained on. May be used by several threads.
class Template {
  public:
    /// Parses; throws Error(bad_file) with line and column.
    explicit Template(std::string source);
    ~Template();
    Template(Template&&) noexcept;
    Template& operator=(Template&&) noexcept;

    /// Renders a conversation as the model expects it. The variables are those that transformers'
    /// apply_chat_template passes. Templates differ in how they want tool calls (arguments as an object or as
    /// JSON text, an empty content as none or as ""): the first such conversation finds out by a trial.
    /// Throws Error(usage) with the template's own words where it refuses a conversation, for JSON that is
    /// none, and for a reasoning setting that it has no means for; see jinja::render for the rest.
    std::string render(const std::vector<Message>& messages, const RenderOptions& options = {}) const;

    /// Found by trial renderings, once.
    ReasoningSupport reasoning_support() const;

    /// What the model's replies look like.
    ReplySyntax reply_syntax() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace agave::chat
