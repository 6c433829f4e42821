#pragma once

#include <memory>
#include <string_view>

#include "chat/reply/syntax.h"
#include "cli/options.h"
#include "sampling/grammar/grammar.h"
#include "tokenizer/tokenizer.h"

namespace agave::cli {

/// The grammar of --grammar or --json-schema, and the tokens that it chooses among.
struct AnswerGrammar {
    std::shared_ptr<const Grammar> grammar;  ///< none: neither option is given
    std::unique_ptr<TokenTrie> trie;

    /// For one answer; none where there is no grammar. Behind a prompt of the chat template, the grammar
    /// begins where the answer does: after the reasoning that the prompt has opened, and after Harmony's
    /// header of the final channel.
    std::unique_ptr<TokenConstraint> constrain_answer(chat::ReplySyntax syntax,
                                                      std::string_view prompt) const;
};

/// Throws Error(usage) for a grammar that is malformed or cannot be honoured, and when both options are
/// given.
AnswerGrammar read_grammar(const Options& options);

}  // namespace agave::cli
