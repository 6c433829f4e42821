#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "formats/model_file.h"
#include "graph/graph.h"

namespace agave {

/// A model ready to be compiled by a backend: what it is, and its forward pass. It points into its ModelFile.
struct Model {
    std::string architecture;    ///< as the file names it, e.g. "llama"
    std::string name;            ///< general.name, or empty
    int64_t context_length = 0;  ///< tokens that it was trained for
    int64_t n_vocab = 0;
    int64_t n_layers = 0;
    int64_t embedding_length = 0;
    Graph graph;
};

/// The names of the architectures in this build, as GGUF spells them.
std::vector<std::string> architecture_names();

/// Opens a model: a GGUF file, or a Hugging Face folder (or its config.json, one of its SafeTensors files or
/// its index), which gets GGUF's keys and tensor names. Throws like ModelFile::open, and Error(unsupported)
/// for a folder whose model_type is unknown (named) or switched off in this build.
ModelFile open_model_file(const std::string& path);

/// Builds the model of a file. Throws Error(unsupported) for an architecture that is unknown (named) or
/// switched off in this build (with the option that brings it back), Error(bad_file) for missing or
/// contradicting keys and tensors.
Model build_model(const ModelFile& file);

}  // namespace agave
