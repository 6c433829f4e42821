// Drives grammars from tools/grammar/*.py, and measures them:
//   grammar_tool serve                   records in, records out
//   grammar_tool bench VOCABULARY SCHEMA TEXT [gbnf]
// A record is a 32-bit length and its bytes. The first byte of a record in says what it is:
//   S, C, G  a JSON Schema (C: without white space), a GBNF grammar; the answer is empty, or why it is
//   refused T        a text; the answer is "1" if it belongs to the grammar, or else "0" V        a
//   vocabulary: for each token a 32-bit length and its bytes; the last token ends a generation B        begin
//   a constraint (the rest of the record is the marker it comes behind) M        the answer is the mask A
//   accept the token of these 32 bits; the answer is empty, or why not
// VOCABULARY is a GGUF or a folder with a tokenizer.json; SCHEMA and TEXT are files.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/system.h"
#include "formats/hf_tokenizer.h"
#include "formats/model_file.h"
#include "sampling/grammar/grammar.h"
#include "tokenizer/tokenizer.h"

namespace agave {
namespace {

bool read_record(std::string& record) {
    uint32_t size = 0;
    if (std::fread(&size, sizeof size, 1, stdin) != 1) return false;
    record.resize(size);
    return std::fread(record.data(), 1, size, stdin) == size;
}

void write_record(const void* data, size_t n) {
    const auto size = static_cast<uint32_t>(n);
    std::fwrite(&size, sizeof size, 1, stdout);
    std::fwrite(data, 1, n, stdout);
    std::fflush(stdout);
}

class Server {
  public:
    void answer(const std::string& record) {
        const std::string rest = record.substr(1);
        switch (record[0]) {
            case 'S':
                grammar_ = Grammar::from_json_schema(rest);
                break;
            case 'C':
                grammar_ = Grammar::from_json_schema(rest, {.compact = true});
                break;
            case 'G':
                grammar_ = Grammar::from_gbnf(rest);
                break;
            case 'T':
                return write_record(grammar_->matches(rest) ? "1" : "0", 1);
            case 'V':
                read_vocabulary(rest);
                break;
            case 'B':
                constraint_ = constrain(grammar_, *trie_, rest);
                break;
            case 'M': {
                const std::span<const uint32_t> mask = constraint_->allowed();
                return write_record(mask.data(), mask.size_bytes());
            }
            case 'A': {
                int32_t token = -1;
                std::memcpy(&token, rest.data(), std::min(rest.size(), sizeof token));
                constraint_->accept(token);
                break;
            }
            default:
                fail(ErrorKind::usage, "an unknown record");
        }
        write_record("", 0);
    }

  private:
    void read_vocabulary(const std::string& bytes) {
        std::vector<std::string> tokens;
        for (size_t at = 0; at + 4 <= bytes.size();) {
            uint32_t size = 0;
            std::memcpy(&size, bytes.data() + at, 4);
            tokens.push_back(bytes.substr(at + 4, size));
            at += 4 + size;
        }
        const auto last = static_cast<int32_t>(tokens.size()) - 1;
        trie_.emplace(tokens, std::span(&last, 1));
    }

    std::shared_ptr<const Grammar> grammar_;
    std::optional<TokenTrie> trie_;
    std::unique_ptr<TokenConstraint> constraint_;
};

int serve() {
    Server server;
    for (std::string record; read_record(record);) try {
            server.answer(record);
        } catch (const Error& error) {
            write_record(error.what(), std::strlen(error.what()));
        }
    return 0;
}

std::string read_file(const std::string& path) {
    std::string text;
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (!file) fail(ErrorKind::usage, "cannot open %s", path.c_str());
    char buffer[65536];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
    std::fclose(file);
    return text;
}

/// Processor time of this thread: the machine may be busy with other work.
double cpu_seconds() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

void print_times(const char* name, std::vector<double> seconds) {
    std::sort(seconds.begin(), seconds.end());
    double sum = 0;
    for (double s : seconds) sum += s;
    const auto at = [&](double share) {
        return seconds[static_cast<size_t>(share * static_cast<double>(seconds.size() - 1))] * 1e6;
    };
    std::printf("%s: %zu tokens, mean %.1f us, median %.1f, 99 %% %.1f, most %.1f\n", name, seconds.size(),
                sum / static_cast<double>(seconds.size()) * 1e6, at(0.5), at(0.99), at(1));
}

int bench(const std::string& vocabulary, const std::string& schema_path, const std::string& text_path,
          bool gbnf) {
    std::vector<MetadataEntry> entries;
    std::shared_ptr<const void> texts;
    std::optional<ModelFile> file;
    Metadata folder;
    if (std::filesystem::is_directory(vocabulary)) {
        texts = read_hf_tokenizer(vocabulary, {}, entries);
        folder = Metadata(vocabulary, std::move(entries));
    } else {
        file = ModelFile::open(vocabulary);
    }
    const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(file ? file->metadata() : folder);
    double begin = monotonic_seconds();
    const TokenTrie trie(*tokenizer);
    std::printf("%d tokens, trie made in %.1f ms; ", trie.n_vocab(), (monotonic_seconds() - begin) * 1e3);
    const std::string schema = read_file(schema_path), text = read_file(text_path);
    begin = monotonic_seconds();
    const std::shared_ptr<const Grammar> grammar =
        gbnf ? Grammar::from_gbnf(schema) : Grammar::from_json_schema(schema);
    std::printf("grammar made in %.2f ms\n", (monotonic_seconds() - begin) * 1e3);
    const std::vector<int32_t> ids = tokenizer->encode(text, {.add_special = false, .parse_special = false});
    for (const char* name : {"first text", "second text"}) {
        std::vector<double> seconds;
        begin = cpu_seconds();
        const std::unique_ptr<TokenConstraint> constraint = constrain(grammar, trie);
        for (const int32_t id : ids) {
            constraint->allowed();
            constraint->accept(id);
            const double now = cpu_seconds();
            seconds.push_back(now - begin);
            begin = now;
        }
        print_times(name, std::move(seconds));
    }
    return 0;
}

}  // namespace
}  // namespace agave

int main(int n_arguments, char** arguments) {
    const std::vector<std::string> words(arguments + 1, arguments + n_arguments);
    try {
        if (words.size() == 1 && words[0] == "serve") return agave::serve();
        if (words.size() >= 4 && words[0] == "bench")
            return agave::bench(words[1], words[2], words[3], words.size() > 4 && words[4] == "gbnf");
    } catch (const agave::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
    std::fprintf(stderr, "grammar_tool serve | bench VOCABULARY SCHEMA TEXT [gbnf]\n");
    return 2;
}
