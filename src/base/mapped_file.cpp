#include "base/mapped_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace agave {

MappedFile::MappedFile(const std::string& path) : path_(path) {
    // O_NONBLOCK keeps open() from waiting for a writer when the path is a FIFO.
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) fail(ErrorKind::usage, "cannot open '%s': %s", path.c_str(), std::strerror(errno));
    struct stat status{};
    const bool known = ::fstat(descriptor, &status) == 0;
    if (!known || !S_ISREG(status.st_mode)) {
        ::close(descriptor);
        fail(ErrorKind::usage, "cannot read '%s': it is %s, not a regular file", path.c_str(),
             known && S_ISDIR(status.st_mode) ? "a directory" : "a device, pipe or socket");
    }
    if (status.st_size == 0) {
        ::close(descriptor);
        fail(ErrorKind::bad_file, "'%s' is empty", path.c_str());
    }
    size_ = static_cast<size_t>(status.st_size);
    void* address = ::mmap(nullptr, size_, PROT_READ, MAP_SHARED, descriptor, 0);
    const int reason = errno;
    ::close(descriptor);
    if (address == MAP_FAILED)
        fail(ErrorKind::runtime, "cannot map '%s': %s", path.c_str(), std::strerror(reason));
#ifdef MADV_HUGEPAGE
    // Weights are read end to end for every token, and with pages of 4 KB a good part of that time goes into
    // finding them. The kernel then reads a file that is not cached yet in pages of 2 MB, where its file
    // system and its configuration allow it; otherwise this changes nothing.
    ::madvise(address, size_, MADV_HUGEPAGE);
#endif
    data_ = static_cast<const std::byte*>(address);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    std::swap(path_, other.path_);
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

MappedFile::~MappedFile() {
    if (data_) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::will_need() const {
    if (data_) ::madvise(const_cast<std::byte*>(data_), size_, MADV_WILLNEED);
}

}  // namespace agave
