#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace agave::hub {

/// How far each part of a download is, in a small mapped file beside the data: what it says survives the
/// process at any instant, because a part's count grows only after its bytes have gone to the data file.
/// Move-less.
class Journal {
  public:
    static constexpr uint64_t kPartBytes = uint64_t{16} << 20;

    /// Opens or begins the journal of a file of `size` bytes in parts of `part_bytes`; one that disagrees
    /// with them is begun anew. Throws Error(runtime).
    Journal(const std::string& path, uint64_t size, uint64_t part_bytes);
    ~Journal();
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    size_t n_parts() const { return done_.size(); }
    uint64_t part_begin(size_t part) const { return part * part_bytes_; }
    uint64_t part_end(size_t part) const;
    /// Bytes at the part's beginning that the data file holds.
    uint64_t done(size_t part) const { return done_[part]; }
    void set_done(size_t part, uint64_t n_bytes);
    uint64_t total_done() const { return total_done_; }
    /// Forgets everything.
    void clear();

  private:
    uint64_t size_, part_bytes_;
    uint64_t total_done_ = 0;
    void* memory_ = nullptr;
    size_t n_bytes_ = 0;
    std::span<uint64_t> done_;
};

}  // namespace agave::hub
