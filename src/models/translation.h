#pragma once

#include <initializer_list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "formats/huggingface.h"
#include "formats/model_file.h"

namespace agave {

/// What happens to a tensor's numbers on the way. A tensor of one dimension, and one with a change, becomes
/// float32 in memory of its own; a matrix without one stays where the file put it.
enum class Change : uint8_t {
    none,
    to_float,    ///< float32, dimensions of size 1 dropped
    plus_one,    ///< x + 1: norms whose weights are stored as what is added to 1
    negate_exp,  ///< -exp(x): the logarithm of a decay
    even_rows,   ///< a matrix of which every second row is another one's (GPT-OSS: gate and up)
    odd_rows,
    even_entries,  ///< to_float of the entries 0, 2, ... of each row
    odd_entries    ///< to_float of the entries 1, 3, ... of each row
};

/// A line of the table beside an architecture: `from` is Hugging Face's name without the model's prefix, `to`
/// is GGUF's. In both, the first '*' stands for the layer; a second one in `from` for the expert, whose
/// matrices become one tensor. Names are complete, or both go on with ".weight" or ".bias".
struct TensorName {
    const char* from;
    const char* to;
    Change change = Change::none;
};

/// A Hugging Face folder on its way to a ModelFile with GGUF's keys and tensor names: an architecture's
/// translate_<file>() reads the configuration, adds metadata and names the tensors.
class Translation {
  public:
    Translation(HuggingFaceFolder folder, const char* architecture);

    /// The model's entry in config.json (in text_config, where the model has other parts beside it); absent
    /// where there is none or null. The typed forms throw Error(bad_file) that names file and entry when it
    /// is missing or something else.
    JsonValue config(std::string_view name) const;
    int64_t integer(std::string_view name) const;
    int64_t integer_or(std::string_view name, int64_t fallback) const;
    double number_or(std::string_view name, double fallback) const;
    bool boolean_or(std::string_view name, bool fallback) const;
    std::string_view text_or(std::string_view name, std::string_view fallback) const;
    /// The same checks on a value from elsewhere in the configuration; `name` is for the message.
    int64_t integer_of(JsonValue value, std::string_view name) const;
    double number_of(JsonValue value, std::string_view name) const;
    std::string_view text_of(JsonValue value, std::string_view name) const;
    /// Throws Error(unsupported): "'.../config.json': <name> is <what>, which agave does not run".
    [[noreturn]] void refuse(std::string_view name, const std::string& what) const;
    const std::string& config_path() const { return folder_.config->path(); }

    /// Adds the metadata `<architecture>.<suffix>`. Texts must outlive the model: literals, or the folder's.
    void add(const char* suffix, MetadataValue value);
    void add_integer(const char* suffix, int64_t value) { add(suffix, value); }

    /// Adds every tensor of the folder under its name in GGUF, by the first line of the tables that matches.
    /// Parts beside the language model (vision, audio) and what other engines can recompute are left out; any
    /// other tensor without a line throws Error(unsupported).
    void add_tensors(std::initializer_list<std::span<const TensorName>> tables);
    /// Leaves out the tensor of this name (without ".weight") where the folder has one.
    void leave_out(std::string_view name) { left_out_ = name; }
    /// Adds a vector of our own making.
    void add_vector(const char* name, std::vector<float> values);
    /// Whether the folder has a tensor of this name, which is without the model's prefix.
    bool has_tensor(std::string_view name) const;

    /// What was added so far, to be rearranged. `keep` holds memory that a tensor views.
    std::vector<Tensor>& tensors() { return tensors_; }
    void keep(std::shared_ptr<const void> memory) { kept_.push_back(std::move(memory)); }

    /// The number of layers: num_hidden_layers, unless it was set because another entry says so.
    int64_t n_layers() const { return n_layers_ ? n_layers_ : integer("num_hidden_layers"); }
    void set_layers(int64_t n_layers) { n_layers_ = n_layers; }
    /// Names the architecture anew, where one model_type is several of GGUF's.
    void set_architecture(const char* architecture);

    /// The file; throws as its constructor does. Nothing else may be called after it.
    ModelFile finish();

  private:
    struct Part {
        std::string name;  ///< of the tensor whose part it is
        int64_t index;
        Tensor tensor;
    };

    Tensor matrix(const SafeTensor& from, std::string name);
    Tensor vector(const SafeTensor& from, std::string name, Change change);
    Tensor every_second_row(const SafeTensor& from, std::string name, bool odd);
    void add_tensor(const SafeTensor& from, const TensorName& line, std::string name, int64_t part);
    void join_parts();
    void add_tokenizer();

    HuggingFaceFolder folder_;
    std::string architecture_;
    std::string left_out_;
    bool norms_are_whole_ = false;  ///< MLX has added the 1 of Change::plus_one already
    int64_t n_layers_ = 0;
    JsonValue config_;
    std::vector<MetadataEntry> entries_;
    std::vector<Tensor> tensors_;
    std::vector<Part> parts_;
    std::vector<std::shared_ptr<const void>> kept_;
};

/// The model of a folder, by the translation of its model_type. Throws like open_model_file.
ModelFile translate_folder(HuggingFaceFolder folder);

/// What config.json may leave out, by the configuration class of transformers.
struct DecoderDefaults {
    int64_t head_dim = 0;  ///< 0: hidden_size / num_attention_heads
    int64_t n_heads = 0;   ///< 0: must be there
    int64_t kv_heads = 0;  ///< 0: as many as heads
    int64_t context_length = 0;
    const char* epsilon_name = "rms_norm_eps";
    double epsilon = 1e-6;
    bool tied = false;
    bool same_heads = true;  ///< in all layers; otherwise the caller adds head_count_kv and the key lengths
};
/// Adds what every decoder has: layers, sizes, heads, epsilon; and the layers for multi-token prediction that
/// follow the others where the folder has them. Returns the dimension of a head.
int64_t translate_decoder(Translation& t, const DecoderDefaults& defaults = {});

/// Adds `rope.freq_base<suffix>` and, by rope_parameters (transformers 5; of `layer_type`, where they differ
/// by the kind of layer) or rope_theta and rope_scaling (transformers 4), what scales it: linear, yarn,
/// llama3, proportional. Others are refused by name. Adds rope.dimension_count where only a part of the head
/// rotates.
struct RopeDefaults {
    double base = 10000.0;
    double partial_factor = 1.0;
    const char* type = "default";
    const char* layer_type = nullptr;
    const char* key_suffix = "";           ///< "_swa" for sliding layers, whose scaling is not read
    const char* base_name = "rope_theta";  ///< in transformers 4
};
void translate_rope(Translation& t, int64_t head_dim, const RopeDefaults& defaults = {});

/// Adds the expert counts, groups and scaling that the configuration has.
void translate_mixture(Translation& t);
/// Adds leading_dense_block_count by mlp_layer_types (transformers 5) or first_k_dense_replace.
void translate_leading_dense(Translation& t, int64_t fallback);

/// For each layer, whether layer_types calls it `kind`; where the configuration has no layer_types,
/// `fallback(layer)`.
std::vector<bool> layers_of_type(const Translation& t, std::string_view kind,
                                 bool (*fallback)(int64_t layer));

/// Embedding, final norm, output matrix; and the attention and MLP of a layer that most architectures share.
extern const std::span<const TensorName> kDecoderNames;
/// Router, experts and shared expert of DeepSeek's kind of mixture, and the multi-token prediction behind it.
extern const std::span<const TensorName> kMixtureNames;

}  // namespace agave
