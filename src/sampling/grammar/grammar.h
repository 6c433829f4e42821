#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "chat/reply/syntax.h"
#include "sampling/constraint.h"
#include "sampling/grammar/token_trie.h"

namespace agave {

struct JsonSchemaOptions {
    /// Only the JSON texts without white space; otherwise one space, or a newline and up to 64 spaces and
    /// tabs, may stand wherever JSON allows white space inside the value.
    bool compact = false;
};

/// A function that a model may call.
struct ToolFunction {
    std::string_view name;
    std::string_view parameters;  ///< JSON Schema of an object; empty: any JSON object
};

struct GrammarData;

/// A formal language over bytes that a generated text must belong to. Immutable and safe to share between
/// threads and requests, which then also share what is known of it (masks of tokens), so keep one for each
/// schema in use. docs/grammars.md says what the two languages are.
class Grammar {
  public:
    /// A grammar in llama.cpp's GBNF, whose first symbol is `root`. Throws Error(usage) with line and column
    /// for what is malformed, names no rule, recurses to the left, generates no finite text or is too large.
    static std::shared_ptr<const Grammar> from_gbnf(std::string_view text);
    /// JSON texts that are valid under a JSON Schema (draft 2020-12). Throws Error(usage) that names the
    /// place in the schema for anything that cannot be honoured exactly: nothing is ignored.
    static std::shared_ptr<const Grammar> from_json_schema(std::string_view schema,
                                                           const JsonSchemaOptions& options = {});
    /// Any JSON object.
    static std::shared_ptr<const Grammar> json_object(const JsonSchemaOptions& options = {});
    /// One call (or, with `parallel`, several) of one of `tools`, in a model's own syntax with its markers,
    /// and nothing else. Throws Error(usage) for a schema as from_json_schema() does, for no tools at all,
    /// and for a syntax whose calls cannot be forced (see can_force_tools()).
    static std::shared_ptr<const Grammar> tool_calls(chat::ToolSyntax syntax,
                                                     std::span<const ToolFunction> tools, bool parallel);
    static bool can_force_tools(chat::ToolSyntax syntax);

    explicit Grammar(std::unique_ptr<GrammarData> data);
    ~Grammar();
    Grammar(const Grammar&) = delete;
    Grammar& operator=(const Grammar&) = delete;

    /// Whether `text` belongs to the language, for tests and tools.
    bool matches(std::string_view text) const;

    /// Gives back the memory of what can be found again; masks stay the same.
    void forget() const;

    GrammarData& data() const { return *data_; }

  private:
    std::unique_ptr<GrammarData> data_;
};

/// A text that follows `grammar` from its beginning. With `after`, any text may come first: the grammar
/// begins behind the first `after` (e.g. "</think>"), with at most two newlines or spaces between them. Names
/// of control tokens in `after` mean these tokens. `trie` must outlive the constraint.
std::unique_ptr<TokenConstraint> constrain(std::shared_ptr<const Grammar> grammar, const TokenTrie& trie,
                                           std::string_view after = {});

}  // namespace agave
