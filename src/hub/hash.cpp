#include "hub/hash.h"

#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

#include "base/error.h"

namespace agave {

namespace {

// FIPS 180-4, section 4.2.2: the first 32 bits of the fractional parts of the cube roots of the first 64
// primes.
constexpr std::array<uint32_t, 64> kRound{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

constexpr std::array<uint32_t, 8> kStart256{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                            0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
constexpr std::array<uint32_t, 8> kStart1{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};

struct FileCloser {
    void operator()(std::FILE* file) const { std::fclose(file); }
};

std::string hash_file(Hash hash, const std::string& path, void (*progress)(void*, uint64_t), void* context) {
    const std::unique_ptr<std::FILE, FileCloser> file(std::fopen(path.c_str(), "rb"));
    if (!file) fail(ErrorKind::runtime, "cannot read '%s': %s", path.c_str(), std::strerror(errno));
    std::vector<std::byte> buffer(1 << 20);
    uint64_t total = 0;
    for (;;) {
        const size_t n = std::fread(buffer.data(), 1, buffer.size(), file.get());
        if (n == 0) break;
        hash.update({buffer.data(), n});
        total += n;
        if (progress) progress(context, total);
    }
    if (std::ferror(file.get()))
        fail(ErrorKind::runtime, "cannot read '%s': %s", path.c_str(), std::strerror(errno));
    return hash.finish();
}

}  // namespace

Hash::Hash(Kind kind) : kind_(kind), state_(kind == Kind::sha1 ? kStart1 : kStart256) {}

void Hash::update(std::span<const std::byte> bytes) {
    n_bytes_ += bytes.size();
    while (!bytes.empty()) {
        if (n_pending_ == 0 && bytes.size() >= pending_.size()) {
            block(bytes.data());
            bytes = bytes.subspan(pending_.size());
            continue;
        }
        const size_t n = std::min(bytes.size(), pending_.size() - n_pending_);
        std::memcpy(pending_.data() + n_pending_, bytes.data(), n);
        bytes = bytes.subspan(n);
        n_pending_ += n;
        if (n_pending_ < pending_.size()) break;
        block(pending_.data());
        n_pending_ = 0;
    }
}

std::string Hash::finish() {
    const uint64_t n_bits = n_bytes_ * 8;
    std::array<std::byte, 72> tail{std::byte{0x80}};
    const size_t padding = (n_pending_ < 56 ? 56 : 120) - n_pending_;
    for (size_t i = 0; i < 8; i++) tail[padding + i] = static_cast<std::byte>(n_bits >> (56 - 8 * i));
    update({tail.data(), padding + 8});
    std::string text;
    for (size_t i = 0; i < (kind_ == Kind::sha1 ? 5U : 8U); i++) text += strprintf("%08x", state_[i]);
    return text;
}

void Hash::block(const std::byte* bytes) {
    std::array<uint32_t, 16> message;
    for (size_t i = 0; i < 16; i++) {
        uint32_t word = 0;
        for (size_t j = 0; j < 4; j++) word = word << 8 | std::to_integer<uint32_t>(bytes[4 * i + j]);
        message[i] = word;
    }
    kind_ == Kind::sha1 ? block_sha1(message) : block_sha256(message);
}

void Hash::block_sha1(const std::array<uint32_t, 16>& message) {
    std::array<uint32_t, 80> w{};
    std::copy(message.begin(), message.end(), w.begin());
    for (size_t i = 16; i < w.size(); i++) w[i] = std::rotl(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    auto [a, b, c, d, e, f, g, h] = state_;
    for (size_t i = 0; i < w.size(); i++) {
        const uint32_t mix = i < 20   ? ((b & c) | (~b & d)) + 0x5a827999
                             : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
                             : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
                                      : (b ^ c ^ d) + 0xca62c1d6;
        const uint32_t next = std::rotl(a, 5) + mix + e + w[i];
        e = d, d = c, c = std::rotl(b, 30), b = a, a = next;
    }
    state_[0] += a, state_[1] += b, state_[2] += c, state_[3] += d, state_[4] += e;
}

void Hash::block_sha256(const std::array<uint32_t, 16>& message) {
    std::array<uint32_t, 64> w{};
    std::copy(message.begin(), message.end(), w.begin());
    for (size_t i = 16; i < w.size(); i++) {
        const uint32_t s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
        const uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state_;
    for (size_t i = 0; i < w.size(); i++) {
        const uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
        const uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
        const uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
        const uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    const std::array<uint32_t, 8> sums{a, b, c, d, e, f, g, h};
    for (size_t i = 0; i < 8; i++) state_[i] += sums[i];
}

std::string git_blob_id(const std::string& path, uint64_t size) {
    Hash hash(Hash::Kind::sha1);
    const std::string header = strprintf("blob %llu", static_cast<unsigned long long>(size));
    // git hashes the terminating zero too.
    hash.update(std::as_bytes(std::span(header.c_str(), header.size() + 1)));
    return hash_file(hash, path, nullptr, nullptr);
}

std::string file_sha256(const std::string& path, void (*progress)(void*, uint64_t), void* context) {
    return hash_file(Hash(Hash::Kind::sha256), path, progress, context);
}

}  // namespace agave
