#include "sampling/grammar/token_trie.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "base/utf8.h"
#include "tokenizer/tokenizer.h"

namespace agave {

namespace {

/// Characters of a token that is plain text, or kMixed.
size_t text_characters(std::string_view token) {
    size_t characters = 0;
    for (size_t i = 0; i < token.size(); characters++) {
        const auto byte = static_cast<unsigned char>(token[i]);
        const size_t length = utf8_length(token.substr(i));
        if (length == 0 || byte < 0x20 || byte == '"' || byte == '\\' || byte == 0x7F ||
            token.substr(i).starts_with("\xE2\x80\xA8") || token.substr(i).starts_with("\xE2\x80\xA9"))
            return TokenTrie::kMixed;
        i += length;
    }
    return std::min<size_t>(characters, TokenTrie::kMaxRun);
}

bool continues_character(uint8_t byte) {
    return (byte & 0xC0) == 0x80;
}

/// `ids` sorted by their bytes.
TokenTrie::Tree make_tree(const TokenTrie& trie, std::vector<int32_t> ids, bool plain_text) {
    TokenTrie::Tree tree;
    std::vector<uint32_t> path;  // the nodes from the root to the last one
    std::string_view last;
    const auto leave = [&](size_t depth) {
        for (; path.size() > depth; path.pop_back())
            tree.nodes[path.back()].end = static_cast<uint32_t>(tree.nodes.size());
    };
    tree.nodes.push_back({0, 0, 0, TokenTrie::kMixed});
    path.push_back(0);
    for (size_t i = 0; i < ids.size(); i++) {
        const std::string_view bytes = trie.bytes(ids[i]);
        size_t shared = 0;
        while (shared < std::min(last.size(), bytes.size()) && last[shared] == bytes[shared]) shared++;
        leave(shared + 1);
        for (size_t j = shared; j < bytes.size(); j++) {
            path.push_back(static_cast<uint32_t>(tree.nodes.size()));
            tree.nodes.push_back(
                {0, static_cast<uint32_t>(i), static_cast<uint8_t>(bytes[j]), TokenTrie::kMixed});
        }
        last = bytes;
    }
    leave(0);
    tree.nodes.push_back({0, static_cast<uint32_t>(ids.size()), 0, TokenTrie::kMixed});
    tree.order = std::move(ids);
    if (!plain_text) return tree;
    // A node's run: that of its children, and one more for each child that begins a character.
    for (size_t n = tree.nodes.size() - 1; n-- > 0;) {
        size_t run = 0;
        for (size_t child = n + 1; child < tree.nodes[n].end; child = tree.nodes[child].end) {
            const TokenTrie::Node& node = tree.nodes[child];
            run = std::max<size_t>(run, node.run + (continues_character(node.byte) ? 0u : 1u));
        }
        tree.nodes[n].run = static_cast<uint8_t>(std::min<size_t>(run, TokenTrie::kMaxRun));
    }
    return tree;
}

}  // namespace

TokenTrie::TokenTrie(const Tokenizer& tokenizer) {
    offsets_.push_back(0);
    for (int32_t id = 0; id < tokenizer.n_vocab(); id++) {
        if (tokenizer.is_end_of_generation(id)) {
            end_of_generation_.push_back(id);
        } else if (tokenizer.is_control(id)) {
            const std::string name(tokenizer.token_text(id));
            control_names_.push_back(name);
            bytes_ += kControl + name;
        } else {
            // A byte token of kControl would pass for the beginning of a control token; no UTF-8 holds it.
            const std::string text = tokenizer.token_bytes(id);
            if (text.find(kControl) == std::string::npos) bytes_ += text;
        }
        offsets_.push_back(static_cast<uint32_t>(bytes_.size()));
    }
    build();
}

TokenTrie::TokenTrie(std::span<const std::string> token_bytes, std::span<const int32_t> end_of_generation)
    : end_of_generation_(end_of_generation.begin(), end_of_generation.end()) {
    offsets_.push_back(0);
    for (size_t id = 0; id < token_bytes.size(); id++) {
        if (!is_end_of_generation(static_cast<int32_t>(id))) bytes_ += token_bytes[id];
        if (token_bytes[id].starts_with(kControl)) control_names_.push_back(token_bytes[id].substr(1));
        offsets_.push_back(static_cast<uint32_t>(bytes_.size()));
    }
    build();
}

bool TokenTrie::is_end_of_generation(int32_t token) const {
    return std::find(end_of_generation_.begin(), end_of_generation_.end(), token) != end_of_generation_.end();
}

void TokenTrie::build() {
    static std::atomic<uint64_t> n_tries{0};
    id_ = ++n_tries;
    if (bytes_.size() > UINT32_MAX)
        fail(ErrorKind::unsupported, "the tokens of the vocabulary have more than 4 GB of text");
    std::vector<int32_t> texts, others;
    text_masks_.resize(kTextMasks * n_words());
    for (int32_t id = 0; id < n_vocab(); id++) {
        if (bytes(id).empty()) continue;
        const size_t n = text_characters(bytes(id));
        (n == kMixed ? others : texts).push_back(id);
        if (n == kMixed) continue;
        const size_t word = static_cast<size_t>(id) / 32;
        for (size_t m = std::min(n, kTextMasks - 1); m < kTextMasks; m++)
            text_masks_[m * n_words() + word] |= uint32_t{1} << (id % 32);
    }
    const auto by_bytes = [this](int32_t a, int32_t b) {
        return bytes(a) != bytes(b) ? bytes(a) < bytes(b) : a < b;
    };
    std::sort(texts.begin(), texts.end(), by_bytes);
    std::sort(others.begin(), others.end(), by_bytes);
    text_ = make_tree(*this, std::move(texts), true);
    mixed_ = make_tree(*this, std::move(others), false);
}

std::string TokenTrie::spell_control_tokens(std::string_view text) const {
    std::string spelt;
    while (!text.empty()) {
        size_t longest = 0;
        for (const std::string& name : control_names_)
            if (text.starts_with(name)) longest = std::max(longest, name.size());
        if (longest != 0) spelt += kControl;
        longest = std::max<size_t>(longest, 1);
        spelt += text.substr(0, longest);
        text.remove_prefix(longest);
    }
    return spelt;
}

}  // namespace agave
