#include "gguf_cases.h"

#include <cmath>
#include <limits>

namespace agave {

GgufWriter good_gguf() {
    GgufWriter file;
    file.text("general.architecture", "llama");
    file.value<uint32_t>("general.alignment", 32);
    file.value<uint8_t>("test.u8", 200);
    file.value<int8_t>("test.i8", -7);
    file.value<uint16_t>("test.u16", 60000);
    file.value<int16_t>("test.i16", -300);
    file.value<uint32_t>("test.u32", 4000000000u);
    file.value<int32_t>("test.i32", -70000);
    file.value<uint64_t>("test.u64", std::numeric_limits<uint64_t>::max());
    file.value<int64_t>("test.i64", std::numeric_limits<int64_t>::min());
    file.value<float>("test.f32", 1e-5f);
    file.value<double>("test.f64", 1e300);
    file.value<bool>("test.bool", true);
    file.text("test.empty", "");
    file.texts("test.texts", {"a", "", "\xFF\xFE", "three"});
    file.array<int8_t>("test.i8s", {-1, 0, 1});
    file.array<uint16_t>("test.u16s", {1, 65535});
    file.array<int32_t>("test.i32s", {});
    file.array<float>("test.f32s", {0.5f, -1000.0f});
    file.array<bool>("test.bools", {true, false, true});
    file.tensor("token_embd.weight", 8, {64, 3});
    file.float_tensor("norm.weight", {4}, {1, 2, 3, 4});
    file.tensor("experts.weight", 1, {8, 2, 3, 2});
    return file;
}

namespace {

constexpr uint64_t k2To31 = uint64_t{1} << 31;
constexpr uint64_t k2To63 = uint64_t{1} << 63;
constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
/// The values that have broken length checks.
constexpr uint64_t kHugeCounts[] = {k2To31, 0xFFFFFFFFull, k2To63, kMax};

class Cases {
  public:
    std::vector<BadGguf> all;

