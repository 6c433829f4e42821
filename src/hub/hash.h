#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace agave {

/// SHA-256 (FIPS 180-4) or SHA-1 of bytes that come in pieces. SHA-1 only names the small files of a git
/// repository, as git does; what is downloaded in bulk is checked by SHA-256.
class Hash {
  public:
    enum class Kind { sha1, sha256 };
    explicit Hash(Kind kind);
    void update(std::span<const std::byte> bytes);
    /// The digest in lower-case hexadecimal; the object is spent afterwards.
    std::string finish();

  private:
    void block(const std::byte* bytes);
    void block_sha1(const std::array<uint32_t, 16>& message);
    void block_sha256(const std::array<uint32_t, 16>& message);

    Kind kind_;
    std::array<uint32_t, 8> state_{};
    std::array<std::byte, 64> pending_{};
    size_t n_pending_ = 0;
    uint64_t n_bytes_ = 0;
};

/// The id that git gives to a file: SHA-1 of "blob <size>\0" and the content. Throws Error(runtime) when
/// reading fails.
std::string git_blob_id(const std::string& path, uint64_t size);
/// SHA-256 of a file. `progress` (may be null) is called with the bytes read so far.
std::string file_sha256(const std::string& path, void (*progress)(void*, uint64_t), void* context);

}  // namespace agave
