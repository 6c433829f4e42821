#include "formats/safetensors.h"

#include <algorithm>
#include <cinttypes>
#include <cstring>

#include "base/error.h"
#include "base/json.h"

namespace agave {

namespace {

struct TypeInfo {
    const char* name;
    uint8_t bits;
};
// In the order of SafeType.
constexpr TypeInfo kTypes[] = {
    {"F64", 64},    {"F32", 32},    {"F16", 16},        {"BF16", 16},       {"F8_E4M3", 8}, {"F8_E5M2", 8},
    {"F8_E8M0", 8}, {"F4", 4},      {"I64", 64},        {"I32", 32},        {"I16", 16},    {"I8", 8},
    {"U64", 64},    {"U32", 32},    {"U16", 16},        {"U8", 8},          {"BOOL", 8},    {"C64", 64},
    {"F6_E2M3", 6}, {"F6_E3M2", 6}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8},
};

struct HeaderReader {
    const std::string& path;
    std::span<const std::byte> data;  ///< what follows the header

    SafeType read_type(const std::string& name, JsonValue value) const {
        if (value.is(JsonKind::text))
            for (size_t i = 0; i < std::size(kTypes); i++)
                if (value.as_text() == kTypes[i].name) return static_cast<SafeType>(i);
        if (!value.is(JsonKind::text))
            fail(ErrorKind::bad_file, "'%s': the tensor '%s' has no dtype", path.c_str(), name.c_str());
        fail(ErrorKind::unsupported, "'%s': the tensor '%s' has the dtype '%s', which agave does not know",
             path.c_str(), name.c_str(), printable(value.as_text()).c_str());
    }

    /// Fills in the shape; returns the number of bytes that type and shape need.
    uint64_t read_shape(const std::string& name, JsonValue value, SafeTensor& tensor) const {
        if (!value.is(JsonKind::array) || value.size() > SafeTensor::kMaxDims)
            fail(ErrorKind::bad_file,
                 "'%s': the shape of the tensor '%s' is not an array of 0 to %d integers", path.c_str(),
                 name.c_str(), SafeTensor::kMaxDims);
        uint64_t n_bits = kTypes[static_cast<size_t>(tensor.type)].bits;
        bool overflow = false;
        for (const JsonValue size : value) {
            if (!size.is(JsonKind::integer) || size.as_integer() < 0)
                fail(ErrorKind::bad_file,
                     "'%s': dimension %d of the tensor '%s' is not an integer of 0 or more", path.c_str(),
                     tensor.n_dims, name.c_str());
            const int64_t n = size.as_integer();
            tensor.shape[static_cast<size_t>(tensor.n_dims++)] = n;
            overflow |= __builtin_mul_overflow(n_bits, static_cast<uint64_t>(n), &n_bits);
        }
        if (overflow)
            fail(ErrorKind::bad_file, "'%s': the dimensions of the tensor '%s' overflow", path.c_str(),
                 name.c_str());
        if (n_bits % 8 != 0)
            fail(ErrorKind::bad_file, "'%s': the tensor '%s' does not fill whole bytes", path.c_str(),
                 name.c_str());
        return n_bits / 8;
    }

