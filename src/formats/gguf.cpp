#include "formats/gguf.h"

#include <algorithm>
#include <bit>
#include <cinttypes>
#include <cstring>
#include <numeric>

#include "base/error.h"

namespace agave {

static_assert(std::endian::native == std::endian::little, "GGUF is read in place, as little-endian numbers");

namespace {

/// The type ids of metadata values.
enum ValueId : uint32_t {
    kUint8 = 0,
    kInt8 = 1,
    kUint16 = 2,
    kInt16 = 3,
    kUint32 = 4,
    kInt32 = 5,
    kFloat32 = 6,
    kBool = 7,
    kText = 8,
    kArray = 9,
    kUint64 = 10,
    kInt64 = 11,
    kFloat64 = 12,
    kNoValueType = 13
};

/// The fewest bytes that a value of each type takes in a file (an array's elements may not be arrays).
constexpr uint8_t kValueBytes[kNoValueType] = {1, 1, 2, 2, 4, 4, 4, 1, 8, 12, 8, 8, 8};

/// key length + one character + value type + a value of one byte
constexpr uint64_t kMinEntryBytes = 8 + 1 + 4 + 1;
/// name length + one character + n_dims + one dimension + type + offset
constexpr uint64_t kMinTensorBytes = 8 + 1 + 4 + 8 + 4 + 8;

/// Walks the bytes of one file. `section` and `name` say where it is, for messages.
class Reader {
  public:
    Reader(std::span<const std::byte> bytes, const std::string& path) : bytes_(bytes), path_(path) {}

    const std::string& path() const { return path_; }
    size_t position() const { return position_; }
    size_t remaining() const { return bytes_.size() - position_; }
    std::span<const std::byte> bytes() const { return bytes_; }

    void enter(const char* section, std::string_view name) {
        section_ = section;
        name_ = name;
    }

    template <typename T>
    T number() {
        if (remaining() < sizeof(T)) fail_truncated();
        T value;
        std::memcpy(&value, bytes_.data() + position_, sizeof value);
        position_ += sizeof value;
        return value;
    }

    /// A length and so many bytes.
    std::string_view text(uint64_t max_bytes) {
        const uint64_t length = number<uint64_t>();
        if (length > max_bytes || length > remaining()) fail_text(length, max_bytes);
        const char* begin = reinterpret_cast<const char*>(bytes_.data() + position_);
        position_ += static_cast<size_t>(length);
        return {begin, static_cast<size_t>(length)};
    }

    /// " in the metadata key 'general.name'": where it is.
    std::string place() const {
        return strprintf(name_.empty() ? " in the %s" : " in the %s '%s'", section_,
                         printable(name_).c_str());
    }

    /// The arrays of a file share one allowance, so that a file of tiny elements does not grow in memory.
    uint64_t array_elements_left = kMaxGgufArrayElements;

  private:
    [[noreturn]] void fail_truncated() const {
        fail(ErrorKind::bad_file, "'%s' is truncated: it ends at byte %zu%s", path_.c_str(), bytes_.size(),
             place().c_str());
    }

    [[noreturn]] void fail_text(uint64_t length, uint64_t max_bytes) const {
        if (length > max_bytes)
            fail(ErrorKind::bad_file, "'%s': a text of %" PRIu64 " bytes%s; at most %" PRIu64 " are allowed",
                 path_.c_str(), length, place().c_str(), max_bytes);
        fail(ErrorKind::bad_file,
             "'%s' is damaged or truncated: a text of %" PRIu64 " bytes%s, but %zu bytes remain",
             path_.c_str(), length, place().c_str(), remaining());
    }

