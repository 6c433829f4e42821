#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/system.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/output.h"
#include "formats/gguf_writer.h"
#include "formats/imatrix.h"
#include "tokenizer/tokenizer.h"

namespace agave::cli {

namespace {

/// Adds up the squares of what each matrix is multiplied by.
class SquareSums final : public InputObserver {
  public:
    void observe(const Tensor& weight, int64_t index, const float* rows, int64_t stride,
                 int64_t n_rows) override {
        // The last matrix is best left alone: errors in the logits are not made up for by anything after
        // them.
        if (weight.name == "output.weight" || weight.name == "token_embd.weight") return;
        ImportanceSums& sums = of(weight);
        double* squares = sums.squares.data() + index * sums.n_columns;
        for (int64_t r = 0; r < n_rows; r++)
            for (int64_t i = 0; i < sums.n_columns; i++) {
                const auto x = static_cast<double>(rows[r * stride + i]);
                squares[i] += x * x;
            }
        sums.counts[static_cast<size_t>(index)] += n_rows;
    }

    std::vector<ImportanceSums> take() { return std::move(sums_); }

  private:
    /// The sums of a matrix; parts of one matrix share its name.
    ImportanceSums& of(const Tensor& weight) {
        const auto at = std::lower_bound(
            sums_.begin(), sums_.end(), weight.name,
            [](const ImportanceSums& sums, const std::string& name) { return sums.name < name; });
        if (at != sums_.end() && at->name == weight.name) return *at;
        ImportanceSums sums{weight.name, weight.shape[0], {}, {}};
        sums.squares.resize(static_cast<size_t>(weight.shape[0] * weight.shape[2]));
        sums.counts.resize(static_cast<size_t>(weight.shape[2]));
        return *sums_.insert(at, std::move(sums));
    }

    std::vector<ImportanceSums> sums_;  ///< sorted by name
};

void check_finite(const std::vector<ImportanceSums>& sums) {
    for (const ImportanceSums& entry : sums)
        for (const double square : entry.squares)
            if (!std::isfinite(static_cast<float>(square)))
                fail(ErrorKind::runtime, "the inputs of '%s' are not finite: the model gave NaN or infinity",
                     printable(entry.name).c_str());
}

}  // namespace

int calibrate_command(const CommandLine& line) {
    const Options& options = line.options;
    if (options.file.empty()) fail(ErrorKind::usage, "'agave calibrate' needs --file with a text");
    if (options.out.empty()) fail(ErrorKind::usage, "'agave calibrate' needs --out with the file to write");
    const ModelFile file = open_model(line.arguments[0]);
    if (same_file(file.path(), options.out))
        fail(ErrorKind::usage, "'%s' is the model itself; write to another file", options.out.c_str());
    const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(file.metadata());
    const std::string text = read_file(options.file);
    const std::vector<int32_t> ids = tokenizer->encode(text, {.add_special = true, .parse_special = false});
    const auto n_ctx = static_cast<size_t>(options.chunk_tokens);
    if (ids.size() < n_ctx)
        fail(ErrorKind::usage, "'%s' has %zu tokens, but a chunk of --ctx-size needs %zu",
             options.file.c_str(), ids.size(), n_ctx);

    // The logits of one step stay within some 64 MB, whatever the vocabulary.
    const int64_t max_outputs = std::clamp<int64_t>((int64_t{1} << 24) / tokenizer->n_vocab(), 8, 512);
    Engine engine(
        file, engine_options(options, options.kv_type, options.chunk_tokens, static_cast<int>(max_outputs)));
    SquareSums observer;
    engine.executor().set_observer(&observer);
    const size_t n_chunks = ids.size() / n_ctx;
    for (size_t chunk = 0; chunk < n_chunks; chunk++) {
        const auto begin = ids.begin() + static_cast<ptrdiff_t>(chunk * n_ctx);
        std::vector<int32_t> tokens(begin, begin + static_cast<ptrdiff_t>(n_ctx));
        if (tokenizer->adds_bos()) tokens[0] = tokenizer->bos();
        Sequence sequence = engine.new_sequence();
        for (size_t at = 0; at < n_ctx;) {
            const size_t n = std::min({static_cast<size_t>(engine.max_rows()),
                                       static_cast<size_t>(engine.max_outputs()), n_ctx - at});
            // Logits of every token: the last layer computes nothing for the others.
            const StepSlice slice{&sequence, std::span(tokens).subspan(at, n), static_cast<int>(n)};
            engine.step({&slice, 1});
            at += n;
        }
        engine.release(sequence);
        if (!options.quiet) print_status(strprintf("chunk %zu of %zu", chunk + 1, n_chunks));
    }
    engine.executor().set_observer(nullptr);
    std::vector<ImportanceSums> sums = observer.take();
    check_finite(sums);
    const size_t n_matrices = sums.size();
    write_imatrix(options.out, std::move(sums), options.file, static_cast<int64_t>(n_chunks),
                  options.chunk_tokens, options.force);
    if (!options.quiet)
        print_status(strprintf("wrote '%s': %zu matrices, %zu chunks of %zu tokens", options.out.c_str(),
                               n_matrices, n_chunks, n_ctx));
    return 0;
}

}  // namespace agave::cli
