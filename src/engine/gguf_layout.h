#pragma once

#include <vector>

#include "engine/encode_tensor.h"
#include "formats/model_file.h"

namespace agave {

/// What a model from a Hugging Face folder needs to become a GGUF file that llama.cpp reads like those of its
/// own converter (`convert_hf_to_gguf.py`): how the folder's tensors are rearranged. Names, vectors and
/// metadata are GGUF's already; see docs/formats.md. For a GGUF file all of these do nothing.

/// Throws Error(unsupported) for an architecture whose folders agave does not rearrange.
void check_gguf_layout(const ModelFile& model);

/// The order in which the tensor's rows or columns are written. Throws Error(bad_file) where they are no
/// whole heads.
RowOrder gguf_order(const ModelFile& model, const Tensor& tensor);

/// Gives a tensor of the new file GGUF's dimensions; the numbers stay in their order.
void set_gguf_shape(const ModelFile& model, Tensor& tensor);

/// The format of a tensor that mixes leave as it is: float32, because llama.cpp rounds what it multiplies
/// BF16 with; but Gemma's large per_layer_model_proj stays as it is in a mix of other than float32.
Format gguf_kept_format(const ModelFile& model, const Tensor& tensor, Format mix);

/// Takes out what no longer holds of a file in GGUF's order.
void set_gguf_metadata(const ModelFile& model, std::vector<MetadataEntry>& entries);

}  // namespace agave