    std::span<const std::byte> bytes_;
    const std::string& path_;
    size_t position_ = 0;
    const char* section_ = "header";
    std::string_view name_;
};

bool read_bool(Reader& reader) {
    const uint8_t value = reader.number<uint8_t>();
    if (value > 1)
        fail(ErrorKind::bad_file, "'%s': a boolean is %d%s; expected 0 or 1", reader.path().c_str(), value,
             reader.place().c_str());
    return value == 1;
}

template <typename Stored, typename Value>
std::vector<Value> read_numbers(Reader& reader, size_t count) {
    std::vector<Value> values(count);
    for (Value& value : values) value = reader.number<Stored>();
    return values;
}

MetadataArray read_array(Reader& reader) {
    const uint32_t type = reader.number<uint32_t>();
    const uint64_t count = reader.number<uint64_t>();
    if (type >= kNoValueType)
        fail(ErrorKind::bad_file, "'%s': unknown element type %" PRIu32 "%s", reader.path().c_str(), type,
             reader.place().c_str());
    if (type == kArray)
        fail(ErrorKind::unsupported, "'%s': an array of arrays%s, which agave does not read",
             reader.path().c_str(), reader.place().c_str());
    if (count > reader.remaining() / kValueBytes[type])
        fail(ErrorKind::bad_file,
             "'%s' is damaged or truncated: an array of %" PRIu64 " elements%s, but %zu bytes remain",
             reader.path().c_str(), count, reader.place().c_str(), reader.remaining());
    if (count > reader.array_elements_left)
        fail(ErrorKind::bad_file,
             "'%s': an array of %" PRIu64 " elements%s; the arrays of a file may hold %" PRIu64 " together",
             reader.path().c_str(), count, reader.place().c_str(), kMaxGgufArrayElements);
    reader.array_elements_left -= count;
    const size_t n = static_cast<size_t>(count);
    switch (type) {
        case kUint8:
            return read_numbers<uint8_t, uint64_t>(reader, n);
        case kInt8:
            return read_numbers<int8_t, int64_t>(reader, n);
        case kUint16:
            return read_numbers<uint16_t, uint64_t>(reader, n);
        case kInt16:
            return read_numbers<int16_t, int64_t>(reader, n);
        case kUint32:
            return read_numbers<uint32_t, uint64_t>(reader, n);
        case kInt32:
            return read_numbers<int32_t, int64_t>(reader, n);
        case kUint64:
            return read_numbers<uint64_t, uint64_t>(reader, n);
        case kInt64:
            return read_numbers<int64_t, int64_t>(reader, n);
        case kFloat32:
            return read_numbers<float, double>(reader, n);
        case kFloat64:
            return read_numbers<double, double>(reader, n);
        case kBool: {
            std::vector<bool> values(n);
            for (size_t i = 0; i < n; i++) values[i] = read_bool(reader);
            return values;
        }
        default:
            break;
    }
    std::vector<std::string_view> texts(n);
    for (std::string_view& text : texts) text = reader.text(kMaxGgufTextBytes);
    return texts;
}

MetadataValue read_value(Reader& reader, uint32_t type) {
    switch (type) {
        case kUint8:
            return uint64_t{reader.number<uint8_t>()};
        case kInt8:
            return int64_t{reader.number<int8_t>()};
        case kUint16:
            return uint64_t{reader.number<uint16_t>()};
        case kInt16:
            return int64_t{reader.number<int16_t>()};
        case kUint32:
            return uint64_t{reader.number<uint32_t>()};
        case kInt32:
            return int64_t{reader.number<int32_t>()};
        case kUint64:
            return reader.number<uint64_t>();
        case kInt64:
            return reader.number<int64_t>();
        case kFloat32:
            return double{reader.number<float>()};
        case kFloat64:
            return reader.number<double>();
        case kBool:
            return read_bool(reader);
        case kText:
            return reader.text(kMaxGgufTextBytes);
        case kArray:
            return read_array(reader);
        default:
            fail(ErrorKind::bad_file, "'%s': unknown value type %" PRIu32 "%s", reader.path().c_str(), type,
                 reader.place().c_str());
    }
}

uint64_t checked_alignment(const Reader& reader, uint32_t type, const MetadataValue& value) {
    const auto* alignment = std::get_if<uint64_t>(&value);
    if (type != kUint32 || !alignment)
        fail(ErrorKind::bad_file,
             "'%s': 'general.alignment' has the value type %" PRIu32 "; expected %d (uint32)",
             reader.path().c_str(), type, kUint32);
    if (*alignment < kMinGgufAlignment || *alignment > kMaxGgufAlignment || !std::has_single_bit(*alignment))
        fail(ErrorKind::bad_file,
             "'%s': 'general.alignment' is %" PRIu64 "; expected a power of two from %" PRIu64 " to %" PRIu64,
             reader.path().c_str(), *alignment, kMinGgufAlignment, kMaxGgufAlignment);
    return *alignment;
}

struct Header {
    uint64_t n_tensors;
    uint64_t n_keys;
};

[[noreturn]] void fail_magic(const std::string& path, std::string_view head) {
    constexpr std::string_view kLfsPointer = "version https://git-lfs";
    if (head.starts_with(kLfsPointer))
        fail(ErrorKind::bad_file, "'%s' is a Git LFS pointer, not the model: fetch the file itself",
             path.c_str());
    fail(ErrorKind::bad_file, "'%s' is not a GGUF file: it begins with '%s' instead of 'GGUF'", path.c_str(),
         printable(head.substr(0, 4)).c_str());
}

Header read_header(Reader& reader) {
    const std::string& path = reader.path();
    const std::string_view head(reinterpret_cast<const char*>(reader.bytes().data()),
                                std::min<size_t>(reader.bytes().size(), 32));
    if (head.starts_with("FUGG"))
        fail(ErrorKind::unsupported, "'%s' is a big-endian GGUF file; agave reads little-endian ones",
             path.c_str());
    if (!head.starts_with("GGUF") && !std::string_view("GGUF").starts_with(head)) fail_magic(path, head);
    reader.number<uint32_t>();
    const uint32_t version = reader.number<uint32_t>();
    if (version != 0 && (version & 0xFFFFu) == 0)
        fail(ErrorKind::unsupported, "'%s' is a big-endian GGUF file; agave reads little-endian ones",
             path.c_str());
    if (version != 2 && version != 3)
        fail(ErrorKind::unsupported, "'%s' has GGUF version %" PRIu32 "; agave reads versions 2 and 3",
             path.c_str(), version);

    const Header header{reader.number<uint64_t>(), reader.number<uint64_t>()};
    if (header.n_tensors > kMaxGgufTensors)
        fail(ErrorKind::bad_file, "'%s' declares %" PRIu64 " tensors; at most %" PRIu64 " are allowed",
             path.c_str(), header.n_tensors, kMaxGgufTensors);
    if (header.n_keys > kMaxGgufKeys)
        fail(ErrorKind::bad_file, "'%s' declares %" PRIu64 " metadata keys; at most %" PRIu64 " are allowed",
             path.c_str(), header.n_keys, kMaxGgufKeys);
    if (header.n_tensors * kMinTensorBytes + header.n_keys * kMinEntryBytes > reader.remaining())
        fail(ErrorKind::bad_file,
             "'%s' is damaged or truncated: it declares %" PRIu64 " metadata keys and %" PRIu64
             " tensors, but %zu bytes remain",
             path.c_str(), header.n_keys, header.n_tensors, reader.remaining());
    return header;
}

MetadataEntry read_entry(Reader& reader, uint64_t& alignment) {
    reader.enter("key of a metadata entry", {});
    const std::string_view key = reader.text(kMaxGgufKeyBytes);
    if (key.empty())
        fail(ErrorKind::bad_file, "'%s': a metadata key is empty, before byte %zu", reader.path().c_str(),
             reader.position());
    reader.enter("metadata key", key);
    const uint32_t type = reader.number<uint32_t>();
    // An array's elements have a type, which read_value() checks.
    uint32_t width = type;
    if (type == kArray && reader.remaining() >= sizeof width)
        std::memcpy(&width, reader.bytes().data() + reader.position(), sizeof width);
    MetadataEntry entry{std::string(key), read_value(reader, type), static_cast<ValueType>(width)};
    if (key == "general.alignment") alignment = checked_alignment(reader, type, entry.value);
    return entry;
}

/// Dimensions are unsigned in the file; one above INT64_MAX is a negative number in disguise.
void read_shape(Reader& reader, Tensor& tensor) {
    const std::string& path = reader.path();
    const std::string name = printable(tensor.name);
    const uint32_t n_dims = reader.number<uint32_t>();
    if (n_dims < 1 || n_dims > tensor.shape.size())
        fail(ErrorKind::bad_file, "'%s': the tensor '%s' has %" PRIu32 " dimensions; expected 1 to 4",
             path.c_str(), name.c_str(), n_dims);
    tensor.n_dims = static_cast<int>(n_dims);
    int64_t n_elements = 1;
    for (uint32_t i = 0; i < n_dims; i++) {
        const uint64_t size = reader.number<uint64_t>();
        if (size == 0 || size > INT64_MAX)
            fail(ErrorKind::bad_file,
                 "'%s': dimension %" PRIu32 " of the tensor '%s' is %" PRId64 "; expected 1 or more",
                 path.c_str(), i, name.c_str(), static_cast<int64_t>(size));
        tensor.shape[i] = static_cast<int64_t>(size);
        if (__builtin_mul_overflow(n_elements, tensor.shape[i], &n_elements))
            fail(ErrorKind::bad_file, "'%s': the dimensions of the tensor '%s' overflow", path.c_str(),
                 name.c_str());
    }
}

const FormatInfo& read_format(Reader& reader, const Tensor& tensor) {
    const uint32_t id = reader.number<uint32_t>();
    if (const FormatInfo* info = find_gguf_format(id)) return *info;
    const std::string name = printable(tensor.name);
    const char* known = ggml_type_name(id);
    if (!known)
        fail(ErrorKind::unsupported, "'%s': tensor '%s' has an unknown weight format (id %" PRIu32 ")",
             reader.path().c_str(), name.c_str(), id);
    fail(ErrorKind::unsupported, "'%s': tensor '%s' has the weight format %s (id %" PRIu32 "), which %s",
         reader.path().c_str(), name.c_str(), known, id,
         ggml_type_removed(id) ? "was removed from GGUF" : "this build does not run");
}

/// One tensor's description; returns its offset in the data section. `data` is set later.
uint64_t read_tensor(Reader& reader, Tensor& tensor) {
    const std::string& path = reader.path();
    reader.enter("name of a tensor", {});
    const std::string_view name = reader.text(kMaxGgufNameBytes);
    if (name.empty())
        fail(ErrorKind::bad_file, "'%s': a tensor has an empty name, before byte %zu", path.c_str(),
             reader.position());
    reader.enter("tensor", name);
    tensor.name = name;
    read_shape(reader, tensor);
    const FormatInfo& info = read_format(reader, tensor);
    tensor.format = info.format;
    if (tensor.shape[0] % info.block_elements != 0)
        fail(ErrorKind::bad_file,
             "'%s': the tensor '%s' has rows of %" PRId64 " weights; %s needs a multiple of %d", path.c_str(),
             printable(name).c_str(), tensor.shape[0], info.name, info.block_elements);
    const uint64_t n_blocks = static_cast<uint64_t>(tensor.n_elements()) / info.block_elements;
    if (__builtin_mul_overflow(n_blocks, uint64_t{info.block_bytes}, &tensor.n_bytes))
        fail(ErrorKind::bad_file, "'%s': the dimensions of the tensor '%s' overflow", path.c_str(),
             printable(name).c_str());
    return reader.number<uint64_t>();
}

/// Points every tensor at its bytes, which must lie in the data section.
void place_tensors(const Reader& reader, uint64_t alignment, std::span<const uint64_t> offsets,
                   std::span<Tensor> tensors) {
    const std::string& path = reader.path();
    const uint64_t begin = (reader.position() + alignment - 1) / alignment * alignment;
    const uint64_t size = reader.bytes().size() > begin ? reader.bytes().size() - begin : 0;
    for (size_t i = 0; i < tensors.size(); i++) {
        Tensor& tensor = tensors[i];
        if (offsets[i] % alignment != 0)
            fail(ErrorKind::bad_file,
                 "'%s': the tensor '%s' is at offset %" PRIu64 "; expected a multiple of %" PRIu64,
                 path.c_str(), printable(tensor.name).c_str(), offsets[i], alignment);
        if (offsets[i] > size || tensor.n_bytes > size - offsets[i])
            fail(ErrorKind::bad_file,
                 "'%s' is damaged or truncated: the tensor '%s' of %" PRIu64 " bytes is at offset %" PRIu64
                 " of a data section of %" PRIu64 " bytes",
                 path.c_str(), printable(tensor.name).c_str(), uint64_t{tensor.n_bytes}, offsets[i], size);
        tensor.data = reader.bytes().data() + begin + offsets[i];
    }
}

void check_overlap(const std::string& path, std::span<const Tensor> tensors) {
    std::vector<uint32_t> by_place(tensors.size());
    std::iota(by_place.begin(), by_place.end(), 0u);
    std::sort(by_place.begin(), by_place.end(),
              [&](uint32_t a, uint32_t b) { return tensors[a].data < tensors[b].data; });
    for (size_t i = 1; i < by_place.size(); i++) {
        const Tensor& before = tensors[by_place[i - 1]];
        const Tensor& after = tensors[by_place[i]];
        if (before.data + before.n_bytes > after.data)
            fail(ErrorKind::bad_file, "'%s': the tensors '%s' and '%s' overlap", path.c_str(),
                 printable(before.name).c_str(), printable(after.name).c_str());
    }
}

}  // namespace

GgufPart parse_gguf(std::span<const std::byte> bytes, const std::string& path) {
    Reader reader(bytes, path);
    const Header header = read_header(reader);
    uint64_t alignment = 32;
    std::vector<MetadataEntry> entries;
    entries.reserve(static_cast<size_t>(header.n_keys));
    for (uint64_t i = 0; i < header.n_keys; i++) entries.push_back(read_entry(reader, alignment));

    GgufPart part{Metadata(path, std::move(entries)),
                  std::vector<Tensor>(static_cast<size_t>(header.n_tensors))};
    std::vector<uint64_t> offsets(part.tensors.size());
    for (size_t i = 0; i < offsets.size(); i++) offsets[i] = read_tensor(reader, part.tensors[i]);
    place_tensors(reader, alignment, offsets, part.tensors);
    check_overlap(path, part.tensors);
    return part;
}

}  // namespace agave
