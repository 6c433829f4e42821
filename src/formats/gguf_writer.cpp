#include "formats/gguf_writer.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cinttypes>
#include <cstring>
#include <type_traits>

#include "base/error.h"
#include "formats/gguf.h"

namespace agave {

namespace {

constexpr uint32_t kArrayType = 9;

/// The bytes in front of the weights.
class HeaderBytes {
  public:
    template <typename T>
    void number(T value) {
        static_assert(std::is_trivially_copyable_v<T>);
        raw(&value, sizeof value);
    }
    void text(std::string_view value) {
        number<uint64_t>(value.size());
        raw(value.data(), value.size());
    }
    void pad(uint64_t alignment) { bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment); }
    std::vector<std::byte>& bytes() { return bytes_; }

  private:
    void raw(const void* data, size_t n) {
        const auto* begin = static_cast<const std::byte*>(data);
        bytes_.insert(bytes_.end(), begin, begin + n);
    }
    std::vector<std::byte> bytes_;
};

/// A number in the width of `type`; the loader read it from there, so it fits.
template <typename T>
void put_number(HeaderBytes& out, ValueType type, T value) {
    switch (type) {
        case ValueType::uint8:
            return out.number(static_cast<uint8_t>(value));
        case ValueType::int8:
            return out.number(static_cast<int8_t>(value));
        case ValueType::uint16:
            return out.number(static_cast<uint16_t>(value));
        case ValueType::int16:
            return out.number(static_cast<int16_t>(value));
        case ValueType::uint32:
            return out.number(static_cast<uint32_t>(value));
        case ValueType::int32:
            return out.number(static_cast<int32_t>(value));
        case ValueType::uint64:
            return out.number(static_cast<uint64_t>(value));
        case ValueType::int64:
            return out.number(static_cast<int64_t>(value));
        case ValueType::float32:
            return out.number(static_cast<float>(value));
        case ValueType::float64:
            return out.number(static_cast<double>(value));
        default:
            return out.number(static_cast<uint8_t>(value != 0));
    }
}

/// The width of values that no file gave one.
template <typename T>
ValueType width_of(std::span<const T> values) {
    if constexpr (std::is_same_v<T, double>) return ValueType::float32;
    const auto fits = [](T value) {
        if constexpr (std::is_same_v<T, uint64_t>)
            return value <= UINT32_MAX;
        else
            return value >= INT32_MIN && value <= INT32_MAX;
    };
    const bool narrow = std::all_of(values.begin(), values.end(), fits);
    if constexpr (std::is_same_v<T, uint64_t>)
        return narrow ? ValueType::uint32 : ValueType::uint64;
    else
        return narrow ? ValueType::int32 : ValueType::int64;
}

template <typename T>
ValueType chosen_width(ValueType type, std::span<const T> values) {
    return type == ValueType::automatic ? width_of(values) : type;
}

void put_array(HeaderBytes& out, ValueType type, const MetadataArray& array) {
    std::visit(
        [&](const auto& values) {
            using T = typename std::decay_t<decltype(values)>::value_type;
            if constexpr (std::is_same_v<T, std::string_view>) {
                type = ValueType::text;
            } else if constexpr (std::is_same_v<T, bool>) {
                type = ValueType::boolean;
            } else {
                type = chosen_width(type, std::span<const T>(values));
            }
            out.number(static_cast<uint32_t>(type));
            out.number<uint64_t>(values.size());
            for (const auto& value : values) {
                if constexpr (std::is_same_v<T, std::string_view>)
                    out.text(value);
                else
                    put_number(out, type, static_cast<T>(value));
            }
        },
        array);
}

void put_entry(HeaderBytes& out, const MetadataEntry& entry) {
    out.text(entry.key);
    if (const auto* text = std::get_if<std::string_view>(&entry.value)) {
        out.number(static_cast<uint32_t>(ValueType::text));
        out.text(*text);
    } else if (const auto* array = std::get_if<MetadataArray>(&entry.value)) {
        out.number(kArrayType);
        put_array(out, entry.type, *array);
    } else if (const auto* boolean = std::get_if<bool>(&entry.value)) {
        out.number(static_cast<uint32_t>(ValueType::boolean));
        put_number(out, ValueType::boolean, *boolean);
    } else {
        std::visit(
            [&](const auto& value) {
                using T = std::decay_t<decltype(value)>;
                if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) {
                    ValueType type = chosen_width(entry.type, std::span<const T>(&value, 1));
                    // llama.cpp takes counts as uint32 alone.
                    if (entry.type == ValueType::automatic && type == ValueType::int32 && value >= 0)
                        type = ValueType::uint32;
                    out.number(static_cast<uint32_t>(type));
                    put_number(out, type, value);
                }
            },
            entry.value);
    }
}

