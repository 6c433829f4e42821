#pragma once

#include <cstddef>
#include <cstdint>

namespace agave {

/// Seconds on a clock that never goes back.
double monotonic_seconds();

/// Processors that this process may run on (its affinity mask), at least 1.
int available_processors();

/// Bytes of memory that can still be given out without swapping (MemAvailable, and the cgroup's limit).
uint64_t available_memory_bytes();

/// Bytes resident now, and the highest they have been.
uint64_t resident_bytes();
uint64_t peak_resident_bytes();

/// Memory for caches and scratch, mapped but untouched (so it costs nothing until written), zero when first
/// read, on huge pages where the kernel gives them. Move-only; throws Error(runtime) when the kernel refuses.
class PageMemory {
  public:
    PageMemory() = default;
    explicit PageMemory(size_t bytes);
    PageMemory(PageMemory&& other) noexcept;
    PageMemory& operator=(PageMemory&& other) noexcept;
    ~PageMemory();

    std::byte* data() const { return data_; }
    size_t size() const { return size_; }

    /// Gives [offset, offset + bytes) back to the kernel; it reads as zero afterwards. Rounded inward to
    /// pages.
    void release(size_t offset, size_t bytes) const;

  private:
    std::byte* data_ = nullptr;
    size_t size_ = 0;
};

}  // namespace agave
