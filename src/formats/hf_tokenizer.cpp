#include "formats/hf_tokenizer.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "base/mapped_file.h"
#include "formats/hf_tokenizer_parts.h"

namespace agave {
namespace hf {
namespace {

constexpr size_t max_tokenizer_bytes = size_t{1} << 27;
constexpr size_t max_file_bytes = size_t{1} << 24;
constexpr std::string_view space_mark = "\xE2\x96\x81";

std::string_view view(const MappedFile& file) {
    return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

/// A file of the folder; nullopt where there is none.
std::optional<MappedFile> open_file(const std::string& path, size_t max_bytes) {
    if (::access(path.c_str(), F_OK) != 0) return std::nullopt;
    std::optional<MappedFile> file(path);
    if (file->bytes().size() > max_bytes)
        fail(ErrorKind::bad_file, "'%s': is %zu bytes long; at most %zu are read", path.c_str(),
             file->bytes().size(), max_bytes);
    return file;
}

/// A small JSON file of the folder; an absent value where there is none.
class SmallJson {
  public:
    SmallJson(const std::string& folder, const char* name)
        : path(folder + "/" + name), file_(open_file(path, max_file_bytes)) {
        if (file_) document_ = std::make_unique<Json>(view(*file_), path);
    }
    JsonValue root() const { return document_ ? document_->root() : JsonValue(); }

    const std::string path;

  private:
    std::optional<MappedFile> file_;
    std::unique_ptr<Json> document_;
};

/// Spellings that are control tokens whatever the file says of them: some models do not mark theirs. The list
/// is that of llama.cpp's converter, so that a folder and its GGUF agree.
bool looks_special(std::string_view text) {
    for (const std::string_view known : {"<pad>", "<mask>", "<2mass>", "[@BOS@]"})
        if (text == known) return true;
    return (text.starts_with("<|") && text.ends_with("|>")) ||
           (text.starts_with("<｜") && text.ends_with("｜>")) ||
           (text.starts_with("<unused") && text.ends_with(">"));
}

/// Gemma 4's tokens that a reader of its answers must see, control tokens by tokenizer.json (the list is that
/// of llama.cpp's converter).
bool is_visible_in_gemma4(std::string_view text) {
    for (const std::string_view known : {"<|channel>", "<channel|>", "<|tool_call>", "<tool_call|>",
                                         "<|tool_response>", "<tool_response|>", "<|\"|>"})
        if (text == known) return true;
    return false;
}

class Folder {
  public:
    Folder(const std::string& folder, const HfTokenizerRequest& request, std::vector<MetadataEntry>& entries)
        : folder_(folder),
          request_(request),
          n_vocab_(request.n_vocab > 0 ? request.n_vocab : max_tokens),
          entries_(entries),
          arena_(std::make_shared<TextArena>()),
          tokenizer_config_(folder, "tokenizer_config.json"),
          special_tokens_map_(folder, "special_tokens_map.json"),
          config_(folder, "config.json"),
          generation_config_(folder, "generation_config.json") {}

    std::shared_ptr<const void> read() {
        read_vocabulary();
        add_tokens_of_config();
        set_kinds_of_added_tokens();
        fill_gaps();
        add_vocabulary();
        add_special_ids();
        add_template_of_text();
        add_ends_of_generation();
        add_chat_templates();
        add_sampling();
        return arena_;
    }

  private:
    void add(const char* key, MetadataValue value) { entries_.push_back({key, std::move(value)}); }
    bool is_gemma4() const { return request_.architecture == "gemma4"; }
    JsonValue tokenizer_config(std::string_view name) const { return tokenizer_config_.root()[name]; }

    void read_vocabulary() {
        if (request_.n_vocab < 0 || request_.n_vocab > max_tokens)
            fail(ErrorKind::bad_file, "'%s': the model embeds %lld tokens; from 1 to %lld are supported",
                 folder_.c_str(), static_cast<long long>(request_.n_vocab),
                 static_cast<long long>(max_tokens));
        const std::string json_path = folder_ + "/tokenizer.json", model_path = folder_ + "/tokenizer.model";
        const std::optional<MappedFile> json = open_file(json_path, max_tokenizer_bytes);
        const std::optional<MappedFile> model = open_file(model_path, max_tokenizer_bytes);
        if (json) {
            vocabulary_ = read_tokenizer_json(view(*json), json_path, n_vocab_, *arena_);
            if (model && !vocabulary_.byte_level)
                take_scores(read_sentencepiece_model(model->bytes(), model_path, n_vocab_, *arena_));
        } else if (model) {
            vocabulary_ = read_sentencepiece_model(model->bytes(), model_path, n_vocab_, *arena_);
            add_tokens_json();
        } else {
            fail(ErrorKind::bad_file,
                 "'%s': has no tokenizer.json and no tokenizer.model, so its text cannot be tokenized",
                 folder_.c_str());
        }
    }

    /// The scores of tokenizer.model beside the merges of tokenizer.json.
    void take_scores(const Vocabulary& model) {
        for (size_t id = 0; id < std::min(model.tokens.size(), vocabulary_.tokens.size()); id++)
            if (model.tokens[id] == vocabulary_.tokens[id]) vocabulary_.scores[id] = model.scores[id];
    }

    /// A token that another file than the vocabulary's own names. Beside tokenizer.model it may take the
    /// place of an unused piece.
    void add_token(const AddedToken& token, const std::string& path) {
        if (token.id >= n_vocab_ || token.text.empty()) return;
        const auto index = static_cast<size_t>(token.id);
        if (index >= vocabulary_.tokens.size()) {
            vocabulary_.tokens.resize(index + 1);
            vocabulary_.kinds.resize(index + 1, TokenKind::unused);
        }
        if (index >= is_added_.size()) is_added_.resize(index + 1);
        std::string_view& known = vocabulary_.tokens[index];
        const int64_t id = vocabulary_.index.find(token.text);
        const bool replaces = known.data() != nullptr && known != token.text;
        if ((id >= 0 && id != token.id) || (replaces && (vocabulary_.has_merges || is_added_[index])))
            fail(ErrorKind::bad_file,
                 "'%s': the added token \"%s\" has the id %lld; another file of the folder %s %lld",
                 path.c_str(), printable(token.text).c_str(), static_cast<long long>(token.id),
                 replaces ? ("has \"" + printable(known) + "\" at").c_str() : "gives it",
                 static_cast<long long>(replaces ? token.id : id));
        if (is_added_[index]) return;
        if (known.data() == nullptr || replaces) {
            known = arena_->copy(token.text);
            vocabulary_.index.add(known, token.id, path);
        }
        is_added_[index] = true;
        vocabulary_.added.push_back(token);
        vocabulary_.added.back().text = known;
    }

    /// added_tokens.json: {text: id}, beside a tokenizer.model.
    void add_tokens_json() {
        const SmallJson file(folder_, "added_tokens.json");
        const JsonValue root = file.root();
        for (auto token = root.begin(); token != root.end(); ++token)
            add_token({integer_of(*token, file.path, token.name(), 0, max_tokens), token.name()}, file.path);
    }

    /// added_tokens_decoder: {"id": {content, special, ...}}.
    void add_tokens_of_config() {
        is_added_.resize(vocabulary_.tokens.size());
        for (const AddedToken& token : vocabulary_.added) is_added_[static_cast<size_t>(token.id)] = true;
        const JsonValue decoder = tokenizer_config("added_tokens_decoder");
        const std::string& path = tokenizer_config_.path;
        for (auto token = decoder.begin(); token != decoder.end(); ++token) {
            AddedToken added;
            for (const char c : token.name()) {
                if (c < '0' || c > '9' || added.id > max_tokens)
                    fail_kind(path, "added_tokens_decoder", "an object whose names are token ids");
                added.id = added.id * 10 + (c - '0');
            }
            added.text = text_of((*token)["content"], path, "added_tokens_decoder.content");
            added.special = boolean_of((*token)["special"], path, "added_tokens_decoder.special", false);
            added.strips_left = boolean_of((*token)["lstrip"], path, "added_tokens_decoder.lstrip", false);
            added.strips_right = boolean_of((*token)["rstrip"], path, "added_tokens_decoder.rstrip", false);
            add_token(added, path);
        }
    }

    void set_kinds_of_added_tokens() {
        if (!vocabulary_.byte_level) vocabulary_.scores.resize(vocabulary_.tokens.size());
        for (const AddedToken& token : vocabulary_.added) {
            const auto index = static_cast<size_t>(token.id);
            bool control_token = token.special;
            if (is_gemma4())
                control_token = control_token && !is_visible_in_gemma4(token.text);
            else
                control_token = control_token || looks_special(token.text);
            vocabulary_.kinds[index] = control_token ? TokenKind::control : TokenKind::user_defined;
            if (!vocabulary_.byte_level) vocabulary_.scores[index] = -1000;
            // Among SentencePiece's tokens, GGUF spells those that are looked for in the text with spaces.
            if (!vocabulary_.byte_level && !control_token)
                vocabulary_.tokens[index] = with_spaces(token.text);
        }
    }

    std::string_view with_spaces(std::string_view text) {
        if (text.find(space_mark) == std::string_view::npos) return text;
        std::string out;
        for (size_t mark; (mark = text.find(space_mark)) != std::string_view::npos;
             text.remove_prefix(mark + space_mark.size()))
            out.append(text.substr(0, mark)) += ' ';
        return arena_->copy(out.append(text));
    }

    /// Ids without a token, to the end of the embedding.
    void fill_gaps() {
        const size_t n =
            request_.n_vocab > 0 ? static_cast<size_t>(request_.n_vocab) : vocabulary_.tokens.size();
        vocabulary_.tokens.resize(n);
        vocabulary_.kinds.resize(n, TokenKind::unused);
        for (size_t id = 0; id < n; id++) {
            if (vocabulary_.tokens[id].data() != nullptr) continue;
            vocabulary_.tokens[id] = arena_->copy(strprintf("[PAD%zu]", id));
            vocabulary_.kinds[id] = TokenKind::unused;
        }
        if (!vocabulary_.byte_level) vocabulary_.scores.resize(n, -10000);
    }

    void add_vocabulary() {
        const PreTokenization& pre = vocabulary_.pre_tokenization;
        const bool gemma4 = is_gemma4() && !vocabulary_.byte_level;
        add("tokenizer.ggml.model", std::string_view(vocabulary_.byte_level ? "gpt2"
                                                     : gemma4               ? "gemma4"
                                                                            : "llama"));
        if (!gemma4) add("tokenizer.ggml.pre", vocabulary_.byte_level ? pre.name : "default");
        add("tokenizer.ggml.tokens", MetadataArray(std::move(vocabulary_.tokens)));
        add("tokenizer.ggml.token_type", MetadataArray(vocabulary_.kinds));
        if (vocabulary_.has_merges)
            add("tokenizer.ggml.merges", MetadataArray(std::move(vocabulary_.merges)));
        if (vocabulary_.byte_level) {
            add("tokenizer.ggml.ignore_merges", vocabulary_.ignore_merges);
            add("tokenizer.ggml.normalizer.nfc", pre.nfc);
        } else {
            add("tokenizer.ggml.scores", MetadataArray(std::move(vocabulary_.scores)));
            add("tokenizer.ggml.add_space_prefix", pre.space_prefix != SpacePrefix::none);
            if (pre.space_prefix == SpacePrefix::first)
                add("tokenizer.ggml.space_prefix", std::string_view("first"));
            if (pre.space_prefix == SpacePrefix::always)
                add("tokenizer.ggml.space_prefix", std::string_view("always"));
        }
        std::vector<int64_t> left, right;
        for (const AddedToken& token : vocabulary_.added) {
            if (token.strips_left) left.push_back(token.id);
            if (token.strips_right) right.push_back(token.id);
        }
        if (!left.empty()) add("tokenizer.ggml.lstrip_token_ids", MetadataArray(std::move(left)));
        if (!right.empty()) add("tokenizer.ggml.rstrip_token_ids", MetadataArray(std::move(right)));
    }

    /// The text of a special token: "x" or {"content": "x"}; "" where it is not given.
    static std::string_view special_text(JsonValue entry) {
        if (entry.is(JsonKind::object)) entry = entry["content"];
        return entry.is(JsonKind::text) ? entry.as_text() : std::string_view();
    }

    /// The entry of config.json, or of the language model's part of it.
    JsonValue config(std::string_view name) const {
        const JsonValue value = config_.root()[name];
        return is_missing(value) ? config_.root()["text_config"][name] : value;
    }

    /// An id of config.json or generation_config.json that the model can embed, or -1: the defaults of
    /// transformers' classes stand there for vocabularies of any size.
    int64_t usable_id(JsonValue value) const {
        return value.is(JsonKind::integer) && value.as_integer() >= 0 && value.as_integer() < n_vocab_
                   ? value.as_integer()
                   : -1;
    }

    int64_t special_id(const char* name, int64_t of_vocabulary) const {
        const std::string token = std::string(name) + "_token";
        for (const SmallJson* file : {&tokenizer_config_, &special_tokens_map_})
            if (const int64_t id = vocabulary_.index.find(special_text(file->root()[token])); id >= 0)
                return id;
        JsonValue id = config(token + "_id");
        if (id.is(JsonKind::array)) id = id.at(0);
        return usable_id(id) >= 0 ? usable_id(id) : of_vocabulary;
    }

    void add_special_ids() {
        bos_ = special_id("bos", vocabulary_.bos);
        eos_ = special_id("eos", vocabulary_.eos);
        const int64_t unknown = vocabulary_.unknown >= 0 ? vocabulary_.unknown : special_id("unk", -1);
        const int64_t pad = special_id("pad", vocabulary_.pad);
        if (bos_ >= 0) add("tokenizer.ggml.bos_token_id", bos_);
        if (eos_ >= 0) add("tokenizer.ggml.eos_token_id", eos_);
        if (unknown >= 0) add("tokenizer.ggml.unknown_token_id", unknown);
        if (pad >= 0) add("tokenizer.ggml.padding_token_id", pad);
    }

    /// What stands around each text: tokenizer_config.json's flags where it has them, otherwise the
    /// post-processor (transformers 5, tokenization_utils_tokenizers.py, update_post_processor).
    void add_template_of_text() {
        const JsonValue bos_flag = tokenizer_config("add_bos_token"),
                        eos_flag = tokenizer_config("add_eos_token");
        if (!is_missing(bos_flag) || !is_missing(eos_flag)) {
            vocabulary_.prefix.clear();
            vocabulary_.suffix.clear();
            if (bos_ >= 0 && boolean_of(bos_flag, tokenizer_config_.path, "add_bos_token", false))
                vocabulary_.prefix = {bos_};
            if (eos_ >= 0 && boolean_of(eos_flag, tokenizer_config_.path, "add_eos_token", false))
                vocabulary_.suffix = {eos_};
        } else if (!vocabulary_.has_merges && bos_ >= 0) {
            vocabulary_.prefix = {bos_};  // tokenizer.model alone: as Llama's and Gemma's tokenizers do
        }
        const auto is_alone = [](const std::vector<int64_t>& ids, int64_t id) {
            return ids.size() == 1 && ids[0] == id;
        };
        if (!vocabulary_.suffix.empty() && !is_alone(vocabulary_.suffix, eos_))
            fail(ErrorKind::unsupported,
                 "'%s/tokenizer.json': the post-processor ends a text with something other than EOS, which "
                 "is not supported",
                 folder_.c_str());
        add("tokenizer.ggml.add_bos_token", is_alone(vocabulary_.prefix, bos_));
        add("tokenizer.ggml.add_eos_token", !vocabulary_.suffix.empty());
        if (!vocabulary_.prefix.empty() && !is_alone(vocabulary_.prefix, bos_))
            add("tokenizer.ggml.prefix_token_ids", MetadataArray(vocabulary_.prefix));
    }

    void add_ends_of_generation() {
        JsonValue given = generation_config_.root()["eos_token_id"];
        if (is_missing(given)) given = config("eos_token_id");
        std::vector<int64_t> ids;
        const auto take = [&](JsonValue value) {
            if (const int64_t id = usable_id(value); id >= 0) ids.push_back(id);
        };
        if (given.is(JsonKind::array))
            for (const JsonValue id : given) take(id);
        else
            take(given);
        if (!ids.empty()) add("tokenizer.ggml.eos_token_ids", MetadataArray(std::move(ids)));
    }

    void add_chat_template(std::string_view name, std::string_view text,
                           std::vector<std::string_view>& names) {
        std::string key = "tokenizer.chat_template";
        if (name != "default") {
            key += '.';
            for (const char c : name)
                key += (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ? c : '_';
            names.push_back(arena_->copy(std::string_view(key).substr(sizeof "tokenizer.chat_template")));
        }
        if (std::any_of(entries_.begin(), entries_.end(),
                        [&](const MetadataEntry& entry) { return entry.key == key; }))
            fail(ErrorKind::bad_file, "'%s': has two chat templates of the name \"%s\"", folder_.c_str(),
                 printable(name).c_str());
        entries_.push_back({std::move(key), arena_->copy(text)});
    }

    /// Files of their own come before what tokenizer_config.json holds (transformers,
    /// tokenization_utils_base.py).
    void add_chat_templates() {
        std::vector<std::string_view> names;
        const size_t before = entries_.size();
        if (const auto file = open_file(folder_ + "/chat_template.jinja", max_file_bytes))
            add_chat_template("default", view(*file), names);
        add_additional_templates(names);
        if (entries_.size() == before) add_templates_of(tokenizer_config_, names);
        if (entries_.size() == before) add_templates_of(SmallJson(folder_, "chat_template.json"), names);
        if (!names.empty()) add("tokenizer.chat_templates", MetadataArray(std::move(names)));
    }

    void add_additional_templates(std::vector<std::string_view>& names) {
        const std::string path = folder_ + "/additional_chat_templates";
        const std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
        if (!directory) return;
        std::vector<std::string> files;
        while (const dirent* entry = ::readdir(directory.get()))
            if (std::string_view(entry->d_name).ends_with(".jinja")) files.emplace_back(entry->d_name);
        std::sort(files.begin(), files.end());
        for (const std::string& name : files)
            if (const auto file = open_file(path + "/" + name, max_file_bytes))
                add_chat_template(std::string_view(name).substr(0, name.size() - 6), view(*file), names);
    }

    void add_templates_of(const SmallJson& file, std::vector<std::string_view>& names) {
        const JsonValue given = file.root()["chat_template"];
        if (is_missing(given)) return;
        if (given.is(JsonKind::text)) return add_chat_template("default", given.as_text(), names);
        if (!given.is(JsonKind::array))
            fail_kind(file.path, "chat_template", "a text, or an array of named ones");
        for (const JsonValue one : given)
            add_chat_template(text_of(one["name"], file.path, "chat_template.name"),
                              text_of(one["template"], file.path, "chat_template.template"), names);
    }

    /// How the model's makers sample, where they do.
    void add_sampling() {
        const JsonValue given = generation_config_.root();
        if (!boolean_of(given["do_sample"], generation_config_.path, "do_sample", false)) return;
        constexpr struct {
            const char* from;
            const char* to;
        } names[] = {{"temperature", "general.sampling.temp"},
                     {"top_p", "general.sampling.top_p"},
                     {"min_p", "general.sampling.min_p"},
                     {"repetition_penalty", "general.sampling.penalty_repeat"}};
        for (const auto& [from, to] : names) {
            const JsonValue value = given[from];
            if (is_missing(value)) continue;
            if (!value.is(JsonKind::number) && !value.is(JsonKind::integer))
                fail_kind(generation_config_.path, from, "a number");
            add(to, value.as_number());
        }
        if (const JsonValue top_k = given["top_k"]; !is_missing(top_k))
            add("general.sampling.top_k", integer_of(top_k, generation_config_.path, "top_k", 0, INT32_MAX));
    }

    const std::string& folder_;
    const HfTokenizerRequest& request_;
    const int64_t n_vocab_;  ///< ids lie below it
    std::vector<MetadataEntry>& entries_;
    std::shared_ptr<TextArena> arena_;
    SmallJson tokenizer_config_, special_tokens_map_, config_, generation_config_;
    Vocabulary vocabulary_;
    std::vector<bool> is_added_;  ///< by id
    int64_t bos_ = -1, eos_ = -1;
};

}  // namespace
}  // namespace hf

std::shared_ptr<const void> read_hf_tokenizer(const std::string& folder, const HfTokenizerRequest& request,
                                              std::vector<MetadataEntry>& entries) {
    return hf::Folder(folder, request, entries).read();
}

bool has_hf_tokenizer(const std::string& folder) {
    return ::access((folder + "/tokenizer.json").c_str(), F_OK) == 0 ||
           ::access((folder + "/tokenizer.model").c_str(), F_OK) == 0;
}

}  // namespace agave