uint64_t aligned(uint64_t n, uint64_t alignment) {
    return (n + alignment - 1) / alignment * alignment;
}

uint64_t alignment_of(std::span<const MetadataEntry> metadata) {
    for (const MetadataEntry& entry : metadata) {
        const auto* alignment = std::get_if<uint64_t>(&entry.value);
        if (entry.key == "general.alignment" && alignment && std::has_single_bit(*alignment))
            return *alignment;
    }
    return 32;
}

std::string megabytes(uint64_t bytes) {
    return strprintf("%.1f MB", static_cast<double>(bytes) / 1e6);
}

}  // namespace

uint64_t tensor_bytes(const Tensor& tensor, Format format) {
    const FormatInfo& info = format_info(format);
    if (tensor.shape[0] % info.block_elements != 0)
        fail(ErrorKind::usage, "the tensor '%s' has rows of %" PRId64 " weights; %s needs a multiple of %d",
             printable(tensor.name).c_str(), tensor.shape[0], info.name, info.block_elements);
    return static_cast<uint64_t>(tensor.n_elements()) / info.block_elements * info.block_bytes;
}

bool same_file(const std::string& a, const std::string& b) {
    struct stat first{}, second{};
    return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 &&
           first.st_dev == second.st_dev && first.st_ino == second.st_ino;
}

GgufFileWriter::GgufFileWriter(std::string path, std::span<const MetadataEntry> metadata,
                               std::span<const Tensor> tensors, bool replace)
    : path_(std::move(path)), part_path_(path_ + ".part"), alignment_(alignment_of(metadata)) {
    HeaderBytes header;
    header.number<uint32_t>(0x46554747);  // "GGUF"
    header.number<uint32_t>(3);
    header.number<uint64_t>(tensors.size());
    header.number<uint64_t>(metadata.size());
    for (const MetadataEntry& entry : metadata) put_entry(header, entry);
    uint64_t offset = 0;
    for (const Tensor& tensor : tensors) {
        if (tensor.name.size() > kMaxGgufNameBytes)
            fail(ErrorKind::unsupported,
                 "the tensor name '%s' has %zu bytes; a GGUF file takes %" PRIu64 " at the most",
                 printable(tensor.name).c_str(), tensor.name.size(), kMaxGgufNameBytes);
        const uint64_t n_bytes = tensor_bytes(tensor, tensor.format);
        header.text(tensor.name);
        header.number(static_cast<uint32_t>(tensor.n_dims));
        for (int i = 0; i < tensor.n_dims; ++i)
            header.number(static_cast<uint64_t>(tensor.shape[static_cast<size_t>(i)]));
        header.number(static_cast<uint32_t>(format_info(tensor.format).gguf_id));
        header.number(offset);
        tensor_bytes_.push_back(n_bytes);
        offset = aligned(offset + n_bytes, alignment_);
    }
    header.pad(alignment_);
    n_bytes_ = header.bytes().size() + offset;

    open_part(replace);
    try {
        check_room();
        put(header.bytes());
    } catch (...) {
        ::unlink(part_path_.c_str());
        ::close(file_);
        throw;
    }
}

