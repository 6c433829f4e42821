// Drives the tokenizer from tools/tokenizer/compare_random.py and measures it, in seconds of processor time:
//   tokenizer_tool encode MODEL [plain]   records in, ids out ("plain": without special tokens in the text)
//   tokenizer_tool split PRE_TOKENIZER    records in, piece lengths out
//   tokenizer_tool nfc                    records in, normalized bytes out (one per number)
//   tokenizer_tool load MODEL             seconds to load
//   tokenizer_tool text MODEL FILE        seconds to load, and to encode and decode FILE
//   tokenizer_tool bench MODEL [FILE]     the same and some worst cases
// MODEL is a GGUF or a folder with a tokenizer.json or tokenizer.model.
// A record is a 32-bit length and its bytes; an answer is a 32-bit count and as many 32-bit numbers.
#include <cstdio>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/system.h"
#include "formats/hf_tokenizer.h"
#include "formats/model_file.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/unicode.h"

namespace agave {
namespace {

/// Processor time: the machine may be busy with other work.
double cpu_seconds() {
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC;
}

bool read_record(std::string& record) {
    uint32_t size = 0;
    if (std::fread(&size, sizeof size, 1, stdin) != 1) return false;
    record.resize(size);
    return std::fread(record.data(), 1, size, stdin) == size;
}

template <typename T>
void write_answer(const std::vector<T>& numbers) {
    static_assert(sizeof(T) == 4);
    const auto size = static_cast<uint32_t>(numbers.size());
    std::fwrite(&size, sizeof size, 1, stdout);
    std::fwrite(numbers.data(), 4, numbers.size(), stdout);
}

/// A vocabulary from a GGUF or a folder, and what it views.
class VocabularySource {
  public:
    explicit VocabularySource(const std::string& path) {
        if (std::filesystem::is_directory(path)) {
            std::vector<MetadataEntry> entries;
            texts_ = read_hf_tokenizer(path, {}, entries);
            folder_ = Metadata(path, std::move(entries));
        } else {
            file_ = ModelFile::open(path);
        }
    }
    const Metadata& metadata() const { return file_ ? file_->metadata() : folder_; }

  private:
    std::optional<ModelFile> file_;
    std::shared_ptr<const void> texts_;
    Metadata folder_;
};

int encode_records(const char* path, bool plain) {
    const VocabularySource source(path);
    const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(source.metadata());
    size_t n_records = 0, n_different = 0;
    for (std::string record; read_record(record); n_records++) {
        const std::vector<int32_t> ids =
            tokenizer->encode(record, {.add_special = false, .parse_special = !plain});
        n_different += tokenizer->decode(ids, true) != record;
        write_answer(ids);
    }
    std::fprintf(stderr, "%zu of %zu texts do not come back from decoding\n", n_different, n_records);
    return 0;
}

int split_records(const char* name) {
    const PreTokenizer* pre_tokenizer = find_pre_tokenizer(name);
    if (pre_tokenizer == nullptr) return 2;
    for (std::string record; read_record(record);) {
        std::vector<uint32_t> lengths;
        split_pieces(*pre_tokenizer, record, lengths);
        write_answer(lengths);
    }
    return 0;
}

int normalize_records() {
    for (std::string record; read_record(record);) {
        const std::string out = is_nfc_inert(record) ? record : normalize_nfc(record);
        std::vector<uint32_t> bytes;
        for (const char c : out) bytes.push_back(static_cast<uint8_t>(c));
        write_answer(bytes);
    }
    return 0;
}

void measure(const Tokenizer& tokenizer, const char* what, const std::string& text) {
    const double begin = cpu_seconds();
    const std::vector<int32_t> ids = tokenizer.encode(text);
    const double encoded = cpu_seconds();
    const bool same = tokenizer.decode(ids) == text;
    const double decoded = cpu_seconds();
    const double megabytes = static_cast<double>(text.size()) / 1e6;
    std::printf("%-24s %6.2f MB %9zu tokens: encode %7.3f s %7.1f MB/s, decode %7.1f MB/s%s\n", what,
                megabytes, ids.size(), encoded - begin, megabytes / (encoded - begin),
                megabytes / (decoded - encoded), same ? "" : ", round trip differs");
}

int measure_load(const char* path) {
    double best_open = 1e9, best_load = 1e9;
    size_t tokens = 0;
    for (int i = 0; i < 9; i++) {
        const double begin = cpu_seconds();
        const VocabularySource source(path);
        const double opened = cpu_seconds();
        const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(source.metadata());
        tokens += tokenizer->encode("The quick brown fox").size();
        best_open = std::min(best_open, opened - begin);
        best_load = std::min(best_load, cpu_seconds() - opened);
    }
    std::printf("open %.2f ms, load and encode a line %.2f ms\n", best_open * 1e3, best_load * 1e3);
    return tokens > 0 ? 0 : 1;
}

int bench(const char* path, const char* text_path, bool worst_cases) {
    measure_load(path);
    const VocabularySource source(path);
    const uint64_t before = resident_bytes();
    const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(source.metadata());
    std::printf("resident: +%.1f MB by the tokenizer\n",
                static_cast<double>(resident_bytes() - before) / 1e6);
    if (text_path != nullptr) {
        std::string text;
        if (std::FILE* in = std::fopen(text_path, "rb")) {
            char buffer[65536];
            for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, in)) > 0;) text.append(buffer, n);
            std::fclose(in);
        }
        measure(*tokenizer, "text", text);
    }
    if (!worst_cases) return 0;
    constexpr size_t size = 10'000'000;
    for (const char* unit :
         {"a", " ", "\n", "1", ".", "\xE4\xB8\xAD", "ab", "\xF0\x9F\x99\x82", "\xFF", "e\xCC\x81"}) {
        std::string text;
        while (text.size() < size) text += unit;
        char name[32];
        std::snprintf(name, sizeof name, "repeated %s", printable(unit).c_str());
        measure(*tokenizer, name, text);
    }
    return 0;
}

int run(int argc, char** argv) {
    const std::string_view mode = argc > 1 ? argv[1] : "";
    if (mode == "encode" && argc > 2) return encode_records(argv[2], argc > 3);
    if (mode == "split" && argc == 3) return split_records(argv[2]);
    if (mode == "nfc" && argc == 2) return normalize_records();
    if (mode == "load" && argc == 3) return measure_load(argv[2]);
    if (mode == "bench" && argc > 2) return bench(argv[2], argc > 3 ? argv[3] : nullptr, true);
    if (mode == "text" && argc == 4) return bench(argv[2], argv[3], false);
    std::fprintf(stderr, "usage: tokenizer_tool encode|split|nfc|bench ...\n");
    return 2;
}

}  // namespace
}  // namespace agave

int main(int argc, char** argv) {
    try {
        return agave::run(argc, argv);
    } catch (const agave::Error& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 2;
    }
}
