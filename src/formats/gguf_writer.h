#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "formats/model_file.h"

namespace agave {

/// Writes one GGUF file (version 3). The bytes go to PATH.part in the same folder, which takes the name only
/// when all is written and on the disk: whatever ends the program before, PATH is as it was. Two writers of
/// one PATH exclude each other; a .part that a killed program left behind is written anew.
class GgufFileWriter {
  public:
    /// `tensors`: names, shapes and formats, in the order in which write() brings their bytes; their data is
    /// not read. Values keep the widths of their entries; `automatic` becomes uint32, int32 or float32, and a
    /// wider type only for an integer that needs it. Aligns to `general.alignment` where the metadata has it,
    /// else to
    /// 32. Throws Error(usage) when PATH exists and `replace` is not set, is a folder, or lies where nothing
    /// can be made, and Error(runtime) when the disk has too little room or another program writes PATH.
    GgufFileWriter(std::string path, std::span<const MetadataEntry> metadata, std::span<const Tensor> tensors,
                   bool replace);
    /// Removes the .part unless finish() has been reached.
    ~GgufFileWriter();
    GgufFileWriter(const GgufFileWriter&) = delete;
    GgufFileWriter& operator=(const GgufFileWriter&) = delete;

    /// Appends bytes of the current tensor, or, once it is complete, of the next. Throws Error(runtime) when
    /// writing fails.
    void write(std::span<const std::byte> bytes);

    /// After the last tensor's last byte: brings everything to the disk and renames. Throws Error(runtime).
    void finish();

    /// Bytes of the whole file.
    uint64_t n_bytes() const { return n_bytes_; }

  private:
    void open_part(bool replace);
    void check_room() const;
    void put(std::span<const std::byte> bytes);
    void put_padding();

    std::string path_, part_path_;
    int file_ = -1;
    uint64_t alignment_ = 32;
    uint64_t n_bytes_ = 0, written_ = 0;
    std::vector<uint64_t> tensor_bytes_;
    size_t tensor_ = 0;       ///< the one that is being written
    uint64_t tensor_at_ = 0;  ///< its bytes so far
};

/// Bytes that a tensor takes in a format; throws Error(usage) that names it when its rows do not divide into
/// the format's blocks.
uint64_t tensor_bytes(const Tensor& tensor, Format format);

/// Whether two paths lead to one existing file.
bool same_file(const std::string& a, const std::string& b);

}  // namespace agave
