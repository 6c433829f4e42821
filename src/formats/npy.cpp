#include "formats/npy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "base/error.h"

namespace agave {

namespace {

/// A file that replaces `path` on commit() and leaves nothing behind otherwise.
class OutputFile {
  public:
    explicit OutputFile(const std::string& path) : path_(path) {
        struct stat status{};
        const bool exists = ::stat(path.c_str(), &status) == 0;
        if (exists && S_ISDIR(status.st_mode))
            fail(ErrorKind::usage, "cannot write '%s': it is a directory", path.c_str());
        if (exists && !S_ISREG(status.st_mode)) {
            descriptor_ = ::open(path.c_str(), O_WRONLY | O_CLOEXEC);
        } else {
            // Renaming onto a symbolic link would replace the link, not the file that it names.
            char resolved[PATH_MAX];
            if (exists && ::realpath(path.c_str(), resolved)) path_ = resolved;
            // A name that a killed process has left behind is stepped over.
            for (int attempt = 0; attempt < 100 && (attempt == 0 || errno == EEXIST); attempt++) {
                temporary_ =
                    strprintf("%s.tmp-%ld-%d", path_.c_str(), static_cast<long>(::getpid()), attempt);
                descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
                if (descriptor_ >= 0) break;
            }
        }
        if (descriptor_ < 0) {
            const int reason = errno;
            temporary_.clear();
            fail(ErrorKind::usage, "cannot write '%s': %s", path_.c_str(), std::strerror(reason));
        }
    }
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    ~OutputFile() {
        if (descriptor_ >= 0) ::close(descriptor_);
        if (!temporary_.empty()) ::unlink(temporary_.c_str());
    }

    void write(const void* data, size_t n_bytes) {
        const char* at = static_cast<const char*>(data);
        while (n_bytes > 0) {
            const ssize_t written = ::write(descriptor_, at, n_bytes);
            if (written < 0 && errno == EINTR) continue;
            if (written < 0) fail_writing();
            at += written;
            n_bytes -= static_cast<size_t>(written);
        }
    }

    void commit() {
        // A full or failing disk may speak up only here.
        if (!temporary_.empty() && ::fsync(descriptor_) != 0) fail_writing();
        if (::close(std::exchange(descriptor_, -1)) != 0) fail_writing();
        if (temporary_.empty()) return;
        if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail_writing();
        temporary_.clear();
    }

  private:
    [[noreturn]] void fail_writing() const {
        fail(ErrorKind::runtime, "cannot write '%s': %s", path_.c_str(), std::strerror(errno));
    }

    std::string path_;
    std::string temporary_;  ///< empty when the path itself is written to, and after commit()
    int descriptor_ = -1;
};

/// The magic, the version, and a Python dictionary padded so that the data begins at a multiple of 64 bytes.
std::string npy_header(std::span<const int64_t> shape) {
    std::string dictionary = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
    for (const int64_t size : shape) dictionary += strprintf("%" PRId64 ", ", size);
    dictionary += "), }";
    constexpr size_t kPreamble = 10;
    const size_t padded = (kPreamble + dictionary.size() + 1 + 63) / 64 * 64 - kPreamble;
    dictionary.resize(padded - 1, ' ');
    dictionary += '\n';
    std::string header("\x93NUMPY\x01\x00", 8);
    header += static_cast<char>(padded & 0xFF);
    header += static_cast<char>(padded >> 8);
    return header + dictionary;
}

}  // namespace

void write_npy_float32(const std::string& path, std::span<const int64_t> shape, std::span<const float> data) {
    OutputFile file(path);
    const std::string header = npy_header(shape);
    file.write(header.data(), header.size());
    file.write(data.data(), data.size_bytes());
    file.commit();
}

void write_npy_tensor(const std::string& path, const Tensor& tensor) {
    int64_t shape[4];
    for (int i = 0; i < tensor.n_dims; i++)
        shape[i] = tensor.shape[static_cast<size_t>(tensor.n_dims - 1 - i)];
    const std::string header = npy_header({shape, static_cast<size_t>(tensor.n_dims)});

    constexpr int64_t kChunk = int64_t{1} << 18;
    const int64_t rows_at_once = std::clamp<int64_t>(kChunk / tensor.row_elements(), 1, tensor.n_rows());
    std::vector<float> weights(static_cast<size_t>(rows_at_once * tensor.row_elements()));
    OutputFile file(path);
    file.write(header.data(), header.size());
    for (int64_t row = 0; row < tensor.n_rows(); row += rows_at_once) {
        const int64_t n = std::min(rows_at_once, tensor.n_rows() - row);
        decode_rows(tensor, row, n, weights.data());
        file.write(weights.data(), static_cast<size_t>(n * tensor.row_elements()) * sizeof(float));
    }
    file.commit();
}

}  // namespace agave