    SafeTensor read_tensor(std::string_view raw_name, JsonValue value) const {
        const std::string name = printable(raw_name);
        if (raw_name.empty() || raw_name.size() > kMaxSafeNameBytes ||
            raw_name.find('\0') != std::string_view::npos)
            fail(ErrorKind::bad_file, "'%s': '%s' is no name of a tensor; expected 1 to %zu bytes",
                 path.c_str(), name.c_str(), kMaxSafeNameBytes);
        if (!value.is(JsonKind::object))
            fail(ErrorKind::bad_file, "'%s': the description of the tensor '%s' is not an object",
                 path.c_str(), name.c_str());
        SafeTensor tensor;
        tensor.name = raw_name;
        tensor.type = read_type(name, value["dtype"]);
        const uint64_t n_bytes = read_shape(name, value["shape"], tensor);
        const JsonValue offsets = value["data_offsets"], first = offsets.at(0), last = offsets.at(1);
        if (offsets.size() != 2 || !first.is(JsonKind::integer) || !last.is(JsonKind::integer) ||
            first.as_integer() < 0 || last.as_integer() < first.as_integer())
            fail(ErrorKind::bad_file,
                 "'%s': the data_offsets of the tensor '%s' are not two integers in ascending order",
                 path.c_str(), name.c_str());
        const uint64_t begin = static_cast<uint64_t>(first.as_integer());
        const uint64_t end = static_cast<uint64_t>(last.as_integer());
        if (end > data.size())
            fail(ErrorKind::bad_file,
                 "'%s' is damaged or truncated: the tensor '%s' ends at byte %" PRIu64
                 " of data of %zu bytes",
                 path.c_str(), name.c_str(), end, data.size());
        if (end - begin != n_bytes)
            fail(ErrorKind::bad_file,
                 "'%s': the tensor '%s' has %" PRIu64 " bytes, but its dtype and shape need %" PRIu64,
                 path.c_str(), name.c_str(), end - begin, n_bytes);
        tensor.data = data.data() + begin;
        tensor.n_bytes = n_bytes;
        return tensor;
    }
};

/// The tensors follow one another from the first byte of the data to the last.
void check_cover(const std::string& path, std::span<const std::byte> data,
                 const std::vector<SafeTensor>& tensors) {
    const std::byte* at = data.data();
    for (const SafeTensor& tensor : tensors) {
        if (tensor.data != at)
            fail(ErrorKind::bad_file, "'%s': the tensor '%s' %s", path.c_str(),
                 printable(tensor.name).c_str(),
                 tensor.data < at ? "overlaps the one before it" : "lies behind a gap in the data");
        at += tensor.n_bytes;
    }
    if (at != data.data() + data.size())
        fail(ErrorKind::bad_file, "'%s': %zu bytes behind the last tensor belong to none", path.c_str(),
             static_cast<size_t>(data.data() + data.size() - at));
}

[[noreturn]] void fail_magic(const std::string& path, std::string_view head) {
    if (head.starts_with("version https://git-lfs"))
        fail(ErrorKind::bad_file, "'%s' is a Git LFS pointer, not the model: fetch the file itself",
             path.c_str());
    fail(ErrorKind::bad_file, "'%s' is not a SafeTensors file: no JSON header follows its length",
         path.c_str());
}

}  // namespace

const char* safe_type_name(SafeType type) {
    return kTypes[static_cast<size_t>(type)].name;
}

int64_t SafeTensor::n_elements() const {
    int64_t n = 1;
    for (int i = 0; i < n_dims; i++) n *= shape[static_cast<size_t>(i)];
    return n;
}

std::vector<SafeTensor> parse_safetensors(std::span<const std::byte> bytes, const std::string& path) {
    uint64_t header_bytes = 0;
    if (bytes.size() < sizeof header_bytes)
        fail(ErrorKind::bad_file, "'%s' is not a SafeTensors file: it has only %zu bytes", path.c_str(),
             bytes.size());
    std::memcpy(&header_bytes, bytes.data(), sizeof header_bytes);
    const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const std::string_view rest = text.substr(sizeof header_bytes);
    if (!rest.starts_with('{')) fail_magic(path, text);
    if (header_bytes > kMaxSafeHeaderBytes)
        fail(ErrorKind::bad_file,
             "'%s' declares a header of %" PRIu64 " bytes; at most %" PRIu64 " are allowed", path.c_str(),
             header_bytes, kMaxSafeHeaderBytes);
    if (header_bytes > rest.size())
        fail(ErrorKind::bad_file,
             "'%s' is damaged or truncated: it declares a header of %" PRIu64 " bytes, but %zu remain",
             path.c_str(), header_bytes, rest.size());

    const Json header(rest.substr(0, header_bytes), path);
    const HeaderReader reader{path, bytes.subspan(sizeof header_bytes + header_bytes)};
    const JsonValue root = header.root();
    if (!root.is(JsonKind::object) || root.size() > kMaxSafeTensors)
        fail(ErrorKind::bad_file, "'%s': its header is not an object of at most %zu tensors", path.c_str(),
             kMaxSafeTensors);
    std::vector<SafeTensor> tensors;
    tensors.reserve(root.size());
    for (auto member = root.begin(); member != root.end(); ++member)
        if (member.name() != "__metadata__") tensors.push_back(reader.read_tensor(member.name(), *member));
    // An empty tensor comes before the one that begins at the same byte.
    std::sort(tensors.begin(), tensors.end(), [](const SafeTensor& a, const SafeTensor& b) {
        return a.data != b.data ? a.data < b.data : a.n_bytes < b.n_bytes;
    });
    check_cover(path, reader.data, tensors);
    return tensors;
}

}  // namespace agave