    void add(std::string name, const GgufWriter& file, std::string words,
             ErrorKind kind = ErrorKind::bad_file) {
        all.push_back({std::move(name), file.bytes(), kind, std::move(words)});
    }
    void add_bytes(std::string name, std::string_view bytes, std::string words,
                   ErrorKind kind = ErrorKind::bad_file) {
        const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
        all.push_back({std::move(name), {begin, begin + bytes.size()}, kind, std::move(words)});
    }
};

void add_header_cases(Cases& cases) {
    cases.add_bytes("empty", "", "truncated");
    cases.add_bytes("four-bytes", "GGUF", "truncated");
    cases.add_bytes("half-a-magic", "GG", "truncated");
    cases.add_bytes("wrong-magic", "PK\x03\x04 and so on and so forth", "not a GGUF file");
    cases.add_bytes("magic-of-the-old-format", "tjgg and so on and so forth", "not a GGUF file");
    cases.add_bytes("git-lfs-pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:00\n",
                    "Git LFS pointer");
    cases.add_bytes("big-endian-magic", "FUGG and so on and so forth", "big-endian", ErrorKind::unsupported);
    for (const uint32_t version : {0u, 1u, 4u, 0xFFFFFFFFu}) {
        GgufWriter file = good_gguf();
        file.version = version;
        cases.add("version-" + std::to_string(version), file, "GGUF version " + std::to_string(version),
                  ErrorKind::unsupported);
    }
    for (const uint32_t version : {2u, 3u}) {
        GgufWriter file = good_gguf();
        file.version = version << 24;
        cases.add("big-endian-" + std::to_string(version), file, "big-endian", ErrorKind::unsupported);
    }
    for (const uint64_t count : kHugeCounts) {
        GgufWriter keys = good_gguf();
        keys.n_keys = count;
        cases.add("n_keys-" + std::to_string(count), keys, "metadata keys; at most");
        GgufWriter tensors = good_gguf();
        tensors.n_tensors = count;
        cases.add("n_tensors-" + std::to_string(count), tensors, "tensors; at most");
    }
    // 2^64 / 33 + 1 descriptions of 33 bytes wrap around to a few bytes.
    GgufWriter wrapping = good_gguf();
    wrapping.n_tensors = kMax / 33 + 1;
    cases.add("n_tensors-times-size-wraps", wrapping, "tensors; at most");
    GgufWriter more_keys = good_gguf();
    more_keys.n_keys = 65536;
    cases.add("n_keys-beyond-the-bytes", more_keys, "bytes remain");
    GgufWriter more_tensors = good_gguf();
    more_tensors.n_tensors = 1 << 20;
    cases.add("n_tensors-beyond-the-bytes", more_tensors, "bytes remain");
    GgufWriter one_key_more = good_gguf();
    one_key_more.n_keys = 21;
    cases.add("n_keys-one-too-many", one_key_more, "");
    GgufWriter one_key_less = good_gguf();
    one_key_less.n_keys = 19;
    cases.add("n_keys-one-too-few", one_key_less, "");
    GgufWriter no_keys = good_gguf();
    no_keys.n_keys = 0;
    cases.add("n_keys-0", no_keys, "dimensions; expected 1 to 4");
    GgufWriter one_tensor_more = good_gguf();
    one_tensor_more.n_tensors = 4;
    cases.add("n_tensors-one-too-many", one_tensor_more, "");
}

void add_metadata_cases(Cases& cases) {
    for (const uint64_t length : kHugeCounts) {
        GgufWriter text;
        text.raw_key("test.text", GgufWriter::kTextType);
        text.raw(length);
        text.raw_data(64);
        cases.add("text-length-" + std::to_string(length), text, "in the metadata key 'test.text'");
        GgufWriter key;
        key.raw_key("first", GgufWriter::type_of<bool>());
        key.raw(true);
        key.n_keys = 2;
        key.raw(length);
        key.raw_data(64);
        cases.add("key-length-" + std::to_string(length), key, "at most 65535 are allowed");
        for (const uint32_t type : {0u, 5u, 7u, 8u, 12u}) {
            GgufWriter array;
            array.raw_array("test.array", type, length);
            array.raw_data(64);
            cases.add("array-length-" + std::to_string(length) + "-of-type-" + std::to_string(type), array,
                      "in the metadata key 'test.array', but ");
        }
    }
    GgufWriter wrapping;
    wrapping.raw_array("test.array", GgufWriter::type_of<double>(), kMax / 8 + 2);
    wrapping.raw_data(64);
    cases.add("array-length-times-size-wraps", wrapping, "bytes remain");
    GgufWriter long_text_in_array;
    long_text_in_array.raw_array("test.texts", GgufWriter::kTextType, 2);
    long_text_in_array.raw_text("a");
    long_text_in_array.raw(kMax - 7);
    long_text_in_array.raw_data(64);
    cases.add("text-in-array-whose-end-wraps", long_text_in_array, "in the metadata key 'test.texts'");
    GgufWriter short_text_in_array;
    short_text_in_array.raw_array("test.texts", GgufWriter::kTextType, 1);
    short_text_in_array.raw<uint64_t>(65);
    short_text_in_array.raw_data(16);
    cases.add("text-in-array-beyond-the-end", short_text_in_array, "bytes remain");

    GgufWriter empty_key = good_gguf();
    empty_key.text("", "nothing");
    cases.add("key-length-0", empty_key, "metadata key is empty");
    GgufWriter long_key = good_gguf();
    long_key.value<bool>(std::string(65536, 'k'), true);
    cases.add("key-length-65536", long_key, "a text of 65536 bytes");
    GgufWriter twice = good_gguf();
    twice.value<uint8_t>("test.u8", 200);
    cases.add("key-twice", twice, "'test.u8' comes twice");
    for (const uint32_t type : {13u, 255u, 0x80000000u, 0xFFFFFFFFu}) {
        GgufWriter value;
        value.raw_key("test.key", type);
        value.raw<uint64_t>(0);
        cases.add("value-type-" + std::to_string(type), value, "unknown value type " + std::to_string(type));
        GgufWriter element;
        element.raw_array("test.key", type, 0);
        cases.add("element-type-" + std::to_string(type), element,
                  "unknown element type " + std::to_string(type));
    }
    GgufWriter nested;
    nested.raw_array("test.nested", GgufWriter::kArrayType, 1);
    nested.raw<uint32_t>(0);
    nested.raw<uint64_t>(1);
    nested.raw<uint8_t>(0);
    cases.add("array-of-arrays", nested, "array of arrays in the metadata key 'test.nested'",
              ErrorKind::unsupported);
    GgufWriter boolean;
    boolean.raw_key("test.bool", GgufWriter::type_of<bool>());
    boolean.raw<uint8_t>(2);
    cases.add("bool-2", boolean, "a boolean is 2 in the metadata key 'test.bool'");
    GgufWriter booleans;
    booleans.raw_array("test.bools", GgufWriter::type_of<bool>(), 3);
    for (const uint8_t v : {uint8_t{0}, uint8_t{1}, uint8_t{255}}) booleans.raw(v);
    cases.add("bool-255-in-array", booleans, "a boolean is 255");
}

void add_alignment_cases(Cases& cases) {
    for (const uint32_t alignment : {0u, 1u, 3u, 4u, 48u, 1u << 21, 1u << 31, 0xFFFFFFFFu}) {
        GgufWriter file;
        file.value("general.alignment", alignment);
        file.float_tensor("a", {4}, {1, 2, 3, 4});
        cases.add("alignment-" + std::to_string(alignment), file, "expected a power of two from 8");
    }
    GgufWriter wide;
    wide.value<uint64_t>("general.alignment", 32);
    cases.add("alignment-uint64", wide, "expected 4 (uint32)");
    GgufWriter text;
    text.text("general.alignment", "32");
    cases.add("alignment-text", text, "expected 4 (uint32)");
    GgufWriter signed_number;
    signed_number.value<int32_t>("general.alignment", -1);
    cases.add("alignment-negative", signed_number, "expected 4 (uint32)");
    GgufWriter array;
    array.array<uint32_t>("general.alignment", {32});
    cases.add("alignment-array", array, "expected 4 (uint32)");
    GgufWriter beyond;
    beyond.value<uint32_t>("general.alignment", 1 << 20);
    beyond.float_tensor("a", {4}, {1, 2, 3, 4});
    cases.add("alignment-beyond-the-file", beyond, "a data section of 0 bytes");
}

void add_shape_cases(Cases& cases) {
    const auto shape = [&](std::string name, const std::vector<uint64_t>& dims, std::string words,
                           uint32_t type = 0, std::optional<uint32_t> n_dims = {}) {
        GgufWriter file;
        file.raw_tensor("w", dims, type, 0, n_dims);
        file.raw_data(4096);
        cases.add(std::move(name), file, std::move(words));
    };
    shape("n_dims-0", {}, "'w' has 0 dimensions");
    shape("n_dims-5", {1, 1, 1, 1, 1}, "'w' has 5 dimensions");
    shape("n_dims-2^32-1", {1}, "'w' has 4294967295 dimensions", 0, 0xFFFFFFFFu);
    shape("dimension-0", {0}, "dimension 0 of the tensor 'w' is 0");
    shape("dimension-0-inside", {4, 0, 4}, "dimension 1 of the tensor 'w' is 0");
    shape("dimension-negative", {4, kMax}, "dimension 1 of the tensor 'w' is -1");
    shape("dimension-2^63", {k2To63}, "is -9223372036854775808");
    shape("dimensions-wrap-to-0", {uint64_t{1} << 32, uint64_t{1} << 32}, "overflow");
    shape("dimensions-wrap-to-16", {4, k2To31, k2To31 + 1, 4}, "overflow");
    shape("bytes-wrap", {uint64_t{1} << 62}, "overflow");
    shape("dimension-just-too-large", {1025}, "4100 bytes is at offset 0");
    shape("rows-not-a-multiple-of-32", {33}, "rows of 33 weights; Q8_0 needs a multiple of 32", 8);
    shape("rows-not-a-multiple-of-256", {128, 2}, "rows of 128 weights; Q4_K needs a multiple of 256", 12);

    const auto type = [&](uint32_t id, std::string words) {
        GgufWriter file;
        file.raw_tensor("blk.0.w", {256}, id, 0);
        file.raw_data(4096);
        cases.add("tensor-type-" + std::to_string(id), file, std::move(words), ErrorKind::unsupported);
    };
    type(4, "tensor 'blk.0.w' has the weight format Q4_2 (id 4), which was removed");
    type(5, "Q4_3 (id 5), which was removed");
    type(9, "tensor 'blk.0.w' has the weight format Q8_1 (id 9), which this build does not run");
    type(31, "Q4_0_4_4 (id 31), which was removed");
    type(38, "IQ4_NL_8_8 (id 38), which was removed");
    type(26, "I32 (id 26), which this build does not run");
    type(28, "F64 (id 28), which this build does not run");
    type(43, "unknown weight format (id 43)");
    type(0x80000000u, "unknown weight format (id 2147483648)");
    type(0xFFFFFFFFu, "unknown weight format (id 4294967295)");
}

void add_tensor_cases(Cases& cases) {
    const auto at = [&](std::string name, uint64_t offset, std::string words) {
        GgufWriter file;
        file.float_tensor("a", {8}, {1, 2, 3, 4, 5, 6, 7, 8});
        file.raw_tensor("b", {8}, 0, offset);
        cases.add(std::move(name), file, std::move(words));
    };
    at("offset-at-the-end", 32, "'b' of 32 bytes is at offset 32 of a data section of 32 bytes");
    at("offset-beyond-the-end", 64, "'b' of 32 bytes is at offset 64");
    at("offset-2^63", k2To63, "'b' of 32 bytes is at offset 9223372036854775808");
    at("offset-plus-size-wraps", kMax - 31, "'b' of 32 bytes is at offset 18446744073709551584");
    at("offset-unaligned", 4, "'b' is at offset 4; expected a multiple of 32");
    at("overlap-whole", 0, "overlap");

    GgufWriter partly;
    partly.float_tensor("a", {16}, std::vector<float>(16));
    partly.raw_tensor("b", {8}, 0, 32);
    cases.add("overlap-in-part", partly, "'a' and 'b' overlap");
    GgufWriter inside;
    inside.raw_tensor("inner", {8}, 0, 32);
    inside.float_tensor("outer", {24}, std::vector<float>(24));
    cases.add("overlap-inside", inside, "'outer' and 'inner' overlap");

    GgufWriter missing_byte;
    missing_byte.float_tensor("a", {8}, std::vector<float>(8));
    std::vector<std::byte> bytes = missing_byte.bytes();
    bytes.pop_back();
    cases.all.push_back({"last-tensor-one-byte-short", bytes, ErrorKind::bad_file,
                         "'a' of 32 bytes is at offset 0 of a data section of 31 bytes"});

    GgufWriter twice;
    twice.float_tensor("a", {8}, std::vector<float>(8));
    twice.float_tensor("a", {8}, std::vector<float>(8));
    cases.add("tensor-name-twice", twice, "the tensor 'a' comes twice");
    GgufWriter unnamed;
    unnamed.float_tensor("", {8}, std::vector<float>(8));
    cases.add("tensor-name-empty", unnamed, "empty name");
    GgufWriter long_name;
    long_name.float_tensor(std::string(65, 'n'), {8}, std::vector<float>(8));
    cases.add("tensor-name-of-65-bytes", long_name, "a text of 65 bytes in the name of a tensor");
}

}  // namespace

std::vector<BadGguf> bad_gguf_cases() {
    Cases cases;
    add_header_cases(cases);
    add_metadata_cases(cases);
    add_alignment_cases(cases);
    add_shape_cases(cases);
    add_tensor_cases(cases);
    return std::move(cases.all);
}

}  // namespace agave
