#include "base/system.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace agave {

double monotonic_seconds() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

int available_processors() {
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (::sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
    return std::max(1, static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN)));
}

/// The first number in `path` after `label` (or at its start when `label` is empty); false where there is
/// none.
static bool read_number(const char* path, const char* label, uint64_t& value) {
    std::FILE* file = std::fopen(path, "r");
    if (!file) return false;
    char line[256];
    bool found = false;
    while (!found && std::fgets(line, sizeof line, file))
        found = std::strncmp(line, label, std::strlen(label)) == 0 &&
                std::sscanf(line + std::strlen(label), "%" SCNu64, &value) == 1;
    std::fclose(file);
    return found;
}

uint64_t available_memory_bytes() {
    uint64_t available = 0, kibibytes = 0;
    if (read_number("/proc/meminfo", "MemAvailable:", kibibytes))
        available = kibibytes * 1024;
    else
        available =
            static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
    uint64_t limit = 0, used = 0;
    if (read_number("/sys/fs/cgroup/memory.max", "", limit) &&
        read_number("/sys/fs/cgroup/memory.current", "", used))
        available = std::min(available, limit > used ? limit - used : 0);
    return available;
}

uint64_t resident_bytes() {
    unsigned long long size = 0, resident = 0;
    std::FILE* file = std::fopen("/proc/self/statm", "r");
    if (!file) return 0;
    const bool read = std::fscanf(file, "%llu %llu", &size, &resident) == 2;
    std::fclose(file);
    return read ? resident * static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) : 0;
}

uint64_t peak_resident_bytes() {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
#if defined(__APPLE__)
    return static_cast<uint64_t>(usage.ru_maxrss);
#else
    return static_cast<uint64_t>(usage.ru_maxrss) * 1024;
#endif
}

PageMemory::PageMemory(size_t bytes) : size_(bytes) {
    if (bytes == 0) return;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS;
#if defined(MAP_NORESERVE)
    flags |= MAP_NORESERVE;
#endif
    void* address = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (address == MAP_FAILED)
        fail(ErrorKind::runtime, "cannot allocate %.1f MB of memory: %s", static_cast<double>(bytes) / 1e6,
             std::strerror(errno));
    data_ = static_cast<std::byte*>(address);
#if defined(MADV_HUGEPAGE)
    // Huge pages would make small buffers resident whole.
    if (bytes >= (size_t{8} << 20)) ::madvise(address, bytes, MADV_HUGEPAGE);
#endif
}

PageMemory::PageMemory(PageMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

PageMemory& PageMemory::operator=(PageMemory&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    return *this;
}

PageMemory::~PageMemory() {
    if (data_) ::munmap(data_, size_);
}

void PageMemory::release(size_t offset, size_t bytes) const {
    const size_t page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    const size_t begin = (offset + page - 1) / page * page;
    const size_t end = (offset + bytes) / page * page;
    if (begin < end) ::madvise(data_ + begin, end - begin, MADV_DONTNEED);
}

}  // namespace agave
