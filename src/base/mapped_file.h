#pragma once

#include <cstddef>
#include <span>
#include <string>

namespace agave {

/// A regular file mapped read-only; the bytes live as long as this object. Move-only.
class MappedFile {
  public:
    /// Maps `path`. Throws Error(usage) when it is missing, unreadable, a directory or no regular file, and
    /// Error(bad_file) when it is empty.
    explicit MappedFile(const std::string& path);
    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    ~MappedFile();

    std::span<const std::byte> bytes() const { return {data_, size_}; }
    const std::string& path() const { return path_; }

    /// Asks the kernel to bring the whole file in ahead of its use.
    void will_need() const;

  private:
    std::string path_;
    const std::byte* data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace agave