void GgufFileWriter::open_part(bool replace) {
    struct stat status{};
    if (::stat(path_.c_str(), &status) == 0) {
        if (!S_ISREG(status.st_mode))
            fail(ErrorKind::usage, "cannot write '%s': it is %s", path_.c_str(),
                 S_ISDIR(status.st_mode) ? "a directory" : "a device, pipe or socket");
        if (!replace) fail(ErrorKind::usage, "'%s' exists already; --force replaces it", path_.c_str());
    }
    file_ = ::open(part_path_.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (file_ < 0) fail(ErrorKind::usage, "cannot write '%s': %s", part_path_.c_str(), std::strerror(errno));
    // The lock ends with the program, so a .part without one is a leftover.
    if (::flock(file_, LOCK_EX | LOCK_NB) != 0 || ::ftruncate(file_, 0) != 0) {
        const int reason = errno;
        ::close(file_);
        if (reason == EWOULDBLOCK)
            fail(ErrorKind::runtime, "another program is writing '%s'", part_path_.c_str());
        fail(ErrorKind::runtime, "cannot write '%s': %s", part_path_.c_str(), std::strerror(reason));
    }
}

void GgufFileWriter::check_room() const {
    struct statvfs status{};
    if (::fstatvfs(file_, &status) != 0) return;
    const uint64_t available = static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
    if (n_bytes_ > available)
        fail(ErrorKind::runtime, "'%s' needs %s, but only %s are free on its disk", path_.c_str(),
             megabytes(n_bytes_).c_str(), megabytes(available).c_str());
}

GgufFileWriter::~GgufFileWriter() {
    if (file_ < 0) return;
    ::unlink(part_path_.c_str());
    ::close(file_);
}

void GgufFileWriter::put(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(file_, bytes.data(), std::min<size_t>(bytes.size(), size_t{1} << 30));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            fail(ErrorKind::runtime, "cannot write '%s': %s", part_path_.c_str(), std::strerror(errno));
        written_ += static_cast<uint64_t>(n);
        bytes = bytes.subspan(static_cast<size_t>(n));
    }
}

void GgufFileWriter::put_padding() {
    const std::vector<std::byte> zeros(static_cast<size_t>(aligned(written_, alignment_) - written_));
    put(zeros);
}

void GgufFileWriter::write(std::span<const std::byte> bytes) {
    while (!bytes.empty()) {
        if (tensor_ == tensor_bytes_.size())
            fail(ErrorKind::runtime, "internal error: more bytes than the tensors of '%s' take",
                 path_.c_str());
        const auto n =
            static_cast<size_t>(std::min<uint64_t>(bytes.size(), tensor_bytes_[tensor_] - tensor_at_));
        put(bytes.first(n));
        bytes = bytes.subspan(n);
        tensor_at_ += n;
        if (tensor_at_ < tensor_bytes_[tensor_]) continue;
        put_padding();
        ++tensor_;
        tensor_at_ = 0;
    }
}

void GgufFileWriter::finish() {
    if (tensor_ != tensor_bytes_.size())
        fail(ErrorKind::runtime, "internal error: '%s' is complete but for its tensors", path_.c_str());
    if (::fsync(file_) != 0)
        fail(ErrorKind::runtime, "cannot write '%s': %s", part_path_.c_str(), std::strerror(errno));
    if (::rename(part_path_.c_str(), path_.c_str()) != 0)
        fail(ErrorKind::runtime, "cannot rename '%s' to '%s': %s", part_path_.c_str(), path_.c_str(),
             std::strerror(errno));
    ::close(file_);
    file_ = -1;
    // The new name is safe once the folder is.
    const size_t slash = path_.rfind('/');
    const std::string folder = slash == std::string::npos ? "." : path_.substr(0, slash + 1);
    const int directory = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) return;
    ::fsync(directory);
    ::close(directory);
}

}  // namespace agave
