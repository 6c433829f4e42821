#include "hub/journal.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.h"

namespace agave::hub {

namespace {

struct Header {
    char magic[8];
    uint64_t size, part_bytes;
};
constexpr char kMagic[8] = {'a', 'g', 'a', 'v', 'e', 'd', 'l', '1'};

}  // namespace

Journal::Journal(const std::string& path, uint64_t size, uint64_t part_bytes)
    : size_(size), part_bytes_(part_bytes) {
    const size_t n_parts = static_cast<size_t>((size + part_bytes - 1) / part_bytes);
    n_bytes_ = sizeof(Header) + n_parts * sizeof(uint64_t);
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    // Written rather than only made longer: a full disk shows here, not as a signal in mapped memory.
    const off_t length = file < 0 ? -1 : ::lseek(file, 0, SEEK_END);
    bool ready = length == static_cast<off_t>(n_bytes_);
    if (file >= 0 && !ready) {
        const std::string zeros(n_bytes_, 0);
        ready = ::ftruncate(file, 0) == 0 &&
                ::pwrite(file, zeros.data(), n_bytes_, 0) == static_cast<ssize_t>(n_bytes_);
    }
    if (ready) memory_ = ::mmap(nullptr, n_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    const int problem = errno;
    if (file >= 0) ::close(file);
    if (!ready || memory_ == MAP_FAILED)
        fail(ErrorKind::runtime, "cannot keep the state of the download in '%s': %s", path.c_str(),
             std::strerror(problem));
    done_ = {reinterpret_cast<uint64_t*>(static_cast<std::byte*>(memory_) + sizeof(Header)), n_parts};
    const Header header{{}, size, part_bytes};
    Header found;
    std::memcpy(&found, memory_, sizeof found);
    bool fits = std::memcmp(found.magic, kMagic, sizeof kMagic) == 0 && found.size == size &&
                found.part_bytes == part_bytes;
    for (size_t i = 0; i < n_parts; i++) fits = fits && done_[i] <= part_end(i) - part_begin(i);
    if (!fits) clear();
    std::memcpy(memory_, &header, sizeof header);
    std::memcpy(memory_, kMagic, sizeof kMagic);
    for (uint64_t n : done_) total_done_ += n;
}

Journal::~Journal() {
    ::munmap(memory_, n_bytes_);
}

uint64_t Journal::part_end(size_t part) const {
    return std::min(size_, (part + 1) * part_bytes_);
}

void Journal::set_done(size_t part, uint64_t n_bytes) {
    total_done_ += n_bytes - done_[part];
    done_[part] = n_bytes;
}

void Journal::clear() {
    std::fill(done_.begin(), done_.end(), 0);
    total_done_ = 0;
}

}  // namespace agave::hub
